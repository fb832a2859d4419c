//! What the Messages API answers, as borrowed types.
//!
//! Nothing here is required and what is not understood reads as absent, for gateways leave out much of it. A block and what is
//! added to it are read once for what they have in common; kinds that are not known here are kept as the text that they are.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::usage::WireUsage;
use crate::model::wire::{Many, Text};

/// One event of a stream.
#[derive(Debug, Default, Deserialize)]
#[serde(bound = "'de: 'a")]
pub(super) struct Event<'a> {
    #[serde(default, rename = "type")]
    pub(super) kind: Text<'a>,
    pub(super) index: Option<u64>,
    pub(super) message: Option<Box<Message<'a>>>,
    #[serde(borrow)]
    pub(super) content_block: Option<&'a RawValue>,
    pub(super) delta: Option<Delta<'a>>,
    pub(super) usage: Option<Box<WireUsage<'a>>>,
    #[serde(borrow)]
    pub(super) error: Option<&'a RawValue>,
}

/// A whole answer, or the beginning of one.
#[derive(Debug, Default, Deserialize)]
#[serde(bound = "'de: 'a")]
pub(super) struct Message<'a> {
    #[serde(default)]
    pub(super) id: Text<'a>,
    #[serde(default)]
    pub(super) model: Text<'a>,
    pub(super) content: Option<Many<&'a RawValue>>,
    #[serde(default)]
    pub(super) stop_reason: Text<'a>,
    pub(super) usage: Option<Box<WireUsage<'a>>>,
    #[serde(borrow)]
    pub(super) error: Option<&'a RawValue>,
}

/// A block of an answer, or the beginning of one.
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound = "'de: 'a")]
pub(super) struct Block<'a> {
    #[serde(rename = "type")]
    pub(super) kind: Text<'a>,
    pub(super) text: Text<'a>,
    pub(super) thinking: Text<'a>,
    pub(super) signature: Text<'a>,
    pub(super) data: Text<'a>,
    pub(super) id: Text<'a>,
    pub(super) name: Text<'a>,
    #[serde(borrow)]
    pub(super) input: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) citations: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) caller: Option<&'a RawValue>,
}

/// More of a block, or of the message itself.
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound = "'de: 'a")]
pub(super) struct Delta<'a> {
    #[serde(rename = "type")]
    pub(super) kind: Text<'a>,
    pub(super) text: Text<'a>,
    pub(super) partial_json: Text<'a>,
    pub(super) thinking: Text<'a>,
    pub(super) signature: Text<'a>,
    #[serde(borrow)]
    pub(super) citation: Option<&'a RawValue>,
    pub(super) stop_reason: Text<'a>,
}

/// What is added to a block of a kind that is not known here.
#[derive(Debug, Deserialize)]
pub(super) struct Unread<'a> {
    #[serde(borrow)]
    pub(super) delta: &'a RawValue,
}
