//! The OpenTelemetry side of an operation.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use agent_sdk::operation::{OperationInfo, SpanId, TraceContext, TraceId};
use opentelemetry::Context;
use opentelemetry::trace::{
    Event, Link, SpanContext, Status, TraceContextExt, TraceFlags, TraceState,
};

use crate::baggage::RunLabels;
use crate::encode::{Attributes, Limits, Parts};
use crate::tracer::{BridgeSpan, Handle};

/// An operation's span while it is open, kept on the operation as its attachment.
///
/// It costs little where nobody looks: what others write on it is kept encoded until the end.
#[derive(Debug)]
pub(crate) struct OperationSpan {
    context: SpanContext,
    /// What it was opened in: baggage and other values go on to what is opened in it.
    around: Context,
    /// What the spans inside it carry.
    run: RunLabels,
    /// The context of what runs inside it: the one in which it is found through its `tracing` span, where a layer of ours saw that open.
    inside: OnceLock<Context>,
    limits: Limits,
    /// `None` once it has ended.
    written: Mutex<Option<Parts>>,
}

impl OperationSpan {
    pub(crate) fn new(
        context: SpanContext,
        around: Context,
        run: RunLabels,
        limits: Limits,
    ) -> Self {
        Self {
            context,
            around,
            run,
            inside: OnceLock::new(),
            limits,
            written: Mutex::new(Some(Parts::default())),
        }
    }

    /// What was kept on an operation, if it was this bridge that named it.
    pub(crate) fn of(operation: &OperationInfo) -> Option<&Self> {
        operation.attachment.as_ref()?.downcast_ref()
    }

    /// Its place in the trace.
    pub(crate) fn context(&self) -> &SpanContext {
        &self.context
    }

    /// What it was opened in.
    pub(crate) fn around(&self) -> &Context {
        &self.around
    }

    /// What the spans inside it carry.
    pub(crate) fn run(&self) -> &RunLabels {
        &self.run
    }

    /// The values of what runs inside it, whatever span is in it.
    pub(crate) fn values(&self) -> Context {
        let inside = self.inside.get().cloned();
        inside.unwrap_or_else(|| self.run.put_into(&self.around))
    }

    /// The context of what runs inside it.
    pub(crate) fn inside(self: &Arc<Self>) -> &Context {
        self.inside.get_or_init(|| {
            let span = BridgeSpan::Operation(Handle::new(self));
            self.values().with_span(span)
        })
    }

    /// Takes the context in which it is found through its `tracing` span, if it is this operation that is found.
    pub(crate) fn found_as(&self, inside: Context) {
        if *inside.span().span_context() == self.context {
            let _ = self.inside.set(inside);
        }
    }

    /// Whether it has not ended.
    pub(crate) fn is_open(&self) -> bool {
        self.lock().is_some()
    }

    /// Adds attributes.
    pub(crate) fn attributes(&self, write: impl FnOnce(&mut Attributes<'_>)) {
        if let Some(parts) = self.lock().as_mut() {
            parts.attributes(self.limits, write);
        }
    }

    /// Adds an event.
    pub(crate) fn event(&self, event: &Event) {
        if let Some(parts) = self.lock().as_mut() {
            parts.event(self.limits, event);
        }
    }

    /// Adds a link.
    pub(crate) fn link(&self, link: &Link) {
        if let Some(parts) = self.lock().as_mut() {
            parts.link(self.limits, link);
        }
    }

    /// Sets a status, which holds where the operation's end says nothing of its own; the more important of two stays.
    pub(crate) fn set_status(&self, status: Status) {
        if let Some(parts) = self.lock().as_mut() {
            let before = parts.status.get_or_insert_default();
            if *before < status {
                *before = status;
            }
        }
    }

    /// Takes what was written on it; from now on it takes no more. `None` if it had ended before.
    pub(crate) fn end(&self) -> Option<Parts> {
        self.lock().take()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Parts>> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A span context as the core writes it; `None` where it is not valid.
pub(crate) fn ours(context: &SpanContext) -> Option<TraceContext> {
    if !context.is_valid() {
        return None;
    }
    let mut ours = TraceContext::new(
        TraceId(u128::from_be_bytes(context.trace_id().to_bytes())),
        SpanId(u64::from_be_bytes(context.span_id().to_bytes())),
        context.is_sampled(),
    );
    ours.remote = context.is_remote();
    Some(ours)
}

/// A context of the core as OpenTelemetry writes it.
pub(crate) fn theirs(trace: TraceContext, state: TraceState) -> SpanContext {
    SpanContext::new(
        trace.trace_id.0.into(),
        trace.span_id.0.into(),
        TraceFlags::default().with_sampled(trace.sampled),
        trace.remote,
        state,
    )
}
