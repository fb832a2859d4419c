//! Operations get the ids of the spans that are exported for them.

use std::sync::Arc;

use agent_sdk::model::ModelInfo;
use agent_sdk::operation::{
    Details, IdSource, Identity, Kind, Opening, OperationInfo, RandomIds, SpanId, TraceContext,
    TraceId,
};
use opentelemetry::trace::{
    SpanContext, SpanKind, TraceContextExt, TraceFlags, TraceState, Tracer,
};
use opentelemetry::{Context, KeyValue, trace};
use opentelemetry_sdk::trace::SdkTracer;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::attrs;

/// The OpenTelemetry side of an operation, kept on it as its attachment.
#[derive(Debug)]
pub(crate) struct Attached {
    pub(crate) context: Context,
    /// Whether the span was started here, because no `tracing` layer of ours saw the operation's span.
    detached: bool,
}

impl Attached {
    /// What was kept on an operation, if it was this bridge that named it.
    pub(crate) fn of(operation: &OperationInfo) -> Option<&Self> {
        operation.attachment.as_ref()?.downcast_ref()
    }
}

/// The id source that goes with [`Telemetry`](crate::Telemetry).
///
/// An operation's span is the one that the layer opened for its `tracing` span. Where there is none, because the layer is not
/// installed or a filter on the whole subscriber deletes the span, a span is started on the same tracer: operations are exported
/// all the same, and only the user's own spans inside them are missing.
#[derive(Debug)]
pub(crate) struct SpanIds {
    pub(crate) tracer: SdkTracer,
}

impl IdSource for SpanIds {
    fn identify(&self, operation: &Opening<'_>) -> Identity {
        let outer = operation.parent.and_then(Attached::of);
        // A parent that the layer does not know has to be named.
        let named = match (outer, operation.above()) {
            (Some(outer), _) if outer.detached => Some(outer.context.clone()),
            (None, Some(above)) => Some(remote(above)),
            _ => None,
        };
        let parent = operation.above().or_else(current);
        if let Some(context) = &named {
            // Fails where there is no layer, which the next lines find out.
            let _ = operation.span.set_parent(context.clone());
        }
        let mut attached = Attached {
            context: operation.span.context(),
            detached: false,
        };
        if !attached.context.span().span_context().is_valid() {
            let around = named
                .or_else(|| outer.map(|outer| outer.context.clone()))
                .unwrap_or_else(Context::current);
            attached = Attached {
                context: self.start(operation, &around),
                detached: true,
            };
        }
        let Some(trace) = ours(attached.context.span().span_context()) else {
            // Telemetry is suppressed here: the run still needs ids, of a trace that nobody records.
            let mut identity = RandomIds::default().identify(operation);
            identity.trace.sampled = false;
            return identity;
        };
        Identity {
            trace,
            parent,
            attachment: Some(Arc::new(attached)),
        }
    }
}

impl SpanIds {
    fn start(&self, operation: &Opening<'_>, around: &Context) -> Context {
        let kind = match operation.kind {
            Kind::Chat | Kind::Embeddings | Kind::Attempt => SpanKind::Client,
            _ => SpanKind::Internal,
        };
        let name = match (operation.kind, operation.name) {
            (Kind::Attempt, _) | (_, "") => operation.kind.span_name().to_owned(),
            (kind, name) => format!("{} {name}", kind.span_name()),
        };
        let builder = trace::SpanBuilder::from_name(name)
            .with_kind(kind)
            .with_attributes(start_attributes(operation));
        let span = self.tracer.build_with_context(builder, around);
        around.with_span(span)
    }
}

/// The attributes that samplers see, the same that the core puts on its `tracing` span.
fn start_attributes(operation: &Opening<'_>) -> Vec<KeyValue> {
    let owned = |name, value: &str| attrs::text(name, value.to_owned());
    let name = operation.name;
    let mut all = Vec::with_capacity(6);
    let called = match operation.kind {
        Kind::Attempt => {
            all.push(attrs::text(attrs::HTTP_REQUEST_METHOD, "POST"));
            None
        }
        Kind::Step => {
            all.push(owned(attrs::STEP_NAME, name));
            None
        }
        kind => Some(kind.span_name()),
    };
    all.extend(called.map(|called| attrs::text(attrs::OPERATION_NAME, called)));
    let model: Option<&ModelInfo> = match operation.details {
        Details::Chat(chat) => Some(&chat.model),
        Details::Embeddings(embeddings) => Some(&embeddings.model),
        Details::Attempt(attempt) => Some(&attempt.model),
        _ => None,
    };
    match (operation.kind, operation.details) {
        (Kind::Agent, details) => {
            all.push(owned(attrs::AGENT_NAME, name));
            if let Details::Agent(agent) = details {
                let agent_type = agent.agent_type.clone();
                all.extend(agent_type.map(|value| attrs::text(attrs::AGENT_TYPE, value)));
            }
        }
        (Kind::Tool, _) => {
            all.push(owned(attrs::TOOL_NAME, name));
            all.push(attrs::text(attrs::TOOL_TYPE, "function"));
            all.extend(operation.agent.map(|name| owned(attrs::AGENT_NAME, name)));
        }
        (Kind::Workflow, _) => all.push(owned(attrs::WORKFLOW_NAME, name)),
        (Kind::Chat | Kind::Embeddings, _) => {
            let provider = model.map(|model| model.provider.clone());
            all.extend(provider.map(|provider| attrs::text(attrs::PROVIDER_NAME, provider)));
            all.push(owned(attrs::REQUEST_MODEL, name));
        }
        _ => {}
    }
    if let Some(model) = model {
        let address = model.server_address.clone();
        all.extend(address.map(|address| attrs::text(attrs::SERVER_ADDRESS, address)));
        let port = model.server_port;
        all.extend(port.map(|port| attrs::int(attrs::SERVER_PORT, port.into())));
    }
    all
}

/// The span around this code, the user's own or another library's.
fn current() -> Option<TraceContext> {
    Context::map_current(|context| ours(context.span().span_context()))
}

/// A span context as the core writes it; `None` where it is not valid.
fn ours(context: &SpanContext) -> Option<TraceContext> {
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
pub(crate) fn theirs(trace: TraceContext) -> SpanContext {
    SpanContext::new(
        trace.trace_id.0.into(),
        trace.span_id.0.into(),
        TraceFlags::default().with_sampled(trace.sampled),
        trace.remote,
        TraceState::default(),
    )
}

fn remote(above: TraceContext) -> Context {
    Context::new().with_remote_span_context(theirs(above))
}
