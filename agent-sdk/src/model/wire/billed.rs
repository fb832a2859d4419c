//! What servers add to a count of tokens: a total that tells what was left out, and a price.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Count, amount};
use crate::{cost::Usd, model::Usage};

/// How many of xAI's ticks are a nano-USD.
const TICKS_PER_NANO: u64 = 10;

/// What a gateway pays behind its own price.
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound = "'de: 'a")]
pub(in crate::model) struct CostDetails<'a> {
    #[serde(borrow)]
    upstream_inference_cost: Option<&'a RawValue>,
}

/// What a server says that a request costs, in the forms that servers say it in.
#[derive(Debug, Default)]
pub(in crate::model) struct Billed<'a> {
    /// In US dollars.
    pub(in crate::model) cost: Option<&'a RawValue>,
    /// Whether the provider bills a key of the user's own; `cost` is then the gateway's fee alone.
    pub(in crate::model) is_byok: bool,
    pub(in crate::model) details: Option<&'a CostDetails<'a>>,
    /// In xAI's ticks, of which ten thousand million are a US dollar.
    pub(in crate::model) ticks: Count,
}

/// A price by its parts.
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound = "'de: 'a")]
struct Parts<'a> {
    #[serde(borrow)]
    total_cost: Option<&'a RawValue>,
}

impl Billed<'_> {
    /// Perplexity tells the parts of its price, and their sum.
    fn parts(&self) -> Option<Usd> {
        let parts: Parts<'_> = serde_json::from_str(self.cost?.get()).ok()?;
        amount(parts.total_cost)
    }

    /// In US dollars, where it is known in full.
    pub(in crate::model) fn usd(&self) -> Option<Usd> {
        let Some(cost) = amount(self.cost).or_else(|| self.parts()) else {
            let ticks = self.ticks.0?;
            let nanos = ticks.saturating_add(TICKS_PER_NANO / 2) / TICKS_PER_NANO;
            return Some(Usd::from_nanos(nanos));
        };
        if !self.is_byok {
            return Some(cost);
        }
        let upstream = amount(self.details?.upstream_inference_cost)?;
        Some(cost.saturating_add(upstream))
    }
}

/// Adds what only the total counts. Some servers leave reasoning out of the output, or audio out of the input; where the total
/// exceeds the sum of the two by exactly such a part, the part is added to where it belongs.
pub(in crate::model) fn balance(usage: &mut Usage, total: Count) {
    let (Some(total), Some(counted)) = (total.0, usage.total_tokens()) else {
        return;
    };
    let missing = total.saturating_sub(counted);
    let reasoning = usage.reasoning_tokens.unwrap_or(0);
    let audio = usage.input_audio_tokens.unwrap_or(0);
    let add = |count: &mut Option<u64>, more: u64| {
        *count = count.map(|count| count.saturating_add(more));
    };
    if missing == 0 {
    } else if missing == reasoning {
        add(&mut usage.output_tokens, reasoning);
    } else if missing == audio {
        add(&mut usage.input_tokens, audio);
    } else if Some(missing) == reasoning.checked_add(audio) {
        add(&mut usage.output_tokens, reasoning);
        add(&mut usage.input_tokens, audio);
    }
}
