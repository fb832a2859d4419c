//! What a request used, as the Gemini API reports it and as the SDK counts it.

use std::borrow::Cow;

use serde::Deserialize;

use crate::model::{
    Usage,
    wire::{Count, Many, Text},
};

/// The `usageMetadata` object. In a stream each piece has one, and each counts from the beginning of the answer.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound = "'de: 'a")]
pub(super) struct WireUsage<'a> {
    prompt_token_count: Count,
    tool_use_prompt_token_count: Count,
    candidates_token_count: Count,
    thoughts_token_count: Count,
    cached_content_token_count: Count,
    total_token_count: Count,
    prompt_tokens_details: Many<Modality<'a>>,
    candidates_tokens_details: Many<Modality<'a>>,
    traffic_type: Text<'a>,
    service_tier: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound = "'de: 'a")]
struct Modality<'a> {
    modality: Text<'a>,
    token_count: Count,
}

/// The counts so far, each as it was last reported.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    prompt: Option<u64>,
    tool_use: Option<u64>,
    candidates: Option<u64>,
    thoughts: Option<u64>,
    cached: Option<u64>,
    total: Option<u64>,
    audio_in: Option<u64>,
    audio_out: Option<u64>,
    image_in: Option<u64>,
    image_out: Option<u64>,
    searches: Option<u64>,
}

impl Counts {
    /// Takes what a piece reports.
    pub(super) fn report(&mut self, usage: WireUsage<'_>) {
        let known = |mine: &mut Option<u64>, told: Option<u64>| *mine = told.or(*mine);
        known(&mut self.prompt, usage.prompt_token_count.0);
        known(&mut self.tool_use, usage.tool_use_prompt_token_count.0);
        known(&mut self.candidates, usage.candidates_token_count.0);
        known(&mut self.thoughts, usage.thoughts_token_count.0);
        known(&mut self.cached, usage.cached_content_token_count.0);
        known(&mut self.total, usage.total_token_count.0);
        let (prompt, candidates) = (usage.prompt_tokens_details, usage.candidates_tokens_details);
        known(&mut self.audio_in, part(&prompt, AUDIO));
        known(&mut self.audio_out, part(&candidates, AUDIO));
        known(&mut self.image_in, part(&prompt, IMAGE));
        known(&mut self.image_out, part(&candidates, IMAGE));
    }

    /// Takes how many searches of the web an alternative rests on.
    pub(super) fn search(&mut self, searches: u64) {
        self.searches = Some(self.searches.unwrap_or(0).max(searches));
    }

    /// The counts as the SDK means them: all input, and all output with its thoughts.
    ///
    /// Thoughts stand beside `candidatesTokenCount`. Where the total says that they stand in it, as with some gateways, they are
    /// not added. Up to the second generation a grounded answer is billed once, and from the third each search is.
    pub(super) fn usage(&self, model: Option<&str>) -> Usage {
        let sum = |one: Option<u64>, other: Option<u64>| match (one, other) {
            (None, None) => None,
            (one, other) => Some(one.unwrap_or(0).saturating_add(other.unwrap_or(0))),
        };
        let mut usage = Usage::unknown();
        usage.input_tokens = sum(self.prompt, self.tool_use);
        let with_thoughts = sum(self.candidates, self.thoughts);
        let within = self.candidates.is_some()
            && self.total.is_some()
            && self.total == sum(usage.input_tokens, self.candidates);
        usage.output_tokens = if within {
            self.candidates
        } else {
            with_thoughts
        };
        usage.reasoning_tokens = self.thoughts;
        usage.cache_read_tokens = self.cached;
        usage.input_audio_tokens = self.audio_in;
        usage.output_audio_tokens = self.audio_out;
        usage.input_image_tokens = self.image_in;
        usage.output_image_tokens = self.image_out;
        usage.web_search_requests = match generation(model.unwrap_or_default()) {
            Some(1 | 2) => self.searches.map(|searches| searches.min(1)),
            _ => self.searches,
        };
        usage
    }
}

/// The tier that answered: the API's own word, or the one that Vertex AI's kind of traffic stands for.
pub(super) fn tier(usage: &mut WireUsage<'_>) -> Option<String> {
    let told = std::mem::take(&mut usage.service_tier).filled();
    let traffic = || std::mem::take(&mut usage.traffic_type).filled();
    told.or_else(traffic).map(|tier| match &*tier {
        "ON_DEMAND_FLEX" => "flex".to_owned(),
        "ON_DEMAND_PRIORITY" => "priority".to_owned(),
        _ => tier.into_owned(),
    })
}

/// The generation of a Gemini model, by its name: 2 for `gemini-2.5-flash`.
pub(super) fn generation(model: &str) -> Option<u32> {
    let name = model.rsplit('/').next()?.strip_prefix("gemini-")?;
    name.split(['.', '-']).next()?.parse().ok()
}

/// The names of a modality: servers that send numbers for names send the second.
const AUDIO: [&str; 2] = ["AUDIO", "4"];
const IMAGE: [&str; 2] = ["IMAGE", "2"];

/// How many of the tokens are of a modality.
fn part(details: &Many<Modality<'_>>, names: [&str; 2]) -> Option<u64> {
    let is_it = |name: &Cow<'_, str>| names.contains(&&**name);
    details
        .iter()
        .filter(|part| part.modality.0.as_ref().is_some_and(is_it))
        .filter_map(|part| part.token_count.0)
        .reduce(u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pieces: &[&str]) -> Usage {
        let mut counts = Counts::default();
        for piece in pieces {
            counts.report(serde_json::from_str(piece).unwrap());
        }
        counts.usage(None)
    }

    fn totals(usage: &Usage) -> (Option<u64>, Option<u64>, Option<u64>) {
        (
            usage.input_tokens,
            usage.output_tokens,
            usage.reasoning_tokens,
        )
    }

    #[test]
    fn totals_hold_tool_results_and_thoughts_and_unknown_stays_apart_from_zero() {
        let rows: [(&[&str], _); 9] = [
            (&["{}"], (None, None, None)),
            (&[r#"{"trafficType":"ON_DEMAND"}"#], (None, None, None)),
            (
                &[r#"{"promptTokenCount":14,"totalTokenCount":14}"#],
                (Some(14), None, None),
            ),
            (
                &[r#"{"promptTokenCount":0,"candidatesTokenCount":0}"#],
                (Some(0), Some(0), None),
            ),
            (
                &[r#"{"promptTokenCount":12,"thoughtsTokenCount":84,"totalTokenCount":96}"#],
                (Some(12), Some(84), Some(84)),
            ),
            (
                &[
                    r#"{"promptTokenCount":32,"toolUsePromptTokenCount":720,"candidatesTokenCount":341,
                    "thoughtsTokenCount":103,"totalTokenCount":1196}"#,
                ],
                (Some(752), Some(444), Some(103)),
            ),
            // The total says that the thoughts are counted among the candidates.
            (
                &[
                    r#"{"promptTokenCount":10,"candidatesTokenCount":30,"thoughtsTokenCount":20,"totalTokenCount":40}"#,
                ],
                (Some(10), Some(30), Some(20)),
            ),
            // Each piece counts from the beginning; what one leaves out is as it was.
            (
                &[
                    r#"{"promptTokenCount":9,"candidatesTokenCount":1,"thoughtsTokenCount":50}"#,
                    r#"{"promptTokenCount":9,"candidatesTokenCount":7}"#,
                    r#"{"trafficType":"ON_DEMAND"}"#,
                ],
                (Some(9), Some(57), Some(50)),
            ),
            (
                &[
                    r#"{"promptTokenCount":-1,"candidatesTokenCount":"many","thoughtsTokenCount":18446744073709551615}"#,
                ],
                (None, Some(u64::MAX), Some(u64::MAX)),
            ),
        ];
        for (pieces, expected) in rows {
            assert_eq!(totals(&of(pieces)), expected, "{pieces:?}");
        }
    }

    #[test]
    fn cached_tokens_and_sound_are_parts_of_the_totals() {
        let usage = of(&[
            r#"{"promptTokenCount":100,"cachedContentTokenCount":60,"candidatesTokenCount":9,
            "promptTokensDetails":[{"modality":"TEXT","tokenCount":70},{"modality":"AUDIO","tokenCount":20},
                {"modality":4,"tokenCount":10}],
            "candidatesTokensDetails":[{"modality":"AUDIO","tokenCount":8},{"modality":null}]}"#,
        ]);
        assert_eq!(
            (usage.input_tokens, usage.cache_read_tokens),
            (Some(100), Some(60))
        );
        assert_eq!(
            (usage.input_audio_tokens, usage.output_audio_tokens),
            (Some(30), Some(8))
        );
        assert_eq!(
            of(&[r#"{"promptTokensDetails":[{"modality":"TEXT","tokenCount":7}]}"#])
                .input_audio_tokens,
            None
        );
    }

    #[test]
    fn searches_are_counted_as_they_are_billed() {
        let mut counts = Counts::default();
        assert_eq!(counts.usage(None).web_search_requests, None);
        counts.search(3);
        counts.search(2);
        for (model, expected) in [
            (Some("gemini-2.5-flash"), 1),
            (Some("models/gemini-1.5-pro-002"), 1),
            (Some("gemini-3-flash-preview"), 3),
            (Some("gemini-10"), 3),
            (None, 3),
        ] {
            assert_eq!(
                counts.usage(model).web_search_requests,
                Some(expected),
                "{model:?}"
            );
        }
    }

    #[test]
    fn the_tier_is_the_api_s_word_or_what_vertex_s_traffic_stands_for() {
        for (json, expected) in [
            ("{}", None),
            (
                r#"{"serviceTier":"standard","trafficType":"ON_DEMAND"}"#,
                Some("standard"),
            ),
            (r#"{"trafficType":"ON_DEMAND"}"#, Some("ON_DEMAND")),
            (r#"{"trafficType":"ON_DEMAND_FLEX"}"#, Some("flex")),
            (r#"{"trafficType":"ON_DEMAND_PRIORITY"}"#, Some("priority")),
        ] {
            let mut usage: WireUsage<'_> = serde_json::from_str(json).unwrap();
            assert_eq!(tier(&mut usage).as_deref(), expected);
        }
    }
}
