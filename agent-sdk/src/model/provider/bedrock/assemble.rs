//! An answer, put together from a whole body or from the events of a stream.

use std::borrow::Cow;

use super::{
    blocks::Blocks,
    wire::{Event, Tier, Whole},
};
use crate::model::{
    ChatResponse, FinishReason, ModelError, ModelErrorKind, Usage,
    wire::{Count, Decode, Events, Failed, Flow, Frame, Framing, Limits, object},
};

/// The stop reason of a whole answer that names none.
const UNKNOWN_REASON: &str = "unknown";

/// An answer that is being put together.
#[derive(Debug)]
pub(in crate::model) struct Assembler {
    blocks: Blocks,
    stop: Option<String>,
    usage: Usage,
    tier: Option<String>,
}

impl Decode for Assembler {
    const API: &'static str = super::NAME;
    const FRAMING: Framing = Framing::AwsEventStream;

    fn new(limits: &Limits) -> Self {
        Self {
            blocks: Blocks::new(limits),
            stop: None,
            usage: Usage::unknown(),
            tier: None,
        }
    }

    fn event(&mut self, frame: Frame<'_>, events: &mut Events) -> Result<Flow, Failed> {
        let event: Event<'_> = object(frame.data)?;
        let index = Count(event.content_block_index.0.or(Some(0)));
        match frame.event {
            "contentBlockStart" => {
                let start = event.start.unwrap_or_default();
                self.blocks.begin(index, start, events)?;
            }
            "contentBlockDelta" => {
                let delta = event.delta.unwrap_or_default();
                self.blocks.add(index, delta, events)?;
            }
            "messageStop" => {
                let reason = event.stop_reason.filled();
                let reason = reason.unwrap_or(Cow::Borrowed(UNKNOWN_REASON));
                self.stop.get_or_insert_with(|| reason.into_owned());
            }
            "metadata" => {
                if let Some(usage) = event.usage {
                    self.usage = usage.usage();
                }
                self.tier(event.service_tier);
                // The last one, unless the model has not said yet why it stopped.
                if self.stop.is_some() {
                    return Ok(Flow::Done);
                }
            }
            _ => {}
        }
        Ok(Flow::More)
    }

    fn is_at_tail(&self) -> bool {
        self.stop.is_some()
    }

    fn finish(self, events: &mut Events) -> Result<ChatResponse, ModelError> {
        let Some(reason) = self.stop else {
            return Err(ModelError::truncated(
                "the answer ended without a stop reason",
            ));
        };
        let parts = self.blocks.finish(events)?;
        let finish = match &*reason {
            "end_turn" | "stop_sequence" => FinishReason::Stop,
            "tool_use" => FinishReason::ToolCalls,
            "max_tokens" | "model_context_window_exceeded" => FinishReason::Length,
            "guardrail_intervened" | "content_filtered" => FinishReason::ContentFilter,
            "malformed_model_output" | "malformed_tool_use" => FinishReason::Error,
            other => FinishReason::Other(other.to_owned()),
        };
        let mut response = ChatResponse::new(parts, finish, self.usage);
        response.native_finish_reasons = vec![reason];
        response.service_tier = self.tier;
        Ok(response)
    }

    fn partial(self) -> ChatResponse {
        ChatResponse::new(self.blocks.partial(), FinishReason::Error, self.usage)
    }

    fn whole(mut self, body: &str) -> Result<ChatResponse, Failed> {
        let whole: Whole<'_> = object(body)?;
        let Some(message) = whole.output.and_then(|output| output.message) else {
            let message = "the reply holds no message";
            return Err(ModelError::new(ModelErrorKind::Decode, message).into());
        };
        for block in message.content {
            self.blocks.whole(block)?;
        }
        if let Some(usage) = whole.usage {
            self.usage = usage.usage();
        }
        self.tier(whole.service_tier);
        let reason = whole.stop_reason.filled();
        self.stop = Some(reason.map_or_else(|| UNKNOWN_REASON.to_owned(), Cow::into_owned));
        Ok(self.finish(&mut Events::none())?)
    }
}

impl Assembler {
    fn tier(&mut self, tier: Option<Tier<'_>>) {
        if let Some(tier) = tier.and_then(|tier| tier.kind.filled()) {
            self.tier = Some(tier.into_owned());
        }
    }
}
