//! The span observer: what an operation's span is given at its end.
//!
//! Everything is written from the finished operation's record in one go, through the OpenTelemetry context that the id source kept
//! on it, and the span leaves at once: a task that still holds the `tracing` span open neither delays nor lengthens it. Nothing
//! is computed for a span that the sampler left out.

mod attributes;
#[cfg(test)]
mod tests;

use agent_sdk::operation::{Observer, OperationInfo, OperationRecord, Outcome, Payload};
use opentelemetry::trace::{Status, TraceContextExt};

use crate::content;
use crate::ids::{Attached, theirs};
use crate::pipeline::with_times;
use crate::profile::EmissionProfile;

/// Ends the spans of operations, with their attributes.
#[derive(Debug)]
pub(crate) struct SpanObserver {
    pub(crate) profile: EmissionProfile,
    /// Whether prompts, answers and tool data become attributes.
    pub(crate) content: bool,
}

impl Observer for SpanObserver {
    fn started(&self, operation: &OperationInfo, payload: Payload<'_>) {
        if !self.content || !operation.trace.sampled {
            return;
        }
        if let Some(attached) = Attached::of(operation) {
            attached.context.span().set_attributes(content::of(payload));
        }
    }

    fn ended(&self, record: &OperationRecord<'_>, payload: Payload<'_>) {
        let info = record.info;
        if !info.trace.sampled {
            return;
        }
        let Some(attached) = Attached::of(info) else {
            return;
        };
        let span = attached.context.span();
        span.set_attributes(attributes::of(record, self.profile));
        if self.content {
            span.set_attributes(content::of(payload));
        }
        for link in &info.links {
            span.add_link(theirs(*link), Vec::new());
        }
        if let Some(status) = status(record) {
            span.set_status(status);
        }
        let end = info
            .started
            .checked_add(record.duration)
            .unwrap_or(record.ended);
        with_times(info.started, end, || span.end_with_timestamp(end));
    }
}

/// What was paused or skipped neither failed nor succeeded.
fn status(record: &OperationRecord<'_>) -> Option<Status> {
    if record.outcome.is_failure() {
        let failure = record.facts.error.as_ref();
        let words = failure.map_or(record.outcome.as_str(), |failure| failure.message.as_str());
        return Some(Status::error(words.to_owned()));
    }
    (record.outcome == Outcome::Ok).then_some(Status::Ok)
}
