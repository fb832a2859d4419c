//! What the pipeline keeps up with, against a collector on loopback in a process of its own that
//! answers each request after 0 to 20 ms.
//!
//! `cargo bench -p agent-sdk-otel --bench export`, or with `-- steady`, `-- drop` or `-- spill` one
//! of them:
//!
//! - `steady`: 50,000 spans of 12 attributes a second for 20 s from 8 threads, default settings;
//! - `drop`: a million as fast as 8 threads can, default settings: the account is exact;
//! - `spill`: the same, where what does not fit goes to disk: none is lost.
//!
//! CPU is that of the whole process, making the spans included.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a benchmark talks to its reader and stops at the first error"
)]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use agent_sdk_otel::{SpillSettings, Telemetry, WhenFull, attrs};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::routing::{get, post};
use opentelemetry::KeyValue;
use opentelemetry::trace::{Span, Tracer, TracerProvider};

const THREADS: u64 = 8;
const PER_SECOND: u64 = 50_000;
const SECONDS: u64 = 20;
const BURST: u64 = 1_000_000;

fn main() {
    let mode = std::env::args().skip(1).find(|word| !word.starts_with('-'));
    match mode.as_deref() {
        Some("collector") => collect(),
        Some(mode) => run(mode),
        None => {
            // Each in a process of its own, whose peak of memory is its own.
            for mode in ["steady", "drop", "spill"] {
                let program = std::env::current_exe().unwrap();
                assert!(Command::new(program).arg(mode).status().unwrap().success());
            }
        }
    }
}

fn run(mode: &str) {
    let collector = Collector::start();
    let directory = std::env::temp_dir().join(format!("agent-sdk-export-{}", std::process::id()));
    let mut builder = Telemetry::builder()
        .service_name("bench")
        .traces_endpoint(format!("{}/v1/traces", collector.url))
        .shutdown_limit(Duration::from_secs(30));
    if mode == "spill" {
        builder = builder.when_full(WhenFull::Spill(SpillSettings::new(&directory)));
    }
    let telemetry = builder.build().unwrap();
    let began = Instant::now();
    std::thread::scope(|threads| {
        for _ in 0..THREADS {
            let tracer = telemetry.tracer_provider().unwrap().tracer("bench");
            threads.spawn(move || {
                if mode == "steady" {
                    steady(&tracer, began);
                } else {
                    (0..BURST / THREADS).for_each(|_| span(&tracer));
                }
            });
        }
    });
    let made = began.elapsed();
    let at_end = telemetry.account();
    let (cpu, mut spilled) = (cpu_seconds(), at_end.spilled);
    while spilled > 0 {
        std::thread::sleep(Duration::from_millis(50));
        spilled = telemetry.account().spilled;
        assert!(
            began.elapsed() < Duration::from_secs(300),
            "{spilled} are still on disk"
        );
    }
    let report = telemetry.shutdown();
    let account = report.spans;
    drop(telemetry);
    let _ = std::fs::remove_dir_all(&directory);
    assert!(account.balances(), "{report}");
    assert_eq!(account.queued, 0, "{report}");
    assert_eq!(account.exported, collector.count(), "{report}");
    if mode != "drop" {
        assert_eq!(account.lost(), 0, "{report}");
    }
    let spans = f64::from(u32::try_from(account.ended).unwrap());
    println!(
        "{mode}: {} spans in {:.2} s, all settled after {:.2} s; {} lost, at most {} on disk; peak {} MiB; {:.2} µs CPU a span while they were made",
        account.ended,
        made.as_secs_f64(),
        began.elapsed().as_secs_f64(),
        account.lost(),
        at_end.spilled,
        peak_mib(),
        cpu / spans * 1e6,
    );
}

/// This thread's share of the rate, in steps of 2 ms.
fn steady(tracer: &impl Tracer, began: Instant) {
    let share = PER_SECOND / THREADS;
    let mut made = 0;
    while made < share * SECONDS {
        let elapsed = u64::try_from(began.elapsed().as_micros()).unwrap();
        let due = (elapsed * share / 1_000_000).min(share * SECONDS);
        while made < due {
            span(tracer);
            made += 1;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
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

/// The collector's process.
struct Collector {
    child: Child,
    url: String,
}

impl Collector {
    fn start() -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        let mut child = command
            .arg("collector")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut url = String::new();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        said.read_line(&mut url).unwrap();
        let url = url.trim().to_owned();
        Self { child, url }
    }

    /// The spans that it took.
    fn count(&self) -> u64 {
        use std::io::{Read, Write};
        let address = self.url.trim_start_matches("http://");
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        stream
            .write_all(b"GET /count HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            .unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        reply.rsplit("\r\n").next().unwrap().parse().unwrap()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn collect() {
    let spans = Arc::new(AtomicU64::new(0));
    let app = Router::new()
        .route("/v1/traces", post(take))
        .route(
            "/count",
            get(|State(spans): State<Arc<AtomicU64>>| async move {
                spans.load(Ordering::SeqCst).to_string()
            }),
        )
        .layer(DefaultBodyLimit::max(4 * 1024 * 1024))
        .with_state(spans);
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().unwrap().block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("http://{}", listener.local_addr().unwrap());
        axum::serve(listener, app).await.unwrap();
    });
}

async fn take(State(spans): State<Arc<AtomicU64>>, body: Bytes) {
    tokio::time::sleep(Duration::from_millis(fastrand::u64(0..=20))).await;
    let resources = fields(&body, 1);
    let scopes = resources.flat_map(|resource| fields(resource, 2));
    let taken = scopes.map(|scope| fields(scope, 2).count() as u64).sum();
    spans.fetch_add(taken, Ordering::SeqCst);
}

/// The contents of all fields of a message with this number; all of a request have lengths.
fn fields(mut message: &[u8], number: u8) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        loop {
            let (tag, rest) = message.split_first()?;
            let (mut len, mut shift, mut rest) = (0_usize, 0, rest);
            loop {
                let (byte, more) = rest.split_first()?;
                rest = more;
                len |= usize::from(byte & 0x7f) << shift;
                shift += 7;
                if byte & 0x80 == 0 {
                    break;
                }
            }
            let (content, after) = rest.split_at_checked(len)?;
            message = after;
            if tag >> 3 == number {
                return Some(content);
            }
        }
    })
}

fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let mut words = stat.rsplit(')').next().unwrap().split_whitespace().skip(11);
    let mut ticks = || words.next().unwrap().parse::<f64>().unwrap();
    // 100 ticks a second on every Linux that this runs on.
    (ticks() + ticks()) / 100.0
}

fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let Some(kib) = line.and_then(|line| line.split_whitespace().nth(1)) else {
        panic!("no peak in {status}")
    };
    kib.parse::<u64>().unwrap() / 1024
}
