//! The layer that turns `tracing` spans into OpenTelemetry spans.
//!
//! The user's spans are `tracing-opentelemetry`'s from beginning to end. Those of operations are opened and exported by the bridge; here
//! they only have to be *found*: as the current context of the code inside them, as the parent of a user's span, and by
//! `Span::current().context()` or `set_attribute`. `tracing-opentelemetry` finds what it put on a span itself, so it is shown a span without
//! fields, and is asked for its context at once: [`BridgeTracer`] answers with a handle to the operation's span. Entering an operation's span, which
//! every poll of its future does, only makes its context current.

use std::cell::RefCell;
use std::sync::Arc;

use opentelemetry::{Context as OtelContext, ContextGuard};
use tracing::callsite::{Callsite, Identifier};
use tracing::field::FieldSet;
use tracing::metadata::Kind;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Level, Metadata, Subscriber};
use tracing_opentelemetry::OpenTelemetryLayer;
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, Filter};
use tracing_subscriber::registry::LookupSpan;

use crate::ids;
use crate::operation_span::OperationSpan;
use crate::tracer::{BridgeTracer, OPERATION};

/// Libraries under the exporter: what they record would be exported, and recorded again.
const NOISE: &[&str] = &["hyper", "hyper_util", "h2", "tonic", "tower", "reqwest"];

/// The target of the core's spans of operations.
pub(crate) const TARGET: &str = "agent_sdk::operation";

/// The name of those in which only the core's own code runs.
const ATTEMPT: &str = "attempt";

/// The layer, spans only.
///
/// Events stay off it: one of level `ERROR` would mark the span as failed although the failure was handled, and every one would become
/// a span event with its text.
pub(crate) fn lean<S>(tracer: Option<BridgeTracer>) -> impl Layer<S> + Send + Sync + 'static
where
    S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
{
    tracer.map(|tracer| {
        let bridge = BridgeLayer {
            users: lean_users(tracer.clone()),
        };
        // `tracing-opentelemetry` answers `Span::context()` only through a layer of its own type in the subscriber. This one is there to
        // be found and sees nothing itself.
        let found = lean_users(tracer).with_filter(Only(|_| false));
        found.and_then(bridge.with_filter(Only(is_exported)))
    })
}

/// Locations, threads and busy times are off because each is an attribute on every span.
fn lean_users<S>(tracer: BridgeTracer) -> OpenTelemetryLayer<S, BridgeTracer>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    tracing_opentelemetry::layer()
        .with_tracer(tracer)
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false)
        .with_error_fields_to_exceptions(false)
        .with_error_records_to_exceptions(false)
        .with_error_events_to_exceptions(false)
        .with_error_events_to_status(false)
}

/// Attempts are not asked for: nothing that is exported opens in them, and a span that no layer asks for costs nothing.
fn is_exported(metadata: &Metadata<'_>) -> bool {
    metadata.is_span()
        && if metadata.target() == TARGET {
            metadata.name() != ATTEMPT
        } else {
            !is_noise(metadata.target())
        }
}

/// A filter by what never changes of a span.
struct Only(fn(&Metadata<'_>) -> bool);

impl<S> Filter<S> for Only {
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        self.0(metadata)
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.0(metadata) {
            Interest::always()
        } else {
            Interest::never()
        }
    }
}

pub(crate) fn is_noise(target: &str) -> bool {
    let root = target.split("::").next().unwrap_or(target);
    root.starts_with("opentelemetry") || NOISE.contains(&root)
}

/// The user's spans by `tracing-opentelemetry`, those of operations by the bridge.
struct BridgeLayer<S> {
    users: OpenTelemetryLayer<S, BridgeTracer>,
}

/// On the `tracing` span of an operation.
struct Operation(Arc<OperationSpan>);

/// Whose span was entered.
enum Entered {
    Users,
    Operation(OtelContext),
}

thread_local! {
    /// The contexts of operations that are current on this thread because their spans were entered.
    static ENTERED: RefCell<Vec<(Id, ContextGuard)>> = const { RefCell::new(Vec::new()) };
}

impl<S> Layer<S> for BridgeLayer<S>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, layers: Context<'_, S>) {
        let is_operation = attributes.metadata().target() == TARGET;
        let Some(operation) = is_operation.then(ids::next).flatten() else {
            return self.users.on_new_span(attributes, id, layers);
        };
        let before = layers.span(id).map(|span| {
            let mut extensions = span.extensions_mut();
            extensions.replace(Operation(operation.clone())).is_some()
        });
        // Where two such layers are installed, the first is the one that has it.
        if before == Some(false) {
            let values = operation.values().attach();
            let fields = FOUND.fields();
            let none = fields.value_set_all(&[]);
            let shown = Attributes::new(&FOUND, &none);
            self.users.on_new_span(&shown, id, layers);
            drop(values);
        }
    }

    fn on_enter(&self, id: &Id, layers: Context<'_, S>) {
        let entered = layers.span(id).map(|span| {
            if span.metadata().target() != TARGET {
                return Entered::Users;
            }
            let extensions = span.extensions();
            // An operation that others named is a span like the user's.
            extensions
                .get::<Operation>()
                .map_or(Entered::Users, |operation| {
                    Entered::Operation(operation.0.inside().clone())
                })
        });
        match entered {
            Some(Entered::Users) => self.users.on_enter(id, layers),
            Some(Entered::Operation(inside)) => {
                let guard = inside.attach();
                ENTERED.with_borrow_mut(|entered| entered.push((id.clone(), guard)));
            }
            None => {}
        }
    }

    fn on_exit(&self, id: &Id, layers: Context<'_, S>) {
        let guard = ENTERED.with_borrow_mut(|entered| {
            // Nearly always the last.
            let place = entered.iter().rposition(|(own, _)| own == id)?;
            Some(entered.remove(place))
        });
        if guard.is_none() {
            self.users.on_exit(id, layers);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, layers: Context<'_, S>) {
        self.users.on_record(id, values, layers);
    }

    fn on_follows_from(&self, id: &Id, follows: &Id, layers: Context<'_, S>) {
        // A span that is closed by now has nothing to put a link on; one that followed itself would wait for itself.
        if id != follows && layers.span(id).is_some() {
            self.users.on_follows_from(id, follows, layers);
        }
    }

    fn on_close(&self, id: Id, layers: Context<'_, S>) {
        // An operation's span left when the operation ended.
        let operation = layers
            .span(&id)
            .map(|span| span.extensions().get::<Operation>().is_some());
        if operation == Some(false) {
            self.users.on_close(id, layers);
        }
    }
}

/// What `tracing-opentelemetry` is shown in place of an operation's span: its name says what it is, and there is nothing to read in it.
struct Found;

static CALLSITE: Found = Found;

static FOUND: Metadata<'static> = Metadata::new(
    OPERATION,
    TARGET,
    Level::INFO,
    None,
    None,
    None,
    FieldSet::new(&[], Identifier(&CALLSITE)),
    Kind::SPAN,
);

impl Callsite for Found {
    fn set_interest(&self, _: Interest) {}

    fn metadata(&self) -> &Metadata<'_> {
        &FOUND
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_whole_crates_only() {
        for target in [
            "opentelemetry-otlp",
            "opentelemetry_sdk::trace",
            "h2::codec",
            "tower",
        ] {
            assert!(is_noise(target), "{target}");
        }
        // A user's server spans come from `tower_http`.
        for target in [
            "tower_http::trace::make_span",
            "my_app::reqwest",
            "hyperion",
        ] {
            assert!(!is_noise(target), "{target}");
        }
    }
}
