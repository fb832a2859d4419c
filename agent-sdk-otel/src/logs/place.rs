//! Where in a run something was logged.

use std::collections::VecDeque;
use std::fmt::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use agent_sdk::operation::{Details, Kind, OperationInfo, OperationRecord, RunId, TraceContext};
use tracing::{Dispatch, Span, span};
use tracing_subscriber::Registry;
use tracing_subscriber::registry::{LookupSpan, SpanRef};

use super::LogLayer;

/// How many finished operations of a run are remembered.
const MAX_RECENT: usize = 8;

/// How many operations of a path are named; of a longer one, the innermost.
const MAX_PATH: usize = 16;

/// An operation as the lines inside it name it, kept on its `tracing` span.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) run_id: RunId,
    pub(super) trace: TraceContext,
    name: String,
    around: Option<Arc<Place>>,
    recent: Arc<Recent>,
}

impl Place {
    /// Puts an operation's place on its span, where a log layer wants it.
    pub(super) fn note(operation: &OperationInfo) {
        with_span(&operation.span, |span| {
            let around = span.parent().and_then(|parent| Self::of_scope(&parent));
            let same_run = |place: &&Arc<Place>| place.run_id == operation.run_id;
            let recent = around.as_ref().filter(same_run);
            let place = Self {
                run_id: operation.run_id.clone(),
                trace: operation.trace,
                name: name(operation),
                recent: recent.map(|place| place.recent.clone()).unwrap_or_default(),
                around,
            };
            span.extensions_mut().replace(Arc::new(place));
        });
    }

    /// The place of an operation, where it was noted.
    pub(super) fn of(operation: &OperationInfo) -> Option<Arc<Self>> {
        with_span(&operation.span, |span| {
            span.extensions().get::<Arc<Self>>().cloned()
        })?
    }

    /// The place of the nearest operation at or around a span.
    fn of_scope<'a, R: LookupSpan<'a>>(span: &SpanRef<'a, R>) -> Option<Arc<Self>> {
        span.scope()
            .find_map(|span| span.extensions().get::<Arc<Self>>().cloned())
    }

    /// The operations from the outermost to this one, such as `invoke_agent triage > chat gpt-5`.
    pub(super) fn path(&self) -> String {
        let mut names = vec![self.name.as_str()];
        let mut around = self.around.as_ref();
        while let Some(place) = around {
            if names.len() == MAX_PATH {
                names.push("…");
                break;
            }
            names.push(&place.name);
            around = place.around.as_ref();
        }
        names.reverse();
        names.join(" > ")
    }

    /// Remembers that an operation of the run ended.
    pub(super) fn remember(&self, record: &OperationRecord<'_>) {
        let failure = record.facts.error.as_ref();
        let ended = Ended {
            name: self.name.clone(),
            outcome: failure.map_or(record.outcome.as_str().into(), |failure| {
                failure.class.clone()
            }),
            duration: record.duration,
        };
        let mut recent = self.recent.lock();
        if recent.len() == MAX_RECENT {
            recent.pop_front();
        }
        recent.push_back(ended);
    }

    /// What ended last in the run, oldest first, in words.
    pub(super) fn recent(&self) -> String {
        let mut words = String::new();
        for ended in self.recent.lock().iter() {
            let between = if words.is_empty() { "" } else { "; " };
            let (name, outcome) = (&ended.name, &ended.outcome);
            let _ = write!(
                words,
                "{between}{name}: {outcome} after {:.1?}",
                ended.duration
            );
        }
        words
    }
}

/// The last operations of a run to end.
#[derive(Debug, Default)]
struct Recent(Mutex<VecDeque<Ended>>);

impl Recent {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Ended>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
struct Ended {
    name: String,
    outcome: std::borrow::Cow<'static, str>,
    duration: Duration,
}

/// An operation's name in a path.
fn name(operation: &OperationInfo) -> String {
    match (operation.kind, &operation.details) {
        (Kind::Attempt, Details::Attempt(attempt)) => format!("attempt {}", attempt.number),
        _ => operation.span_name().into_owned(),
    }
}

/// What the registry keeps of a span, where there is a log layer to care for it.
fn with_span<T>(span: &Span, see: impl FnOnce(SpanRef<'_, Registry>) -> T) -> Option<T> {
    if !LogLayer::is_made() {
        return None;
    }
    let look = |(id, dispatch): (&span::Id, &Dispatch)| {
        if !dispatch.is::<LogLayer>() {
            return None;
        }
        Some(see(dispatch.downcast_ref::<Registry>()?.span(id)?))
    };
    span.with_subscriber(look)?
}
