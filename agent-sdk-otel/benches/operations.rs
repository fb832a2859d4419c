//! What watching one operation costs.
//!
//! One `chat` operation of an agent, from its start to its end, with usage, a price and a model's answer; on a current-thread
//! runtime, the agent around it open all the time.
//!
//! `cargo bench -p agent-sdk-otel --bench operations`, medians:
//!
//! | who watches | µs for an operation | before series were kept |
//! |---|---|---|
//! | nobody | 1.6 | 2.1 |
//! | metrics: 13 recordings in the default profile | 2.4 | 6.2 |
//! | metrics, for a stream of 101 pieces: 215 recordings | 8.2 | 15.4 |
//!
//! These are of processor time; those from before are of the clock.
//!
//! On a 2-core shared x86-64 VM that was busy with other work (load 3 to 7), November 2026: read them as upper bounds.

#![expect(
    clippy::print_stdout,
    clippy::expect_used,
    reason = "a benchmark talks to its reader and stops at the first error"
)]

use std::hint::black_box;
use std::num::NonZeroUsize;
use std::time::Duration;

use agent_sdk::model::Usage;
use agent_sdk::operation::{
    Observers, Operation, Outcome, Payload, RunContext, trace_agent, trace_chat,
};
use agent_sdk_otel::Telemetry;
use agent_sdk_otel::opentelemetry_sdk::trace::Sampler;
use axum::Router;
use criterion::{Criterion, criterion_group, criterion_main};
use tracing_subscriber::prelude::*;

/// The gaps between the pieces of a streamed answer.
const GAPS: usize = 100;

fn open_agent(observers: Observers) -> Operation {
    let context = RunContext::builder().observers(observers).build();
    trace_agent(&context, "triage").begin()
}

fn one_chat(agent: &Operation, gaps: usize) {
    let chat = trace_chat(agent.context(), "openai", "gpt-4o").begin();
    chat.record(|facts| {
        facts.usage = Usage::new(1_000, 50).with_cache_read(400);
        facts.response_model = Some("gpt-4o-2024-08-06".into());
        facts.response_id = Some("chatcmpl-1".into());
        if gaps > 0 {
            facts.first_chunk = Some(Duration::from_millis(300));
            facts.chunk_gaps_us = vec![20_000; gaps];
        }
    });
    black_box(chat).end(Outcome::Ok, Payload::None);
}

/// The address of a collector that takes everything, for as long as the process lives.
fn sink() -> String {
    let (ready, bound) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.expect("runtime").block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
                .await
                .expect("bind");
            ready
                .send(listener.local_addr().expect("address"))
                .expect("send");
            let app = Router::new().fallback(async |_: axum::body::Bytes| {});
            axum::serve(listener, app).await.expect("serve");
        });
    });
    format!("http://{}", bound.recv().expect("address"))
}

/// What this thread has used of a processor, which other work on the machine disturbs less than the clock's time.
fn cpu_time() -> Duration {
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(used).unwrap_or_default()
}

fn operations(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.expect("runtime");
    let _inside = runtime.enter();
    let mut group = criterion.benchmark_group("operation");
    group
        .measurement_time(Duration::from_secs(4))
        .warm_up_time(Duration::from_secs(1));

    let telemetry = Telemetry::builder().build().expect("telemetry");
    for (name, observers, gaps) in [
        ("nobody watches", Observers::none(), 0),
        ("metrics", telemetry.observers(), 0),
        ("nobody watches, a stream", Observers::none(), GAPS),
        (
            "metrics, a stream of 101 pieces",
            telemetry.observers(),
            GAPS,
        ),
    ] {
        let agent = open_agent(observers);
        group.bench_function(name, |bench| {
            bench.iter_custom(|operations| {
                let used = cpu_time();
                (0..operations).for_each(|_| one_chat(&agent, gaps));
                cpu_time().saturating_sub(used)
            });
        });
    }
    drop(telemetry);

    for (name, sampler) in [
        ("metrics and spans, unsampled", Sampler::AlwaysOff),
        ("metrics and spans, exported", Sampler::AlwaysOn),
    ] {
        let telemetry = Telemetry::builder()
            .endpoint(sink())
            .sampler(sampler)
            .queue_spans(NonZeroUsize::MAX)
            .build()
            .expect("telemetry");
        let subscriber = tracing_subscriber::registry().with(telemetry.layer());
        let guard = tracing::subscriber::set_default(subscriber);
        let agent = open_agent(telemetry.observers());
        group.bench_function(name, |bench| bench.iter(|| one_chat(&agent, 0)));
        drop((agent, guard));
        println!("{}", telemetry.shutdown());
    }
    group.finish();
}

criterion_group!(benches, operations);
criterion_main!(benches);
