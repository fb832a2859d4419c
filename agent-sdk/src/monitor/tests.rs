use std::{sync::Arc, time::Duration};

use serde_json::Value;

use super::*;
use crate::{
    cost::{PriceBook, Usd},
    model::Usage,
    operation::{
        FixedClock, IdSource, Identity, Kind, MemoryOperation, Observers, Opening, Outcome,
        Payload, RunContext, TraceContext, trace_agent, trace_chat, trace_memory, trace_retrieval,
        trace_tool,
    },
};

fn watched(live: &LiveOperations) -> RunContext {
    RunContext::builder()
        .run_id("r1")
        .observers(Observers::none().with(live.clone()))
        .prices(prices())
        .clock(FixedClock::at(1_700_000_000))
        .session("s1")
        .build()
}

/// A dollar for a million tokens of input, two for those of output.
fn prices() -> PriceBook {
    let table = r#"{"date": "2026-01-01", "providers": [{"id": "p", "models": [
        {"id": "m", "match": {"exact": "m"}, "prices": [{"input": "1", "output": "2"}]}]}]}"#;
    PriceBook::from_json(table).unwrap()
}

fn paths(snapshot: &LiveSnapshot) -> Vec<&str> {
    let operations = snapshot.operations.iter();
    operations.map(|each| each.path.as_str()).collect()
}

#[tokio::test(start_paused = true)]
async fn what_runs_is_listed_oldest_first_with_its_age_and_path() {
    let live = LiveOperations::new();
    let context = watched(&live);
    let agent = trace_agent(&context, "triage").begin();
    tokio::time::advance(Duration::from_secs(61)).await;
    let tool = trace_tool(agent.context(), "search").begin();
    tokio::time::advance(Duration::from_secs(2)).await;
    let chat = trace_chat(tool.context(), "p", "m").begin();

    let snapshot = live.snapshot();
    assert_eq!(
        paths(&snapshot),
        [
            "invoke_agent triage",
            "invoke_agent triage / execute_tool search",
            "invoke_agent triage / execute_tool search / chat m",
        ]
    );
    let ages: Vec<_> = snapshot
        .operations
        .iter()
        .map(|each| each.age.as_secs())
        .collect();
    assert_eq!(ages, [63, 2, 0]);
    assert_eq!(paths(&live.older_than(Duration::from_secs(3))).len(), 1);
    let shown = snapshot.to_string();
    assert!(
        shown.contains("1m 03s") && shown.contains("2.0s"),
        "{shown}"
    );

    let json: Value = serde_json::to_value(&snapshot).unwrap();
    let first = &json["operations"][0];
    assert_eq!(first["run_id"], "r1");
    assert_eq!(first["session_id"], "s1");
    assert_eq!(first["trace_id"], agent.info().trace.trace_id.to_string());
    assert_eq!(first["started"], "2023-11-14T22:13:20.000000Z");
    assert_eq!(first["age_seconds"], 63.0);
    let span = tool.info().trace.span_id.to_string();
    assert_eq!(json["operations"][2]["parent_span_id"], span);

    drop((chat, tool, agent));
    assert!(live.is_empty());
    assert_eq!(live.snapshot().to_string(), "nothing runs");
}

#[tokio::test]
async fn what_a_request_cost_is_added_to_everything_around_it_that_still_runs() {
    let live = LiveOperations::new();
    let context = watched(&live);
    let agent = trace_agent(&context, "triage").begin();
    let other = trace_tool(agent.context(), "other").begin();
    let tool = trace_tool(agent.context(), "search").begin();
    let chat = trace_chat(tool.context(), "p", "m").begin();
    chat.handle().record_usage(Usage::new(1_000_000, 500_000));
    chat.end(Outcome::Ok, Payload::None);
    let unknown = trace_chat(tool.context(), "p", "nobody-knows-it").begin();
    unknown.handle().record_usage(Usage::new(10, 10));
    unknown.end(Outcome::Ok, Payload::None);

    let snapshot = live.snapshot();
    let of = |name: &str| {
        let mut rows = snapshot.operations.iter();
        rows.find(|each| &*each.name == name).unwrap()
    };
    let two = Usd::from_nanos(2_000_000_000);
    assert_eq!((of("triage").cost, of("search").cost), (two, two));
    assert_eq!(of("triage").usage.total_tokens(), Some(1_500_020));
    assert_eq!(of("triage").unpriced_requests, 1);
    assert_eq!(of("other").cost, Usd::ZERO);
    assert!(snapshot.to_string().contains("≥2"), "{snapshot}");

    let charged = tool.handle();
    charged.record(|facts| facts.charges.push(("fee".into(), two)));
    drop(tool);
    assert_eq!(
        live.snapshot().operations[0].cost,
        Usd::from_nanos(4_000_000_000)
    );
    drop((other, agent));
}

#[tokio::test]
async fn a_full_registry_counts_what_it_does_not_list() {
    let live = LiveOperations::with_limit(2);
    let context = watched(&live);
    let mut open: Vec<_> = (0..5)
        .map(|number| trace_agent(&context, format!("a{number}")).begin())
        .collect();
    let snapshot = live.snapshot();
    assert_eq!(
        (snapshot.operations.len(), snapshot.unlisted, live.len()),
        (2, 3, 5)
    );
    assert!(
        snapshot
            .to_string()
            .ends_with("and 3 more that are not listed")
    );
    // Those that were never listed end without a trace of them.
    drop(open.split_off(2));
    assert_eq!((live.snapshot().unlisted, live.len()), (0, 2));
    drop(open.remove(0));
    open.push(trace_agent(&context, "a5").begin());
    assert_eq!(live.snapshot().operations.len(), 2);
    drop(open);
    assert!(live.is_empty());
}

#[tokio::test]
async fn who_joins_late_sees_ends_without_starts_and_counts_nothing() {
    let live = LiveOperations::new();
    let context = RunContext::new();
    let agent = trace_agent(&context, "triage").begin();
    context.subscribe(Arc::new(live.clone()));
    let tool = trace_tool(agent.context(), "search").begin();
    assert_eq!(paths(&live.snapshot()), ["execute_tool search"]);
    drop((tool, agent));
    assert!(live.is_empty());
}

/// Names everything alike.
#[derive(Debug)]
struct OneId(TraceContext);

impl IdSource for OneId {
    fn identify(&self, operation: &Opening<'_>) -> Identity {
        Identity {
            trace: self.0,
            parent: operation.above(),
            attachment: None,
        }
    }
}

#[tokio::test]
async fn ids_that_are_all_the_same_neither_hang_nor_leak() {
    let live = LiveOperations::new();
    let observers = Observers::none()
        .with(live.clone())
        .with_ids(Arc::new(OneId(TraceContext::random_root())));
    let context = RunContext::builder().observers(observers).build();
    let agent = trace_agent(&context, "triage").begin();
    let chat = trace_chat(agent.context(), "p", "m").begin();
    assert_eq!(live.snapshot().operations.len(), 1);
    drop((chat, agent));
    assert!(live.is_empty());
}

#[tokio::test]
async fn a_name_does_not_act_on_the_terminal() {
    let live = LiveOperations::new();
    let context = watched(&live);
    let tool = context.start(Kind::Tool, "a\x1b]0;x\x07\nb").begin();
    let shown = live.snapshot().to_string();
    assert_eq!(shown.lines().count(), 2, "{shown}");
    assert!(!shown.contains('\x1b'), "{shown}");
    drop(tool);
}

#[test]
fn threads_leave_nothing_behind() {
    let live = LiveOperations::new();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..200 {
                    let context = watched(&live);
                    let agent = trace_agent(&context, "triage").begin();
                    let chat = trace_chat(agent.context(), "p", "m").begin();
                    assert!(live.len() >= 2);
                    drop((chat, agent));
                }
            });
        }
    });
    assert!(live.is_empty() && live.snapshot().operations.is_empty());
}

#[tokio::test]
async fn a_path_has_the_names_that_the_spans_have() {
    let live = LiveOperations::new();
    let context = watched(&live);
    let search = trace_memory(&context, MemoryOperation::Search)
        .store("notes")
        .begin();
    let lookup = trace_retrieval(search.context(), "docs").begin();
    assert_eq!(
        paths(&live.snapshot()),
        ["search_memory", "search_memory / retrieval docs"]
    );
    drop((lookup, search));
}
