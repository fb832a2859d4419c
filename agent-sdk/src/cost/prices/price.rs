//! What one model costs: its rates, and which of them hold at a moment, for a context, at a size.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::matching::Clause;
use crate::cost::usd::ExactUsd;

const SECONDS_PER_DAY: i64 = 86_400;

/// A model of the table.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) provider: Arc<str>,
    pub(super) id: Arc<str>,
    pub(super) clause: Clause,
    pub(super) prices: Box<[Price]>,
    pub(super) variants: Box<[Variant]>,
}

/// Rates with the time at which they hold.
#[derive(Debug)]
pub(super) struct Price {
    /// The first day, counted from 1970-01-01.
    pub(super) from: Option<i64>,
    pub(super) hours: Option<Hours>,
    pub(super) rates: Rates,
}

/// A part of each day, in seconds after midnight UTC; it may pass midnight.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hours {
    pub(super) start: i64,
    pub(super) end: i64,
}

impl Hours {
    fn contains(self, second: i64) -> bool {
        if self.start <= self.end {
            (self.start..self.end).contains(&second)
        } else {
            second >= self.start || second < self.end
        }
    }
}

/// Rates that replace the usual ones for some requests, such as those of a batch.
#[derive(Debug)]
pub(super) struct Variant {
    pub(super) when: Box<[(Box<str>, Box<str>)]>,
    /// The first day.
    pub(super) from: Option<i64>,
    /// The first day of the variant that takes its place.
    pub(super) until: Option<i64>,
    pub(super) rates: Rates,
}

impl Variant {
    fn holds(&self, at: Moment, context: &[(&str, &str)]) -> bool {
        self.from.is_none_or(|from| from <= at.day)
            && self.until.is_none_or(|until| at.day < until)
            && self.when.iter().all(|(key, value)| {
                context
                    .iter()
                    .any(|(k, v)| *k == &**key && v.eq_ignore_ascii_case(value))
            })
    }
}

/// What a rate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum RateKind {
    /// Tokens of the input that have no rate of their own.
    Input,
    /// Tokens that were read from a prompt cache.
    CacheRead,
    /// Tokens that were written to a prompt cache, for a few minutes where there is a rate for an hour too.
    CacheWrite,
    /// Tokens that were written to a prompt cache for an hour.
    CacheWrite1h,
    /// Tokens of sound in the input.
    InputAudio,
    /// Tokens of sound that were read from a prompt cache.
    CacheAudioRead,
    /// Tokens of images in the input.
    InputImage,
    /// Tokens of the output that have no rate of their own.
    Output,
    /// Tokens of sound in the output.
    OutputAudio,
    /// Tokens of images in the output.
    OutputImage,
    /// Tokens of reasoning.
    Reasoning,
    /// The request itself, whatever its size.
    Request,
    /// A search of the web that the provider made.
    WebSearch,
}

impl RateKind {
    /// Its name in a price table.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::CacheRead => "cache_read",
            Self::CacheWrite => "cache_write",
            Self::CacheWrite1h => "cache_write_1h",
            Self::InputAudio => "input_audio",
            Self::CacheAudioRead => "cache_audio_read",
            Self::InputImage => "input_image",
            Self::Output => "output",
            Self::OutputAudio => "output_audio",
            Self::OutputImage => "output_image",
            Self::Reasoning => "reasoning",
            Self::Request => "per_1k_requests",
            Self::WebSearch => "per_1k_web_searches",
        }
    }

    /// For how many things a table has the price, as a power of ten.
    pub(super) const fn things(self) -> u32 {
        match self {
            Self::Request | Self::WebSearch => 3,
            _ => 6,
        }
    }
}

/// The few rates that a price has.
#[derive(Debug, Default)]
pub(super) struct Rates(pub(super) Box<[(RateKind, Rate)]>);

impl Rates {
    fn get(&self, kind: RateKind) -> Option<&Rate> {
        self.0
            .iter()
            .find(|(k, _)| *k == kind)
            .map(|(_, rate)| rate)
    }
}

/// The price of one token (or request), by the size of the whole input.
#[derive(Clone, Debug)]
pub(super) struct Rate {
    pub(super) base: ExactUsd,
    /// With rising thresholds.
    pub(super) tiers: Box<[Tier]>,
}

/// The price of every token once the input is larger than a threshold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tier {
    pub(super) above: u64,
    pub(super) price: ExactUsd,
}

impl Rate {
    /// The price at this many input tokens; `None` where it depends on an input that is not known.
    pub(super) fn at(&self, input: Option<u64>) -> Option<ExactUsd> {
        if self.tiers.is_empty() {
            return Some(self.base);
        }
        let input = input?;
        let tier = self.tiers.iter().rev().find(|tier| input > tier.above);
        Some(tier.map_or(self.base, |tier| tier.price))
    }

    /// The highest price that an input of up to this many tokens can lead to.
    pub(super) fn dearest(&self, size: u64) -> ExactUsd {
        let reached = self.tiers.iter().filter(|tier| tier.above < size);
        reached.fold(self.base, |dearest, tier| dearest.max(tier.price))
    }

    /// Whether no input makes it cost anything.
    pub(super) fn is_free(&self) -> bool {
        self.base == ExactUsd::ZERO && self.tiers.iter().all(|tier| tier.price == ExactUsd::ZERO)
    }
}

/// A moment as the table's conditions see it, in UTC.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    day: i64,
    second: i64,
}

impl From<SystemTime> for Moment {
    fn from(at: SystemTime) -> Self {
        let seconds = match at.duration_since(UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_secs()).unwrap_or(i64::MAX),
            // Rounded down, away from 1970, so that a fraction before midnight is still the day before.
            Err(before) => i64::try_from(before.duration().as_secs()).map_or(i64::MIN, |seconds| {
                -seconds - i64::from(before.duration().subsec_nanos() > 0)
            }),
        };
        Self {
            day: seconds.div_euclid(SECONDS_PER_DAY),
            second: seconds.rem_euclid(SECONDS_PER_DAY),
        }
    }
}

/// The last price whose conditions are met, or else the first one.
pub(super) fn held(prices: &[Price], at: Moment) -> Option<&Price> {
    let holds = |price: &&Price| {
        price.from.is_none_or(|from| from <= at.day)
            && price.hours.is_none_or(|hours| hours.contains(at.second))
    };
    prices.iter().rev().find(holds).or(prices.first())
}

/// The rates of a model for one request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Active<'a> {
    usual: &'a Rates,
    variants: &'a [Variant],
    at: Moment,
    context: &'a [(&'a str, &'a str)],
}

impl<'a> Active<'a> {
    /// The price that holds, with the variants of the context over it.
    pub(super) fn new(
        model: &'a Model,
        at: Moment,
        context: &'a [(&'a str, &'a str)],
    ) -> Option<Self> {
        let price = held(&model.prices, at)?;
        let variants = if context.is_empty() {
            &[]
        } else {
            &*model.variants
        };
        Some(Self {
            usual: &price.rates,
            variants,
            at,
            context,
        })
    }

    /// The rate for `kind`, where the model has one of its own.
    pub(super) fn rate(&self, kind: RateKind) -> Option<&'a Rate> {
        // Whether it lists the rate is cheaper to ask than whether it holds.
        let listed = |variant: &'a Variant| variant.rates.get(kind).map(|rate| (variant, rate));
        self.variants
            .iter()
            .filter_map(listed)
            .find(|(variant, _)| variant.holds(self.at, self.context))
            .map(|(_, rate)| rate)
            .or_else(|| self.usual.get(kind))
    }

    /// The highest price for `kind` of the usual rates and of each variant that holds, whichever of them will be
    /// billed, for an input of up to this many tokens.
    pub(super) fn dearest(&self, kind: RateKind, size: u64) -> Option<ExactUsd> {
        let variants = self
            .variants
            .iter()
            .filter(|variant| variant.holds(self.at, self.context))
            .map(|variant| &variant.rates);
        std::iter::once(self.usual)
            .chain(variants)
            .filter_map(|rates| rates.get(kind))
            .map(|rate| rate.dearest(size))
            .max()
    }

    /// Whether nothing that every request is billed for has a rate: the model is listed, but its price is not.
    pub(super) fn is_unpriced(&self) -> bool {
        let unpriced = |rates: &Rates| rates.0.iter().all(|(kind, _)| *kind == RateKind::WebSearch);
        unpriced(self.usual)
            && !self
                .variants
                .iter()
                .any(|v| !unpriced(&v.rates) && v.holds(self.at, self.context))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn usd(text: &str) -> ExactUsd {
        ExactUsd::of_each(text, 6).unwrap()
    }

    #[test]
    fn a_tier_holds_above_its_threshold_and_not_at_it() {
        let tier = |above, price| Tier {
            above,
            price: usd(price),
        };
        let rate = Rate {
            base: usd("1"),
            tiers: Box::new([tier(100, "2"), tier(200, "3")]),
        };
        let at = |input| rate.at(Some(input)).unwrap();
        assert_eq!([at(0), at(100)], [usd("1"), usd("1")]);
        assert_eq!([at(101), at(200)], [usd("2"), usd("2")]);
        assert_eq!([at(201), at(u64::MAX)], [usd("3"), usd("3")]);
        assert_eq!(rate.at(None), None);
        assert!(!rate.is_free());
    }

    #[test]
    fn hours_include_their_start_and_may_pass_midnight() {
        let day = Hours {
            start: 3600,
            end: 7200,
        };
        assert!(!day.contains(3599) && day.contains(3600));
        assert!(day.contains(7199) && !day.contains(7200));
        let night = Hours {
            start: 82_800,
            end: 3600,
        };
        assert!(night.contains(82_800) && night.contains(0) && night.contains(3599));
        assert!(!night.contains(3600) && !night.contains(82_799));
    }

    #[test]
    fn days_change_at_midnight_utc_before_1970_too() {
        let moment = |at| {
            let Moment { day, second } = Moment::from(at);
            (day, second)
        };
        assert_eq!(moment(UNIX_EPOCH), (0, 0));
        assert_eq!(
            moment(UNIX_EPOCH + Duration::from_millis(86_399_999)),
            (0, 86_399)
        );
        assert_eq!(moment(UNIX_EPOCH - Duration::from_millis(1)), (-1, 86_399));
        assert_eq!(moment(UNIX_EPOCH - Duration::from_hours(24)), (-1, 0));
    }
}
