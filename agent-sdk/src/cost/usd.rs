//! Money: whole nano-USD for what is summed and stored, exact decimals for the parts of one line.
//!
//! Both are integers with a fixed number of decimals, so no sum depends on its order and no price is a float. A rate
//! of the price table has at most 18 decimals per million tokens: 24 decimals hold any product of it exactly.

use std::fmt;
use std::str::FromStr;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The decimals of [`Usd`].
const NANO: u32 = 9;
/// The decimals of [`ExactUsd`].
const EXACT: u32 = 24;
/// What one nano-USD is in units of [`ExactUsd`].
const UNITS_PER_NANO: u128 = 10_u128.pow(EXACT - NANO);

/// An amount of US dollars in whole nano-USD, from 0 to about 18 thousand million dollars.
///
/// It prints as the shortest exact decimal, and is a JSON number. Numbers are exact below eight million dollars, where
/// a double still tells one nano-USD from the next.
///
/// # Example
///
/// ```
/// use agent_sdk::cost::Usd;
///
/// let price: Usd = "0.0075".parse()?;
/// assert_eq!(price, Usd::from_nanos(7_500_000));
/// assert_eq!(price.saturating_add(price).to_string(), "0.015");
/// # Ok::<(), agent_sdk::cost::ParseUsdError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Usd(u64);

impl Usd {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The largest amount.
    pub const MAX: Self = Self(u64::MAX);

    /// This many thousand-millionths of a dollar.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// The amount in thousand-millionths of a dollar.
    pub const fn nanos(self) -> u64 {
        self.0
    }

    /// The amount in dollars, for charts and attributes; sums belong in `Usd`.
    #[expect(
        clippy::cast_precision_loss,
        reason = "documented: exact below eight million dollars"
    )]
    pub fn as_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// The sum, or [`Usd::MAX`] where it would be larger.
    #[must_use]
    pub const fn saturating_add(self, more: Self) -> Self {
        Self(self.0.saturating_add(more.0))
    }

    /// The difference, or [`Usd::ZERO`] where it would be negative.
    #[must_use]
    pub const fn saturating_sub(self, less: Self) -> Self {
        Self(self.0.saturating_sub(less.0))
    }
}

impl fmt::Display for Usd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_decimal(f, u128::from(self.0), NANO)
    }
}

/// Reads a plain decimal such as `"0.0075"`; what is finer than a nano-USD is rounded half up.
impl FromStr for Usd {
    type Err = ParseUsdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parsed = parse_decimal(text, NANO).ok_or(ParseUsdError(()))?;
        parsed
            .units
            .checked_add(u128::from(parsed.half_or_more))
            .and_then(|nanos| u64::try_from(nanos).ok())
            .map(Self)
            .ok_or(ParseUsdError(()))
    }
}

impl Serialize for Usd {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // A whole number has no ".0", so that the JSON reads as `Display` does.
        if self.0.is_multiple_of(1_000_000_000) {
            serializer.serialize_u64(self.0 / 1_000_000_000)
        } else {
            serializer.serialize_f64(self.as_f64())
        }
    }
}

impl<'de> Deserialize<'de> for Usd {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UsdVisitor)
    }
}

/// Reads a number or a string.
struct UsdVisitor;

impl Visitor<'_> for UsdVisitor {
    type Value = Usd;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an amount in US dollars, as a number or a decimal string")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Usd, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, dollars: u64) -> Result<Usd, E> {
        self.visit_str(&dollars.to_string())
    }

    // The whole numbers of formats that have signed ones alone, such as TOML.
    fn visit_i64<E: de::Error>(self, dollars: i64) -> Result<Usd, E> {
        self.visit_str(&dollars.to_string())
    }

    fn visit_f64<E: de::Error>(self, dollars: f64) -> Result<Usd, E> {
        // A float prints as its shortest decimal, never with an exponent: what was written is what is read.
        self.visit_str(&dollars.to_string())
    }
}

/// The text is not an amount of US dollars that [`Usd`] can hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseUsdError(());

impl fmt::Display for ParseUsdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a plain decimal amount of US dollars between 0 and 18446744073.709551615")
    }
}

impl std::error::Error for ParseUsdError {}

/// An exact, unrounded amount of US dollars with 24 decimals: one side of a [`Cost`](super::Cost).
///
/// It is a type of its own and not a decimal of another crate, so that no foreign type is part of this API. It prints
/// as the shortest exact decimal, and is a string in JSON because a double cannot hold it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExactUsd(u128);

impl ExactUsd {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// The amount in nano-USD, rounded half up; `None` where [`Usd`] cannot hold it.
    pub fn round(self) -> Option<Usd> {
        let up = self.0 % UNITS_PER_NANO >= UNITS_PER_NANO / 2;
        let nanos = (self.0 / UNITS_PER_NANO).checked_add(u128::from(up))?;
        u64::try_from(nanos).ok().map(Usd)
    }

    /// The amount in nano-USD, rounded up, as a reservation needs it; `None` where [`Usd`] cannot hold it.
    pub fn round_up(self) -> Option<Usd> {
        u64::try_from(self.0.div_ceil(UNITS_PER_NANO)).ok().map(Usd)
    }

    /// The exact sum; `None` where it is too large to hold.
    pub fn checked_add(self, more: Self) -> Option<Self> {
        self.0.checked_add(more.0).map(Self)
    }

    /// The exact difference; `None` where it would be negative.
    pub fn checked_sub(self, less: Self) -> Option<Self> {
        self.0.checked_sub(less.0).map(Self)
    }

    /// How many things at `each` this pays for; [`u64::MAX`] where they are free or there are more.
    pub(in crate::cost) fn how_many(self, each: Self) -> u64 {
        let count = self.0.checked_div(each.0).unwrap_or(u128::MAX);
        u64::try_from(count).unwrap_or(u64::MAX)
    }

    /// The exact product; `None` where it is too large to hold.
    pub fn checked_mul(self, count: u64) -> Option<Self> {
        self.0.checked_mul(u128::from(count)).map(Self)
    }

    /// The price of one thing where a thousand or a million (`10^things`) of them cost `text` dollars.
    ///
    /// `None` where the text is no plain decimal, or has more decimals than can be kept.
    pub(in crate::cost) fn of_each(text: &str, things: u32) -> Option<Self> {
        let parsed = parse_decimal(text, EXACT.checked_sub(things)?)?;
        parsed.exact.then_some(Self(parsed.units))
    }

    /// The price of `10^things` things of which one costs this, as the shortest exact decimal.
    pub(in crate::cost) fn of_many(self, things: u32) -> String {
        struct Decimal(u128, u32);
        impl fmt::Display for Decimal {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_decimal(f, self.0, self.1)
            }
        }
        Decimal(self.0, EXACT.saturating_sub(things)).to_string()
    }
}

impl fmt::Display for ExactUsd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_decimal(f, self.0, EXACT)
    }
}

impl From<Usd> for ExactUsd {
    fn from(usd: Usd) -> Self {
        // At most 2^64 * 10^15, which is below 2^114.
        Self(u128::from(usd.0) * UNITS_PER_NANO)
    }
}

impl Serialize for ExactUsd {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ExactUsd {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::of_each(&text, 0).ok_or_else(|| {
            de::Error::invalid_value(de::Unexpected::Str(&text), &"a plain decimal of US dollars")
        })
    }
}

/// A decimal, cut to a fixed number of places.
struct Parsed {
    units: u128,
    /// Nothing but zeros was cut off.
    exact: bool,
    /// What was cut off is at least half a unit.
    half_or_more: bool,
}

/// Reads digits, with at most one point among them; no sign, no exponent.
fn parse_decimal(text: &str, places: u32) -> Option<Parsed> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if whole.is_empty() || (fraction.is_empty() && text.contains('.')) {
        return None;
    }
    let mut parsed = Parsed {
        units: 0,
        exact: true,
        half_or_more: false,
    };
    let mut digits = fraction.bytes();
    let mut push = |digit: u8| -> Option<()> {
        let digit = char::from(digit).to_digit(10)?;
        parsed.units = parsed
            .units
            .checked_mul(10)?
            .checked_add(u128::from(digit))?;
        Some(())
    };
    for digit in whole.bytes() {
        push(digit)?;
    }
    for _ in 0..places {
        push(digits.next().unwrap_or(b'0'))?;
    }
    for (place, digit) in digits.enumerate() {
        let digit = char::from(digit).to_digit(10)?;
        parsed.exact &= digit == 0;
        parsed.half_or_more |= place == 0 && digit >= 5;
    }
    Some(parsed)
}

/// Writes `units` of `10^-places` without trailing zeros.
fn write_decimal(f: &mut fmt::Formatter<'_>, units: u128, places: u32) -> fmt::Result {
    let one = 10_u128.pow(places);
    let (whole, mut fraction, mut width) = (units / one, units % one, places as usize);
    if fraction == 0 {
        return write!(f, "{whole}");
    }
    while fraction.is_multiple_of(10) {
        fraction /= 10;
        width -= 1;
    }
    write!(f, "{whole}.{fraction:0width$}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn amounts_print_as_the_shortest_exact_decimal() {
        for text in [
            "0",
            "0.0075",
            "5",
            "0.000000001",
            "18446744073.709551615",
            "10.5",
        ] {
            assert_eq!(text.parse::<Usd>().unwrap().to_string(), text);
        }
        assert_eq!("0.50".parse::<Usd>().unwrap().to_string(), "0.5");
        assert_eq!(
            ExactUsd::of_each("0.041666666666666664", 6).unwrap().0,
            41_666_666_666_666_664
        );
    }

    #[test]
    fn text_that_is_no_amount_is_refused() {
        for text in [
            "", ".", ".5", "5.", "-1", "+1", "1e3", "1,5", " 1", "1.2.3", "NaN", "１",
        ] {
            assert!(text.parse::<Usd>().is_err(), "{text}");
        }
        assert!("18446744073.709551616".parse::<Usd>().is_err());
        assert!("9".repeat(60).parse::<Usd>().is_err());
        assert!(ExactUsd::of_each("0.0000000000000000001", 6).is_none());
    }

    #[test]
    fn halves_round_up_and_less_rounds_down() {
        let half = UNITS_PER_NANO / 2;
        assert_eq!(ExactUsd(half - 1).round(), Some(Usd(0)));
        assert_eq!(ExactUsd(half).round(), Some(Usd(1)));
        assert_eq!(ExactUsd(3 * half).round(), Some(Usd(2)));
        assert_eq!(ExactUsd(1).round_up(), Some(Usd(1)));
        assert_eq!(ExactUsd(u128::MAX).round(), None);
        assert_eq!(ExactUsd(u128::MAX).round_up(), None);
        assert_eq!("0.0000000005".parse(), Ok(Usd(1)));
        assert_eq!("0.00000000049".parse(), Ok(Usd(0)));
    }

    #[test]
    fn sums_stop_at_the_ends() {
        assert_eq!(Usd::MAX.saturating_add(Usd(1)), Usd::MAX);
        assert_eq!(Usd(1).saturating_sub(Usd(2)), Usd::ZERO);
    }

    #[test]
    fn json_is_a_number_and_strings_are_read_too() {
        assert_eq!(serde_json::to_string(&Usd(7_500_000)).unwrap(), "0.0075");
        assert_eq!(serde_json::to_string(&Usd(2_000_000_000)).unwrap(), "2");
        assert_eq!(
            serde_json::from_str::<Usd>("\"0.0075\"").unwrap(),
            Usd(7_500_000)
        );
        assert_eq!(
            serde_json::from_str::<Usd>("3").unwrap(),
            Usd(3_000_000_000)
        );
        assert!(serde_json::from_str::<Usd>("-0.5").is_err());
    }

    proptest! {
        #[test]
        fn json_keeps_every_nano(nanos in 0..8_388_608_000_000_000_u64) {
            let json = serde_json::to_string(&Usd(nanos)).unwrap();
            prop_assert_eq!(serde_json::from_str::<Usd>(&json).unwrap(), Usd(nanos));
        }

        #[test]
        fn text_keeps_every_nano(nanos: u64) {
            prop_assert_eq!(Usd(nanos).to_string().parse(), Ok(Usd(nanos)));
        }
    }
}
