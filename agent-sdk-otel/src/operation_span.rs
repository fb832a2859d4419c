//! The OpenTelemetry side of an operation.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use agent_sdk::operation::{OperationInfo, SpanId, TraceContext, TraceId};
use opentelemetry::Context;
use opentelemetry::trace::{
    Event, Link, SpanContext, Status, TraceContextExt, TraceFlags, TraceState,
};
use tracing::dispatcher::WeakDispatch;
use tracing::{Span, span};
use tracing_opentelemetry::get_otel_context;

use crate::baggage::RunLabels;
use crate::encode::{Attributes, Limits, Parts};
use crate::tracer::{BridgeSpan, Handle};

/// An operation's span while it is open, kept on the operation as its attachment.
///
/// It costs little where nobody looks: the OpenTelemetry context of what runs inside it is made when the `tracing` span is first
/// entered, and what others write on it is kept encoded until the end.
#[derive(Debug)]
pub(crate) struct OperationSpan {
    context: SpanContext,
    /// What it was opened in: baggage and other values go on to what is opened in it.
    around: Context,
    /// What the spans inside it carry.
    run: RunLabels,
    inside: OnceLock<Context>,
    /// The `tracing` span, where a layer of ours saw it open.
    opened: OnceLock<(span::Id, WeakDispatch)>,
    /// Whether code that is not ours runs inside it, which may write on it.
    written_on: bool,
    limits: Limits,
    /// `None` once it has ended.
    written: Mutex<Option<Parts>>,
}

impl OperationSpan {
    pub(crate) fn new(
        context: SpanContext,
        around: Context,
        run: RunLabels,
        written_on: bool,
        limits: Limits,
    ) -> Self {
        Self {
            context,
            around,
            run,
            inside: OnceLock::new(),
            opened: OnceLock::new(),
            written_on,
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
    pub(crate) fn values(&self) -> &Context {
        self.inside.get().unwrap_or(&self.around)
    }

    /// The context of what runs inside it.
    pub(crate) fn inside(self: &Arc<Self>) -> &Context {
        self.inside.get_or_init(|| {
            let span = BridgeSpan::Operation(Handle::new(self));
            self.run.put_into(&self.around).with_span(span)
        })
    }

    /// Whether code that is not ours runs inside it.
    pub(crate) fn is_written_on(&self) -> bool {
        self.written_on
    }

    /// Remembers the `tracing` span on which a user may write.
    pub(crate) fn opened(&self, span: &Span) {
        if !self.written_on {
            return;
        }
        span.with_subscriber(|(id, dispatch)| {
            let _ = self.opened.set((id.clone(), dispatch.downgrade()));
        });
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
        // An attribute that was set on the `tracing` span waits in the layer until somebody asks for the span's context.
        let opened = self.opened.get();
        if let Some((id, dispatch)) = opened
            && let Some(dispatch) = dispatch.upgrade()
        {
            drop(get_otel_context(id, &dispatch));
        }
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
