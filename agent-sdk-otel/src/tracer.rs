//! The tracer under the layer: the user's spans are the SDK's, those of operations are there already.
//!
//! `tracing-opentelemetry` asks a tracer for a span when somebody needs one: a child, `Span::context()`, an attribute. For the `tracing`
//! span of an operation it is then given a [`Handle`] to the span that the bridge keeps.

use std::borrow::Cow;
use std::sync::{Arc, Weak};
use std::time::SystemTime;

use opentelemetry::trace::{Event, Link, Span, SpanBuilder, SpanContext, Status, Tracer};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{SdkTracer, Span as SdkSpan};

use crate::ids;
use crate::operation_span::OperationSpan;

/// The name under which the layer asks for an operation's span.
pub(crate) const OPERATION: &str = "agent_sdk operation";

/// Makes the spans of a layer.
#[derive(Clone, Debug)]
pub(crate) struct BridgeTracer(pub(crate) SdkTracer);

impl Tracer for BridgeTracer {
    type Span = BridgeSpan;

    fn build_with_context(&self, builder: SpanBuilder, around: &Context) -> BridgeSpan {
        if builder.name != OPERATION {
            return BridgeSpan::User(Box::new(self.0.build_with_context(builder, around)));
        }
        // The layer starts it while the operation's `tracing` span opens.
        let handle = ids::next().map_or_else(Handle::of_none, |span| Handle::new(&span));
        BridgeSpan::Operation(handle)
    }
}

/// Hands what is written on an operation's span on to it.
///
/// It neither keeps the operation's span nor ends it: the operation does.
#[derive(Debug)]
pub(crate) struct Handle {
    context: SpanContext,
    span: Weak<OperationSpan>,
}

impl Handle {
    pub(crate) fn new(span: &Arc<OperationSpan>) -> Self {
        Self {
            context: span.context().clone(),
            span: Arc::downgrade(span),
        }
    }

    /// To no span.
    fn of_none() -> Self {
        Self {
            context: SpanContext::NONE,
            span: Weak::new(),
        }
    }

    fn open(&self) -> Option<Arc<OperationSpan>> {
        self.span.upgrade()
    }
}

/// A span of the user's, or a handle to an operation's.
#[derive(Debug)]
pub(crate) enum BridgeSpan {
    User(Box<SdkSpan>),
    Operation(Handle),
}

/// Passes a call on to a user's span, or does what it says with an operation's own, while that is there.
macro_rules! pass_on {
    ($to:expr, $call:ident($($given:expr),*), |$span:ident| $own:expr) => {
        match $to {
            BridgeSpan::User(span) => span.$call($($given),*),
            BridgeSpan::Operation(handle) => match handle.open() {
                Some($span) => $own,
                None => Default::default(),
            },
        }
    };
}

impl Span for BridgeSpan {
    fn add_event_with_timestamp<T>(
        &mut self,
        name: T,
        timestamp: SystemTime,
        attributes: Vec<KeyValue>,
    ) where
        T: Into<Cow<'static, str>>,
    {
        pass_on!(
            self,
            add_event_with_timestamp(name, timestamp, attributes),
            |span| span.event(&Event::new(name, timestamp, attributes, 0))
        );
    }

    fn span_context(&self) -> &SpanContext {
        match self {
            Self::User(span) => span.span_context(),
            Self::Operation(handle) => &handle.context,
        }
    }

    fn is_recording(&self) -> bool {
        pass_on!(self, is_recording(), |span| span.context().is_sampled()
            && span.is_open())
    }

    fn set_attribute(&mut self, attribute: KeyValue) {
        pass_on!(self, set_attribute(attribute), |span| span
            .attributes(|all| all.any(&attribute)));
    }

    fn set_status(&mut self, status: Status) {
        // As every span is started with.
        if matches!(self, Self::Operation(_)) && status == Status::Unset {
            return;
        }
        pass_on!(self, set_status(status), |span| span.set_status(status));
    }

    fn update_name<T>(&mut self, new_name: T)
    where
        T: Into<Cow<'static, str>>,
    {
        // An operation's name is its kind and what it is about.
        if let Self::User(span) = self {
            span.update_name(new_name);
        }
    }

    fn add_link(&mut self, to: SpanContext, attributes: Vec<KeyValue>) {
        pass_on!(self, add_link(to, attributes), |span| span
            .link(&Link::new(to, attributes, 0)));
    }

    fn end_with_timestamp(&mut self, timestamp: SystemTime) {
        if let Self::User(span) = self {
            span.end_with_timestamp(timestamp);
        }
    }
}
