//! What the pipeline keeps up with, and what telemetry costs, against a collector on loopback in a
//! process of its own that answers each request after 0 to 20 ms.
//!
//! `cargo bench -p agent-sdk-otel --bench export`, or with `-- MODE` one of them:
//!
//! - `steady`: 50,000 spans of 12 attributes a second for 20 s from 8 threads;
//! - `drop`: a million as fast as 8 threads can: the account is exact;
//! - `spill`: the same, where what does not fit goes to disk and is sent later: none is lost;
//! - `restart`: the same, shut down at once; the next process sends what the first left on disk;
//! - `operations`: chat and tool operations in turn with all that watches them, 50,000 a second for
//!   10 s from 8 threads, each polled three times;
//! - `bare`: the same operations with nobody watching;
//! - `operations-fast` and `bare-fast`: the same, 400,000 as fast as 8 threads can, waiting for room;
//! - `spans-fast`: these with spans alone, without metrics;
//! - `plan`: ten plans of 10,000 steps that do nothing, each step a span; `plan-bare`: the same with nobody watching.
//!
//! Settings are the default ones where nothing else is said. CPU is that of the whole process
//! without the collector's, from the first span until the last is settled, by the kernel's account;
//! it holds what making the spans costs, and in the paced modes what waking 8 threads 200 times a
//! second does.
//!
//! On a 2-core shared x86-64 VM that other work kept busy as well (load 3 to 6), November 2026, the
//! least and the most of three runs. Read CPU as an upper bound.
//!
//! | mode | lost | most on disk | peak MiB | seconds until settled | µs CPU for each |
//! |---|---|---|---|---|---|
//! | `steady` | 0 | none | 15 | 20.01 to 20.02 | 2.7 to 2.9 |
//! | `drop` | 277,000 to 464,000, all counted | none | 64 to 72 | 1.5 to 2.9 | 1.4 to 1.5 |
//! | `spill` | 0 | 490,000 to 514,000 | 96 to 112 | 3.1 to 3.5 | 1.7 to 2.0 |
//! | `restart` | 0 | 530,000 to 569,000 | 86 to 96 | 0.5 to 0.7 after the second start | 1.5 to 1.8 |
//! | `operations` | 0 | none | 101 | 10.2 | 7.2 to 9.1 |
//! | `bare` | | | 66 | 10.0 | 2.3 to 3.1 |
//! | `operations-fast` | 0 | none | 95 | 2.5 to 3.3 | 5.9 to 7.3 |
//! | `spans-fast` | 0 | none | 96 | 2.9 to 3.3 | 5.2 to 6.4 |
//! | `bare-fast` | | | 67 | 1.0 to 1.2 | 1.6 to 2.5 |
//! | `plan` | 0 | none | 45 | 0.8 | 8.6 |
//! | `plan-bare` | | | 33 | 0.6 | 6.0 |

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a benchmark talks to its reader and stops at the first error"
)]

mod collector;

use std::pin::pin;
use std::process::Command;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use agent_sdk::model::Usage;
use agent_sdk::operation::{
    Observers, OperationHandle, Outcome, Payload, RunContext, trace_agent, trace_chat, trace_tool,
};
use agent_sdk::orchestrator::Orchestrator;
use agent_sdk::plan::{Plan, Step};
use agent_sdk::registry::Registry;
use agent_sdk_otel::{ExportAccount, SpillSettings, Telemetry, TelemetryBuilder, WhenFull, attrs};
use opentelemetry::KeyValue;
use opentelemetry::trace::{Span, Tracer, TracerProvider};
use tracing_subscriber::prelude::*;

use collector::{Collector, collect};

const THREADS: u64 = 8;
const PER_SECOND: u64 = 50_000;
const BURST: u64 = 1_000_000;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let mut modes = words.iter().filter(|word| !word.starts_with('-'));
    match modes.next().map(String::as_str) {
        Some("collector") => collect(),
        Some(part @ ("leave" | "recover")) => {
            restart(part, modes.next().unwrap(), modes.next().unwrap());
        }
        Some(mode) => run(mode),
        // A test run of all targets starts this without the argument.
        None if words.iter().any(|word| word == "--bench") => {
            // Each in a process of its own, whose peak of memory is its own.
            for mode in [
                "steady",
                "drop",
                "spill",
                "restart",
                "operations",
                "bare",
                "operations-fast",
                "spans-fast",
                "bare-fast",
                "plan",
                "plan-bare",
            ] {
                let program = std::env::current_exe().unwrap();
                assert!(Command::new(program).arg(mode).status().unwrap().success());
            }
        }
        None => {}
    }
}

fn run(mode: &str) {
    let collector = Collector::start();
    let directory = std::env::temp_dir().join(format!("agent-sdk-export-{}", std::process::id()));
    let builder = Telemetry::builder()
        .service_name("bench")
        .endpoint(&collector.url);
    let builder = match mode {
        "spill" => builder.when_full(WhenFull::Spill(SpillSettings::new(&directory))),
        "operations-fast" | "spans-fast" | "plan" => {
            builder.when_full(WhenFull::Block(Duration::from_secs(30)))
        }
        _ => builder,
    };
    let paced = Some(PER_SECOND);
    match mode {
        "steady" => spans(mode, builder, &collector, paced, 20 * PER_SECOND),
        "drop" | "spill" => spans(mode, builder, &collector, None, BURST),
        "restart" => {
            for part in ["leave", "recover"] {
                let mut process = Command::new(std::env::current_exe().unwrap());
                let process = process.arg(part).arg(&collector.url).arg(&directory);
                assert!(process.status().unwrap().success());
            }
            assert_eq!(collector.count(), BURST);
        }
        "operations" => operations(mode, Some(builder), &collector, paced, 10 * PER_SECOND),
        "bare" => operations(mode, None, &collector, paced, 10 * PER_SECOND),
        "operations-fast" | "spans-fast" => {
            operations(mode, Some(builder), &collector, None, 400_000);
        }
        "bare-fast" => operations(mode, None, &collector, None, 400_000),
        "plan" => plans(mode, Some(builder), &collector),
        "plan-bare" => plans(mode, None, &collector),
        other => panic!("no mode is called {other}"),
    }
    let _ = std::fs::remove_dir_all(&directory);
}

/// One of the two processes of `restart`: it leaves spans on disk, or finds them there.
fn restart(part: &str, url: &str, directory: &str) {
    let collector = Collector::at(url);
    let builder = Telemetry::builder()
        .service_name("bench")
        .endpoint(url)
        .when_full(WhenFull::Spill(SpillSettings::new(directory)));
    if part == "leave" {
        spans("restart", builder, &collector, None, BURST);
    } else {
        recover(builder, &collector);
    }
}

fn spans(
    mode: &str,
    builder: TelemetryBuilder,
    collector: &Collector,
    per_second: Option<u64>,
    total: u64,
) {
    let telemetry = builder.build().unwrap();
    let began = Began::now();
    threads(per_second, total, || {
        let tracer = telemetry.tracer_provider().unwrap().tracer("bench");
        move |_| span(&tracer)
    });
    let took = began.clock.elapsed();
    let most = telemetry.account().spilled;
    if mode == "spill" {
        until("all is sent", || telemetry.account().spilled == 0);
    }
    if mode != "restart" {
        telemetry.flush(Duration::from_secs(30));
    }
    let cpu = began.cpu();
    let report = telemetry.shutdown();
    let account = report.spans;
    assert_eq!(account.ended, total, "{report}");
    check(&account, collector.count());
    if mode != "drop" {
        assert_eq!(account.lost(), 0, "{report}");
    }
    println!(
        "{mode}: {total} spans in {:.2} s, all settled after {:.2} s: {} exported, {} lost, {} on \
         disk at the end and {most} when the last was made; peak {} MiB; {:.2} µs CPU for each",
        took.as_secs_f64(),
        began.clock.elapsed().as_secs_f64(),
        account.exported,
        account.lost(),
        account.spilled,
        peak_mib(),
        micros(cpu, total),
    );
}

/// What a process does that finds the files of an earlier one.
fn recover(builder: TelemetryBuilder, collector: &Collector) {
    let began = Instant::now();
    let before = collector.count();
    let telemetry = builder.build().unwrap();
    until("all is recovered", || collector.count() == BURST);
    let account = telemetry.shutdown().recovered;
    check(&account, BURST - before);
    assert_eq!((account.lost(), account.spilled), (0, 0), "{account:?}");
    println!(
        "restart: {} spans found on disk and {} exported after {:.2} s",
        account.ended,
        account.exported,
        began.elapsed().as_secs_f64(),
    );
}

fn operations(
    mode: &str,
    builder: Option<TelemetryBuilder>,
    collector: &Collector,
    per_second: Option<u64>,
    total: u64,
) {
    let telemetry = builder.map(|builder| builder.build().unwrap());
    if let Some(telemetry) = &telemetry {
        let subscriber = tracing_subscriber::registry().with(telemetry.layer());
        tracing::subscriber::set_global_default(subscriber).unwrap();
    }
    let observers = match &telemetry {
        None => Observers::none(),
        Some(telemetry) if mode == "spans-fast" => Observers::none()
            .with_shared(telemetry.span_observer().unwrap())
            .with_ids(telemetry.ids().unwrap()),
        Some(telemetry) => telemetry.observers(),
    };
    let context = RunContext::builder().observers(observers).build();
    let agent = trace_agent(&context, "triage").begin();
    let began = Began::now();
    threads(per_second, total, || {
        let context = agent.context().clone();
        move |number| operation(&context, number)
    });
    if let Some(telemetry) = &telemetry {
        telemetry.flush(Duration::from_secs(30));
    }
    let cpu = began.cpu();
    agent.end(Outcome::Ok, Payload::None);
    println!(
        "{mode}: {total} operations in {:.2} s; peak {} MiB; {:.2} µs CPU for each",
        began.clock.elapsed().as_secs_f64(),
        peak_mib(),
        micros(cpu, total),
    );
    if let Some(telemetry) = telemetry {
        let account = telemetry.shutdown().spans;
        check(&account, collector.count());
        assert_eq!(account.exported, total + 1, "{account:?}");
    }
}

/// Plans whose steps do nothing, one after the other.
fn plans(mode: &str, builder: Option<TelemetryBuilder>, collector: &Collector) {
    const PLANS: u64 = 10;
    const STEPS: u64 = 10_000;
    let telemetry = builder.map(|builder| builder.build().unwrap());
    if let Some(telemetry) = &telemetry {
        let subscriber = tracing_subscriber::registry().with(telemetry.layer());
        tracing::subscriber::set_global_default(subscriber).unwrap();
    }
    let registry = Registry::new();
    registry
        .function("none", async |_: serde_json::Value| Ok::<_, String>(()))
        .unwrap();
    let orchestrator = Orchestrator::new(registry);
    let steps = (0..STEPS).map(|number| {
        let before = number.checked_sub(1).map(|before| format!("s{before}"));
        Step::function(format!("s{number}"), "none").after(before)
    });
    let plan = Plan::builder("none").steps(steps).build().unwrap();
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().build().unwrap();
    let began = Began::now();
    for _ in 0..PLANS {
        let observers = telemetry
            .as_ref()
            .map_or_else(Observers::none, Telemetry::observers);
        let context = RunContext::builder().observers(observers).build();
        let run = orchestrator.run(&plan).context(&context);
        let report = runtime.block_on(run.into_future()).unwrap();
        assert_eq!(report.steps.len() as u64, STEPS);
    }
    if let Some(telemetry) = &telemetry {
        telemetry.flush(Duration::from_secs(30));
    }
    let total = PLANS * STEPS;
    println!(
        "{mode}: {total} steps in {:.2} s; peak {} MiB; {:.2} µs CPU for each",
        began.clock.elapsed().as_secs_f64(),
        peak_mib(),
        micros(began.cpu(), total),
    );
    if let Some(telemetry) = telemetry {
        let account = telemetry.shutdown().spans;
        check(&account, collector.count());
        assert_eq!(account.exported, total + PLANS, "{account:?}");
    }
}

/// What the account says is what the collector counted.
fn check(account: &ExportAccount, counted: u64) {
    assert!(account.balances(), "{account:?}");
    assert_eq!(account.queued, 0, "{account:?}");
    assert_eq!(account.exported, counted, "{account:?}");
}

fn until(what: &str, done: impl Fn() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < Duration::from_mins(5), "never: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Does `total` things on all threads, `per_second` of them where that is given.
fn threads<F: Fn(u64) + Send>(per_second: Option<u64>, total: u64, work: impl Fn() -> F) {
    let began = Instant::now();
    let share = total / THREADS;
    std::thread::scope(|threads| {
        for _ in 0..THREADS {
            let work = work();
            threads.spawn(move || {
                let Some(rate) = per_second.map(|all| all / THREADS) else {
                    return (0..share).for_each(work);
                };
                let mut made = 0;
                while made < share {
                    let elapsed = u64::try_from(began.elapsed().as_micros()).unwrap();
                    let due = (elapsed * rate / 1_000_000).min(share);
                    (made..due).for_each(&work);
                    made = due;
                    std::thread::sleep(Duration::from_millis(5));
                }
            });
        }
    });
}

/// A request to a model or a tool's call, which waits twice.
fn operation(context: &RunContext, number: u64) {
    if number.is_multiple_of(2) {
        poll(
            trace_chat(context, "openai", "gpt-5").run(async |chat: OperationHandle| {
                yields(2).await;
                chat.record(|facts| {
                    facts.usage = Usage::new(1_234, 567).with_cache_read(400);
                    facts.response_model = Some("gpt-5-2026-03-01".into());
                    facts.response_id = Some("chatcmpl-9f8e7d6c5b4a39281706f5e4d3c2b1a0".into());
                });
                Ok::<_, std::io::Error>(())
            }),
        );
    } else {
        poll(
            trace_tool(context, "search")
                .call_id("call_1")
                .run(async |_| {
                    yields(2).await;
                    Ok::<_, std::io::Error>(())
                }),
        );
    }
}

async fn yields(mut times: u32) {
    std::future::poll_fn(|_| {
        if times == 0 {
            return Poll::Ready(());
        }
        times -= 1;
        Poll::Pending
    })
    .await;
}

/// Polls until there is a result, as an executor does that has nothing else to do.
fn poll<T>(future: impl Future<Output = Result<T, std::io::Error>>) {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    while future.as_mut().poll(&mut context).is_pending() {}
}

/// A span with 12 attributes, as a model request has them.
fn span(tracer: &impl Tracer) {
    let text = |name: &'static str, value: &'static str| attrs::text(name, value);
    let attributes: Vec<KeyValue> = vec![
        text(attrs::OPERATION_NAME, "chat"),
        text(attrs::PROVIDER_NAME, "openai"),
        text(attrs::REQUEST_MODEL, "gpt-5"),
        text(attrs::RESPONSE_MODEL, "gpt-5-2026-03-01"),
        text(
            attrs::RESPONSE_ID,
            "chatcmpl-9f8e7d6c5b4a39281706f5e4d3c2b1a0",
        ),
        text(attrs::AGENT_NAME, "triage"),
        text(attrs::RUN_ID, "0199aa2e-7d31-7c52-8f10-3d5b8a4c6e01"),
        text(attrs::OUTCOME, "ok"),
        attrs::count(attrs::USAGE_INPUT_TOKENS, 1_234),
        attrs::count(attrs::USAGE_OUTPUT_TOKENS, 567),
        attrs::float(attrs::USAGE_COST, 0.012_34),
        attrs::flag(attrs::REQUEST_STREAM, true),
    ];
    let builder = tracer
        .span_builder("chat gpt-5")
        .with_attributes(attributes);
    builder.start(tracer).end();
}

/// When a measurement began.
struct Began {
    clock: Instant,
    cpu: Duration,
}

impl Began {
    fn now() -> Self {
        Self {
            clock: Instant::now(),
            cpu: process_cpu(),
        }
    }

    /// What this process has used of processors since then.
    fn cpu(&self) -> Duration {
        process_cpu().saturating_sub(self.cpu)
    }
}

fn process_cpu() -> Duration {
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    used.try_into().unwrap()
}

fn micros(cpu: Duration, spans: u64) -> f64 {
    cpu.as_secs_f64() * 1e6 / f64::from(u32::try_from(spans).unwrap())
}

fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let Some(kib) = line.and_then(|line| line.split_whitespace().nth(1)) else {
        panic!("no peak in {status}")
    };
    kib.parse::<u64>().unwrap() / 1024
}
