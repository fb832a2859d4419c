//! What it takes to be admitted by a ledger, and to settle.
//!
//! `cargo bench -p agent-sdk --features sqlite --bench ledger`, on a 2-core shared x86-64 VM (ext4 on a virtual disk that answers an
//! fsync in some 50 µs) with a load of about 2 by others, November 2026. Three runs; the goal for the 99th of 64 tasks is 2 ms, which
//! the second of them missed:
//!
//! | durable, 200 reservations a task, each settled at once | median | 95th | 99th | wall each |
//! |---|---|---|---|---|
//! | 1 task | 0.14, 0.24, 0.19 ms | 0.18, 0.44, 0.33 ms | 0.27, 0.59, 0.43 ms | 175, 309, 233 µs |
//! | 64 tasks | 0.87, 1.12, 0.98 ms | 1.19, 2.11, 1.45 ms | 1.46, 2.50, 1.72 ms | 14, 20, 15 µs |
//!
//! In memory, two runs on the same machine, the first at a load of about 3 by others, the second at less. The goals are 1 µs for the
//! 99th alone and 5 µs with 64 tasks: one budget meets both but for the first run alone; three budgets, which are three accounts,
//! miss the first.
//!
//! | in memory | median | 99th | 99.9th |
//! |---|---|---|---|
//! | one budget, alone: reserve | 0.89, 0.59 µs | 1.05, 0.64 µs | 8.9, 1.2 µs |
//! | one budget, alone: settle | 0.78, 0.46 µs | 0.92, 0.52 µs | 8.3, 1.0 µs |
//! | one budget, 64 tasks: reserve | 0.60, 0.57 µs | 2.52, 2.25 µs | 9.3, 6.8 µs |
//! | one budget, 64 tasks: settle | 0.48, 0.47 µs | 2.40, 1.93 µs | 8.2, 3.0 µs |
//! | three budgets, alone: reserve | 0.99, 1.00 µs | 1.33, 1.20 µs | 7.5, 8.4 µs |
//! | three budgets, 64 tasks: reserve | 1.02, 0.94 µs | 5.16, 3.34 µs | 12.8, 10.0 µs |
#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "what goes wrong here ends it, and what it finds is shown"
)]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use agent_sdk::{
    budget::{Amounts, Budget, Dimension, Ledger, Scope},
    cost::Usd,
    operation::RunContext,
    store::SqliteStore,
};

/// Tasks that ask for the same accounts.
const TASKS: usize = 64;
/// Reservations of one task alone, and of each of several.
const ALONE: usize = 200_000;
const EACH: usize = 20_000;
/// Durable ones.
const DURABLE: usize = 200;

fn main() {
    in_memory();
    durable();
}

/// One reservation and its settlement at a time, and 64 tasks that ask for the same accounts.
fn in_memory() {
    for (what, ledger) in [("one budget", one()), ("three budgets", three())] {
        let context = context();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime");
        let alone = runtime.block_on(measure(&ledger, &context, ALONE));
        show(what, "alone", alone);

        let runtime = tokio::runtime::Builder::new_multi_thread()
            .build()
            .expect("a runtime");
        let tasks: Vec<_> = (0..TASKS)
            .map(|_| {
                let (ledger, context) = (ledger.clone(), context.clone());
                runtime.spawn(async move { measure(&ledger, &context, EACH).await })
            })
            .collect();
        let mut all = Times::default();
        for task in tasks {
            let times = runtime.block_on(task).expect("a task ends");
            all.reserve.extend(times.reserve);
            all.settle.extend(times.settle);
        }
        show(what, "64 tasks", all);
    }
}

fn one() -> Ledger {
    let all = Budget::new("all").max_usd(Usd::MAX);
    Ledger::builder().budget(all).build().expect("a ledger")
}

fn three() -> Ledger {
    Ledger::builder()
        .budget(Budget::new("all").max_usd(Usd::MAX))
        .budget(
            Budget::new("user")
                .scope(Scope::each(Dimension::User))
                .max_usd(Usd::MAX),
        )
        .budget(
            Budget::per_run("run")
                .max_usd(Usd::MAX)
                .max_tokens(u64::MAX),
        )
        .build()
        .expect("a ledger")
}

fn context() -> RunContext {
    RunContext::builder().user("somebody").build()
}

#[derive(Default)]
struct Times {
    reserve: Vec<Duration>,
    settle: Vec<Duration>,
}

async fn measure(ledger: &Ledger, context: &RunContext, times: usize) -> Times {
    let ask = Amounts {
        usd: Usd::from_nanos(10),
        tokens: 10,
        requests: 1,
        tool_calls: 0,
    };
    let mut all = Times::default();
    let what: Arc<str> = "gpt-4o".into();
    for number in 0..times {
        let start = Instant::now();
        let reserved = ledger.reserve(context, ask, what.clone()).await;
        let admitted = Instant::now();
        reserved
            .expect("there is room")
            .settle(Amounts::usd(Usd::from_nanos(1)));
        let settled = Instant::now();
        all.reserve.push(admitted - start);
        all.settle.push(settled - admitted);
        if number % 64 == 0 {
            tokio::task::yield_now().await;
        }
    }
    all
}

fn show(budgets: &str, who: &str, times: Times) {
    for (what, mut times) in [("reserve", times.reserve), ("settle", times.settle)] {
        times.sort_unstable();
        let at = |part: usize| {
            times
                .get(times.len() * part / 1_000)
                .copied()
                .unwrap_or_default()
        };
        println!(
            "{budgets:>13}, {who:>8}, {what:>7}: p50 {:?}, p99 {:?}, p99.9 {:?}",
            at(500),
            at(990),
            at(999)
        );
    }
}

/// Reservations in a store's file: each is on disk before it is given, and is settled at once.
fn durable() {
    // Beside the build, which is on a disk; a folder for temporary files may be in memory.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .expect("a runtime");
    let store = SqliteStore::open(folder.path().join("store.db")).expect("a store");
    for tasks in [1, TASKS] {
        let budget =
            Budget::new(format!("{tasks}")).max_usd(Usd::from_nanos(1_000_000_000_000_000));
        let ledger = Ledger::builder().budget(budget).store(&store).build();
        let ledger = ledger.expect("a ledger");
        let begun = Instant::now();
        let mut times = runtime.block_on(spend(&ledger, tasks));
        let wall = begun.elapsed();
        times.sort_unstable();
        println!(
            "durable, {tasks} tasks, {DURABLE} reservations each: median {:.2} ms, 95th {:.2} ms, 99th {:.2} ms; {:.1} µs of wall each",
            at(&times, 50),
            at(&times, 95),
            at(&times, 99),
            wall.as_secs_f64() * 1e6 / f64::from(u32::try_from(times.len()).expect("a few")),
        );
    }
}

async fn spend(ledger: &Ledger, tasks: usize) -> Vec<Duration> {
    let tasks = (0..tasks).map(|_| {
        let ledger = ledger.clone();
        tokio::spawn(async move {
            let context = RunContext::new();
            let mut times = Vec::with_capacity(DURABLE);
            for _ in 0..DURABLE {
                let ask = Amounts::usd(Usd::from_nanos(1_000_000));
                let begun = Instant::now();
                let asked = ledger.reserve(&context, ask, "a request").await;
                times.push(begun.elapsed());
                let mut reservation = asked.expect("there is enough");
                reservation.begin();
                reservation.settle(Amounts::usd(Usd::from_nanos(900_001)));
            }
            times
        })
    });
    let done = futures_util::future::join_all(tasks.collect::<Vec<_>>()).await;
    let times = done.into_iter().map(|times| times.expect("a task"));
    times.flatten().collect()
}

/// In milliseconds, of sorted times.
fn at(times: &[Duration], part: usize) -> f64 {
    let place = times.len() * part / 100;
    times
        .get(place)
        .map_or(0.0, |time| time.as_secs_f64() * 1e3)
}
