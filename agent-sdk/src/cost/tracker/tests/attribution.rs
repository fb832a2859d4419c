//! Whose line it is.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use super::*;
use crate::{
    agent::Agent,
    model::{ChatRequest, Jitter, ModelError, ModelErrorKind, ModelHandle, ResponseCache, Retry},
    operation::{AgentDetails, Details, trace_tool},
    session::{Compression, NewSession, Sessions},
    store::MemoryStore,
    testing::{ScriptedModel, Turn},
    tool::{FnTool, ToolContext},
};

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Nothing {}

/// What a line is about, in words.
fn told(lines: &[Arc<CostLine>]) -> String {
    let word = |word: &Option<Arc<str>>| word.as_deref().unwrap_or("-").to_owned();
    let lines = lines.iter().map(|line| {
        let amount = line.amount.map_or("?".to_owned(), |it| it.to_string());
        format!(
            "{} {} [{}] tool={} label={} x{} {} {amount}\n",
            line.kind.as_str(),
            word(&line.model),
            line.agents.join("/"),
            word(&line.tool),
            word(&line.label),
            line.attempt,
            line.outcome.as_str(),
        )
    });
    lines.collect()
}

fn overloaded() -> ModelError {
    ModelError::new(ModelErrorKind::Overloaded, "later")
}

fn priced(nanos: u64, turn: Turn) -> Turn {
    turn.usage(Usage::new(100, 10))
        .provider_cost(Usd::from_nanos(nanos))
}

#[tokio::test(start_paused = true)]
async fn b4_retries_fallbacks_sub_agents_tools_and_compaction_are_lines_and_add_up_to_the_total() {
    let tracker = CostTracker::new();
    // The first model fails twice and is tried again; then it is down, and another answers in its place.
    let turns = [
        Turn::new().fail(overloaded()),
        priced(
            1,
            Turn::new().tool_call("c1", "search", "{}").tool_call(
                "c2",
                "helper",
                r#"{"task":"t"}"#,
            ),
        ),
        Turn::new().fail(overloaded()),
        Turn::new().fail(overloaded()),
    ];
    let retry = Retry::default()
        .jitter(Jitter::None)
        .max_attempts(NonZeroU32::new(2).unwrap())
        .first_wait(Duration::from_millis(1));
    let other = ScriptedModel::new([priced(20, Turn::from("done"))]).named("p", "other");
    let model = ModelHandle::builder(ScriptedModel::new(turns).named("p", "first"))
        .retry(retry)
        .fallback(other)
        .build();
    let judge =
        ModelHandle::new(ScriptedModel::new([priced(300, Turn::from("fine"))]).named("p", "judge"));
    let search = FnTool::new(
        "search",
        "Searches.",
        move |context: ToolContext, _: Nothing| {
            let judge = judge.clone();
            async move {
                context.record_cost(Usd::from_nanos(4_000), "search-api");
                context.record_cost(Usd::from_nanos(50_000), "maps-api");
                // A request that the tool itself makes.
                let answer = judge.chat(context.run(), ChatRequest::new("is it?")).await;
                answer
                    .map(|answer| answer.text())
                    .map_err(|error| error.to_string())
            }
        },
    );
    let helper = ScriptedModel::new([priced(600_000, Turn::from("helped"))]).named("p", "small");
    let helper = Agent::builder("helper", helper).build().unwrap();
    let agent = Agent::builder("main", model)
        .tool(search)
        .tool(helper.as_tool())
        .build()
        .unwrap();

    let sessions = Sessions::new(Arc::new(MemoryStore::new()), "ann");
    let mut session = sessions.create(NewSession::new()).await.unwrap();
    let context = run(&tracker, "r", "2026-11-20T12:00:00Z").build();
    let report = agent
        .run("go")
        .session(&mut session)
        .context(&context)
        .await
        .unwrap();
    let cost = report.cost;
    let summary = ScriptedModel::new([priced(7_000_000, Turn::from("short"))]).named("p", "sum");
    let compression = Compression::keep_last_turns(0).summarize(summary, 100);
    session
        .compress(&context, &compression)
        .await
        .unwrap()
        .unwrap();

    assert_eq!(
        told(&tracker.lines()),
        "\
chat first [main] tool=- label=- x1 error 0
chat first [main] tool=- label=- x2 ok 0.000000001
chat judge [main] tool=search label=- x1 ok 0.0000003
tool - [main] tool=search label=search-api x1 ok 0.000004
tool - [main] tool=search label=maps-api x1 ok 0.00005
chat small [main/helper] tool=helper label=- x1 ok 0.0006
chat first [main] tool=- label=- x1 error 0
chat first [main] tool=- label=- x2 error 0
chat other [main] tool=- label=- x1 ok 0.00000002
chat sum [] tool=- label=- x1 ok 0.007
"
    );
    assert_eq!(cost, Usd::from_nanos(654_321));
    assert_eq!(tracker.totals().amount, Usd::from_nanos(7_654_321));
    assert_eq!(
        tracker.run_totals(&context.run_id().clone()),
        Some(tracker.totals())
    );
    assert_eq!(tracker.report(&by(["model"])).total, tracker.totals());
    let places = tracker.lock().places.len();
    assert_eq!(places, 0, "operations that ended are forgotten");
}

#[tokio::test]
async fn an_answer_from_the_cache_and_a_refused_request_cost_nothing_and_that_is_known() {
    let tracker = CostTracker::new();
    let turns = [
        Turn::from("same").usage(Usage::new(1, 1)),
        Turn::new().fail(ModelError::new(ModelErrorKind::Authentication, "no")),
    ];
    let model = ModelHandle::builder(ScriptedModel::new(turns).named("openai", "gpt-4o-mini"))
        .cache(ResponseCache::new(8.try_into().unwrap()))
        .build();
    let context = run(&tracker, "r", "2026-11-20T12:00:00Z").build();
    let ask = || ChatRequest::new("hi");
    model.chat(&context, ask()).await.unwrap();
    model.chat(&context, ask()).await.unwrap();
    model
        .chat(&context, ChatRequest::new("other"))
        .await
        .unwrap_err();
    let lines = tracker.lines();
    let sources: Vec<_> = lines
        .iter()
        .map(|line| (line.amount, line.price_source))
        .collect();
    assert_eq!(
        sources,
        [
            (
                Some(Usd::from_nanos(750)),
                Some(crate::cost::PriceSource::Table)
            ),
            (Some(Usd::ZERO), None),
            (Some(Usd::ZERO), None),
        ]
    );
    assert!(lines[0].price_snapshot.is_some());
    assert_eq!(tracker.totals().unpriced, 0);
}

#[test]
fn a_line_says_where_and_for_whom_it_was() {
    let tracker = CostTracker::new();
    let context = run(&tracker, "r", "2026-11-20T12:00:00Z")
        .tag("team", "red")
        .conversation("conv")
        .session("s")
        .user("ada")
        .build();
    let outer = trace_agent(&context, "outer").begin();
    let step = outer.context().start(Kind::Step, "collect").begin();
    let tool = trace_tool(step.context(), "search").begin();
    let details = Details::Agent(AgentDetails::default());
    let inner = tool
        .context()
        .start(Kind::Agent, "inner")
        .details(details)
        .begin();
    let chat = trace_chat(inner.context(), "p", "m")
        .tag("team", "blue")
        .begin();
    chat.record(|facts| {
        facts.usage = Usage::new(5, 6);
        facts.response_model = Some("m-2026".into());
    });
    chat.end(Outcome::Ok, Payload::None);
    for operation in [inner, tool, step, outer] {
        operation.end(Outcome::Ok, Payload::None);
    }
    let line = serde_json::to_value(&*tracker.lines()[0]).unwrap();
    let mut expected = serde_json::json!({
        "run_id": "r", "operation": 5, "kind": "chat", "provider": "p", "model": "m", "response_model": "m-2026",
        "agents": ["outer", "inner"], "step": "collect", "tool": "search", "conversation": "conv", "session": "s",
        "user": "ada", "tags": {"team": "blue"}, "usage": {"input_tokens": 5, "output_tokens": 6}, "cost_usd": null,
        "price_source": "unknown", "outcome": "ok",
    });
    expected["time"] = line["time"].clone();
    assert_eq!(line, expected);
    let back: CostLine = serde_json::from_value(line).unwrap();
    assert_eq!(back, *tracker.lines()[0]);
}

#[test]
fn a_tracker_that_comes_late_knows_the_nearest_agent() {
    let tracker = CostTracker::new();
    let context = RunContext::new();
    let outer = trace_agent(&context, "outer").begin();
    let inner = trace_agent(outer.context(), "inner").begin();
    context.subscribe(Arc::new(tracker.clone()));
    paid(inner.context(), "p:m", 1);
    assert_eq!(*tracker.lines()[0].agents, ["inner".into()]);
}
