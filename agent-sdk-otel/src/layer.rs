//! The layer that turns `tracing` spans into OpenTelemetry spans.

use opentelemetry_sdk::trace::SdkTracer;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

/// Libraries under the exporter: what they record would be exported, and recorded again.
const NOISE: &[&str] = &["hyper", "hyper_util", "h2", "tonic", "tower", "reqwest"];

/// The lean layer, spans only.
///
/// Events stay off it: one of level `ERROR` would mark the span as failed although the failure was
/// handled, and every one would become a span event with its text. Locations, threads and busy
/// times are off because each is an attribute on every span.
pub(crate) fn lean<S>(tracer: Option<SdkTracer>) -> impl Layer<S> + Send + Sync + 'static
where
    S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
{
    tracer.map(|tracer| {
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
            .with_filter(filter_fn(is_exported))
    })
}

fn is_exported(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && !is_noise(metadata.target())
}

fn is_noise(target: &str) -> bool {
    let root = target.split("::").next().unwrap_or(target);
    root.starts_with("opentelemetry") || NOISE.contains(&root)
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
