//! What the sampler is shown of a span of the OpenTelemetry SDK.

use agent_sdk::operation::Outcome;
use opentelemetry::Value;
use opentelemetry::trace::{SpanId, Status};
use opentelemetry_sdk::trace::SpanData;

use super::Finished;
use crate::attrs;

impl<'a, S> Finished<'a, S> {
    pub(crate) fn of(span: &SpanData, scope: &'a S, message: &'a [u8]) -> Self {
        let found = |name: &str| {
            let mut all = span.attributes.iter();
            all.find(|attribute| attribute.key.as_str() == name)
                .map(|attribute| &attribute.value)
        };
        let cost_nanos = match found(attrs::USAGE_COST) {
            Some(Value::F64(usd)) => nanos(*usd),
            _ => 0,
        };
        let outcome = found(attrs::OUTCOME);
        let duration = span.end_time.duration_since(span.start_time);
        Self {
            scope,
            trace: span.span_context.trace_id().to_bytes(),
            local_root: span.parent_span_id == SpanId::INVALID || span.parent_span_is_remote,
            failed: matches!(span.status, Status::Error { .. }),
            duration: duration.unwrap_or_default(),
            cost_nanos,
            budget_refused: outcome
                .is_some_and(|outcome| outcome.as_str() == Outcome::Budget.as_str()),
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
