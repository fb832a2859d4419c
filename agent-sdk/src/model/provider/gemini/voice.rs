//! One alternative of an answer: its parts in the order in which they came.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::{
    API, SIGNATURE, finish,
    partial::PartialArgs,
    wire::{Blob, Content, FunctionCall, Kind, Part as WirePart},
};
use crate::{
    message::{Media, MediaKind, Opaque, Part, Reasoning, Signature},
    model::{
        ChatEvent, FinishReason, ModelError, ModelErrorKind,
        wire::{CallPiece, Calls, Events, Failed, Text, arguments, object},
    },
};

/// How many parts one alternative may have.
const MAX_PARTS: usize = 8_192;

/// One of the alternatives.
#[derive(Debug)]
pub(super) struct Voice {
    pub(super) index: u64,
    pieces: Vec<Piece>,
    calls: Calls,
    begun: u64,
    open: Vec<Open>,
    finish: Option<String>,
    argument_bytes: usize,
}

/// A part, or the place of one that is put together elsewhere.
#[derive(Debug)]
enum Piece {
    Text(String),
    Thought(String),
    Whole(Part),
    Call(Option<Signature>),
}

/// A call whose arguments are still coming, value by value.
#[derive(Debug)]
struct Open {
    index: u64,
    id: Option<String>,
    values: PartialArgs,
    whole: Option<String>,
}

impl Voice {
    pub(super) fn new(index: u64, argument_bytes: usize) -> Self {
        Self {
            index,
            pieces: Vec::new(),
            calls: Calls::new(argument_bytes),
            begun: 0,
            open: Vec::new(),
            finish: None,
            argument_bytes,
        }
    }

    /// Why it stopped, in the API's word, once that is known.
    pub(super) fn native(&self) -> Option<&str> {
        self.finish.as_deref()
    }

    /// Whether it is known why it stopped.
    pub(super) fn is_finished(&self) -> bool {
        self.finish.is_some()
    }

    /// Takes why it stopped. Some models say it with every piece, so that the last word counts.
    pub(super) fn stop(&mut self, reason: Text<'_>) {
        if let Some(reason) = reason.filled()
            && !finish::is_unspecified(&reason)
        {
            self.finish = Some(reason.into_owned());
        }
    }

    /// Adds parts, or more of them. `answer` is the answer's id, of which ids of calls are made.
    pub(super) fn say(
        &mut self,
        content: Content<'_>,
        answer: Option<&str>,
        events: &mut Events,
    ) -> Result<(), Failed> {
        for raw in content.parts {
            if raw.get() != "null" {
                self.part(raw, answer, events)?;
            }
        }
        Ok(())
    }

    fn part(
        &mut self,
        raw: &RawValue,
        answer: Option<&str>,
        events: &mut Events,
    ) -> Result<(), Failed> {
        if self.pieces.len() >= MAX_PARTS {
            return Err(decode(format!("the answer has more than {MAX_PARTS} parts")).into());
        }
        let part: WirePart<'_> = object(raw.get())?;
        let is_thought = part.thought == Some(true);
        let signature = part.thought_signature.filled();
        if let Some(call) = part.function_call {
            self.call(*call, signature, answer, events)?;
        } else if let Some(blob) = part.inline_data.filter(|_| !is_thought) {
            self.pieces.push(Piece::Whole(media(*blob)));
            self.sign(signature);
        } else if let Some(text) = part.text.0 {
            match (is_thought, signature) {
                (true, signature) => self.think(text, signature, events),
                (false, None) => self.speak(text, events),
                // A part of its own that holds nothing else; it goes back as one.
                (false, Some(_)) if text.is_empty() => self.keep(raw, "text"),
                (false, signature) => {
                    // It is signed alone, and not with the unsigned text before it.
                    self.pieces.push(Piece::Text(String::new()));
                    self.speak(text, events);
                    self.sign(signature);
                }
            }
        } else {
            let Kind(kind) = object(raw.get())?;
            match (kind.is_empty(), signature) {
                (true, None) => {}
                (true, Some(_)) => self.keep(raw, SIGNATURE),
                (false, _) => self.keep(raw, &kind),
            }
        }
        Ok(())
    }

    fn speak(&mut self, text: Cow<'_, str>, events: &mut Events) {
        if text.is_empty() {
            return;
        }
        match self.pieces.last_mut() {
            Some(Piece::Text(whole)) => whole.push_str(&text),
            _ => self.pieces.push(Piece::Text(text.as_ref().to_owned())),
        }
        events.push(|| ChatEvent::Text(text.into_owned()));
    }

    fn think(&mut self, text: Cow<'_, str>, signature: Option<Cow<'_, str>>, events: &mut Events) {
        match (self.pieces.last_mut(), signature) {
            (_, Some(signature)) => {
                let thought = Reasoning::new(text.as_ref());
                let signature = Signature::new(API, signature.into_owned());
                let thought = thought.with_signature(Some(signature));
                self.pieces.push(Piece::Whole(Part::Reasoning(thought)));
            }
            (Some(Piece::Thought(whole)), None) => whole.push_str(&text),
            _ if text.is_empty() => {}
            _ => self.pieces.push(Piece::Thought(text.as_ref().to_owned())),
        }
        if !text.is_empty() {
            events.push(|| ChatEvent::Reasoning(text.into_owned()));
        }
    }

    /// Keeps the signature of the part before, behind it.
    fn sign(&mut self, signature: Option<Cow<'_, str>>) {
        if let Some(signature) = signature {
            let json = serde_json::Value::from(&*signature).to_string();
            let signature = Opaque::new(API, SIGNATURE, json);
            self.pieces.push(Piece::Whole(Part::Opaque(signature)));
        }
    }

    /// Keeps a part as it came.
    fn keep(&mut self, raw: &RawValue, kind: &str) {
        let part = Opaque::new(API, kind, raw.get());
        self.pieces.push(Piece::Whole(Part::Opaque(part)));
    }

    /// Adds a call, or more of one that is still coming.
    fn call(
        &mut self,
        call: FunctionCall<'_>,
        signature: Option<Cow<'_, str>>,
        answer: Option<&str>,
        events: &mut Events,
    ) -> Result<(), ModelError> {
        let (id, name) = (call.id.filled(), call.name.filled());
        let open = self.find_open(id.as_deref(), name.is_some())?;
        let mut call_now = match open {
            Some(at) => self.open.remove(at),
            None if name.is_none() && call.args.is_none() => return Ok(()),
            None => self.begin(id, name, signature, answer, events)?,
        };
        for value in call.partial_args {
            if call_now.values.add(value)? > self.argument_bytes {
                return Err(decode(format!(
                    "the tool arguments passed the {} bytes of `tool_argument_bytes`",
                    self.argument_bytes
                )));
            }
        }
        let whole = arguments(call.args)?;
        let more = call.will_continue == Some(true);
        let is_told = call_now.values.is_empty() || !matches!(&*whole, "" | "{}");
        if more {
            if is_told && !whole.is_empty() {
                call_now.whole = Some(whole.into_owned());
            }
            self.open.push(call_now);
            return Ok(());
        }
        let whole = if is_told && !whole.is_empty() {
            whole
        } else {
            Cow::Owned(call_now.whole.unwrap_or_else(|| call_now.values.finish()))
        };
        self.close(call_now.index, whole, events)
    }

    /// The call that is still coming and that a piece belongs to.
    fn find_open(&self, id: Option<&str>, is_named: bool) -> Result<Option<usize>, ModelError> {
        if let Some(id) = id {
            let same = |open: &Open| open.id.as_deref() == Some(id);
            if let Some(at) = self.open.iter().position(same) {
                return Ok(Some(at));
            }
        }
        match (is_named, self.open.len()) {
            (true, _) | (false, 0) => Ok(None),
            (false, 1) => Ok(Some(0)),
            (false, _) => Err(decode(
                "a piece of a tool call belongs to more than one call",
            )),
        }
    }

    fn begin(
        &mut self,
        id: Option<Cow<'_, str>>,
        name: Option<Cow<'_, str>>,
        signature: Option<Cow<'_, str>>,
        answer: Option<&str>,
        events: &mut Events,
    ) -> Result<Open, ModelError> {
        let index = self.begun;
        self.begun += 1;
        let open = Open {
            index,
            id: id.as_deref().map(str::to_owned),
            values: PartialArgs::default(),
            whole: None,
        };
        let has_made_id = id.is_none();
        let id = id.unwrap_or_else(|| made_id(answer, index).into());
        let piece = CallPiece {
            index: Some(index),
            has_made_id,
            id: Some(id),
            name,
            arguments: Cow::Borrowed(""),
        };
        self.calls.piece(piece, events)?;
        let signature = signature.map(|value| Signature::new(API, value.into_owned()));
        self.pieces.push(Piece::Call(signature));
        Ok(open)
    }

    fn close(
        &mut self,
        index: u64,
        arguments: Cow<'_, str>,
        events: &mut Events,
    ) -> Result<(), ModelError> {
        let piece = CallPiece {
            index: Some(index),
            arguments,
            ..CallPiece::default()
        };
        self.calls.piece(piece, events)
    }

    /// Everything, and why it stopped in the API's word and in the SDK's.
    pub(super) fn finish(
        mut self,
        events: &mut Events,
    ) -> Result<(Vec<Part>, String, FinishReason), ModelError> {
        let native = self.finish.take().unwrap_or_default();
        let reason = finish::reason(&native, !self.calls.is_empty());
        for open in std::mem::take(&mut self.open) {
            if reason == FinishReason::ToolCalls {
                return Err(ModelError::truncated(
                    "the answer ended inside a tool call's arguments",
                ));
            }
            let arguments = open.whole.unwrap_or_else(|| open.values.finish());
            self.close(open.index, arguments.into(), events)?;
        }
        let calls = std::mem::replace(&mut self.calls, Calls::new(0)).finish(events)?;
        Ok((self.parts(calls), native, reason))
    }

    /// What was said, without the calls.
    pub(super) fn said(self) -> Vec<Part> {
        self.parts(Vec::new())
    }

    /// The parts, with the calls in their places.
    fn parts(self, calls: Vec<Part>) -> Vec<Part> {
        let mut calls = calls.into_iter();
        let part = |piece| match piece {
            Piece::Text(text) => Some(Part::Text(text.into())),
            Piece::Thought(text) => Some(Part::Reasoning(Reasoning::new(text))),
            Piece::Whole(part) => Some(part),
            Piece::Call(signature) => calls.next().map(|call| match call {
                Part::ToolCall(call) => Part::ToolCall(call.with_signature(signature)),
                part => part,
            }),
        };
        self.pieces.into_iter().filter_map(part).collect()
    }
}

/// The id of a call that has none: of the answer's id, so that it is another one in every turn, and of its place.
fn made_id(answer: Option<&str>, index: u64) -> String {
    match answer {
        Some(answer) => format!("call_{answer}_{index}"),
        None => format!("call_{index}"),
    }
}

fn media(blob: Blob<'_>) -> Part {
    let media_type = blob.mime_type.0.unwrap_or_default();
    let kind = match media_type.split('/').next() {
        Some("image") => MediaKind::Image,
        Some("audio") => MediaKind::Audio,
        _ => MediaKind::Document,
    };
    let data = blob.data.0.unwrap_or_default().into_owned();
    Part::Media(Media::base64(kind, media_type, data))
}

fn decode(message: impl Into<String>) -> ModelError {
    ModelError::new(ModelErrorKind::Decode, message)
}
