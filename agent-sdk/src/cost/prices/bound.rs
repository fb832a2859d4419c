//! The most that a request can cost, before it is sent.
//!
//! A bound takes the dearest rate of each side for every token of it: which tokens come from a cache, are written to
//! one, are audio or reasoning is known only afterwards. The dearest is looked for in every tier that an input of up to
//! the given size may fall in, in the usual rates, and in those of each variant that the request's context names,
//! because a provider that has no room in a tier may answer in the usual one.
//!
//! It is rounded up, so that no bill is above it: a bill is rounded half up, and is no more than the exact bound.

use super::bill::{INPUT, OUTPUT};
use super::price::{Active, RateKind};
use crate::cost::usd::{ExactUsd, Usd};

/// The most that a request can use: what [`PriceBook::upper_bound`](super::PriceBook::upper_bound) puts a price on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UsageBound {
    /// All tokens of the request, those of images, audio and tools included.
    pub input_tokens: u64,
    /// All tokens of the answer, reasoning included: the `max_tokens` of the request.
    pub output_tokens: u64,
    /// How many searches of the web the provider may make for the answer; `None` where nothing limits them. Default: none.
    pub web_searches: Option<u64>,
}

impl UsageBound {
    /// So many tokens and no search of the web.
    pub const fn new(input_tokens: u64, output_tokens: u64) -> Self {
        Self {
            input_tokens,
            output_tokens,
            web_searches: Some(0),
        }
    }

    /// Says how often the provider may search the web; `None` is *as often as it likes*, which has a bound only where
    /// searches are free.
    #[must_use]
    pub const fn with_web_searches(mut self, searches: Option<u64>) -> Self {
        self.web_searches = searches;
        self
    }
}

/// How much output a budget has room for: the answer of [`PriceBook::output_within`](super::PriceBook::output_within).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OutputRoom {
    /// Up to this many output tokens; 0 where the budget has room for the input and the fees alone.
    UpTo(u64),
    /// The input and the fees alone may cost more than the budget.
    TooSmall,
    /// What the request can cost is unknown.
    Unpriced,
}

/// The parts of a bound; each `None` is *unknown*.
pub(super) struct Bound {
    /// The input and the fees together.
    before: ExactUsd,
    /// What each token of the output costs at most.
    output: Option<ExactUsd>,
}

impl Bound {
    pub(super) fn new(rates: &Active<'_>, most: &UsageBound) -> Option<Self> {
        if rates.is_unpriced() {
            return None;
        }
        let size = most.input_tokens;
        let input = match size {
            0 => ExactUsd::ZERO,
            tokens => dearest(rates, &INPUT, size)?.checked_mul(tokens)?,
        };
        let request = rates
            .dearest(RateKind::Request, size)
            .unwrap_or(ExactUsd::ZERO);
        let searches = match most.web_searches {
            Some(0) => ExactUsd::ZERO,
            Some(searches) => rates
                .dearest(RateKind::WebSearch, size)?
                .checked_mul(searches)?,
            None => rates
                .dearest(RateKind::WebSearch, size)
                .filter(|rate| *rate == ExactUsd::ZERO)?,
        };
        Some(Self {
            before: input.checked_add(request)?.checked_add(searches)?,
            output: dearest(rates, &OUTPUT, size),
        })
    }

    /// Everything, rounded up.
    pub(super) fn with_output(&self, tokens: u64) -> Option<Usd> {
        let output = match tokens {
            0 => ExactUsd::ZERO,
            tokens => self.output?.checked_mul(tokens)?,
        };
        self.before.checked_add(output)?.round_up()
    }

    /// How many output tokens, up to `most`, cost no more than `budget` with the rest.
    pub(super) fn output_within(&self, most: u64, budget: Usd) -> OutputRoom {
        let Some(left) = ExactUsd::from(budget).checked_sub(self.before) else {
            return OutputRoom::TooSmall;
        };
        match self.output {
            _ if most == 0 => OutputRoom::UpTo(0),
            Some(rate) => OutputRoom::UpTo(left.how_many(rate).min(most)),
            None => OutputRoom::Unpriced,
        }
    }
}

/// The dearest rate of a side, whose plain tokens must have one: what has no rate of its own is billed as they are.
fn dearest(rates: &Active<'_>, kinds: &[RateKind], size: u64) -> Option<ExactUsd> {
    let plain = rates.dearest(*kinds.first()?, size)?;
    let others = kinds.iter().filter_map(|kind| rates.dearest(*kind, size));
    Some(others.fold(plain, Ord::max))
}
