//! Numbers as text.

use std::fmt::Write;

/// A sample's value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    /// Exact, however many are added.
    Whole(i128),
    Fraction(f64),
}

impl Number {
    pub(super) fn plus(self, other: Self) -> Self {
        match (self, other) {
            (Self::Whole(a), Self::Whole(b)) => Self::Whole(a.saturating_add(b)),
            (a, b) => Self::Fraction(a.as_f64() + b.as_f64()),
        }
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "whoever mixes whole numbers and fractions asks for a fraction"
    )]
    fn as_f64(self) -> f64 {
        match self {
            Self::Whole(number) => number as f64,
            Self::Fraction(number) => number,
        }
    }

    pub(super) fn write(self, out: &mut String) {
        match self {
            // Writing to a text cannot fail.
            Self::Whole(number) => drop(write!(out, "{number}")),
            Self::Fraction(number) => write_f64(out, number),
        }
    }
}

impl From<u64> for Number {
    fn from(number: u64) -> Self {
        Self::Whole(number.into())
    }
}

impl From<i64> for Number {
    fn from(number: i64) -> Self {
        Self::Whole(number.into())
    }
}

impl From<f64> for Number {
    fn from(number: f64) -> Self {
        Self::Fraction(number)
    }
}

/// The longest text that [`write_f64`] and [`Number::write`] make of a sum of 64-bit numbers.
pub(super) const NUMBER_BYTES: usize = 28;

/// A fraction, in at most [`NUMBER_BYTES`].
pub(super) fn write_f64(out: &mut String, number: f64) {
    let size = number.abs();
    // Writing to a text cannot fail.
    let _ = if number.is_nan() {
        out.write_str("NaN")
    } else if number.is_infinite() {
        out.write_str(if number > 0.0 { "+Inf" } else { "-Inf" })
    } else if size >= 1e17 || (size > 0.0 && size < 1e-5) {
        write!(out, "{number:e}")
    } else {
        write!(out, "{number}")
    };
}

/// A bucket's bound in the canonical form of `OpenMetrics`, which all exposers share: `0.5`, `1.0`, `1e+06`.
pub(super) fn write_canonical(out: &mut String, bound: f64) {
    let size = bound.abs();
    if !bound.is_finite() {
        write_f64(out, bound);
    } else if size != 0.0 && !(1e-4..1e6).contains(&size) {
        let text = format!("{bound:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, exponent) = match exponent.strip_prefix('-') {
            Some(exponent) => ('-', exponent),
            None => ('+', exponent),
        };
        let _ = write!(out, "{digits}e{sign}{exponent:0>2}");
    } else if bound.fract() == 0.0 {
        let _ = write!(out, "{bound:.1}");
    } else {
        let _ = write!(out, "{bound}");
    }
}

#[cfg(test)]
#[expect(
    clippy::float_cmp,
    reason = "a number that was written is read as the same"
)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn canonical(bound: f64) -> String {
        let mut text = String::new();
        write_canonical(&mut text, bound);
        text
    }

    #[test]
    fn bounds_are_canonical() {
        for (bound, text) in [
            (0.0, "0.0"),
            (1.0, "1.0"),
            (-2.0, "-2.0"),
            (0.01, "0.01"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (655.36, "655.36"),
            (262_144.0, "262144.0"),
            (1_048_576.0, "1.048576e+06"),
            (67_108_864.0, "6.7108864e+07"),
            (1e100, "1e+100"),
            (f64::INFINITY, "+Inf"),
        ] {
            assert_eq!(canonical(bound), text);
        }
    }

    #[test]
    fn whole_numbers_stay_exact() {
        let sum = Number::from(u64::MAX).plus(1_u64.into());
        let mut text = String::new();
        sum.write(&mut text);
        assert_eq!(text, "18446744073709551616");
    }

    proptest! {
        #[test]
        fn numbers_are_read_back_and_short(bits: u64) {
            let number = f64::from_bits(bits);
            let mut text = String::new();
            write_f64(&mut text, number);
            prop_assert!(text.len() <= NUMBER_BYTES, "{}", text);
            let read: f64 = text.parse().unwrap();
            prop_assert!(read == number || (read.is_nan() && number.is_nan()));
            prop_assert!(number.is_nan() || canonical(number).parse::<f64>().unwrap() == number);
        }
    }
}
