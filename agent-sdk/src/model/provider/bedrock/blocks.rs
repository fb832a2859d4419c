//! The blocks of an answer, put together in the order in which they began.

use std::{borrow::Cow, collections::BTreeMap};

use serde_json::{Value, json, value::RawValue};

use super::{
    API,
    wire::{self, Delta, Start, ToolUse},
};
use crate::{
    message::{Opaque, Part, Reasoning, Signature},
    model::{
        ChatEvent, ModelError, ModelErrorKind,
        wire::{CallPiece, Calls, Count, Events, Failed, Limits, arguments},
    },
};

/// How many blocks one answer may have.
const MAX_BLOCKS: usize = 4_096;

/// The blocks of one answer.
#[derive(Debug)]
pub(super) struct Blocks {
    list: Vec<Block>,
    /// Where the block of an index stands.
    places: BTreeMap<u64, usize>,
    calls: Calls,
}

#[derive(Debug)]
enum Block {
    Text(String),
    Thought {
        text: String,
        signature: String,
    },
    Redacted(String),
    /// The next one of the calls.
    Call,
    /// A call of a tool that Bedrock runs: its head, and its input as far as it has come.
    Server {
        head: Value,
        input: String,
    },
    /// What such a tool gave: its head, and its pieces.
    Result {
        head: Value,
        pieces: Vec<Value>,
    },
    /// One that came whole, and that only this API knows.
    Opaque(Opaque),
}

impl Blocks {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            list: Vec::new(),
            places: BTreeMap::new(),
            calls: Calls::new(limits.tool_argument_bytes),
        }
    }

    /// A block of a stream begins. Only those of tools are told of.
    pub(super) fn begin(
        &mut self,
        index: Count,
        start: Start<'_>,
        events: &mut Events,
    ) -> Result<(), ModelError> {
        if let Some(call) = start.tool_use {
            if call.is_of_the_server() {
                let head = head(&call);
                let input = String::new();
                return self.push(index, Block::Server { head, input });
            }
            let known = self
                .at(index)
                .is_some_and(|block| matches!(block, Block::Call));
            if !known {
                self.push(index, Block::Call)?;
            }
            return self.calls.piece(
                CallPiece {
                    index: index.0,
                    id: call.id.filled(),
                    name: call.name.filled(),
                    arguments: Cow::Borrowed(""),
                    ..CallPiece::default()
                },
                events,
            );
        }
        if let Some(result) = start.tool_result {
            let head = serde_json::from_str(result.get()).unwrap_or_default();
            let pieces = Vec::new();
            return self.push(index, Block::Result { head, pieces });
        }
        Ok(())
    }

    /// More of a block comes, or of one that began without a word.
    pub(super) fn add(
        &mut self,
        index: Count,
        delta: Delta<'_>,
        events: &mut Events,
    ) -> Result<(), ModelError> {
        if let Some(text) = delta.text.filled() {
            self.text(index, text, events)?;
        }
        if let Some(thought) = delta.reasoning_content {
            self.thought(index, thought, events)?;
        }
        if let Some(pieces) = delta.tool_result
            && let Some(Block::Result { pieces: known, .. }) = self.at(index)
        {
            let pieces = pieces.into_iter();
            known.extend(pieces.filter_map(|piece| serde_json::from_str(piece.get()).ok()));
        }
        let more = delta
            .tool_use
            .and_then(|call| call.input.0)
            .unwrap_or_default();
        if more.is_empty() {
            return Ok(());
        }
        if let Some(Block::Server { input, .. }) = self.at(index) {
            input.push_str(&more);
            return Ok(());
        }
        let piece = CallPiece {
            index: index.0,
            arguments: more,
            ..CallPiece::default()
        };
        self.calls.piece(piece, events)
    }

    /// Reads a block that came whole.
    pub(super) fn whole(&mut self, raw: &RawValue) -> Result<(), Failed> {
        let block: wire::Block<'_> = serde_json::from_str(raw.get())?;
        let (index, events) = (Count(None), &mut Events::none());
        if let Some(text) = block.text.0 {
            self.text(index, text, events)?;
        } else if let Some(thought) = block.reasoning_content {
            let thought = thought.whole.map_or_else(
                || wire::Reasoning {
                    redacted_content: thought.redacted_content,
                    ..wire::Reasoning::default()
                },
                |text| *text,
            );
            self.thought(index, thought, events)?;
        } else if let Some(cited) = block.citations_content {
            for words in cited.content {
                self.text(index, words.text.0.unwrap_or_default(), events)?;
            }
        } else if let Some(call) = block.tool_use.as_ref()
            && !call.is_of_the_server()
        {
            let call = block.tool_use.unwrap_or_default();
            self.push(index, Block::Call)?;
            self.calls.whole(CallPiece {
                index: None,
                id: call.id.filled(),
                name: call.name.filled(),
                arguments: arguments(call.input)?,
                ..CallPiece::default()
            })?;
        } else {
            self.push(index, Block::Opaque(Opaque::new(API, kind(raw), raw.get())))?;
        }
        Ok(())
    }

    /// Everything.
    pub(super) fn finish(mut self, events: &mut Events) -> Result<Vec<Part>, ModelError> {
        let calls = std::mem::replace(&mut self.calls, Calls::new(0)).finish(events)?;
        Ok(self.parts(calls))
    }

    /// What was said so far, without calls: none of them will be made.
    pub(super) fn partial(self) -> Vec<Part> {
        self.parts(Vec::new())
    }

    fn parts(self, calls: Vec<Part>) -> Vec<Part> {
        let mut calls = calls.into_iter();
        let mut parts = Vec::with_capacity(self.list.len());
        for block in self.list {
            match block {
                Block::Call => parts.extend(calls.next()),
                block => parts.extend(block.part()),
            }
        }
        parts.extend(calls);
        parts
    }

    fn text(
        &mut self,
        index: Count,
        more: Cow<'_, str>,
        events: &mut Events,
    ) -> Result<(), ModelError> {
        match self.at(index) {
            Some(Block::Text(text)) => text.push_str(&more),
            _ => self.push(index, Block::Text(more.clone().into_owned()))?,
        }
        events.push(|| ChatEvent::Text(more.into_owned()));
        Ok(())
    }

    fn thought(
        &mut self,
        index: Count,
        more: wire::Reasoning<'_>,
        events: &mut Events,
    ) -> Result<(), ModelError> {
        if let Some(redacted) = more.redacted_content.filled() {
            // Each is encoded by itself, and two of them are not one.
            return self.push(index, Block::Redacted(redacted.into_owned()));
        }
        if !matches!(self.at(index), Some(Block::Thought { .. })) {
            let (text, signature) = (String::new(), String::new());
            self.push(index, Block::Thought { text, signature })?;
        }
        if let Some(Block::Thought { text, signature }) = self.last(index) {
            signature.push_str(&more.signature.0.unwrap_or_default());
            if let Some(more) = more.text.filled() {
                text.push_str(&more);
                events.push(|| ChatEvent::Reasoning(more.into_owned()));
            }
        }
        Ok(())
    }

    /// The block of an index. Those of a whole answer have none, and nothing is added to them.
    fn at(&mut self, index: Count) -> Option<&mut Block> {
        let at = self.places.get(&index.0?)?;
        self.list.get_mut(*at)
    }

    /// The block of an index, or the last one.
    fn last(&mut self, index: Count) -> Option<&mut Block> {
        match index.0 {
            Some(_) => self.at(index),
            None => self.list.last_mut(),
        }
    }

    fn push(&mut self, index: Count, block: Block) -> Result<(), ModelError> {
        if self.list.len() >= MAX_BLOCKS {
            let message = format!("the answer has more than {MAX_BLOCKS} blocks");
            return Err(ModelError::new(ModelErrorKind::Decode, message));
        }
        if let Some(index) = index.0 {
            self.places.insert(index, self.list.len());
        }
        self.list.push(block);
        Ok(())
    }
}

impl Block {
    fn part(self) -> Option<Part> {
        Some(match self {
            Self::Text(text) if text.is_empty() => return None,
            Self::Text(text) => Part::Text(text.into()),
            Self::Thought { text, signature } => {
                let proof = (!signature.is_empty()).then(|| Signature::new(API, signature));
                Part::Reasoning(Reasoning::new(text).with_signature(proof))
            }
            Self::Redacted(data) => {
                let proof = Signature::new(API, data);
                let mut reasoning = Reasoning::new("").with_signature(Some(proof));
                reasoning.is_redacted = true;
                Part::Reasoning(reasoning)
            }
            Self::Call => return None,
            Self::Server { mut head, input } => {
                let input = serde_json::from_str(&input).unwrap_or_else(|_| json!({}));
                set(&mut head, "input", input);
                opaque("toolUse", &head)
            }
            Self::Result { mut head, pieces } => {
                set(&mut head, "content", pieces.into());
                opaque("toolResult", &head)
            }
            Self::Opaque(opaque) => Part::Opaque(opaque),
        })
    }
}

fn opaque(kind: &str, block: &Value) -> Part {
    Part::Opaque(Opaque::new(API, kind, json!({ kind: block }).to_string()))
}

/// What is known of a call of Bedrock's own before its input.
fn head(call: &ToolUse<'_>) -> Value {
    json!({
        "toolUseId": call.id.0,
        "name": call.name.0,
        "type": call.kind.0,
    })
}

fn set(object: &mut Value, key: &str, value: Value) {
    if let Value::Object(map) = object {
        map.insert(key.to_owned(), value);
    }
}

/// What a block is: the one key of its object.
fn kind(block: &RawValue) -> String {
    let keys: Option<serde_json::Map<String, Value>> = serde_json::from_str(block.get()).ok();
    let first = keys.and_then(|keys| keys.into_iter().next());
    first.map_or_else(|| "unknown".to_owned(), |(key, _)| key)
}
