//! The layer that logs events.

use std::cell::Cell;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use agent_sdk::operation::{Clock, TraceContext};
use opentelemetry::Context as OtelContext;
use opentelemetry::trace::TraceContextExt;
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::entry::{Entry, Fields};
use super::place::Place;
use super::redact::Redact;
use crate::operation_span::ours;

/// Events whose own words say where they belong.
const OURS: &str = "agent_sdk::evaluation";

thread_local! {
    /// Whether this thread is logging: what that logs itself would be logged for ever.
    static LOGGING: Cell<bool> = const { Cell::new(false) };
}

/// Whether this process ever made a layer that logs: until then no operation looks for one in its subscriber.
static IS_MADE: AtomicBool = AtomicBool::new(false);

/// Where entries go.
pub(super) trait Sink: Send + Sync + 'static {
    /// Takes an entry; must not wait.
    fn take(&self, entry: &Entry);
}

/// Gives every event, with the ids of where it happened, to a sink. It is one type whatever the sink is, so that it can be found in a
/// subscriber.
pub(crate) struct LogLayer {
    sink: Arc<dyn Sink>,
    redact: Redact,
    clock: Arc<dyn Clock>,
    /// Whether what happens where telemetry is suppressed is left out: the exporter's own doings.
    skips_suppressed: bool,
}

impl LogLayer {
    pub(super) fn new(sink: Arc<dyn Sink>, redact: Redact, clock: Arc<dyn Clock>) -> Self {
        IS_MADE.store(true, Ordering::Relaxed);
        Self {
            sink,
            redact,
            clock,
            skips_suppressed: false,
        }
    }

    /// Whether one was ever made.
    pub(super) fn is_made() -> bool {
        IS_MADE.load(Ordering::Relaxed)
    }

    /// Leaves out what happens where telemetry is suppressed.
    pub(super) fn without_suppressed(mut self) -> Self {
        self.skips_suppressed = true;
        self
    }
}

impl fmt::Debug for LogLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogLayer").finish_non_exhaustive()
    }
}

impl<S> Layer<S> for LogLayer
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    fn on_event(&self, event: &Event<'_>, layers: Context<'_, S>) {
        if self.skips_suppressed && OtelContext::map_current(OtelContext::is_telemetry_suppressed) {
            return;
        }
        if LOGGING.replace(true) {
            return;
        }
        let _over = Over;
        let metadata = event.metadata();
        let mut fields = Fields::new(&self.redact, metadata.target() == OURS);
        event.record(&mut fields);
        let (operation, around) = surroundings(event, &layers);
        let said = fields.trace();
        let run_id = fields.run_id.take();
        let operation = if said.is_some() { None } else { operation };
        let safe = |text: &str| self.redact.apply(text).into_owned();
        let entry = Entry {
            time: self.clock.now(),
            metadata,
            trace: said.or(around),
            run_id: run_id.or_else(|| {
                let place = operation.as_ref()?;
                Some(safe(place.run_id.as_str()))
            }),
            message: fields.message,
            fields: fields.list,
            path: operation.map(|place| safe(&place.path())),
        };
        self.sink.take(&entry);
    }
}

/// Ends the logging, also where a redactor panics.
struct Over;

impl Drop for Over {
    fn drop(&mut self) {
        LOGGING.set(false);
    }
}

/// The operation in which an event happened, and the span.
fn surroundings<S>(
    event: &Event<'_>,
    layers: &Context<'_, S>,
) -> (Option<Arc<Place>>, Option<TraceContext>)
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let mut spans = layers.event_scope(event).into_iter().flatten();
    let place = |span: tracing_subscriber::registry::SpanRef<'_, S>| {
        span.extensions().get::<Arc<Place>>().cloned()
    };
    let innermost = spans.next().and_then(place);
    if let Some(place) = innermost {
        let trace = place.trace;
        return (Some(place), Some(trace));
    }
    // A span of the user's is nearer, if anything is.
    let place = spans.find_map(place);
    let own = place.as_ref().map(|place| place.trace);
    let current = event.is_contextual().then(current).flatten();
    let current = current.filter(|current| own.is_none_or(|own| own.trace_id == current.trace_id));
    (place, current.or(own))
}

/// The span that is current on this thread.
fn current() -> Option<TraceContext> {
    OtelContext::map_current(|context| ours(context.span().span_context()))
}
