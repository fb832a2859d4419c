//! The span observer: an operation's span, written at its end.
//!
//! Everything is written from the finished operation's record in one go, as the bytes that go over the wire, and leaves at once: a task
//! that still holds the `tracing` span open neither delays nor lengthens it. Nothing is computed for a span that the sampler left out.

pub(crate) mod attributes;
mod contract;
#[cfg(test)]
mod contract_tests;
mod hex;
mod known;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::sync::Arc;

use agent_sdk::operation::{Kind, Observer, OperationInfo, OperationRecord, Outcome, Payload};
use opentelemetry::metrics::Counter;
use opentelemetry::trace::{Link, SpanId, SpanKind, Status, TraceState};

use crate::content::{Capture, Clean};
use crate::encode::{Ids, Limits, SpanWriter, nanos};
use crate::operation_span::{OperationSpan, theirs};
use crate::pipeline::{Pipeline, Scope};
use crate::profile::EmissionProfile;
use crate::sampling::{Finished, TailSampler};
use known::Known;

thread_local! {
    /// Where this thread writes spans.
    static DESK: RefCell<Desk> = const { RefCell::new(Desk { buffer: Vec::new(), known: Known::new() }) };
}

/// What a thread needs to write spans.
struct Desk {
    buffer: Vec<u8>,
    known: Known,
}

/// A buffer that grew beyond this for one large span is given back.
const KEPT: usize = 64 * 1024;

/// Writes the spans of operations.
#[derive(Debug)]
pub(crate) struct SpanObserver {
    pub(crate) pipeline: Pipeline,
    /// Decides what leaves, where that is switched on.
    pub(crate) tail: Option<Arc<TailSampler<Pipeline>>>,
    pub(crate) scope: Scope,
    pub(crate) profile: EmissionProfile,
    /// Whether spans say what they are in the words of `OpenInference` too.
    pub(crate) openinference: bool,
    /// Takes prompts, answers and tool data.
    pub(crate) capture: Capture,
    pub(crate) limits: Limits,
    /// What spans had no room for.
    pub(crate) dropped: Counter<u64>,
}

impl Observer for SpanObserver {
    fn started(&self, operation: &OperationInfo, payload: Payload<'_>) {
        // Files are written of what is not sampled too.
        let content = self.capture.take(operation, payload);
        if content.is_empty() || !operation.trace.sampled {
            return;
        }
        if let Some(span) = OperationSpan::of(operation) {
            span.attributes(|all| {
                for (name, text) in &content {
                    all.clean(name, text);
                }
            });
        }
    }

    fn ended(&self, record: &OperationRecord<'_>, payload: Payload<'_>) {
        let content = self.capture.take(record.info, payload);
        if !record.info.trace.sampled {
            return;
        }
        if let Some(span) = OperationSpan::of(record.info) {
            DESK.with_borrow_mut(|Desk { buffer, known }| {
                buffer.clear();
                self.write(record, &content, span, known, buffer);
                let redactor = self.capture.redactor();
                self.pipeline
                    .without_secrets(redactor, buffer, |message| match &self.tail {
                        Some(tail) => {
                            tail.offer(&Finished::of_operation(record, &self.scope, message));
                        }
                        None => self.pipeline.push(&self.scope, message),
                    });
                buffer.shrink_to(KEPT);
            });
        }
    }
}

impl SpanObserver {
    fn write(
        &self,
        record: &OperationRecord<'_>,
        content: &[(&'static str, Clean)],
        span: &OperationSpan,
        known: &mut Known,
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
        let start = nanos(info.started);
        let took = u64::try_from(record.duration.as_nanos()).unwrap_or(u64::MAX);
        let times = (start, start.saturating_add(took));
        let mut writer = SpanWriter::begin(out, self.limits, ids, times);
        let written = span.end();
        if let Some(written) = &written {
            writer.parts(written);
        }
        known.write(info, self.limits, &mut writer);
        writer.attributes(|all| attributes::outcome(record, all));
        if !writer.shared(span.run().encoded(self.limits)) {
            writer.attributes(|all| attributes::of_run(&info.run_id, &info.labels, all));
        }
        writer.attributes(|all| {
            attributes::of_end(record, self.profile, all);
            span.run().baggage().iter().for_each(|entry| all.any(entry));
            if self.openinference {
                contract::openinference(info.kind, all);
            }
            for (name, text) in content {
                all.clean(name, text);
            }
        });
        for link in &info.links {
            let to = theirs(*link, TraceState::NONE);
            writer.link(&Link::with_context(to));
        }
        let own = status(record);
        let others = written.and_then(|written| written.status);
        let dropped = writer.end(&own.or(others).unwrap_or_default());
        if dropped > 0 {
            self.dropped.add(dropped.into(), &[]);
        }
    }
}

/// The kind of span that an operation is.
pub(crate) fn otel_kind(kind: Kind) -> SpanKind {
    if kind.is_client() {
        SpanKind::Client
    } else {
        SpanKind::Internal
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
