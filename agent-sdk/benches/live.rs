//! What the list of open operations costs: one `chat` operation inside an agent, from its start to its end.
//!
//! `cargo bench -p agent-sdk --bench live`; the difference of the two is the price.

#![expect(clippy::expect_used, reason = "a benchmark stops at the first error")]

use std::hint::black_box;

use agent_sdk::{
    monitor::LiveOperations,
    operation::{
        Observer, Observers, OperationInfo, Outcome, Payload, RunContext, trace_agent, trace_chat,
    },
};
use criterion::{Criterion, criterion_group, criterion_main};

/// Is told, and does nothing: what any observer costs.
struct Idle;

impl Observer for Idle {
    fn started(&self, operation: &OperationInfo, _: Payload<'_>) {
        black_box(operation.id);
    }
}

fn live(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.expect("runtime");
    let _inside = runtime.enter();
    let list = LiveOperations::new();
    let mut group = criterion.benchmark_group("live");
    for (name, observers) in [
        ("an idle observer", Observers::none().with(Idle)),
        ("the list", Observers::none().with(list.clone())),
    ] {
        let context = RunContext::builder().observers(observers).build();
        let agent = trace_agent(&context, "triage").begin();
        group.bench_function(name, |bench| {
            bench.iter(|| {
                let chat = trace_chat(agent.context(), "openai", "gpt-4o").begin();
                black_box(chat).end(Outcome::Ok, Payload::None);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, live);
criterion_main!(benches);
