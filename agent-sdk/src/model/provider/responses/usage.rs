//! What a request used, as servers report it and as the SDK counts it.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    cost::Usd,
    model::{
        Usage,
        wire::{Billed, CostDetails, Count, InputDetails, OutputDetails, balance},
    },
};

/// The `usage` object.
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound = "'de: 'a")]
pub(super) struct WireUsage<'a> {
    input_tokens: Count,
    output_tokens: Count,
    total_tokens: Count,
    input_tokens_details: Option<InputDetails>,
    output_tokens_details: Option<OutputDetails>,
    #[serde(borrow)]
    cost: Option<&'a RawValue>,
    is_byok: Option<bool>,
    cost_details: Option<CostDetails<'a>>,
    /// xAI's form of the cost.
    cost_in_usd_ticks: Count,
}

impl WireUsage<'_> {
    /// The counts, with all input and all output in the two totals.
    pub(super) fn usage(&self) -> Usage {
        let input = self.input_tokens_details.unwrap_or_default();
        let output = self.output_tokens_details.unwrap_or_default();
        let mut usage = Usage::unknown();
        usage.input_tokens = self.input_tokens.0;
        usage.output_tokens = self.output_tokens.0;
        usage.cache_read_tokens = input.cached.0;
        usage.cache_write_tokens = input.cache_write.0;
        usage.input_audio_tokens = input.audio.0;
        usage.input_image_tokens = input.image.0;
        usage.reasoning_tokens = output.reasoning.0;
        usage.output_audio_tokens = output.audio.0;
        usage.output_image_tokens = output.image.0;
        balance(&mut usage, self.total_tokens);
        usage
    }

    /// What the server says that the request costs, in US dollars.
    pub(super) fn cost(&self) -> Option<Usd> {
        let billed = Billed {
            cost: self.cost,
            is_byok: self.is_byok == Some(true),
            details: self.cost_details.as_ref(),
            ticks: self.cost_in_usd_ticks,
        };
        billed.usd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(json: &str) -> (Usage, Option<Usd>) {
        let usage: WireUsage<'_> = serde_json::from_str(json).unwrap();
        (usage.usage(), usage.cost())
    }

    #[test]
    fn counts_are_inclusive_and_unknown_is_kept_apart_from_zero() {
        let (usage, cost) = of(r#"{"input_tokens":20,"output_tokens":9,"total_tokens":29,
            "input_tokens_details":{"cached_tokens":0,"cache_write_tokens":7},
            "output_tokens_details":{"reasoning_tokens":4}}"#);
        let mut wanted = Usage::new(20, 9)
            .with_cache_read(0)
            .with_cache_write(7)
            .with_reasoning(4);
        assert_eq!((usage, cost), (wanted, None));
        let (usage, _) =
            of(r#"{"input_tokens":0,"output_tokens":"9","input_tokens_details":null}"#);
        wanted = Usage::unknown();
        wanted.input_tokens = Some(0);
        assert_eq!(usage, wanted);
    }

    #[test]
    fn reasoning_that_only_the_total_counts_is_output() {
        let (usage, _) = of(r#"{"input_tokens":10,"output_tokens":2,"total_tokens":20,
            "output_tokens_details":{"reasoning_tokens":8}}"#);
        assert_eq!(usage.output_tokens, Some(10));
    }

    #[test]
    fn ticks_are_a_ten_thousand_millionth_of_a_dollar_and_dollars_win() {
        let nanos = |json| of(json).1.map(Usd::nanos);
        assert_eq!(nanos(r#"{"cost_in_usd_ticks":9218500}"#), Some(921_850));
        assert_eq!(nanos(r#"{"cost_in_usd_ticks":5}"#), Some(1));
        assert_eq!(nanos(r#"{"cost_in_usd_ticks":4}"#), Some(0));
        assert_eq!(nanos(r#"{"cost_in_usd_ticks":-4}"#), None);
        assert_eq!(
            nanos(r#"{"cost_in_usd_ticks":10,"cost":0.5}"#),
            Some(500_000_000)
        );
        assert_eq!(nanos(r#"{"cost":0.5,"is_byok":true}"#), None);
    }
}
