//! Resuming a run of 1,000 kept outcomes from a file: 500 answers of a model and 500 results of calls, about 1 KB each.
//!
//! What is measured is everything between having the file and having the answer: opening the store, taking the run, reading and
//! folding its records, ending it again. The goal is one second.
#![allow(
    clippy::expect_used,
    missing_docs,
    reason = "a bench that cannot be set up has nothing to measure; criterion's macros make items of their own"
)]

use std::{hint::black_box, num::NonZeroU32, path::Path, sync::Arc};

use agent_sdk::{
    agent::Agent,
    message::Role,
    model::Usage,
    operation::RunContext,
    store::SqliteStore,
    testing::{ScriptedModel, Turn},
    tool::{Effect, FnTool, ToolOptions},
};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use tokio::runtime::Runtime;

const TURNS: usize = 500;

fn agent() -> Agent {
    let words = "word ".repeat(200);
    let model = ScriptedModel::from_fn({
        let words = words.clone();
        move |request, _| {
            let messages = request.conversation.messages().iter();
            let said = messages.filter(|message| message.role == Role::Assistant);
            let turn = match said.count() {
                said if said < TURNS - 1 => {
                    let call = Turn::new().text(words.as_str());
                    call.tool_call(format!("call-{said}"), "look", "{}")
                }
                _ => Turn::from("done"),
            };
            turn.usage(Usage::new(100, 10))
        }
    });
    let look = FnTool::new("look", "Looks.", move |_: serde_json::Value| {
        std::future::ready(Ok::<_, String>(words.clone()))
    });
    let options = ToolOptions::default().with_effect(Effect::ReadOnly);
    Agent::builder("a", model)
        .tool(look.options(options))
        .max_turns(NonZeroU32::MAX)
        .max_tool_calls(u32::MAX)
        .build()
        .expect("an agent")
}

fn resume(runtime: &Runtime, path: &Path) {
    let store = Arc::new(SqliteStore::open(path).expect("a store"));
    let report = runtime.block_on(async { agent().resume("run", store).await });
    let report = report.expect("it has ended");
    assert_eq!(report.text, "done");
    black_box(report);
}

fn of_a_thousand(c: &mut Criterion) {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_time().build().expect("a runtime");
    let whole = folder.path().join("whole.db");
    {
        let store = Arc::new(SqliteStore::open(&whole).expect("a store"));
        let context = RunContext::builder().run_id("run").build();
        let run = agent().run("go").context(&context).store(store);
        runtime.block_on(async { run.await }).expect("an answer");
    }
    let mut n = 0;
    let mut copy = || {
        n += 1;
        let copy = folder.path().join(format!("{n}.db"));
        std::fs::copy(&whole, &copy).expect("a copy");
        copy
    };
    let mut group = c.benchmark_group("resume");
    group.sample_size(20);
    group.bench_function("a run of 1,000 outcomes", |b| {
        b.iter_batched_ref(
            &mut copy,
            |path| resume(&runtime, path),
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group!(benches, of_a_thousand);
criterion_main!(benches);
