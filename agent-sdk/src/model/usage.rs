//! How many tokens a request used, as far as anybody knows.
//!
//! Every field is an `Option`: `None` is *not reported*, `Some(0)` is *reported as none*. The two are never mixed up,
//! because a missing count that reads as zero makes a bill that looks paid.

use serde::{Deserialize, Serialize};

/// The tokens of one request, or the sum over many.
///
/// `input_tokens` includes everything that was read (cache reads, cache writes, audio, images) and `output_tokens` everything
/// that was written (reasoning, audio, images); the other fields are parts of those two, never additions to them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// All tokens of the request, cached ones included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_tokens: Option<u64>,
    /// All tokens of the answer, reasoning included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_tokens: Option<u64>,
    /// The part of the input that was read from a prompt cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_read_tokens: Option<u64>,
    /// The part of the input that was written to a prompt cache, at any lifetime.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_write_tokens: Option<u64>,
    /// The part of `cache_write_tokens` that was written for one hour.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_write_1h_tokens: Option<u64>,
    /// The part of the output that is reasoning.
    #[serde(
        skip_serializing_if = "Option::is_none",
        alias = "output_reasoning_tokens"
    )]
    pub reasoning_tokens: Option<u64>,
    /// The part of the input that is audio.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_audio_tokens: Option<u64>,
    /// The part of the output that is audio.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_audio_tokens: Option<u64>,
    /// The part of the input that is images.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_image_tokens: Option<u64>,
    /// The part of the output that is images.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_image_tokens: Option<u64>,
    /// The searches of the web that the provider made for the answer, for which many charge a fee each.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub web_search_requests: Option<u64>,
}

impl Usage {
    /// A usage of which only the two totals are known.
    pub const fn new(input_tokens: u64, output_tokens: u64) -> Self {
        let mut usage = Self::unknown();
        usage.input_tokens = Some(input_tokens);
        usage.output_tokens = Some(output_tokens);
        usage
    }

    /// A usage of which nothing is known.
    pub const fn unknown() -> Self {
        Self {
            input_tokens: None,
            output_tokens: None,
            cache_read_tokens: None,
            cache_write_tokens: None,
            cache_write_1h_tokens: None,
            reasoning_tokens: None,
            input_audio_tokens: None,
            output_audio_tokens: None,
            input_image_tokens: None,
            output_image_tokens: None,
            web_search_requests: None,
        }
    }

    /// Sets the part of the input that was read from a cache.
    #[must_use]
    pub const fn with_cache_read(mut self, tokens: u64) -> Self {
        self.cache_read_tokens = Some(tokens);
        self
    }

    /// Sets the part of the input that was written to a cache.
    #[must_use]
    pub const fn with_cache_write(mut self, tokens: u64) -> Self {
        self.cache_write_tokens = Some(tokens);
        self
    }

    /// Sets the part of the output that is reasoning.
    #[must_use]
    pub const fn with_reasoning(mut self, tokens: u64) -> Self {
        self.reasoning_tokens = Some(tokens);
        self
    }

    /// Whether nothing at all was reported.
    pub fn is_unknown(&self) -> bool {
        *self == Self::unknown()
    }

    /// Input and output together, where both are known.
    pub fn total_tokens(&self) -> Option<u64> {
        Some(self.input_tokens?.saturating_add(self.output_tokens?))
    }

    /// Adds what is known of `other`. A field stays unknown only while nobody has reported it.
    pub fn add(&mut self, other: &Self) {
        let sum = |mine: &mut Option<u64>, more: Option<u64>| {
            if let Some(more) = more {
                *mine = Some(mine.unwrap_or(0).saturating_add(more));
            }
        };
        sum(&mut self.input_tokens, other.input_tokens);
        sum(&mut self.output_tokens, other.output_tokens);
        sum(&mut self.cache_read_tokens, other.cache_read_tokens);
        sum(&mut self.cache_write_tokens, other.cache_write_tokens);
        sum(&mut self.cache_write_1h_tokens, other.cache_write_1h_tokens);
        sum(&mut self.reasoning_tokens, other.reasoning_tokens);
        sum(&mut self.input_audio_tokens, other.input_audio_tokens);
        sum(&mut self.output_audio_tokens, other.output_audio_tokens);
        sum(&mut self.input_image_tokens, other.input_image_tokens);
        sum(&mut self.output_image_tokens, other.output_image_tokens);
        sum(&mut self.web_search_requests, other.web_search_requests);
    }

    /// What came after `earlier`, a part of this. Where both are as they were, that is nothing, or zero where it is known.
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        let rest = |mine: Option<u64>, less: Option<u64>| {
            mine.map(|mine| mine.saturating_sub(less.unwrap_or(0)))
        };
        Self {
            input_tokens: rest(self.input_tokens, earlier.input_tokens),
            output_tokens: rest(self.output_tokens, earlier.output_tokens),
            cache_read_tokens: rest(self.cache_read_tokens, earlier.cache_read_tokens),
            cache_write_tokens: rest(self.cache_write_tokens, earlier.cache_write_tokens),
            cache_write_1h_tokens: rest(self.cache_write_1h_tokens, earlier.cache_write_1h_tokens),
            reasoning_tokens: rest(self.reasoning_tokens, earlier.reasoning_tokens),
            input_audio_tokens: rest(self.input_audio_tokens, earlier.input_audio_tokens),
            output_audio_tokens: rest(self.output_audio_tokens, earlier.output_audio_tokens),
            input_image_tokens: rest(self.input_image_tokens, earlier.input_image_tokens),
            output_image_tokens: rest(self.output_image_tokens, earlier.output_image_tokens),
            web_search_requests: rest(self.web_search_requests, earlier.web_search_requests),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_stays_apart_from_zero_when_summed() {
        let mut total = Usage::unknown();
        total.add(&Usage::unknown());
        assert_eq!(total.input_tokens, None);
        total.add(&Usage::new(0, 3));
        assert_eq!(total.input_tokens, Some(0));
        assert_eq!(total.cache_read_tokens, None);
        assert_eq!(total.total_tokens(), Some(3));
    }

    #[test]
    fn json_leaves_out_what_is_unknown() {
        let json = serde_json::to_string(&Usage::new(5, 0)).unwrap();
        assert_eq!(json, r#"{"input_tokens":5,"output_tokens":0}"#);
    }
}
