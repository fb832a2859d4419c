//! From tokens to money: the rates of one request applied to its usage.
//!
//! Counts are inclusive, so each part that has a rate of its own is taken out of its side and the rest is billed at the
//! side's rate. A part without a rate, or that was not reported, stays in the rest.

use super::price::{Active, Rate, RateKind};
use crate::cost::usd::{ExactUsd, Usd};
use crate::model::Usage;

/// What the input is billed by; first the rate of what has no other.
pub(super) const INPUT: [RateKind; 7] = [
    RateKind::Input,
    RateKind::CacheRead,
    RateKind::CacheWrite,
    RateKind::CacheWrite1h,
    RateKind::InputAudio,
    RateKind::CacheAudioRead,
    RateKind::InputImage,
];
/// What the output is billed by; first the rate of what has no other.
pub(super) const OUTPUT: [RateKind; 4] = [
    RateKind::Output,
    RateKind::OutputAudio,
    RateKind::OutputImage,
    RateKind::Reasoning,
];

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
    let request = match rates.rate(RateKind::Request) {
        Some(rate) => rate.at(usage.input_tokens)?,
        None => ExactUsd::ZERO,
    };
    let searches = match usage.web_search_requests {
        None | Some(0) => ExactUsd::ZERO,
        Some(searches) => {
            let rate = rates.rate(RateKind::WebSearch)?;
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
    if rates.rate(RateKind::CacheWrite1h).is_some() {
        side.take(RateKind::CacheWrite1h, long)?;
        side.take(RateKind::CacheWrite, write.checked_sub(long)?)?;
    } else {
        side.take(RateKind::CacheWrite, write)?;
    }

    let mut read = usage.cache_read_tokens.unwrap_or(0);
    let mut audio = side.own(RateKind::InputAudio, usage.input_audio_tokens);
    let mut image = side.own(RateKind::InputImage, usage.input_image_tokens);
    if rates.rate(RateKind::CacheRead).is_some() {
        // A usage does not say how much sound and how much of the images came from the cache. What does not fit beside
        // the rest must have: sound first, because it may have a rate for that.
        let excess = read.checked_add(audio)?.checked_add(image)?;
        let both = excess.saturating_sub(side.left);
        let heard = both.min(audio);
        let seen = both.checked_sub(heard)?;
        let cached_audio = match rates.rate(RateKind::CacheAudioRead) {
            Some(_) => RateKind::CacheAudioRead,
            None => RateKind::CacheRead,
        };
        side.take(cached_audio, heard)?;
        side.take(RateKind::CacheRead, seen)?;
        read = read.checked_sub(both)?;
        (audio, image) = (audio.checked_sub(heard)?, image.checked_sub(seen)?);
    }
    side.take(RateKind::CacheRead, read)?;
    side.take(RateKind::InputAudio, audio)?;
    side.take(RateKind::InputImage, image)?;
    side.rest(RateKind::Input)
}

fn output(rates: &Active<'_>, usage: &Usage) -> Option<ExactUsd> {
    let Some(mut side) = Side::new(rates, usage, usage.output_tokens, &OUTPUT)? else {
        return Some(ExactUsd::ZERO);
    };
    side.take(
        RateKind::OutputAudio,
        usage.output_audio_tokens.unwrap_or(0),
    )?;
    side.take(
        RateKind::OutputImage,
        usage.output_image_tokens.unwrap_or(0),
    )?;
    side.take(RateKind::Reasoning, usage.reasoning_tokens.unwrap_or(0))?;
    side.rest(RateKind::Output)
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
        kinds: &[RateKind],
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

    /// The tokens of a part that has a rate of its own.
    fn own(&self, kind: RateKind, tokens: Option<u64>) -> u64 {
        tokens
            .filter(|_| self.rates.rate(kind).is_some())
            .unwrap_or(0)
    }

    /// Bills a part at its own rate, where it has one.
    fn take(&mut self, kind: RateKind, tokens: u64) -> Option<()> {
        if let (Some(rate), 1..) = (self.rates.rate(kind), tokens) {
            self.left = self.left.checked_sub(tokens)?;
            self.sum = self
                .sum
                .checked_add(rate.at(self.size)?.checked_mul(tokens)?)?;
        }
        Some(())
    }

    /// Bills what is left at the rate of the side.
    fn rest(self, kind: RateKind) -> Option<ExactUsd> {
        if self.left == 0 {
            return Some(self.sum);
        }
        let rate = self.rates.rate(kind)?.at(self.size)?;
        self.sum.checked_add(rate.checked_mul(self.left)?)
    }
}
