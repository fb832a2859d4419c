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
pub(in crate::model) struct WireUsage<'a> {
    prompt_tokens: Count,
    completion_tokens: Count,
    total_tokens: Count,
    reasoning_tokens: Count,
    prompt_cache_hit_tokens: Count,
    prompt_tokens_details: Option<InputDetails>,
    completion_tokens_details: Option<OutputDetails>,
    #[serde(borrow)]
    cost: Option<&'a RawValue>,
    is_byok: Option<bool>,
    cost_details: Option<CostDetails<'a>>,
    /// xAI's form of the cost.
    cost_in_usd_ticks: Count,
    /// Together's form of the tokens that were read from a cache.
    cached_tokens: Count,
    /// Perplexity's searches.
    num_search_queries: Count,
}

impl WireUsage<'_> {
    /// The counts, with all input and all output in the two totals.
    pub(in crate::model) fn usage(&self) -> Usage {
        let input = self.prompt_tokens_details.unwrap_or_default();
        let output = self.completion_tokens_details.unwrap_or_default();
        let mut usage = Usage::unknown();
        usage.input_tokens = self.prompt_tokens.0;
        usage.output_tokens = self.completion_tokens.0;
        usage.cache_read_tokens = input
            .cached
            .0
            .or(self.prompt_cache_hit_tokens.0)
            // A zero here is not trusted: it comes from models without a prompt cache too.
            .or(self.cached_tokens.0.filter(|tokens| *tokens > 0));
        usage.cache_write_tokens = input.cache_write.0;
        usage.input_audio_tokens = input.audio.0;
        usage.input_image_tokens = input.image.0;
        usage.reasoning_tokens = output.reasoning.0.or(self.reasoning_tokens.0);
        usage.output_audio_tokens = output.audio.0;
        usage.output_image_tokens = output.image.0;
        usage.web_search_requests = self.num_search_queries.0;
        balance(&mut usage, self.total_tokens);
        usage
    }

    /// What the server says that the request costs, in US dollars.
    pub(in crate::model) fn cost(&self) -> Option<Usd> {
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
    fn l16_unknown_is_kept_apart_from_zero() {
        let (usage, cost) = of(r#"{"prompt_tokens":0,"completion_tokens":null,"total_tokens":-1}"#);
        assert_eq!(usage.input_tokens, Some(0));
        assert_eq!((usage.output_tokens, cost), (None, None));
        assert!(of("{}").0.is_unknown());
    }

    #[test]
    fn a_part_that_only_the_total_counts_is_added_to_its_side() {
        let reasoning = r#"{"prompt_tokens":12,"completion_tokens":1,"total_tokens":303,
            "completion_tokens_details":{"reasoning_tokens":290}}"#;
        assert_eq!(of(reasoning).0.output_tokens, Some(291));
        let audio = r#"{"prompt_tokens":11,"completion_tokens":15,"total_tokens":401,
            "prompt_tokens_details":{"audio_tokens":375,"cached_tokens":9}}"#;
        let usage = of(audio).0;
        assert_eq!(
            (usage.input_tokens, usage.cache_read_tokens),
            (Some(386), Some(9))
        );
        let inside = r#"{"prompt_tokens":5,"completion_tokens":7,"total_tokens":12,
            "completion_tokens_details":{"reasoning_tokens":6}}"#;
        assert_eq!(of(inside).0.output_tokens, Some(7));
    }

    #[test]
    fn counts_at_the_edge_are_read_and_odd_ones_are_unknown() {
        let (usage, _) = of(
            r#"{"prompt_tokens":18446744073709551615,"completion_tokens":12.0,
            "total_tokens":"many","prompt_tokens_details":{"cached_tokens":[1]}}"#,
        );
        assert_eq!(usage.input_tokens, Some(u64::MAX));
        assert_eq!(usage.output_tokens, Some(12));
        assert_eq!(usage.cache_read_tokens, None);
    }

    #[test]
    fn the_server_s_price_is_exact_and_covers_a_key_of_one_s_own() {
        assert_eq!(
            of(r#"{"cost":0.007637029}"#).1,
            Some(Usd::from_nanos(7_637_029))
        );
        assert_eq!(of(r#"{"cost":5e-05}"#).1, Some(Usd::from_nanos(50_000)));
        assert_eq!(of(r#"{"cost":"free"}"#).1, None);
        let own =
            r#"{"cost":0.001,"is_byok":true,"cost_details":{"upstream_inference_cost":0.02}}"#;
        assert_eq!(of(own).1, Some(Usd::from_nanos(21_000_000)));
        assert_eq!(of(r#"{"cost":0.001,"is_byok":true}"#).1, None);
    }

    #[test]
    fn what_servers_name_in_their_own_way_is_read() {
        let (usage, _) = of(r#"{"prompt_tokens":9,"completion_tokens":1,"cached_tokens":4}"#);
        assert_eq!(usage.cache_read_tokens, Some(4));
        let (usage, cost) = of(
            r#"{"prompt_tokens":9,"completion_tokens":1,"num_search_queries":3,
            "cost":{"input_tokens_cost":0.1,"request_cost":0.005,"total_cost":0.105}}"#,
        );
        assert_eq!(usage.web_search_requests, Some(3));
        assert_eq!(cost, Some(Usd::from_nanos(105_000_000)));
        let ticks = of(r#"{"cost_in_usd_ticks":9218500}"#).1;
        assert_eq!(ticks, Some(Usd::from_nanos(921_850)));
    }
}
