//! What every span inside a run carries beside its own attributes: the run's labels, and of the caller's baggage what is asked for.
//!
//! An operation puts it into the OpenTelemetry context of what runs inside it. So the user's own spans in a run say whose
//! they are, and a back end can filter a session or a tenant without a join.

use std::sync::{Arc, OnceLock};

use agent_sdk::message::ConversationId;
use agent_sdk::operation::{Baggage, Labels, Opening, OperationInfo, RunId, TraceState};
use opentelemetry::baggage::BaggageExt;
use opentelemetry::{Context, KeyValue, StringValue, trace};

use crate::attrs;
use crate::encode::{Limits, Parts};
use crate::operation_span::OperationSpan;
use crate::spans::attributes;

/// The longest value of baggage that becomes an attribute, in bytes.
const MAX_VALUE: usize = 1_024;

/// What a run's spans carry, in the context of what runs inside an operation. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct RunLabels {
    run: RunId,
    labels: Arc<Labels>,
    /// `None` where none is asked for, which is nearly always.
    baggage: Option<Arc<[KeyValue]>>,
    /// The run and its labels as attributes, which its operations share.
    encoded: Arc<OnceLock<Parts>>,
}

impl RunLabels {
    /// Those of an operation that is about to start in a context; of its baggage, these keys.
    pub(crate) fn of(operation: &Opening<'_>, around: &Context, keys: &[String]) -> Self {
        let outer = operation.parent.and_then(OperationSpan::of);
        let outer = outer.map(OperationSpan::run).filter(|outer| {
            Arc::ptr_eq(&outer.labels, operation.labels) && outer.run == *operation.run_id
        });
        Self {
            run: operation.run_id.clone(),
            labels: operation.labels.clone(),
            baggage: chosen(operation.baggage, around, keys),
            encoded: outer.map_or_else(Arc::default, |outer| outer.encoded.clone()),
        }
    }

    /// The run and its labels as attributes.
    pub(crate) fn encoded(&self, limits: Limits) -> &Parts {
        self.encoded.get_or_init(|| {
            let mut parts = Parts::default();
            parts.attributes(limits, |all| {
                attributes::of_run(&self.run, &self.labels, all);
            });
            parts
        })
    }

    /// The baggage that the operation's own span carries; its labels are there anyway.
    pub(crate) fn baggage(&self) -> &[KeyValue] {
        self.baggage.as_deref().unwrap_or_default()
    }

    /// A context in which spans find this.
    pub(crate) fn put_into(&self, around: &Context) -> Context {
        match around.get::<Self>() {
            Some(known) if known.is(self) => around.clone(),
            _ => around.with_value(self.clone()),
        }
    }

    fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.encoded, &other.encoded) && self.baggage == other.baggage
    }
}

/// The attributes that a span which starts in this context carries; none outside of runs.
pub(crate) fn inherited(context: &Context) -> impl Iterator<Item = KeyValue> {
    let run = context.get::<RunLabels>();
    run.into_iter().flat_map(|run| {
        let labels = &*run.labels;
        let conversation = labels.conversation.as_ref().map(ConversationId::as_str);
        let known = [
            (attrs::RUN_ID, Some(run.run.as_str())),
            (attrs::CONVERSATION_ID, conversation),
            (attrs::SESSION_ID, labels.session.as_deref()),
            (attrs::USER_ID, labels.user.as_deref()),
        ];
        let known = known
            .into_iter()
            .filter_map(|(name, value)| Some(attrs::text(name, value?.to_owned())));
        let tags = labels.tags.iter().map(|(key, value)| {
            let name = format!("{}{key}", attrs::TAG_PREFIX);
            attrs::custom(name, value.clone())
        });
        known.chain(tags).chain(run.baggage().iter().cloned())
    })
}

/// What a request made inside an operation sends along, by the bridge's knowledge.
pub(crate) fn travelling(operation: &OperationInfo) -> Option<(TraceState, Baggage)> {
    let span = OperationSpan::of(operation)?;
    let state = span.context().trace_state().header();
    let mut baggage = Baggage::new();
    for (key, (value, _)) in span.around().baggage() {
        // What has no place in a header stays behind.
        if let Some(more) = baggage.clone().with(key.as_str(), value.as_str()) {
            baggage = more;
        }
    }
    Some((TraceState::read(&state).0, baggage))
}

/// The vendors' part of a caller's trace, as OpenTelemetry keeps it.
pub(crate) fn trace_state(state: &TraceState) -> trace::TraceState {
    let header = state.as_str().and_then(|header| header.parse().ok());
    header.unwrap_or(trace::TraceState::NONE)
}

/// Of the baggage of a run and of its caller what is to become attributes; the run's own word counts.
fn chosen(own: &Baggage, around: &Context, keys: &[String]) -> Option<Arc<[KeyValue]>> {
    if keys.is_empty() {
        return None;
    }
    let theirs = around.baggage();
    let values = keys.iter().filter_map(|key| {
        let value = own.get(key);
        let value = value.or_else(|| theirs.get(key).map(StringValue::as_str))?;
        let value = value.get(..value.floor_char_boundary(MAX_VALUE))?;
        Some(attrs::custom(key.clone(), value.to_owned()))
    });
    Some(values.collect())
}

#[cfg(test)]
mod tests;
