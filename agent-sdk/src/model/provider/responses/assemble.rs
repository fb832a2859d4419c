//! An answer, put together from a whole body or from the events of a stream.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::{
    items::{Items, Kind},
    usage::WireUsage,
    wire::{Answer, Event, Incomplete, Many, ToolUsage, read},
};
use crate::{
    cost::Usd,
    model::{
        ChatResponse, FinishReason, ModelError, ModelErrorKind, Usage,
        wire::{Decode, Events, Failed, Flow, Frame, Framing, Limits, Report, keep, object},
    },
};

/// The last data of some servers' streams.
const DONE: &str = "[DONE]";

/// An answer that is being put together.
#[derive(Debug)]
pub(in crate::model) struct Assembler {
    id: Option<String>,
    model: Option<String>,
    tier: Option<String>,
    items: Items,
    /// Why the model stopped, once it said so.
    reason: Option<String>,
    usage: Usage,
    searches: Option<u64>,
    cost: Option<Usd>,
}

impl Decode for Assembler {
    const API: &'static str = "the Responses API";
    const FRAMING: Framing = Framing::Sse;

    fn new(limits: &Limits) -> Self {
        Self {
            id: None,
            model: None,
            tier: None,
            items: Items::new(limits.tool_argument_bytes),
            reason: None,
            usage: Usage::unknown(),
            searches: None,
            cost: None,
        }
    }

    fn event(&mut self, frame: Frame<'_>, events: &mut Events) -> Result<Flow, Failed> {
        if frame.event == "error" {
            return Err(self.fail(frame.data));
        }
        if frame.data == DONE {
            let message = "the stream ended before the answer was said to be whole";
            return Err(ModelError::truncated(message).into());
        }
        let event: Event<'_> = object(frame.data)?;
        let kind = event.kind.0.as_deref().unwrap_or(frame.event);
        if let Some(kind) = Kind::of_delta(kind) {
            self.items.more(kind, event, events)?;
            return Ok(Flow::More);
        }
        let index = event.output_index.0;
        match (kind, event.item, event.response) {
            ("response.output_item.added", Some(item), _) => {
                self.items.begin(index, item, events)?;
            }
            ("response.output_item.done", Some(item), _) => self.items.end(index, item, events)?,
            ("response.completed" | "response.incomplete" | "response.cancelled", _, response) => {
                let answer = self.envelope(read(response));
                self.last(answer.output, events)?;
                self.stop(&answer, kind);
                return Ok(Flow::Done);
            }
            ("response.failed", _, response) => {
                let answer = self.envelope(read(response));
                self.stop(&answer, kind);
                return Err(failure(answer.error));
            }
            ("error", ..) => return Err(self.fail(frame.data)),
            // A bare error, as gateways put one in the place of an event.
            ("" | "message", ..) if event.error.is_some() => return Err(failure(event.error)),
            (_, _, Some(response)) => {
                self.envelope(read(Some(response)));
            }
            _ => {}
        }
        Ok(Flow::More)
    }

    fn is_at_tail(&self) -> bool {
        self.reason.is_some()
    }

    fn finish(self, events: &mut Events) -> Result<ChatResponse, ModelError> {
        let Some(reason) = self.reason else {
            let message = "the answer ended without a status";
            return Err(ModelError::truncated(message));
        };
        let usage = usage(self.usage, self.searches, &self.items);
        let parts = self.items.finish(events)?;
        let mut response = ChatResponse::new(parts, FinishReason::Stop, usage);
        response.finish_reason = match &*reason {
            "completed" if response.message.tool_calls().next().is_some() => {
                FinishReason::ToolCalls
            }
            "completed" => FinishReason::Stop,
            "max_output_tokens" | "max_tokens" => FinishReason::Length,
            reason => FinishReason::from(reason),
        };
        response.native_finish_reasons = vec![reason];
        response.id = self.id;
        response.model = self.model;
        response.provider_cost = self.cost;
        response.service_tier = self.tier;
        Ok(response)
    }

    fn partial(self) -> ChatResponse {
        let usage = usage(self.usage, self.searches, &self.items);
        let mut response = ChatResponse::new(self.items.said(), FinishReason::Error, usage);
        response.id = self.id;
        response.model = self.model;
        response.provider_cost = self.cost;
        response.service_tier = self.tier;
        response.native_finish_reasons.extend(self.reason);
        response
    }

    fn whole(mut self, body: &str) -> Result<ChatResponse, Failed> {
        let answer = self.envelope(object(body)?);
        let failed = answer.status.0.as_deref() == Some("failed");
        if failed || answer.error.is_some() {
            return Err(failure(answer.error));
        }
        if answer.output.is_none() && answer.status.0.is_none() {
            let message = "the reply holds no output";
            return Err(ModelError::new(ModelErrorKind::Decode, message).into());
        }
        let mut events = Events::none();
        self.last(answer.output, &mut events)?;
        self.stop(&answer, "response.completed");
        Ok(self.finish(&mut events)?)
    }
}

impl Assembler {
    /// Takes what stands around the output.
    fn envelope<'a>(&mut self, mut answer: Answer<'a>) -> Answer<'a> {
        keep(&mut self.id, std::mem::take(&mut answer.id));
        keep(&mut self.model, std::mem::take(&mut answer.model));
        // At the beginning it is the tier that was asked for, at the end the one that answered.
        if let Some(tier) = std::mem::take(&mut answer.service_tier).filled() {
            self.tier = Some(tier.into_owned());
        }
        let reported: Option<WireUsage<'_>> = read(answer.usage);
        if let Some(reported) = reported {
            let usage = reported.usage();
            if !usage.is_unknown() {
                self.usage = usage;
            }
            self.cost = reported.cost().or(self.cost);
        }
        let tools: ToolUsage = read(answer.tool_usage);
        self.searches = tools.web_search.num_requests.0.or(self.searches);
        answer
    }

    /// Takes the output as the end of an answer tells it. Items that came whole before are known better than it: some servers
    /// leave it empty, or write another proof of the reasoning there.
    fn last(&mut self, output: Option<&RawValue>, events: &mut Events) -> Result<(), Failed> {
        let Some(output) = output else {
            return Ok(());
        };
        let known = self.items.has_whole();
        let output: Many<&RawValue> = serde_json::from_str(output.get())?;
        for (index, item) in (0..).zip(output) {
            if !known || self.items.is_open(index, item) {
                self.items.end(Some(index), item, events)?;
            }
        }
        Ok(())
    }

    /// Takes an event that is an error. The one with the answer's status, `failed`, may come only after it.
    fn fail(&mut self, data: &str) -> Failed {
        self.reason = Some("failed".to_owned());
        Failed::Report(Report::of_data(data))
    }

    /// Takes why the model stopped.
    fn stop(&mut self, answer: &Answer<'_>, event: &str) {
        let incomplete: Incomplete<'_> = read(answer.incomplete_details);
        let status = answer.status.0.as_deref();
        let status = status.filter(|status| !status.is_empty());
        let reason = match incomplete.reason.filled() {
            Some(reason) => reason,
            None => Cow::Borrowed(status.unwrap_or_else(|| event.trim_start_matches("response."))),
        };
        self.reason = Some(reason.into_owned());
    }
}

/// The usage with the searches that were reported, or else those that the items tell of.
fn usage(mut usage: Usage, reported: Option<u64>, items: &Items) -> Usage {
    let seen = Some(items.searches()).filter(|searches| *searches > 0);
    usage.web_search_requests = reported.or(seen);
    usage
}

fn failure(error: Option<&RawValue>) -> Failed {
    Failed::Report(Report::of_value(error.map_or("{}", RawValue::get)))
}
