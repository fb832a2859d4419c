//! What the Responses API answers, as borrowed types.
//!
//! Nothing here is required, and what is not understood reads as absent. What only some items or events have is kept as the JSON
//! that it came as, and read where it is wanted.

use serde::Deserialize;
use serde_json::value::RawValue;

pub(super) use crate::model::wire::{Count, Many, Text};

/// An event of a stream.
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound = "'de: 'a")]
pub(super) struct Event<'a> {
    #[serde(rename = "type")]
    pub(super) kind: Text<'a>,
    pub(super) delta: Text<'a>,
    pub(super) output_index: Count,
    pub(super) item_id: Text<'a>,
    pub(super) summary_index: Count,
    pub(super) content_index: Count,
    #[serde(borrow)]
    pub(super) item: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) response: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) error: Option<&'a RawValue>,
}

/// A whole answer, or what a stream tells of it at its beginning and at its end.
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound = "'de: 'a")]
pub(super) struct Answer<'a> {
    pub(super) id: Text<'a>,
    pub(super) model: Text<'a>,
    pub(super) status: Text<'a>,
    pub(super) service_tier: Text<'a>,
    #[serde(borrow)]
    pub(super) error: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) incomplete_details: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) output: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) usage: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) tool_usage: Option<&'a RawValue>,
}

/// Why an answer is not whole.
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound = "'de: 'a")]
pub(super) struct Incomplete<'a> {
    pub(super) reason: Text<'a>,
}

/// What the provider did by itself.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ToolUsage {
    pub(super) web_search: WebSearches,
}

/// How often the provider searched.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct WebSearches {
    pub(super) num_requests: Count,
}

/// One item of an answer: a message, reasoning, a call, or something of the provider's own.
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound = "'de: 'a")]
pub(super) struct Item<'a> {
    #[serde(rename = "type")]
    pub(super) kind: Text<'a>,
    pub(super) id: Text<'a>,
    pub(super) call_id: Text<'a>,
    pub(super) name: Text<'a>,
    pub(super) namespace: Text<'a>,
    #[serde(borrow)]
    pub(super) arguments: Option<&'a RawValue>,
    pub(super) input: Text<'a>,
    #[serde(borrow)]
    pub(super) summary: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) content: Option<&'a RawValue>,
    pub(super) encrypted_content: Text<'a>,
    pub(super) signature: Text<'a>,
    #[serde(borrow)]
    pub(super) action: Option<&'a RawValue>,
}

/// A piece of a message or of reasoning.
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound = "'de: 'a")]
pub(super) struct Piece<'a> {
    pub(super) text: Text<'a>,
    pub(super) refusal: Text<'a>,
}

/// What a search of the web did: it searched, or it opened a page that it had found.
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound = "'de: 'a")]
pub(super) struct Action<'a> {
    #[serde(rename = "type")]
    pub(super) kind: Text<'a>,
}

/// Reads what may be there; what is something else is absent.
pub(super) fn read<'a, T: Default + Deserialize<'a>>(raw: Option<&'a RawValue>) -> T {
    raw.and_then(|raw| serde_json::from_str(raw.get()).ok())
        .unwrap_or_default()
}

/// The pieces of a list.
pub(super) fn pieces<'a>(raw: Option<&'a RawValue>) -> impl Iterator<Item = Piece<'a>> {
    read::<Many<Piece<'a>>>(raw).into_iter()
}
