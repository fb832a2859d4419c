//! Operations get their place in a trace, and a span that is exported for them.

use std::cell::RefCell;
use std::sync::Arc;

use agent_sdk::operation::{
    Baggage, IdSource, Identity, Opening, OperationInfo, RandomIds, TraceContext, TraceId,
    TraceState as SentState,
};
use opentelemetry::Context;
use opentelemetry::trace::{TraceContextExt, TraceState};
use opentelemetry_sdk::trace::{Sampler, SamplingDecision, ShouldSample};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::baggage::{self, RunLabels};
use crate::encode::Limits;
use crate::operation_span::{OperationSpan, ours, theirs};
use crate::pipeline::Pipeline;
use crate::spans::{self, attributes};

thread_local! {
    /// The operation that was named last on this thread, for the layer, which sees its `tracing` span next.
    static NEXT: RefCell<Option<Arc<OperationSpan>>> = const { RefCell::new(None) };
}

/// The operation whose `tracing` span is being opened on this thread.
pub(crate) fn next() -> Option<Arc<OperationSpan>> {
    NEXT.with_borrow(Clone::clone)
}

/// The id source that goes with [`Telemetry`](crate::Telemetry).
///
/// An operation hangs under the operation around it, under the place that its caller named, or under the span that is current: the
/// user's own, or another library's. Whether a layer of ours, or any, sees its `tracing` span makes no difference to what is exported.
#[derive(Debug)]
pub(crate) struct SpanIds {
    /// As in the settings.
    pub(crate) sampler: Option<Sampler>,
    pub(crate) pipeline: Pipeline,
    pub(crate) limits: Limits,
    /// The members of baggage that become attributes.
    pub(crate) baggage_keys: Arc<[String]>,
}

impl IdSource for SpanIds {
    fn identify(&self, operation: &Opening<'_>) -> Identity {
        if Context::map_current(Context::is_telemetry_suppressed) {
            // The run still needs ids, of a trace that nobody records.
            let mut identity = RandomIds::default().identify(operation);
            identity.trace.sampled = false;
            return identity;
        }
        let outer = operation.parent.and_then(OperationSpan::of);
        let (around, parent, state) = match (outer, operation.above()) {
            (Some(outer), above) => (
                values_inside(outer),
                above,
                outer.context().trace_state().clone(),
            ),
            (None, Some(above)) => {
                let state = baggage::trace_state(operation.trace_state);
                (Context::current(), Some(above), state)
            }
            (None, None) => {
                let around = Context::current();
                let current = around.span().span_context().clone();
                (around, ours(&current), current.trace_state().clone())
            }
        };
        let mut trace = parent
            .as_ref()
            .map_or_else(TraceContext::random_root, TraceContext::random_child);
        trace.sampled = self.samples(operation, parent, trace.trace_id);
        if !trace.sampled {
            self.pipeline.unsampled();
        }
        let run = RunLabels::of(operation, &around, &self.baggage_keys);
        let span = OperationSpan::new(theirs(trace, state), around, run, self.limits);
        let span = Arc::new(span);
        NEXT.set(Some(span.clone()));
        Identity {
            trace,
            parent,
            attachment: Some(span),
        }
    }

    fn travelling(&self, operation: &OperationInfo) -> Option<(SentState, Baggage)> {
        baggage::travelling(operation)
    }

    fn opened(&self, identity: &Identity, span: &Span) {
        let operation = identity.attachment.as_ref();
        if let Some(operation) = operation.and_then(|kept| kept.downcast_ref::<OperationSpan>()) {
            // Asking starts it, so that what is written on the `tracing` span goes to the operation's at once.
            operation.found_as(span.context());
        }
        // What no layer looked at belongs to nobody any more.
        NEXT.set(None);
    }
}

impl SpanIds {
    /// Whether a new operation is recorded; attributes are only made for a sampler that may look at them.
    fn samples(
        &self,
        operation: &Opening<'_>,
        parent: Option<TraceContext>,
        trace: TraceId,
    ) -> bool {
        let sampler = match (&self.sampler, parent) {
            (Some(Sampler::AlwaysOn), _) | (None, None) => return true,
            (Some(Sampler::AlwaysOff), _) => return false,
            (Some(Sampler::ParentBased(_)) | None, Some(parent)) => return parent.sampled,
            (Some(sampler), _) => sampler,
        };
        let parent = parent.map(|parent| {
            Context::new().with_remote_span_context(theirs(parent, TraceState::NONE))
        });
        let mut attributes = Vec::new();
        attributes::at_start(
            operation.kind,
            operation.name,
            operation.details,
            operation.agent,
            &mut attributes,
        );
        let name = operation.details.span_name(operation.kind, operation.name);
        let decision = sampler.should_sample(
            parent.as_ref(),
            trace.0.into(),
            &name,
            &spans::otel_kind(operation.kind),
            &attributes,
            &[],
        );
        decision.decision == SamplingDecision::RecordAndSample
    }
}

/// The values that an operation inside another one is opened with: those that are current, where the other one's code runs.
fn values_inside(outer: &OperationSpan) -> Context {
    Context::map_current(|current| {
        if current.span().span_context().span_id() == outer.context().span_id() {
            current.clone()
        } else {
            outer.values()
        }
    })
}
