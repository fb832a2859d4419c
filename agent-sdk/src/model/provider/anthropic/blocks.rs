//! The blocks of an answer, in order, put together from whole ones or from pieces.

use std::{borrow::Cow, collections::BTreeMap};

use serde_json::value::RawValue;

use super::{
    API,
    opaque::Unknown,
    wire::{self, Delta, Unread},
};
use crate::{
    message::{Opaque, Part, Reasoning, Signature},
    model::{
        ChatEvent, ModelError, ModelErrorKind,
        wire::{CallPiece, Calls, Events, Limits, Many, Text},
    },
};

/// How many blocks one answer may have.
const MAX_BLOCKS: usize = 1_024;

/// The kind of an [`Opaque`] that holds the citations of the text before it.
pub(super) const CITATIONS: &str = "citations";

/// The blocks of one answer, in the order in which they began.
#[derive(Debug)]
pub(super) struct Blocks {
    list: Vec<Block>,
    /// Where the block of an index stands, while more of it may come.
    open: BTreeMap<u64, usize>,
    calls: Calls,
}

#[derive(Debug)]
enum Block {
    Text {
        text: String,
        citations: String,
    },
    Thinking {
        text: String,
        signature: String,
    },
    Redacted(String),
    /// One of the [`Calls`], in order.
    Call(Call),
    Unknown(Unknown),
}

/// What a tool call is besides its pieces.
#[derive(Debug)]
struct Call {
    /// The arguments that it began with, which count where none follow.
    given: Option<String>,
    has_pieces: bool,
    /// Who called, unless that is the model itself.
    caller: Option<String>,
}

impl Blocks {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            list: Vec::new(),
            open: BTreeMap::new(),
            calls: Calls::new(limits.tool_argument_bytes),
        }
    }

    /// Begins a block of which more may come under this index.
    pub(super) fn begin(
        &mut self,
        index: Option<u64>,
        raw: &RawValue,
        events: &mut Events,
    ) -> Result<(), ModelError> {
        let index = index.unwrap_or(0);
        if self.open.contains_key(&index) {
            return Err(decode("two blocks of the answer have one index"));
        }
        self.open.insert(index, self.list.len());
        self.push(raw, events)
    }

    /// Adds a block that came whole.
    pub(super) fn whole(&mut self, raw: &RawValue) -> Result<(), ModelError> {
        let at = self.list.len();
        self.push(raw, &mut Events::none())?;
        self.end(at, &mut Events::none())
    }

    /// Adds to the block of this index; `data` is the event itself.
    pub(super) fn add(
        &mut self,
        index: Option<u64>,
        delta: Delta<'_>,
        data: &str,
        events: &mut Events,
    ) -> Result<(), ModelError> {
        let at = self.open.get(&index.unwrap_or(0)).copied();
        let Some((at, block)) = at.and_then(|at| Some((at, self.list.get_mut(at)?))) else {
            return Err(decode("a piece of the answer belongs to no block"));
        };
        match block {
            Block::Text { text, citations } => {
                grow(text, delta.text, events, ChatEvent::Text);
                cite(citations, delta.citation);
            }
            Block::Thinking { text, signature } => {
                grow(text, delta.thinking, events, ChatEvent::Reasoning);
                signature.push_str(&delta.signature.0.unwrap_or_default());
            }
            Block::Redacted(_) => {}
            Block::Call(call) => {
                let arguments = delta.partial_json.0.unwrap_or_default();
                call.has_pieces |= !arguments.trim().is_empty();
                self.calls.piece(more(at, arguments), events)?;
            }
            Block::Unknown(block) => {
                if let Ok(Unread { delta }) = serde_json::from_str(data) {
                    block.add(delta);
                }
            }
        }
        Ok(())
    }

    /// Ends the block of this index.
    pub(super) fn stop(
        &mut self,
        index: Option<u64>,
        events: &mut Events,
    ) -> Result<(), ModelError> {
        match self.open.remove(&index.unwrap_or(0)) {
            Some(at) => self.end(at, events),
            None => Ok(()),
        }
    }

    /// Everything.
    pub(super) fn finish(mut self, events: &mut Events) -> Result<Vec<Part>, ModelError> {
        for at in std::mem::take(&mut self.open).into_values() {
            self.end(at, events)?;
        }
        let mut calls = self.calls.finish(events)?.into_iter();
        let mut parts = Vec::with_capacity(self.list.len());
        for block in self.list {
            match block {
                Block::Call(Call { caller, .. }) => {
                    if let Some(Part::ToolCall(call)) = calls.next() {
                        let caller = caller.map(|caller| Signature::new(API, caller));
                        parts.push(Part::ToolCall(call.with_signature(caller)));
                    }
                }
                Block::Unknown(block) => parts.push(Part::Opaque(block.finish())),
                said => said.say(&mut parts),
            }
        }
        Ok(parts)
    }

    /// What was said so far.
    pub(super) fn partial(self) -> Vec<Part> {
        let mut parts = Vec::new();
        for block in self.list {
            block.say(&mut parts);
        }
        parts
    }

    fn push(&mut self, raw: &RawValue, events: &mut Events) -> Result<(), ModelError> {
        let at = self.list.len();
        if at >= MAX_BLOCKS {
            return Err(decode(format!(
                "the answer has more than {MAX_BLOCKS} blocks"
            )));
        }
        let block: wire::Block<'_> = serde_json::from_str(raw.get())
            .map_err(|_| decode("a block of the answer is no object"))?;
        let kind = block.kind.0.unwrap_or_default();
        let block = match &*kind {
            "text" => {
                let (mut text, mut citations) = (String::new(), String::new());
                grow(&mut text, block.text, events, ChatEvent::Text);
                let list = block.citations.map(|list| serde_json::from_str(list.get()));
                let list: Many<&RawValue> = list.and_then(Result::ok).unwrap_or_default();
                for citation in list {
                    cite(&mut citations, Some(citation));
                }
                Block::Text { text, citations }
            }
            "thinking" => {
                let mut text = String::new();
                grow(&mut text, block.thinking, events, ChatEvent::Reasoning);
                let signature = block.signature.0.unwrap_or_default().into_owned();
                Block::Thinking { text, signature }
            }
            "redacted_thinking" => Block::Redacted(block.data.0.unwrap_or_default().into_owned()),
            "tool_use" => {
                let piece = CallPiece {
                    index: Some(place(at)),
                    id: block.id.filled(),
                    name: block.name.filled(),
                    arguments: Cow::Borrowed(""),
                    ..CallPiece::default()
                };
                self.calls.piece(piece, events)?;
                Block::Call(Call {
                    given: given(block.input),
                    has_pieces: false,
                    caller: block.caller.filter(|caller| is_foreign(caller)).map(owned),
                })
            }
            _ => Block::Unknown(Unknown::new(kind, raw)),
        };
        self.list.push(block);
        Ok(())
    }

    /// No more of this block comes.
    fn end(&mut self, at: usize, events: &mut Events) -> Result<(), ModelError> {
        if let Some(Block::Call(call)) = self.list.get_mut(at)
            && let Some(given) = call.given.take()
            && !call.has_pieces
        {
            self.calls.piece(more(at, Cow::Owned(given)), events)?;
        }
        Ok(())
    }
}

impl Block {
    /// Text and thoughts as parts; the rest is not said.
    fn say(self, parts: &mut Vec<Part>) {
        match self {
            Self::Text { text, citations } => {
                if !text.is_empty() {
                    parts.push(Part::Text(text.into()));
                    if !citations.is_empty() {
                        let citations = format!("[{citations}]");
                        parts.push(Part::Opaque(Opaque::new(API, CITATIONS, citations)));
                    }
                }
            }
            Self::Thinking { text, signature } => {
                if !(text.is_empty() && signature.is_empty()) {
                    let proof = (!signature.is_empty()).then(|| Signature::new(API, signature));
                    parts.push(Part::Reasoning(Reasoning::new(text).with_signature(proof)));
                }
            }
            Self::Redacted(data) => {
                let proof = Signature::new(API, data);
                let mut reasoning = Reasoning::new("").with_signature(Some(proof));
                reasoning.is_redacted = true;
                parts.push(Part::Reasoning(reasoning));
            }
            Self::Call(_) | Self::Unknown(_) => {}
        }
    }
}

/// More of the arguments of the call at this place.
fn more(at: usize, arguments: Cow<'_, str>) -> CallPiece<'_> {
    CallPiece {
        index: Some(place(at)),
        arguments,
        ..CallPiece::default()
    }
}

fn place(at: usize) -> u64 {
    u64::try_from(at).unwrap_or(u64::MAX)
}

/// The arguments that a call began with. In a stream they are empty, and the true ones follow.
fn given(input: Option<&RawValue>) -> Option<String> {
    let is_empty = |input: &RawValue| {
        let inside = input.get().strip_prefix('{');
        let inside = inside.and_then(|rest| rest.strip_suffix('}'));
        inside.is_some_and(|inside| inside.trim().is_empty()) || input.get() == "null"
    };
    input.filter(|input| !is_empty(input)).map(owned)
}

/// Whether a tool was called by code that the provider ran. The provider then wants to see its name again.
fn is_foreign(caller: &RawValue) -> bool {
    let caller: Result<wire::Block<'_>, _> = serde_json::from_str(caller.get());
    caller.is_ok_and(|caller| caller.kind.filled().is_some_and(|kind| kind != "direct"))
}

fn owned(json: &RawValue) -> String {
    json.get().to_owned()
}

fn grow(
    whole: &mut String,
    more: Text<'_>,
    events: &mut Events,
    event: impl FnOnce(String) -> ChatEvent,
) {
    if let Some(more) = more.filled() {
        whole.push_str(&more);
        events.push(|| event(more.into_owned()));
    }
}

fn cite(citations: &mut String, citation: Option<&RawValue>) {
    if let Some(citation) = citation {
        if !citations.is_empty() {
            citations.push(',');
        }
        citations.push_str(citation.get());
    }
}

fn decode(message: impl Into<String>) -> ModelError {
    ModelError::new(ModelErrorKind::Decode, message)
}
