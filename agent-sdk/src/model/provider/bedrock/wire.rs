//! What the Converse API answers, as borrowed types; nothing is required, and what is not understood reads as absent.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::model::{
    Usage,
    wire::{Count, Many, Text},
};

/// A whole answer.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound = "'de: 'a")]
pub(super) struct Whole<'a> {
    pub(super) output: Option<Output<'a>>,
    pub(super) stop_reason: Text<'a>,
    pub(super) usage: Option<WireUsage<'a>>,
    pub(super) service_tier: Option<Tier<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound = "'de: 'a")]
pub(super) struct Output<'a> {
    pub(super) message: Option<Message<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound = "'de: 'a")]
pub(super) struct Message<'a> {
    #[serde(borrow)]
    pub(super) content: Many<&'a RawValue>,
}

/// A tier of service.
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound = "'de: 'a")]
pub(super) struct Tier<'a> {
    #[serde(rename = "type")]
    pub(super) kind: Text<'a>,
}

/// A block of a whole answer.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound = "'de: 'a")]
pub(super) struct Block<'a> {
    pub(super) text: Text<'a>,
    pub(super) tool_use: Option<ToolUse<'a>>,
    pub(super) reasoning_content: Option<Reasoning<'a>>,
    pub(super) citations_content: Option<Cited<'a>>,
}

/// A tool call, or its beginning.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound = "'de: 'a")]
pub(super) struct ToolUse<'a> {
    #[serde(rename = "toolUseId")]
    pub(super) id: Text<'a>,
    pub(super) name: Text<'a>,
    /// `server_tool_use` where Bedrock runs it itself.
    #[serde(rename = "type")]
    pub(super) kind: Text<'a>,
    #[serde(borrow)]
    pub(super) input: Option<&'a RawValue>,
}

impl ToolUse<'_> {
    pub(super) fn is_of_the_server(&self) -> bool {
        self.kind.0.as_deref() == Some("server_tool_use")
    }
}

/// Reasoning, or more of it.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound = "'de: 'a")]
pub(super) struct Reasoning<'a> {
    /// Of a whole answer.
    #[serde(rename = "reasoningText")]
    pub(super) whole: Option<Box<Reasoning<'a>>>,
    pub(super) text: Text<'a>,
    pub(super) signature: Text<'a>,
    pub(super) redacted_content: Text<'a>,
}

/// A text with the places that it is from.
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound = "'de: 'a")]
pub(super) struct Cited<'a> {
    pub(super) content: Many<Words<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound = "'de: 'a")]
pub(super) struct Words<'a> {
    pub(super) text: Text<'a>,
}

/// An event of a stream; its name says which of these it has.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound = "'de: 'a")]
pub(super) struct Event<'a> {
    pub(super) content_block_index: Count,
    pub(super) start: Option<Start<'a>>,
    pub(super) delta: Option<Delta<'a>>,
    pub(super) stop_reason: Text<'a>,
    pub(super) usage: Option<Box<WireUsage<'a>>>,
    pub(super) service_tier: Option<Tier<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound = "'de: 'a")]
pub(super) struct Start<'a> {
    pub(super) tool_use: Option<ToolUse<'a>>,
    #[serde(borrow)]
    pub(super) tool_result: Option<&'a RawValue>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound = "'de: 'a")]
pub(super) struct Delta<'a> {
    pub(super) text: Text<'a>,
    pub(super) tool_use: Option<Input<'a>>,
    pub(super) reasoning_content: Option<Reasoning<'a>>,
    #[serde(borrow)]
    pub(super) tool_result: Option<Many<&'a RawValue>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound = "'de: 'a")]
pub(super) struct Input<'a> {
    pub(super) input: Text<'a>,
}

/// The `usage` object.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound = "'de: 'a")]
pub(super) struct WireUsage<'a> {
    input_tokens: Count,
    output_tokens: Count,
    cache_read_input_tokens: Count,
    cache_write_input_tokens: Count,
    cache_details: Many<Written<'a>>,
}

/// What was written to the cache for one lifetime.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound = "'de: 'a")]
struct Written<'a> {
    ttl: Text<'a>,
    input_tokens: Count,
}

impl WireUsage<'_> {
    /// The counts, with all input in its total: the API leaves out what was read from the cache or written to it.
    pub(super) fn usage(self) -> Usage {
        let (read, write) = (
            self.cache_read_input_tokens.0,
            self.cache_write_input_tokens.0,
        );
        let cached = read.unwrap_or(0).saturating_add(write.unwrap_or(0));
        let mut usage = Usage::unknown();
        usage.input_tokens = self.input_tokens.0.map(|rest| rest.saturating_add(cached));
        usage.output_tokens = self.output_tokens.0;
        usage.cache_read_tokens = read;
        usage.cache_write_tokens = write;
        for written in self.cache_details {
            if written.ttl.0.as_deref() == Some("1h")
                && let Some(tokens) = written.input_tokens.0
            {
                let sum = usage.cache_write_1h_tokens.unwrap_or(0);
                usage.cache_write_1h_tokens = Some(sum.saturating_add(tokens));
            }
        }
        usage
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(json: &str) -> Usage {
        serde_json::from_str::<WireUsage<'_>>(json).unwrap().usage()
    }

    #[test]
    fn what_went_through_the_cache_is_input_too() {
        let usage = of(
            r#"{"inputTokens":3,"outputTokens":5,"totalTokens":18,"cacheReadInputTokens":4,"cacheWriteInputTokens":6,
            "cacheDetails":[{"ttl":"5m","inputTokens":2},{"ttl":"1h","inputTokens":4}]}"#,
        );
        assert_eq!(usage.total_tokens(), Some(18));
        assert_eq!(usage.input_tokens, Some(13));
        assert_eq!(
            (usage.cache_read_tokens, usage.cache_write_tokens),
            (Some(4), Some(6))
        );
        assert_eq!(usage.cache_write_1h_tokens, Some(4));
    }

    #[test]
    fn l16_unknown_is_kept_apart_from_zero() {
        assert!(of("{}").is_unknown());
        let odd = of(
            r#"{"inputTokens":"3","outputTokens":0,"cacheReadInputTokens":7,"cacheWriteInputTokens":-1}"#,
        );
        assert_eq!((odd.input_tokens, odd.output_tokens), (None, Some(0)));
        assert_eq!(
            (odd.cache_read_tokens, odd.cache_write_tokens),
            (Some(7), None)
        );
        let large = of(r#"{"inputTokens":18446744073709551615,"cacheReadInputTokens":1}"#);
        assert_eq!(large.input_tokens, Some(u64::MAX));
    }
}
