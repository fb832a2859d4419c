//! The span observer: an operation's span, written at its end.
//!
//! Everything is written from the finished operation's record in one go, as the bytes that go over the wire, and leaves at once: a task
//! that still holds the `tracing` span open neither delays nor lengthens it. Nothing is computed for a span that the sampler left out.

pub(crate) mod attributes;
#[cfg(test)]
mod tests;

use std::cell::RefCell;

use agent_sdk::operation::{Kind, Observer, OperationInfo, OperationRecord, Outcome, Payload};
use opentelemetry::trace::{Link, SpanId, SpanKind, Status, TraceState};

use crate::content;
use crate::encode::{Ids, Limits, SpanWriter};
use crate::operation_span::{OperationSpan, theirs};
use crate::pipeline::{Pipeline, Scope};
use crate::profile::EmissionProfile;

thread_local! {
    /// Where this thread writes spans.
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A buffer that grew beyond this for one large span is given back.
const KEPT: usize = 64 * 1024;

/// Writes the spans of operations.
#[derive(Debug)]
pub(crate) struct SpanObserver {
    pub(crate) pipeline: Pipeline,
    pub(crate) scope: Scope,
    pub(crate) profile: EmissionProfile,
    /// Whether prompts, answers and tool data become attributes.
    pub(crate) content: bool,
    pub(crate) limits: Limits,
}

impl Observer for SpanObserver {
    fn started(&self, operation: &OperationInfo, payload: Payload<'_>) {
        if !self.content || !operation.trace.sampled {
            return;
        }
        if let Some(span) = OperationSpan::of(operation) {
            span.attributes(|all| {
                for attribute in content::of(payload) {
                    all.any(&attribute);
                }
            });
        }
    }

    fn ended(&self, record: &OperationRecord<'_>, payload: Payload<'_>) {
        if !record.info.trace.sampled {
            return;
        }
        if let Some(span) = OperationSpan::of(record.info) {
            BUFFER.with_borrow_mut(|buffer| {
                buffer.clear();
                self.write(record, payload, span, buffer);
                self.pipeline.push(&self.scope, buffer);
                buffer.shrink_to(KEPT);
            });
        }
    }
}

impl SpanObserver {
    fn write(
        &self,
        record: &OperationRecord<'_>,
        payload: Payload<'_>,
        span: &OperationSpan,
        out: &mut Vec<u8>,
    ) {
        let info = record.info;
        let parent = info.parent_trace;
        let ids = Ids {
            span: span.context(),
            parent: parent.map_or(SpanId::INVALID, |parent| parent.span_id.0.into()),
            parent_is_remote: parent.is_some_and(|parent| parent.remote),
        };
        // By the run's own clock: a clock that is set back cannot end it before it started.
        let end = info.started.checked_add(record.duration);
        let times = (info.started, end.unwrap_or(record.ended));
        let name = name(info.kind, &info.name);
        let kind = otel_kind(info.kind);
        let mut writer = SpanWriter::new(out, self.limits, ids, name, &kind, times);
        let written = span.end();
        if let Some(written) = &written {
            writer.parts(written);
        }
        writer.attributes(|all| {
            let agent = info.agent.as_deref();
            attributes::at_start(info.kind, &info.name, &info.details, agent, all);
            attributes::at_end(record, self.profile, all);
            if self.content {
                for attribute in content::of(payload) {
                    all.any(&attribute);
                }
            }
        });
        for link in &info.links {
            let to = theirs(*link, TraceState::NONE);
            writer.link(&Link::with_context(to));
        }
        let own = status(record);
        let others = written.and_then(|written| written.status);
        writer.end(&own.or(others).unwrap_or_default());
    }
}

/// A span's name in two parts, the second one empty where the first is all.
pub(crate) fn name(kind: Kind, name: &str) -> (&'static str, &str) {
    match kind {
        Kind::Attempt => (kind.span_name(), ""),
        kind => (kind.span_name(), name),
    }
}

/// The kind of span that an operation is.
pub(crate) fn otel_kind(kind: Kind) -> SpanKind {
    match kind {
        Kind::Chat | Kind::Embeddings | Kind::Attempt => SpanKind::Client,
        _ => SpanKind::Internal,
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
