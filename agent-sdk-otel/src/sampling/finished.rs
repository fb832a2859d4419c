//! What the sampler is shown of a span: of an operation, or of the user's own.

use agent_sdk::cost::Usd;
use agent_sdk::operation::{OperationRecord, Outcome};
use opentelemetry::Value;
use opentelemetry::trace::{SpanId, Status};
use opentelemetry_sdk::trace::SpanData;

use super::Finished;
use crate::attrs;

impl<'a, S> Finished<'a, S> {
    /// The span of an operation.
    pub(crate) fn of_operation(
        record: &OperationRecord<'_>,
        scope: &'a S,
        message: &'a [u8],
    ) -> Self {
        let info = record.info;
        let charged = record.facts.charges.iter().map(|(_, usd)| *usd);
        let own = record.cost.map_or(Usd::ZERO, |cost| cost.total);
        Self {
            scope,
            trace: info.trace.trace_id.0.to_be_bytes(),
            local_root: info.parent_trace.is_none_or(|parent| parent.remote),
            failed: record.outcome.is_failure(),
            duration: record.duration,
            cost_nanos: charged.fold(own, Usd::saturating_add).nanos(),
            budget_refused: record.outcome == Outcome::Budget,
            message,
        }
    }

    /// A span of the user's own.
    pub(crate) fn of_span(span: &SpanData, scope: &'a S, message: &'a [u8]) -> Self {
        let found = |name: &str| {
            let mut all = span.attributes.iter();
            all.find(|attribute| attribute.key.as_str() == name)
                .map(|attribute| &attribute.value)
        };
        let cost_nanos = match found(attrs::USAGE_COST) {
            Some(Value::F64(usd)) => nanos(*usd),
            _ => 0,
        };
        let duration = span.end_time.duration_since(span.start_time);
        Self {
            scope,
            trace: span.span_context.trace_id().to_bytes(),
            local_root: span.parent_span_id == SpanId::INVALID || span.parent_span_is_remote,
            failed: matches!(span.status, Status::Error { .. }),
            duration: duration.unwrap_or_default(),
            cost_nanos,
            budget_refused: false,
            message,
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float becomes the nearest number that there is"
)]
fn nanos(usd: f64) -> u64 {
    (usd * 1e9).round() as u64
}
