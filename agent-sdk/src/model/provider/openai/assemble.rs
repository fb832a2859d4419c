//! An answer, put together from a whole body or from the pieces of a stream.

use std::borrow::Cow;

use super::wire::{self, Completion, Few, Said};
use crate::{
    cost::Usd,
    message::{Message, Opaque, Part, Reasoning, Role},
    model::{
        ChatEvent, ChatResponse, FinishReason, ModelError, ModelErrorKind, Usage,
        wire::{
            CallPiece, Calls, Decode, Events, Failed, Flow, Frame, Framing, Limits, Report,
            Template, add, arguments, keep, object,
        },
    },
};

/// The last data of a stream.
const DONE: &str = "[DONE]";

/// The finish reason of a whole answer that names none.
const UNKNOWN_REASON: &str = "unknown";

/// After this many pieces that were not like the one before, no more are kept to compare with: some servers pad each of theirs
/// with noise.
const MAX_STRANGERS: u8 = 8;

/// How many alternatives one answer may have.
const MAX_ALTERNATIVES: usize = 128;

/// An answer that is being put together. The first of several alternatives is the answer; events tell of it alone.
#[derive(Debug)]
pub(in crate::model) struct Assembler {
    id: Option<String>,
    model: Option<String>,
    tier: Option<String>,
    fingerprint: Option<String>,
    first: Voice,
    others: Vec<Voice>,
    usage: Usage,
    cost: Option<Usd>,
    tool_argument_bytes: usize,
    /// The last piece that had nothing but text.
    template: Option<Template>,
    /// How many pieces in a row were not like the one before.
    strangers: u8,
}

/// One of the alternatives.
#[derive(Debug)]
struct Voice {
    index: u64,
    text: String,
    reasoning: String,
    refusal: String,
    /// What was spoken, as it came.
    audio: Option<String>,
    calls: Calls,
    finish: Option<String>,
    has_begun: bool,
    /// Whether the server gave no finish reason, and this one was found elsewhere.
    is_inferred: bool,
}

impl Decode for Assembler {
    const API: &'static str = "the Chat Completions API";
    const FRAMING: Framing = Framing::Sse;

    fn new(limits: &Limits) -> Self {
        Self {
            id: None,
            model: None,
            tier: None,
            fingerprint: None,
            first: Voice::new(0, limits.tool_argument_bytes),
            others: Vec::new(),
            usage: Usage::unknown(),
            cost: None,
            tool_argument_bytes: limits.tool_argument_bytes,
            template: None,
            strangers: 0,
        }
    }

    fn event(&mut self, frame: Frame<'_>, events: &mut Events) -> Result<Flow, Failed> {
        if frame.event == "error" {
            return Err(Failed::Report(Report::of_data(frame.data)));
        }
        if let Some(text) = self
            .template
            .as_ref()
            .and_then(|last| last.text(frame.data))
        {
            self.strangers = 0;
            add(&mut self.first.text, text.into(), events, ChatEvent::Text);
            return Ok(Flow::More);
        }
        if frame.data == DONE {
            return if self.is_at_tail() {
                Ok(Flow::Done)
            } else {
                Err(unfinished().into())
            };
        }
        let piece: Completion<'_> = object(frame.data)?;
        // What was used, and why it stopped, may stand beside the failure.
        let report = piece.error.map(|error| Report::of_value(error.get()));
        self.template = (self.strangers < MAX_STRANGERS)
            .then(|| piece.only_text())
            .flatten()
            .and_then(|text| Template::around(frame.data, text));
        self.strangers = self.strangers.saturating_add(1);
        let taken = self.piece(piece, events);
        if let Some(report) = report {
            return Err(Failed::Report(report));
        }
        taken?;
        Ok(Flow::More)
    }

    fn is_at_tail(&self) -> bool {
        self.first.finish.is_some() && self.others.iter().all(|voice| voice.finish.is_some())
    }

    fn finish(mut self, events: &mut Events) -> Result<ChatResponse, ModelError> {
        let voices = || std::iter::once(&self.first).chain(&self.others);
        if voices().any(|voice| voice.finish.is_none()) {
            return Err(unfinished());
        }
        self.others.sort_by_key(|voice| voice.index);
        let (mut reasons, mut alternatives) = (Vec::new(), Vec::new());
        for voice in self.others {
            let (parts, _, sent) = voice.finish(&mut Events::none())?;
            alternatives.push(Message::new(Role::Assistant, parts));
            reasons.push(sent);
        }
        let (parts, reason, sent) = self.first.finish(events)?;
        let mut response = ChatResponse::new(parts, reason, self.usage);
        reasons.insert(0, sent);
        response.native_finish_reasons = reasons;
        response.alternatives = alternatives;
        response.id = self.id;
        response.model = self.model;
        response.provider_cost = self.cost;
        response.service_tier = self.tier;
        response.system_fingerprint = self.fingerprint;
        Ok(response)
    }

    fn partial(mut self) -> ChatResponse {
        let begun = self.first.has_begun;
        let reasons = begun.then(|| self.first.finish.take().unwrap_or_default());
        let parts = self.first.said();
        let mut response = ChatResponse::new(parts, FinishReason::Error, self.usage);
        response.id = self.id;
        response.native_finish_reasons.extend(reasons);
        response.model = self.model;
        response.provider_cost = self.cost;
        response
    }

    fn whole(mut self, body: &str) -> Result<ChatResponse, Failed> {
        let whole: Completion<'_> = object(body)?;
        if let Some(error) = whole.error {
            return Err(Failed::Report(Report::of_value(error.get())));
        }
        let mut has_message = false;
        for mut choice in self.envelope(whole) {
            let Some(said) = choice.message.take() else {
                continue;
            };
            let index = choice.index.unwrap_or(0);
            has_message |= index == 0;
            let voice = if index == 0 {
                &mut self.first
            } else {
                self.other(index)?
            };
            voice.whole(*said, choice)?;
        }
        if !has_message {
            let message = "the reply holds no message";
            return Err(ModelError::new(ModelErrorKind::Decode, message).into());
        }
        Ok(self.finish(&mut Events::none())?)
    }
}

impl Assembler {
    #[cfg(test)]
    pub(super) fn keeps_a_template(&self) -> bool {
        self.template.is_some()
    }

    /// Adds a piece of a stream.
    fn piece(&mut self, piece: Completion<'_>, events: &mut Events) -> Result<(), ModelError> {
        for choice in self.envelope(piece) {
            let index = choice.index.unwrap_or(0);
            if index == 0 {
                self.first.piece(choice, events)?;
            } else {
                self.other(index)?.piece(choice, &mut Events::none())?;
            }
        }
        Ok(())
    }

    /// Takes what stands around the choices.
    fn envelope<'a>(&mut self, body: Completion<'a>) -> Few<wire::Choice<'a>> {
        keep(&mut self.id, body.id);
        keep(&mut self.model, body.model);
        keep(&mut self.tier, body.service_tier);
        keep(&mut self.fingerprint, body.system_fingerprint);
        if let Some(reported) = body.usage.or(body.x_groq.and_then(|groq| groq.usage)) {
            let usage = reported.usage();
            if !usage.is_unknown() {
                self.usage = usage;
            }
            self.cost = reported.cost().or(self.cost);
        }
        body.choices
    }

    /// The alternative of this index, which is not the first one's.
    fn other(&mut self, index: u64) -> Result<&mut Voice, ModelError> {
        let known = self.others.iter().position(|voice| voice.index == index);
        if known.is_none() {
            if self.others.len() >= MAX_ALTERNATIVES {
                let message = format!("the answer has more than {MAX_ALTERNATIVES} alternatives");
                return Err(ModelError::new(ModelErrorKind::Decode, message));
            }
            self.others
                .push(Voice::new(index, self.tool_argument_bytes));
        }
        let at = known.unwrap_or(self.others.len() - 1);
        self.others
            .get_mut(at)
            .ok_or_else(|| ModelError::new(ModelErrorKind::Decode, "an alternative was lost"))
    }
}

impl Voice {
    fn new(index: u64, tool_argument_bytes: usize) -> Self {
        Self {
            index,
            text: String::new(),
            reasoning: String::new(),
            refusal: String::new(),
            audio: None,
            calls: Calls::new(tool_argument_bytes),
            finish: None,
            has_begun: false,
            is_inferred: false,
        }
    }

    /// Adds a piece of a stream.
    fn piece(&mut self, choice: wire::Choice<'_>, events: &mut Events) -> Result<(), ModelError> {
        self.has_begun = true;
        if let Some(mut said) = choice.delta {
            let calls = std::mem::take(&mut said.tool_calls);
            let function = said.function_call.take();
            self.say(said, events);
            for call in calls {
                self.calls.piece(call_piece(call)?, events)?;
            }
            if let Some(function) = function {
                let call = wire::Call {
                    index: Some(0),
                    function: *function,
                    ..wire::Call::default()
                };
                self.calls.piece(call_piece(call)?, events)?;
            }
        }
        self.stop(choice.finish_reason.filled());
        Ok(())
    }

    /// Reads an alternative that came whole.
    fn whole(&mut self, mut said: Said<'_>, choice: wire::Choice<'_>) -> Result<(), ModelError> {
        let calls = std::mem::take(&mut said.tool_calls);
        let function = said.function_call.take();
        self.audio = said.audio.map(|audio| audio.get().to_owned());
        self.say(said, &mut Events::none());
        for call in calls {
            self.calls.whole(call_piece(call)?)?;
        }
        // Some servers repeat the calls in the form that was used before there were several.
        if let Some(function) = function.filter(|_| self.calls.is_empty()) {
            self.calls.whole(call_piece(wire::Call {
                function: *function,
                ..wire::Call::default()
            })?)?;
        }
        let older = || choice.finish_details.and_then(|details| details.kind.0);
        let sent = choice.finish_reason.filled();
        self.is_inferred = sent.is_none();
        let reason = sent.unwrap_or_else(|| match older() {
            Some(kind) if kind == "max_tokens" => "length".into(),
            Some(kind) => kind,
            None => UNKNOWN_REASON.into(),
        });
        self.stop(Some(reason));
        Ok(())
    }

    /// Adds text, reasoning and refusal.
    fn say(&mut self, said: Said<'_>, events: &mut Events) {
        let thought = said
            .reasoning_content
            .filled()
            .or_else(|| said.reasoning.filled());
        match thought {
            Some(thought) => add(&mut self.reasoning, thought, events, ChatEvent::Reasoning),
            // Gateways send the same reasoning in this form too.
            None => {
                for detail in said.reasoning_details {
                    let thought = detail.text.0.unwrap_or_default();
                    add(&mut self.reasoning, thought, events, ChatEvent::Reasoning);
                }
            }
        }
        let thinking = Cow::Owned(said.content.thinking);
        add(&mut self.reasoning, thinking, events, ChatEvent::Reasoning);
        add(&mut self.text, said.content.text, events, ChatEvent::Text);
        let refusal = said.refusal.0.unwrap_or_default();
        add(&mut self.refusal, refusal, events, ChatEvent::Refusal);
    }

    /// Takes the first finish reason; servers repeat it, and some then say `stop` in place of it.
    fn stop(&mut self, reason: Option<Cow<'_, str>>) {
        if let (None, Some(reason)) = (&self.finish, reason) {
            self.finish = Some(reason.into_owned());
        }
    }

    /// Everything, why it stopped, and the server's own word for that.
    fn finish(
        mut self,
        events: &mut Events,
    ) -> Result<(Vec<Part>, FinishReason, String), ModelError> {
        let calls = std::mem::replace(&mut self.calls, Calls::new(0)).finish(events)?;
        let sent = self.finish.take().unwrap_or_default();
        let reason = FinishReason::from(&*sent);
        let sent = if self.is_inferred {
            String::new()
        } else {
            sent
        };
        let mut parts = self.said();
        parts.extend(calls);
        Ok((parts, reason, sent))
    }

    /// What was said, without the calls.
    fn said(self) -> Vec<Part> {
        let mut parts = Vec::new();
        if !self.reasoning.is_empty() {
            parts.push(Part::Reasoning(Reasoning::new(self.reasoning)));
        }
        if !self.text.is_empty() {
            parts.push(Part::Text(self.text.into()));
        }
        if !self.refusal.is_empty() {
            parts.push(Part::Refusal(self.refusal.into()));
        }
        if let Some(audio) = self.audio {
            parts.push(Part::Opaque(Opaque::new(super::API, "audio", audio)));
        }
        parts
    }
}

fn unfinished() -> ModelError {
    ModelError::truncated("the answer ended without a finish reason")
}

fn call_piece(call: wire::Call<'_>) -> Result<CallPiece<'_>, ModelError> {
    let arguments = arguments(call.function.arguments)?;
    Ok(CallPiece {
        index: call.index,
        id: call.id.filled(),
        name: call.function.name.filled(),
        arguments,
        ..CallPiece::default()
    })
}
