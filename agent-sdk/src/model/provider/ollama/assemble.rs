//! An answer, put together from one whole object or from a line for each piece.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    message::{Part, Reasoning},
    model::{
        ChatEvent, ChatResponse, FinishReason, ModelError, ModelErrorKind, Usage,
        wire::{
            CallPiece, Calls, Count, Decode, Events, Failed, Flow, Frame, Framing, Limits, Many,
            Report, Text, add, arguments, object,
        },
    },
};

/// A whole answer, or one piece of a stream.
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound = "'de: 'a")]
struct Piece<'a> {
    model: Text<'a>,
    message: Option<Said<'a>>,
    done: Option<bool>,
    done_reason: Text<'a>,
    prompt_eval_count: Count,
    eval_count: Count,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

/// A message, or more of it.
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound = "'de: 'a")]
struct Said<'a> {
    content: Text<'a>,
    thinking: Text<'a>,
    tool_calls: Many<Call<'a>>,
}

/// A tool call, which always comes whole.
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound = "'de: 'a")]
struct Call<'a> {
    id: Text<'a>,
    function: Function<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound = "'de: 'a")]
struct Function<'a> {
    name: Text<'a>,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
}

/// An answer that is being put together.
#[derive(Debug)]
pub(in crate::model) struct Assembler {
    model: Option<String>,
    text: String,
    reasoning: String,
    calls: Calls,
    done: Option<String>,
    usage: Usage,
}

impl Decode for Assembler {
    const API: &'static str = super::NAME;
    const FRAMING: Framing = Framing::Lines;

    fn new(limits: &Limits) -> Self {
        Self {
            model: None,
            text: String::new(),
            reasoning: String::new(),
            calls: Calls::new(limits.tool_argument_bytes),
            done: None,
            usage: Usage::unknown(),
        }
    }

    fn event(&mut self, frame: Frame<'_>, events: &mut Events) -> Result<Flow, Failed> {
        self.add(object(frame.data)?, events)?;
        Ok(if self.done.is_some() {
            Flow::Done
        } else {
            Flow::More
        })
    }

    fn is_at_tail(&self) -> bool {
        self.done.is_some()
    }

    fn finish(mut self, events: &mut Events) -> Result<ChatResponse, ModelError> {
        let Some(reason) = self.done.take() else {
            return Err(ModelError::truncated(
                "the answer ended before it said that it was done",
            ));
        };
        let calls = std::mem::replace(&mut self.calls, Calls::new(0)).finish(events)?;
        let finish = match FinishReason::from(&*reason) {
            FinishReason::Stop if !calls.is_empty() => FinishReason::ToolCalls,
            other => other,
        };
        let mut response = self.said(finish);
        response.message.parts.extend(calls);
        response.native_finish_reasons = vec![reason];
        Ok(response)
    }

    fn partial(self) -> ChatResponse {
        self.said(FinishReason::Error)
    }

    fn whole(mut self, body: &str) -> Result<ChatResponse, Failed> {
        let whole: Piece<'_> = object(body)?;
        let has_message = whole.message.is_some();
        let is_half = whole.done == Some(false);
        self.add(whole, &mut Events::none())?;
        if !has_message {
            let message = "the reply holds no message";
            return Err(ModelError::new(ModelErrorKind::Decode, message).into());
        }
        if !is_half {
            // The word that servers used before they named reasons.
            self.done.get_or_insert_with(|| "stop".to_owned());
        }
        Ok(self.finish(&mut Events::none())?)
    }
}

impl Assembler {
    fn add(&mut self, piece: Piece<'_>, events: &mut Events) -> Result<(), Failed> {
        if let Some(error) = piece.error {
            return Err(Failed::Report(Report::of_value(error.get())));
        }
        if self.model.is_none() {
            self.model = piece.model.filled().map(Cow::into_owned);
        }
        if let Some(said) = piece.message {
            let thought = said.thinking.0.unwrap_or_default();
            add(&mut self.reasoning, thought, events, ChatEvent::Reasoning);
            let text = said.content.0.unwrap_or_default();
            add(&mut self.text, text, events, ChatEvent::Text);
            for call in said.tool_calls {
                self.calls.whole(CallPiece {
                    index: None,
                    id: call.id.filled(),
                    name: call.function.name.filled(),
                    arguments: arguments(call.function.arguments)?,
                    ..CallPiece::default()
                })?;
            }
        }
        if piece.done == Some(true) {
            self.usage.input_tokens = piece.prompt_eval_count.0;
            self.usage.output_tokens = piece.eval_count.0;
            let reason = piece.done_reason.filled();
            self.done = Some(reason.map_or_else(|| "stop".to_owned(), Cow::into_owned));
        }
        Ok(())
    }

    /// What was said, without the calls.
    fn said(self, finish: FinishReason) -> ChatResponse {
        let mut parts = Vec::new();
        if !self.reasoning.is_empty() {
            parts.push(Part::Reasoning(Reasoning::new(self.reasoning)));
        }
        if !self.text.is_empty() {
            parts.push(Part::Text(self.text.into()));
        }
        let mut response = ChatResponse::new(parts, finish, self.usage);
        response.model = self.model;
        response
    }
}
