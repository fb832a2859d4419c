//! From tokens to money: the rates of one request applied to its usage.
//!
//! Counts are inclusive, so each part that has a rate of its own is taken out of its side and the rest is billed at the
//! side's rate. A part without a rate, or that was not reported, stays in the rest.

use super::price::{Active, Kind, Rate};
use super::usd::{ExactUsd, Usd};
use crate::model::Usage;

/// What the input is billed by; first the rate of what has no other.
pub(super) const INPUT: [Kind; 6] = [
    Kind::Input,
    Kind::CacheRead,
    Kind::CacheWrite,
    Kind::CacheWrite1h,
    Kind::InputAudio,
    Kind::CacheAudioRead,
];
/// What the output is billed by; first the rate of what has no other.
pub(super) const OUTPUT: [Kind; 3] = [Kind::Output, Kind::OutputAudio, Kind::Reasoning];

/// The amounts of one line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bill {
    pub(super) total: Usd,
    pub(super) input: ExactUsd,
    pub(super) output: ExactUsd,
    pub(super) fees: ExactUsd,
}

/// Bills `usage`, or `None` where a rate or a count is missing, the counts contradict each other, or an amount is
/// larger than its type holds: a wrong amount would be worse than none.
pub(super) fn bill(rates: &Active<'_>, usage: &Usage) -> Option<Bill> {
    if rates.is_unpriced() {
        return None;
    }
    let input = input(rates, usage)?;
    let output = output(rates, usage)?;
    let fees = fees(rates, usage)?;
    let total = input.checked_add(output)?.checked_add(fees)?.round()?;
    Some(Bill {
        total,
        input,
        output,
        fees,
    })
}

/// What is billed besides the tokens: the request itself, and each search that the provider made for it.
fn fees(rates: &Active<'_>, usage: &Usage) -> Option<ExactUsd> {
    let request = match rates.rate(Kind::Request) {
        Some(rate) => rate.at(usage.input_tokens)?,
        None => ExactUsd::ZERO,
    };
    let searches = match usage.web_search_requests {
        None | Some(0) => ExactUsd::ZERO,
        Some(searches) => {
            let rate = rates.rate(Kind::WebSearch)?;
            rate.at(usage.input_tokens)?.checked_mul(searches)?
        }
    };
    request.checked_add(searches)
}

fn input(rates: &Active<'_>, usage: &Usage) -> Option<ExactUsd> {
    let Some(mut side) = Side::new(rates, usage, usage.input_tokens, &INPUT)? else {
        return Some(ExactUsd::ZERO);
    };
    let long = usage.cache_write_1h_tokens.unwrap_or(0);
    let write = usage.cache_write_tokens.unwrap_or(0).max(long);
    if rates.rate(Kind::CacheWrite1h).is_some() {
        side.take(Kind::CacheWrite1h, long)?;
        side.take(Kind::CacheWrite, write.checked_sub(long)?)?;
    } else {
        side.take(Kind::CacheWrite, write)?;
    }

    let mut read = usage.cache_read_tokens.unwrap_or(0);
    let mut audio = usage.input_audio_tokens.unwrap_or(0);
    if rates.rate(Kind::CacheRead).is_some() && rates.rate(Kind::InputAudio).is_some() {
        // A usage does not say how much audio came from the cache. What does not fit beside the rest must have.
        let both = read.checked_add(audio)?.saturating_sub(side.left);
        let cached_audio = match rates.rate(Kind::CacheAudioRead) {
            Some(_) => Kind::CacheAudioRead,
            None => Kind::CacheRead,
        };
        side.take(cached_audio, both)?;
        (read, audio) = (read.checked_sub(both)?, audio.checked_sub(both)?);
    }
    side.take(Kind::CacheRead, read)?;
    side.take(Kind::InputAudio, audio)?;
    side.rest(Kind::Input)
}

fn output(rates: &Active<'_>, usage: &Usage) -> Option<ExactUsd> {
    let Some(mut side) = Side::new(rates, usage, usage.output_tokens, &OUTPUT)? else {
        return Some(ExactUsd::ZERO);
    };
    side.take(Kind::OutputAudio, usage.output_audio_tokens.unwrap_or(0))?;
    side.take(Kind::Reasoning, usage.reasoning_tokens.unwrap_or(0))?;
    side.rest(Kind::Output)
}

/// One side of a request while its parts are taken out.
struct Side<'a> {
    rates: &'a Active<'a>,
    /// Every input token, which decides the tier of both sides.
    size: Option<u64>,
    left: u64,
    sum: ExactUsd,
}

impl<'a> Side<'a> {
    /// The outer `None` is *unknown*, the inner one *costs nothing*.
    #[expect(
        clippy::option_option,
        reason = "the two answers differ, and both end the calculation"
    )]
    fn new(
        rates: &'a Active<'a>,
        usage: &Usage,
        tokens: Option<u64>,
        kinds: &[Kind],
    ) -> Option<Option<Self>> {
        if let Some(left) = tokens {
            let sum = ExactUsd::ZERO;
            return Some(Some(Self {
                rates,
                size: usage.input_tokens,
                left,
                sum,
            }));
        }
        let mut known = kinds.iter().filter_map(|kind| rates.rate(*kind));
        known.all(Rate::is_free).then_some(None)
    }

    /// Bills a part at its own rate, where it has one.
    fn take(&mut self, kind: Kind, tokens: u64) -> Option<()> {
        if let (Some(rate), 1..) = (self.rates.rate(kind), tokens) {
            self.left = self.left.checked_sub(tokens)?;
            self.sum = self
                .sum
                .checked_add(rate.at(self.size)?.checked_mul(tokens)?)?;
        }
        Some(())
    }

    /// Bills what is left at the rate of the side.
    fn rest(self, kind: Kind) -> Option<ExactUsd> {
        if self.left == 0 {
            return Some(self.sum);
        }
        let rate = self.rates.rate(kind)?.at(self.size)?;
        self.sum.checked_add(rate.checked_mul(self.left)?)
    }
}
