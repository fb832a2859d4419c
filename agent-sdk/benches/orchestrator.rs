//! What running plans costs: steps and tools that wait, steps that do nothing, a long chain, and a thousand plans at once.
//!
//! | what | figure | should be |
//! |---|---|---|
//! | 10 independent tools of 50 ms, a `ToolGraph` | 52.1 ms | at most 53 ms |
//! | a plan whose longest way is 200 ms | 204.8 ms, the longest of 15 205.9 | at most 206 ms |
//! | 10,000 steps that do nothing, unwatched, as a chain | 6.1 µs of processor time each | at most 1.5 µs |
//! | the same, all after the first | 6.4 µs each | at most 1.5 µs |
//! | 100 of them, as a chain and all after the first | 4.1 and 4.6 µs each | |
//! | a chain of 100,000 | ends; 8.5 µs each | no overflow |
//! | 1,000 plans of 100 steps at once, on one thread | end after 1,635 to 1,766 ms; at most 132 MiB more | bounded, none starves |
//!
//! Since then a step of a chain of 3,000 takes 14,600 instructions in place of 19,900, one of 3,000 after the first 17,400 in place of 22,200: counted
//! as the difference between three runs and one of `-- count chain 3000 3` under `valgrind --tool=callgrind`. In turns with the state before, on the same
//! machine in a slower hour, medians of three: a chain of 10,000 6.1 µs in place of 8.7, of 1,000 5.2 in place of 6.9, 1,000 after the first 6.8 in place of 8.6.
//!
//! Of these instructions, a quarter checks and reads the plan, a fifth starts and ends the operation, a fifth is the try, the look-up and the call of
//! the function, a tenth the machine; copying bytes about is an eighth, in all of these.
//!
//! Beside it on the same machine, processor time of a node, built and run: `dagx` 0.3.1 1.6 to 3.1 µs (on two threads, by the clock 6 to 18);
//! boxed futures with a counter each, which can do nothing else, 0.07 to 0.6; `langgraph` 1.2.22 170 to 390 (100 nodes). Ours of the same shapes has a check, an
//! operation with ids and times, a profile and a report for each step in it.
//!
//! `cargo bench -p agent-sdk --bench orchestrator`, or with `-- chain 10000 30` one shape (`-- count chain 10000 30` runs it without asking
//! for the time, which tools that count instructions do not stand), on a 2-core shared x86-64 VM that did nothing else, November 2026. Other moments of the
//! same machine gave 4.4 to 9.5 µs for a step of the chain.
#![expect(
    clippy::print_stdout,
    clippy::expect_used,
    reason = "a benchmark talks to its reader and stops at the first error"
)]

use std::{
    env,
    time::{Duration, Instant},
};

use agent_sdk::{
    orchestrator::Orchestrator,
    plan::{Plan, Step},
    registry::Registry,
    tool::{FnTool, ToolGraph, ToolHandle},
};
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::{runtime::Runtime, time::sleep};

/// What this thread has used of a processor.
fn cpu_time() -> Duration {
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(used).unwrap_or_default()
}

/// The memory that the process has, in MiB.
fn resident() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = pages.split(' ').nth(1).and_then(|it| it.parse().ok());
    pages.unwrap_or(0_u64) * 4 / 1024
}

fn runtime() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_time().build().expect("runtime")
}

fn orchestrator() -> Orchestrator {
    let registry = Registry::new();
    registry
        .function("none", async |_: Value| Ok::<_, String>(Value::Null))
        .and_then(|registry| {
            registry.function("wait", async |ms: u64| {
                sleep(Duration::from_millis(ms)).await;
                Ok::<_, String>(ms)
            })
        })
        .expect("functions");
    Orchestrator::new(registry)
}

/// So many steps that do nothing: a chain, or all after the first.
fn steps(shape: &str, many: usize) -> Plan {
    let steps = (0..many).map(|number| {
        let before = match (number, shape) {
            (0, _) => None,
            (_, "chain") => Some(number - 1),
            _ => Some(0),
        };
        Step::function(format!("s{number}"), "none").after(before.map(|it| format!("s{it}")))
    });
    Plan::builder("none").steps(steps).build().expect("plan")
}

/// What one step costs in a plan of so many, in µs of processor time.
fn one_step(shape: &str, many: usize, rounds: usize) -> f64 {
    let (runtime, orchestrator) = (runtime(), orchestrator());
    let plan = steps(shape, many);
    let mut times: Vec<_> = (0..rounds)
        .map(|_| {
            let began = cpu_time();
            let report = runtime.block_on(orchestrator.run(&plan).into_future());
            let used = cpu_time().saturating_sub(began);
            assert_eq!(report.expect("run").steps.len(), many);
            used.as_secs_f64() * 1e6
        })
        .collect();
    times.sort_by(f64::total_cmp);
    let each = f64::from(u32::try_from(many).unwrap_or(u32::MAX));
    times.get(rounds / 2).copied().unwrap_or_default() / each
}

/// Runs a plan so many times, without asking how long it took: for tools that count instructions.
fn counted(shape: &str, many: usize, rounds: usize) {
    let (runtime, orchestrator) = (runtime(), orchestrator());
    let plan = steps(shape, many);
    for _ in 0..rounds {
        let report = runtime.block_on(orchestrator.run(&plan).into_future());
        assert_eq!(report.expect("run").steps.len(), many);
    }
}

/// How long it takes by the clock, in ms: the median and the longest.
fn clocked(rounds: usize, run: impl Fn()) -> (f64, f64) {
    let mut times: Vec<_> = (0..rounds)
        .map(|_| {
            let began = Instant::now();
            run();
            began.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    let at = |place: usize| times.get(place).copied().unwrap_or_default();
    (at(rounds / 2), at(rounds - 1))
}

fn tools() {
    let runtime = runtime();
    let wait: ToolHandle = FnTool::new("wait", "", async || {
        sleep(Duration::from_millis(50)).await;
        Ok::<_, String>("")
    })
    .into();
    let mut graph = ToolGraph::new("tools");
    for number in 0..10 {
        graph.register(format!("t{number}"), wait.clone(), json!({}));
    }
    let run = || {
        drop(
            runtime
                .block_on(graph.execute().into_future())
                .expect("run"),
        );
    };
    let (median, longest) = clocked(30, run);
    println!("10 independent tools of 50 ms: {median:.2} ms, longest of 30 {longest:.2}");
}

/// Two ways of 200 ms that cross, beside shorter ones.
fn ideal() {
    let (runtime, orchestrator) = (runtime(), orchestrator());
    let wait = |id: &str, ms: u64, after: &[&str]| {
        let after = after.iter().map(|id| (*id).to_owned());
        Step::function(id.to_owned(), "wait").input(ms).after(after)
    };
    let plan = Plan::builder("ideal").steps([
        wait("a", 60, &[]),
        wait("b", 40, &[]),
        wait("c", 80, &["a", "b"]),
        wait("d", 30, &["b"]),
        wait("e", 60, &["c", "d"]),
        wait("f", 50, &["d"]),
    ]);
    let plan = plan.build().expect("plan");
    let run = || {
        drop(
            runtime
                .block_on(orchestrator.run(&plan).into_future())
                .expect("run"),
        );
    };
    let (median, longest) = clocked(15, run);
    println!("a plan whose longest way is 200 ms: {median:.2} ms, longest of 15 {longest:.2}");
}

/// A thousand plans on one thread, each of ten chains of ten steps that wait a millisecond.
fn many() {
    let (runtime, orchestrator) = (runtime(), orchestrator());
    let steps = (0..100).map(|number: usize| {
        let before = number.checked_sub(10).map(|it| format!("s{it}"));
        let step = Step::function(format!("s{number}"), "wait");
        step.input(1).after(before)
    });
    let plan = Plan::builder("one of many").steps(steps).build();
    let plan = plan.expect("plan");
    let alone = clocked(3, || {
        drop(
            runtime
                .block_on(orchestrator.run(&plan).into_future())
                .expect("run"),
        );
    });
    let before = resident();
    let began = Instant::now();
    let (mut ends, most): (Vec<_>, u64) = runtime.block_on(async {
        let runs = (0..1_000).map(|_| {
            let run = orchestrator.run(&plan).into_future();
            tokio::spawn(async move {
                let report = run.await.expect("run");
                assert_eq!(report.steps.len(), 100);
                (began.elapsed().as_secs_f64() * 1e3, resident())
            })
        });
        let ended = join_all(runs).await;
        let ended = ended.into_iter().map(|it| it.expect("a plan"));
        let (ends, most): (Vec<_>, Vec<_>) = ended.unzip();
        (ends, most.into_iter().max().unwrap_or_default())
    });
    ends.sort_by(f64::total_cmp);
    let at = |place: usize| ends.get(place).copied().unwrap_or_default();
    println!(
        "1,000 plans of 100 steps at once: they end after {:.0} to {:.0} ms, half of them by {:.0}; one alone takes {:.0}",
        at(0),
        at(999),
        at(500),
        alone.0
    );
    println!("  memory: {before} MiB before, at most {most} while they run");
}

fn main() {
    let arguments: Vec<String> = env::args().skip(1).filter(|it| it != "--bench").collect();
    if let [count, shape, many, rounds] = arguments.as_slice()
        && count == "count"
    {
        let (many, rounds) = (
            many.parse().expect("steps"),
            rounds.parse().expect("rounds"),
        );
        return counted(shape, many, rounds);
    }
    if let [shape, many, rounds] = arguments.as_slice() {
        let (many, rounds) = (
            many.parse().expect("steps"),
            rounds.parse().expect("rounds"),
        );
        let each = one_step(shape, many, rounds);
        println!("{shape}, {many} steps: {each:.2} µs of processor time each");
        return;
    }
    tools();
    ideal();
    for (shape, many, rounds) in [
        ("chain", 100, 200),
        ("fan-out", 100, 200),
        ("chain", 10_000, 15),
        ("fan-out", 10_000, 15),
        ("chain", 100_000, 3),
    ] {
        let each = one_step(shape, many, rounds);
        println!("{shape} of {many} steps that do nothing: {each:.2} µs of processor time each");
    }
    many();
}
