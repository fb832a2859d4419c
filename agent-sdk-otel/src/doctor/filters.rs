//! What would hide the spans of operations.

use opentelemetry::trace::{SpanKind, TraceId};
use opentelemetry_sdk::trace::{Sampler, SamplingDecision, ShouldSample};
use tracing::level_filters::{LevelFilter, STATIC_MAX_LEVEL};

use super::Finding;
use crate::settings::{Settings, Signal};

/// The target of the spans that operations open.
const TARGET: &str = "agent_sdk::operation";

/// Whether traces are recorded at all.
pub(super) fn sampling(settings: &Settings) -> Vec<Finding> {
    const CHECK: &str = "sampling";
    if settings.disabled || !matches!(settings.target(Signal::Traces), Ok(Some(_))) {
        return Vec::new();
    }
    let share = share(&settings.sampler());
    let mut findings = vec![if share <= 0.0 {
        Finding::failed(CHECK, "no trace that begins here is recorded")
            .advice("OTEL_TRACES_SAMPLER is always_off, or its ratio is 0: choose another.")
    } else if share < 1.0 {
        let percent = share * 100.0;
        Finding::ok(
            CHECK,
            format!("{percent:.2} % of the traces that begin here are recorded"),
        )
    } else {
        Finding::ok(CHECK, "every trace that begins here is recorded")
    }];
    if let Some(tail) = &settings.tail {
        let rules = format!("tail sampling: {tail}");
        findings.push(if share < 1.0 {
            Finding::warning(CHECK, format!("{rules}; but not every trace gets there")).advice(
                "Leave OTEL_TRACES_SAMPLER at its default: what it leaves out cannot be kept.",
            )
        } else {
            Finding::ok(CHECK, rules)
        });
    }
    findings
}

/// The share of the traces without a parent that a sampler records. It is asked, so that it does not matter which it is: those of the
/// standard record the ids below a bound.
fn share(sampler: &Sampler) -> f64 {
    let is_recorded = |low: u64| {
        let id = TraceId::from(u128::from(low) | 1 << 64);
        let kind = SpanKind::Internal;
        let result = sampler.should_sample(None, id, "agent_sdk_doctor", &kind, &[], &[]);
        result.decision == SamplingDecision::RecordAndSample
    };
    if is_recorded(u64::MAX) {
        return 1.0;
    }
    let (mut share, mut bound) = (0.0, 0);
    for bit in 1..=20_u32 {
        let next = bound + (1 << (64 - bit));
        if is_recorded(next - 1) {
            bound = next;
            share += 0.5_f64.powi(bit.cast_signed());
        }
    }
    if share == 0.0 && is_recorded(0) {
        return f64::MIN_POSITIVE;
    }
    share
}

/// Whether the spans of operations are compiled in, and whether the subscriber that is in place wants them.
pub(super) fn levels() -> Vec<Finding> {
    const CHECK: &str = "filters";
    if STATIC_MAX_LEVEL < LevelFilter::INFO {
        let says = format!(
            "`tracing` is compiled with the level {STATIC_MAX_LEVEL} at most: the program's own spans are gone"
        );
        return vec![
            Finding::failed(CHECK, says)
                .advice("Remove the features `max_level_…` and `release_max_level_…` of `tracing` below `info`."),
        ];
    }
    if tracing::span_enabled!(target: TARGET, tracing::Level::INFO) {
        return vec![Finding::ok(
            CHECK,
            "the subscriber wants the spans of operations",
        )];
    }
    let says = if tracing::dispatcher::get_default(|dispatch| {
        dispatch.is::<tracing::subscriber::NoSubscriber>()
    }) {
        "there is no subscriber: operations are exported, but spans of the program do not nest with them"
    } else {
        "a filter hides the spans of operations: they are exported, but spans of the program do not nest with them"
    };
    vec![Finding::warning(CHECK, says).advice(
        "Add `Telemetry::layer()` to the subscriber, and give each other layer a filter of its own: one for the whole subscriber, \
         such as `EnvFilter` at `warn`, hides traces.",
    )]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::FindingStatus;
    use tracing_subscriber::prelude::*;

    #[test]
    fn samplers_that_record_nothing_are_found() {
        let parent = |root: Sampler| Sampler::ParentBased(Box::new(root));
        let mut settings = Settings {
            endpoint: Some(crate::settings::Address::new(
                "http://localhost:1",
                "the test",
            )),
            ..Settings::default()
        };
        for (sampler, expected) in [
            (Sampler::AlwaysOff, FindingStatus::Failed),
            (parent(Sampler::AlwaysOff), FindingStatus::Failed),
            (Sampler::TraceIdRatioBased(0.0), FindingStatus::Failed),
            (
                parent(Sampler::TraceIdRatioBased(0.0)),
                FindingStatus::Failed,
            ),
            (parent(Sampler::TraceIdRatioBased(0.25)), FindingStatus::Ok),
            (parent(Sampler::AlwaysOn), FindingStatus::Ok),
        ] {
            settings.sampler = Some(sampler.clone());
            let found = sampling(&settings);
            assert_eq!(found[0].status, expected, "{sampler:?}: {found:?}");
        }
        settings.sampler = Some(parent(Sampler::TraceIdRatioBased(0.25)));
        assert!(sampling(&settings)[0].says.contains("25.00 %"));
        settings.tail = Some("errors".parse().unwrap());
        assert_eq!(sampling(&settings)[1].status, FindingStatus::Warning);
    }

    #[test]
    fn a_filter_on_the_whole_subscriber_is_found() {
        let status = |filter| {
            let subscriber = tracing_subscriber::registry().with(filter);
            tracing::subscriber::with_default(subscriber, || levels()[0].status)
        };
        assert_eq!(status(LevelFilter::WARN), FindingStatus::Warning);
        assert_eq!(status(LevelFilter::INFO), FindingStatus::Ok);
    }
}
