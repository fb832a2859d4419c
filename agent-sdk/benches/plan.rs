//! What deciding about a plan costs: the plan's machine alone, with steps that do nothing.
//!
//! | 10,000 steps | checked and read, each | run, each |
//! |---|---|---|
//! | in one layer | 0.76 µs | 0.17 µs |
//! | as a chain | 0.87 µs | 0.16 µs |
//! | 100 layers of 100, each step waiting for the whole layer before | 14.4 µs | 0.65 µs |
//!
//! Medians of `cargo bench -p agent-sdk --bench plan` on a quiet 2-core shared x86-64 VM, November 2026.

#![allow(clippy::panic, reason = "a bench that cannot begin stops")]

use std::hint::black_box;

use agent_sdk::plan::{Command, Ended, Input, Machine, Open, Params, Plan, Step};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use serde_json::Value;

/// So many layers of so many steps, each of which waits for all of the layer before.
fn layers(layers: usize, width: usize) -> Plan {
    let steps = (0..layers * width).map(|number| {
        let before = (number / width).checked_sub(1);
        let before = before
            .into_iter()
            .flat_map(|layer| layer * width..(layer + 1) * width);
        Step::function(format!("s{number}"), "none").after(before.map(|other| format!("s{other}")))
    });
    Plan::builder("layers")
        .steps(steps)
        .build()
        .unwrap_or_else(|error| panic!("{error}"))
}

fn machine(plan: &Plan) -> Machine {
    Machine::new(plan, &Open, &Params::new(), 0).unwrap_or_else(|error| panic!("{error}"))
}

/// Runs it to its end: every task succeeds at once.
fn run(mut machine: Machine) -> Machine {
    while let Some(command) = machine.command() {
        if let Command::Start { task, .. } = command {
            let output = Value::Null;
            let ended = Ended::Ok { output };
            machine.apply(Input::Ended { task, ended });
        }
    }
    assert!(machine.over().is_some());
    machine
}

fn plan(c: &mut Criterion) {
    let mut group = c.benchmark_group("plan");
    group.sample_size(20);
    let shapes = [
        ("10,000 in one layer", 1, 10_000),
        ("a chain of 10,000", 10_000, 1),
        ("100 layers of 100", 100, 100),
    ];
    for (name, deep, wide) in shapes {
        let plan = layers(deep, wide);
        group.throughput(Throughput::Elements(10_000));
        group.bench_function(BenchmarkId::new("check and read", name), |b| {
            b.iter(|| black_box(machine(&plan)));
        });
        group.bench_function(BenchmarkId::new("run", name), |b| {
            b.iter_batched(|| machine(&plan), run, BatchSize::PerIteration);
        });
    }
    group.finish();
}

criterion_group!(benches, plan);
criterion_main!(benches);
