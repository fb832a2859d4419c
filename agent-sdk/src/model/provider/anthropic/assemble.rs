//! An answer, put together from a whole body or from the events of a stream.

use super::{
    blocks::Blocks,
    usage::{Counts, WireUsage},
    wire::{Event, Message},
};
use crate::model::{
    ChatResponse, FinishReason, ModelError, ModelErrorKind,
    wire::{Decode, Events, Failed, Flow, Frame, Framing, Limits, Report, keep, object},
};

/// The stop reason of a whole answer that names none.
const UNKNOWN_REASON: &str = "unknown";

/// An answer that is being put together.
#[derive(Debug)]
pub(in crate::model) struct Assembler {
    id: Option<String>,
    model: Option<String>,
    tier: Option<String>,
    blocks: Blocks,
    counts: Counts,
    stop: Option<String>,
}

impl Decode for Assembler {
    const API: &'static str = "the Messages API";
    const FRAMING: Framing = Framing::Sse;

    fn new(limits: &Limits) -> Self {
        Self {
            id: None,
            model: None,
            tier: None,
            blocks: Blocks::new(limits),
            counts: Counts::default(),
            stop: None,
        }
    }

    fn event(&mut self, frame: Frame<'_>, events: &mut Events) -> Result<Flow, Failed> {
        if frame.event == "error" {
            return Err(Failed::Report(Report::of_data(frame.data)));
        }
        let event: Event<'_> = object(frame.data)?;
        if let Some(error) = event.error {
            return Err(Failed::Report(Report::of_value(error.get())));
        }
        match event.kind.0.as_deref().unwrap_or(frame.event) {
            "message_start" => {
                if let Some(message) = event.message {
                    self.envelope(*message);
                }
            }
            "content_block_start" => {
                if let Some(block) = event.content_block {
                    self.blocks.begin(event.index, block, events)?;
                }
            }
            "content_block_delta" => {
                let delta = event.delta.unwrap_or_default();
                self.blocks.add(event.index, delta, frame.data, events)?;
            }
            "content_block_stop" => self.blocks.stop(event.index, events)?,
            "message_delta" => {
                let delta = event.delta.unwrap_or_default();
                keep(&mut self.stop, delta.stop_reason);
                self.used(event.usage);
            }
            "message_stop" => {
                return match self.stop {
                    Some(_) => Ok(Flow::Done),
                    None => Err(no_reason().into()),
                };
            }
            _ => {}
        }
        Ok(Flow::More)
    }

    /// Never: the API ends each stream with an event that says so, and one without it was broken off.
    fn is_at_tail(&self) -> bool {
        false
    }

    fn finish(self, events: &mut Events) -> Result<ChatResponse, ModelError> {
        let reason = self.stop.ok_or_else(no_reason)?;
        let parts = self.blocks.finish(events)?;
        let finish = match &*reason {
            "end_turn" | "stop_sequence" => FinishReason::Stop,
            "tool_use" => FinishReason::ToolCalls,
            "max_tokens" | "model_context_window_exceeded" => FinishReason::Length,
            "refusal" => FinishReason::ContentFilter,
            "pause_turn" => FinishReason::Paused,
            other => FinishReason::Other(other.to_owned()),
        };
        let mut response = ChatResponse::new(parts, finish, self.counts.usage());
        response.native_finish_reasons = vec![reason];
        response.id = self.id;
        response.model = self.model;
        response.provider_cost = self.counts.cost;
        response.side_usage = self.counts.side;
        response.service_tier = self.tier;
        Ok(response)
    }

    fn partial(self) -> ChatResponse {
        let usage = match self.stop {
            Some(_) => self.counts.usage(),
            None => self.counts.partial(),
        };
        let parts = self.blocks.partial();
        let mut response = ChatResponse::new(parts, FinishReason::Error, usage);
        response.id = self.id;
        response.model = self.model;
        response.provider_cost = self.counts.cost;
        response.side_usage = self.counts.side;
        response
    }

    fn whole(mut self, body: &str) -> Result<ChatResponse, Failed> {
        let mut message: Message<'_> = object(body)?;
        if let Some(error) = message.error {
            return Err(Failed::Report(Report::of_value(error.get())));
        }
        let Some(content) = message.content.take() else {
            let message = "the reply holds no content";
            return Err(ModelError::new(ModelErrorKind::Decode, message).into());
        };
        keep(&mut self.stop, std::mem::take(&mut message.stop_reason));
        self.stop.get_or_insert_with(|| UNKNOWN_REASON.to_owned());
        self.envelope(message);
        for block in content {
            self.blocks.whole(block)?;
        }
        Ok(self.finish(&mut Events::none())?)
    }
}

impl Assembler {
    /// Takes what stands around the blocks.
    fn envelope(&mut self, message: Message<'_>) {
        keep(&mut self.id, message.id);
        keep(&mut self.model, message.model);
        self.used(message.usage);
    }

    fn used(&mut self, usage: Option<Box<WireUsage<'_>>>) {
        if let Some(mut usage) = usage {
            if let Some(tier) = std::mem::take(&mut usage.service_tier).filled() {
                self.tier = Some(tier.into_owned());
            }
            self.counts.report(*usage);
        }
    }
}

fn no_reason() -> ModelError {
    ModelError::truncated("the answer ended without a stop reason")
}
