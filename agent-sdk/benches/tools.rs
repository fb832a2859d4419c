//! What a scheduler costs a tool call that does not wait: an agent's turn of 16 calls that do nothing, with none, with one that asks
//! for nothing, and with one that caps, breaks and retries.
//!
//! `cargo bench -p agent-sdk --features testing --bench tools`; the differences, divided by 16, are the price of a call.

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a benchmark stops at the first error"
)]

use std::{hint::black_box, num::NonZeroU32};

use agent_sdk::{
    agent::Agent,
    model::{CircuitBreaker, Retry},
    testing::{ScriptedModel, Turn},
    tool::{Effect, FnTool, ToolError, ToolOptions, ToolPolicy, ToolScheduler},
};
use criterion::{Criterion, criterion_group, criterion_main};

const CALLS: u32 = 16;

fn turns() -> [Turn; 2] {
    let turn = (0..CALLS).fold(Turn::new(), |turn, number| {
        turn.tool_call(format!("c{number}"), "nothing", "{}")
    });
    [turn, Turn::from("done")]
}

fn tools(criterion: &mut Criterion) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().build().expect("runtime");
    let many = NonZeroU32::new(1_000).unwrap();
    let full = ToolPolicy::new()
        .concurrency(many)
        .takes("db", NonZeroU32::MIN)
        .breaker(CircuitBreaker::new())
        .retry(Retry::default());
    let full = ToolScheduler::builder()
        .global(many)
        .pool("db", many)
        .tool("nothing", full);
    let plain = ToolScheduler::builder().build().expect("scheduler");
    let full = full.build().expect("scheduler");
    let mut group = criterion.benchmark_group("tools");
    for (name, scheduler) in [
        ("no scheduler", None),
        ("a scheduler without policies", Some(plain)),
        ("caps, a breaker and retries", Some(full)),
    ] {
        group.bench_function(name, |bench| {
            bench.iter(|| {
                let options = ToolOptions::default().with_effect(Effect::ReadOnly);
                let tool = FnTool::new("nothing", "", async || Ok::<_, ToolError>("nothing"));
                let agent = Agent::builder("a", ScriptedModel::new(turns()));
                let mut agent = agent.tool(tool.options(options));
                if let Some(scheduler) = &scheduler {
                    agent = agent.tool_scheduler(scheduler.clone());
                }
                let agent = agent.build().expect("agent");
                let report = runtime.block_on(async { agent.run("go").await });
                black_box(report.expect("run").tool_calls)
            });
        });
    }
    group.finish();
}

criterion_group!(benches, tools);
criterion_main!(benches);
