//! An answer, put together from a whole body or from the pieces of a stream.

use std::borrow::Cow;

use super::{
    calls::Calls,
    events::Events,
    wire::{self, Completion, Few, Said},
};
use crate::{
    cost::Usd,
    message::{Part, Reasoning},
    model::{ChatEvent, ChatResponse, FinishReason, ModelError, ModelErrorKind, Usage},
};

/// The finish reason of a whole answer that names none.
const UNKNOWN_REASON: &str = "unknown";

/// An answer that is being put together. Only the first of several alternatives is read.
#[derive(Debug)]
pub(super) struct Assembler {
    id: Option<String>,
    model: Option<String>,
    text: String,
    reasoning: String,
    refusal: String,
    calls: Calls,
    finish: Option<FinishReason>,
    usage: Usage,
    cost: Option<Usd>,
}

impl Assembler {
    /// Nothing yet; the arguments of all tool calls may together have this many bytes.
    pub(super) fn new(tool_argument_bytes: usize) -> Self {
        Self {
            id: None,
            model: None,
            text: String::new(),
            reasoning: String::new(),
            refusal: String::new(),
            calls: Calls::new(tool_argument_bytes),
            finish: None,
            usage: Usage::unknown(),
            cost: None,
        }
    }

    /// Adds a piece of a stream.
    pub(super) fn piece(
        &mut self,
        piece: Completion<'_>,
        events: &mut Events,
    ) -> Result<(), ModelError> {
        let choices = self.envelope(piece);
        for choice in choices
            .into_iter()
            .filter(|choice| choice.index.unwrap_or(0) == 0)
        {
            if let Some(mut said) = choice.delta {
                let calls = std::mem::take(&mut said.tool_calls);
                let function = said.function_call.take();
                self.say(said, events);
                for call in calls {
                    self.calls.piece(call, events)?;
                }
                if let Some(function) = function {
                    let call = wire::Call {
                        index: Some(0),
                        function: *function,
                        ..wire::Call::default()
                    };
                    self.calls.piece(call, events)?;
                }
            }
            self.stop(choice.finish_reason.filled());
        }
        Ok(())
    }

    /// Reads a whole answer.
    ///
    /// # Errors
    ///
    /// [`ModelErrorKind::Decode`] where the body holds no answer.
    pub(super) fn whole(mut self, whole: Completion<'_>) -> Result<ChatResponse, ModelError> {
        let choices = self.envelope(whole);
        let first = choices
            .into_iter()
            .find(|choice| choice.index.unwrap_or(0) == 0);
        let Some((mut said, choice)) =
            first.and_then(|mut choice| Some((choice.message.take()?, choice)))
        else {
            let message = "the reply holds no message";
            return Err(ModelError::new(ModelErrorKind::Decode, message));
        };
        let calls = std::mem::take(&mut said.tool_calls);
        let function = said.function_call.take();
        self.say(*said, &mut Events::none());
        for call in calls {
            self.calls.whole(call)?;
        }
        // Some servers repeat the calls in the form that was used before there were several.
        if let Some(function) = function.filter(|_| self.calls.is_empty()) {
            self.calls.whole(wire::Call {
                function: *function,
                ..wire::Call::default()
            })?;
        }
        self.stop(choice.finish_reason.filled());
        if self.finish.is_none() {
            self.finish = Some(
                match choice.finish_details.and_then(|details| details.kind.0) {
                    Some(kind) if kind == "max_tokens" => FinishReason::Length,
                    Some(kind) => FinishReason::from(kind),
                    None => FinishReason::from(UNKNOWN_REASON),
                },
            );
        }
        self.finish(&mut Events::none())
    }

    /// Whether the model said why it stopped.
    pub(super) fn has_finished(&self) -> bool {
        self.finish.is_some()
    }

    /// The whole answer. An answer without a finish reason is not whole.
    pub(super) fn finish(self, events: &mut Events) -> Result<ChatResponse, ModelError> {
        let Some(finish) = self.finish else {
            return Err(ModelError::truncated(
                "the answer ended without a finish reason",
            ));
        };
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
        parts.extend(self.calls.finish(events)?);
        let mut response = ChatResponse::new(parts, finish, self.usage);
        response.id = self.id;
        response.model = self.model;
        response.provider_cost = self.cost;
        Ok(response)
    }

    /// Takes what stands around the choices.
    fn envelope<'a>(&mut self, body: Completion<'a>) -> Few<wire::Choice<'a>> {
        keep(&mut self.id, body.id);
        keep(&mut self.model, body.model);
        if let Some(reported) = body.usage.or(body.x_groq.and_then(|groq| groq.usage)) {
            let usage = reported.usage();
            if !usage.is_unknown() {
                self.usage = usage;
            }
            self.cost = reported.cost().or(self.cost);
        }
        body.choices
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
            self.finish = Some(FinishReason::from(reason));
        }
    }
}

fn add(
    whole: &mut String,
    more: Cow<'_, str>,
    events: &mut Events,
    event: impl FnOnce(String) -> ChatEvent,
) {
    if !more.is_empty() {
        whole.push_str(&more);
        events.push(|| event(more.into_owned()));
    }
}

fn keep(known: &mut Option<String>, told: wire::Text<'_>) {
    if known.is_none() {
        *known = told.filled().map(Cow::into_owned);
    }
}
