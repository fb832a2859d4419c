//! One agent, one tool, R runs at concurrency C: a driver for comparing agent frameworks on one job.
//!
//! It takes flags `--base URL --cells conc:runs:repeats,… --tools N --chunks N --lat MS --rounds N --tool-ms MS --otel 0|1
//! --instantiate N` and prints one JSON row a repeat: CPU is user + system of this process, the telemetry flush included.
//! `cargo bench -p agent-sdk-tests --bench peer -- --base http://127.0.0.1:PORT …` runs it against any server that answers
//! Chat Completions with `lookup` calls; without flags it does nothing.
//!
//! Measured side by side on a 2-core shared x86-64 VM that ran at 0.6 of its usual speed (medians; a run is a prompt, 4 tool calls
//! and an answer, 2 model requests; "on" is spans and metrics by OTLP beside a Prometheus registry):
//!
//! | | CPU µs a run, off | on | CPU µs a streamed piece, off | on | 8 tools of 50 ms | peak RSS MiB, 256 runs at once, off | on |
//! |---|---|---|---|---|---|---|---|
//! | `reqwest` alone, the same requests | 49 | – | 1.8 | – | – | 20.0 | – |
//! | hand-written loop on `hyper`, OpenTelemetry spans only | 93 | 87 | 2.6 | 2.6 | 51.5 ms | 15.3 | 18.3 |
//! | Rig 0.44, OpenTelemetry spans only | 1,008 | 1,173 | 25.2 | 29.7 | 53.6 ms | 49.9 | 59.3 |
//! | agent-sdk | 100 | 215 | 5.4 | 6.0 | 51.7 ms | 29.1 | 35.6 |
//!
//! Since then a piece that differs from the last in nothing but its text is no longer parsed, and a stream's alarm is asked only once
//! it has fired. Paired runs on the same machine, idle otherwise, telemetry off: CPU µs a streamed piece `hyper` alone 1.2, the
//! hand-written loop 2.3, agent-sdk 2.9-3.0; CPU µs a run 95.
//!
//! Instructions of such a run by callgrind (120 runs less 20, by 100): telemetry off 378 k, on 502 k, so 1.33 times as many; that is
//! 14 k for each of its nine exported spans, metrics included. The allocator alone swings by 8 k with the state of its lists. Of those
//! 14 k, spans being found through `tracing` takes about 4.5, writing them 4.5, metrics 2. Before contexts shared what they hand on and
//! what spans have in common was encoded once it was 397 k and 541 k.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a driver that cannot go on has nothing to report, and prints its rows"
)]

use std::{
    hint::black_box,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use agent_sdk::{
    agent::Agent,
    model::provider::OpenAi,
    operation::{EventKind, Observers},
    tool::{FnTool, ToolHandle},
};
use agent_sdk_otel::Telemetry;
use futures_util::StreamExt;
use nix::sys::resource::{UsageWho, getrusage};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tracing_subscriber::{layer::SubscriberExt, util::SubscriberInitExt};

#[derive(Deserialize, JsonSchema)]
struct LookupArgs {
    key: String,
}

#[derive(Serialize)]
struct Found {
    key: String,
    value: u32,
}

struct Flags(Vec<String>);

impl Flags {
    fn text(&self, name: &str, default: &str) -> String {
        let place = self
            .0
            .iter()
            .position(|flag| flag.trim_start_matches('-') == name);
        let value = place.and_then(|place| self.0.get(place + 1));
        value.cloned().unwrap_or_else(|| default.to_owned())
    }

    fn number(&self, name: &str) -> u64 {
        self.text(name, "0").parse().unwrap_or(0)
    }

    /// The model's name carries the job to the server.
    fn model(&self) -> String {
        let tools = self.text("tools", "4");
        ["lat", "chunks", "rounds"]
            .iter()
            .fold(format!("mock-tools-{tools}"), |model, name| {
                match self.number(name) {
                    0 => model,
                    number => format!("{model}-{name}{number}"),
                }
            })
    }
}

fn cpu_seconds() -> f64 {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("rusage");
    let seconds =
        |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    seconds(usage.user_time()) + seconds(usage.system_time())
}

fn memory_kib(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(field));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok())
        .unwrap_or(0)
}

fn since_start_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let started = stat
        .rsplit(')')
        .next()
        .and_then(|rest| rest.split_whitespace().nth(19)?.parse().ok());
    let uptime = std::fs::read_to_string("/proc/uptime").unwrap_or_default();
    let uptime: f64 = uptime
        .split_whitespace()
        .next()
        .and_then(|now| now.parse().ok())
        .unwrap_or(0.0);
    uptime - started.unwrap_or(0.0) / 100.0
}

async fn one_run(agent: &Agent, streamed: bool) {
    if streamed {
        let mut events = agent.stream("Look the keys up.");
        let mut chunks = 0;
        while let Some(event) = events.next().await {
            chunks += usize::from(matches!(event.kind, EventKind::TextChunk { .. }));
        }
        assert!(chunks >= 8, "{chunks} chunks");
        events.report().await.expect("run");
    } else {
        let report = agent.run("Look the keys up.").await.expect("run");
        assert!(report.text.starts_with("All keys"), "{}", &*report.text);
    }
}

async fn drive(agent: &Agent, streamed: bool, runs: usize, at_once: usize) -> f64 {
    let next = Arc::new(AtomicUsize::new(0));
    let start = Instant::now();
    let workers: Vec<_> = (0..at_once.min(runs))
        .map(|_| {
            let (agent, next) = (agent.clone(), next.clone());
            tokio::spawn(async move {
                while next.fetch_add(1, Ordering::Relaxed) < runs {
                    one_run(&agent, streamed).await;
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.expect("worker");
    }
    start.elapsed().as_secs_f64()
}

fn agent(
    flags: &Flags,
    model: &OpenAi,
    watch: &dyn Fn() -> agent_sdk::operation::Observers,
) -> Agent {
    let pause = Duration::from_millis(flags.number("tool-ms"));
    let lookup = FnTool::new(
        "lookup",
        "Look a key up.",
        move |args: LookupArgs| async move {
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
            Ok::<_, std::convert::Infallible>(Found {
                key: args.key,
                value: 42,
            })
        },
    );
    Agent::builder("bench", model.clone())
        .instructions("You are a test agent.")
        .tool(ToolHandle::from(lookup))
        .observers(watch())
        .build()
        .expect("agent")
}

/// Everything on: spans and metrics by OTLP, and the registry that `/metrics` shows.
fn telemetry(base: &str) -> Telemetry {
    let built = Telemetry::builder().endpoint(base).prometheus(true).build();
    let telemetry = built.expect("telemetry");
    tracing_subscriber::registry()
        .with(telemetry.layer())
        .init();
    telemetry
}

fn main() {
    let flags = Flags(std::env::args().skip(1).collect());
    if flags
        .0
        .iter()
        .all(|flag| flag == "--bench" || flag == "--test")
    {
        return;
    }
    let base = flags.text("base", "http://127.0.0.1:28461");
    let telemetry = (flags.number("otel") > 0).then(|| telemetry(&base));
    let watch = || {
        telemetry
            .as_ref()
            .map_or_else(Observers::none, Telemetry::observers)
    };
    let flush = || {
        if let Some(telemetry) = &telemetry {
            assert!(telemetry.flush(Duration::from_secs(30)), "flush");
        }
    };
    let model = OpenAi::builder(flags.model())
        .api_key("sk-local")
        .base_url(format!("{base}/v1"))
        .build()
        .expect("model");
    let runtime = tokio::runtime::Runtime::new().expect("runtime");
    runtime.block_on(async {
        let instances = flags.number("instantiate");
        if instances > 0 {
            let (start, before) = (Instant::now(), memory_kib("VmRSS:"));
            let kept: Vec<_> = (0..instances).map(|_| agent(&flags, &model, &watch)).collect();
            let micros = start.elapsed().as_secs_f64() * 1e6 / instances as f64;
            let kib = (memory_kib("VmRSS:") - before) as f64 / instances as f64;
            println!("{}", json!({"peer": "agent-sdk", "instantiate_us": micros, "kib_per_agent": kib, "n": black_box(kept).len()}));
            return;
        }
        let agent = agent(&flags, &model, &watch);
        let streamed = flags.number("chunks") > 0;
        let (start, start_cpu) = (since_start_seconds(), cpu_seconds());
        for cell in flags.text("cells", "1:1000:3").split(',') {
            let cell: Vec<usize> = cell.split(':').filter_map(|part| part.parse().ok()).collect();
            let [at_once, runs, repeats] = cell[..] else { panic!("--cells conc:runs:repeats") };
            drive(&agent, streamed, (2 * at_once).max(20), at_once).await;
            for _ in 0..repeats {
                // Resets the peak of the resident memory.
                let _ = std::fs::write("/proc/self/clear_refs", "5");
                let before = cpu_seconds();
                let wall = drive(&agent, streamed, runs, at_once).await;
                flush();
                let cpu = cpu_seconds() - before;
                println!("{}", json!({
                    "peer": "agent-sdk", "otel": flags.number("otel"), "model": flags.model(),
                    "tool_ms": flags.number("tool-ms"), "conc": at_once, "runs": runs,
                    "us_per_run": wall * 1e6 / runs as f64, "runs_s": runs as f64 / wall,
                    "cpu_us_per_run": cpu * 1e6 / runs as f64,
                    "rss_peak_kib": memory_kib("VmHWM:"), "start_s": start, "start_cpu_s": start_cpu,
                }));
            }
        }
    });
}
