//! What a scrape costs.
//!
//! `cargo bench -p agent-sdk-otel --bench scrape`, of 200 pages each, milliseconds:
//!
//! | page | p50 | p99 | p99 of processor time |
//! |---|---|---|---|
//! | 10,000 lines, of 500 histograms (2.7 MB), either form | 1.8 | 6.4 | 3.0 |
//! | 10,000 counters with seven labels each (2.8 MB), either form | 18 | 35 | 29 |
//!
//! On a 2-core shared x86-64 VM that was busy with other work (load 3 to 4), November 2026: read them as upper bounds.

#![expect(
    clippy::print_stdout,
    clippy::expect_used,
    reason = "a benchmark talks to its reader and stops at the first error"
)]

use std::time::{Duration, Instant};

use agent_sdk_otel::opentelemetry::metrics::MeterProvider;
use agent_sdk_otel::{Telemetry, attrs, metric};

const SCRAPES: usize = 200;

fn labels(model: usize, agent: usize) -> Vec<agent_sdk_otel::opentelemetry::KeyValue> {
    vec![
        attrs::text(attrs::OPERATION_NAME, "chat"),
        attrs::text(attrs::PROVIDER_NAME, "openai"),
        attrs::text(attrs::REQUEST_MODEL, format!("model-{model}")),
        attrs::text(attrs::RESPONSE_MODEL, format!("model-{model}-2026-08-06")),
        attrs::text(attrs::AGENT_NAME, format!("agent-{agent}")),
        attrs::text(attrs::SERVER_ADDRESS, "api.openai.com"),
        attrs::int(attrs::SERVER_PORT, 443),
    ]
}

/// Lines of histograms, 20 each.
fn histograms(lines: usize) -> Telemetry {
    let telemetry = Telemetry::builder().build().expect("telemetry");
    let meter = telemetry.meter_provider().meter("agent-sdk");
    let series = lines / 20;
    let instruments = [
        metric::INFERENCE_DURATION.f64_histogram(&meter),
        metric::OPERATION_DURATION.f64_histogram(&meter),
    ];
    for instrument in &instruments {
        for index in 0..series / 2 {
            for value in [0.1, 0.5, 3.0, 20.0] {
                instrument.record(value, &labels(index % 10, index));
            }
        }
    }
    telemetry
}

/// Counters, one line each.
fn counters(series: usize) -> Telemetry {
    let telemetry = Telemetry::builder().build().expect("telemetry");
    let meter = telemetry.meter_provider().meter("agent-sdk");
    let instruments = [
        metric::INFERENCE_INPUT_TOKENS,
        metric::INFERENCE_OUTPUT_TOKENS,
        metric::INFERENCE_CACHE_READ_TOKENS,
        metric::INFERENCE_CACHE_WRITE_TOKENS,
        metric::INFERENCE_REASONING_TOKENS,
    ]
    .map(|def| def.u64_counter(&meter));
    for instrument in &instruments {
        for index in 0..series / 5 {
            instrument.add(1_000, &labels(index % 10, index));
        }
    }
    telemetry
}

fn scrape(name: &str, telemetry: &Telemetry) {
    for accept in ["text/plain", "application/openmetrics-text; version=1.0.0"] {
        let (mut wall, mut cpu) = (Vec::new(), Vec::new());
        let mut bytes = 0;
        for _ in 0..SCRAPES {
            let (began, used) = (Instant::now(), cpu_time());
            bytes = telemetry.metrics_page(accept).expect("page").body.len();
            wall.push(began.elapsed());
            cpu.push(cpu_time().saturating_sub(used));
        }
        let at = |times: &mut Vec<Duration>, percent: usize| {
            times.sort_unstable();
            let found = times.get(SCRAPES * percent / 100).copied();
            found.unwrap_or_default().as_secs_f64() * 1e3
        };
        println!(
            "{name}, {accept}: {bytes} bytes, p50 {:.1} ms, p99 {:.1} ms; processor p50 {:.1} ms, p99 {:.1} ms",
            at(&mut wall, 50),
            at(&mut wall, 99),
            at(&mut cpu, 50),
            at(&mut cpu, 99)
        );
    }
}

/// What this thread has used of a processor.
fn cpu_time() -> Duration {
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(used).unwrap_or_default()
}

fn main() {
    scrape("10,000 lines, of 500 histograms", &histograms(10_000));
    scrape("10,000 counters", &counters(10_000));
}
