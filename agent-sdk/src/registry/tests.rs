use std::{sync::Arc, time::Duration};

use futures_util::future::poll_immediate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use std::future::IntoFuture;

use super::*;
use crate::{
    operation::{Observers, RunContext},
    testing::{CountingTool, ScriptedModel, Turn},
    tool::{ToolError, ToolErrorKind},
};

fn agent(name: &str) -> Agent {
    let model = ScriptedModel::new(["ok"]);
    Agent::builder(name, model).build().unwrap()
}

fn schema(of: Option<&serde_json::value::RawValue>) -> Option<Value> {
    of.map(|schema| serde_json::from_str(schema.get()).unwrap())
}

#[derive(Deserialize, JsonSchema)]
struct Pair {
    one: i64,
    other: i64,
}

#[derive(Serialize, JsonSchema)]
struct Sum {
    sum: i64,
}

async fn add(pair: Pair) -> Result<Sum, String> {
    let sum = pair.one.checked_add(pair.other);
    sum.map(|sum| Sum { sum }).ok_or_else(|| "too large".into())
}

#[test]
fn each_kind_has_names_of_its_own_and_a_name_is_given_once() {
    let registry = Registry::new();
    let shared = registry.clone();
    registry.agent(agent("look")).unwrap();
    registry.tool(CountingTool::new("look")).unwrap();
    shared.function("look", add).unwrap();
    let error = registry.agent(agent("look")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "there is already an agent `look`; give one of them another name"
    );
    assert_eq!((error.kind(), error.name()), (EntryKind::Agent, "look"));
    assert_eq!(registry.len(), 3);
    for kind in EntryKind::ALL {
        assert_eq!(registry.get(kind, "look").unwrap().kind(), kind);
        assert_eq!(registry.names(kind), ["look".into()]);
    }
}

#[test]
fn a_name_that_is_not_there_is_an_error_that_names_the_nearest() {
    let registry = Registry::new();
    for name in ["writer", "waiter", "web-search", "reviewer"] {
        registry.agent(agent(name)).unwrap();
    }
    registry.tool(CountingTool::new("look")).unwrap();
    let said = |name: &str| registry.find_agent(name).unwrap_err().to_string();
    assert_eq!(
        said("writr"),
        "there is no agent `writr`; did you mean `writer`?"
    );
    assert_eq!(
        said("writter"),
        "there is no agent `writter`; did you mean `writer` or `waiter`?"
    );
    assert_eq!(
        said("Web_Search"),
        "there is no agent `Web_Search`; did you mean `web-search`?"
    );
    assert_eq!(said("astronomer"), "there is no agent `astronomer`");
    assert_eq!(
        said("look"),
        "there is no agent `look`, but a tool of this name"
    );
    assert_eq!(said(""), "there is no agent ``");
    let long = said(&"\u{1b}x".repeat(1_000_000));
    assert!(long.len() < 1_000 && !long.contains('\u{1b}'), "{long}");
}

#[test]
fn the_nearest_name_is_the_one_with_the_fewest_changes() {
    let cases = [
        ("kitten", "sitting", 3),
        ("", "abc", 3),
        ("abc", "", 3),
        ("same", "same", 0),
        ("flaw", "lawn", 2),
        ("fuor", "four", 1),
        ("abcd", "badc", 2),
        ("ab", "ba", 1),
    ];
    for (one, other, changes) in cases {
        let of = |text: &str| text.chars().collect::<Vec<_>>();
        assert_eq!(
            super::error::distance(&of(one), &of(other)),
            changes,
            "{one} {other}"
        );
    }
}

#[test]
fn the_list_says_what_there_is_and_capabilities_find_agents() {
    let registry = Registry::new();
    let scholar = Agent::builder(
        "scholar",
        ScriptedModel::new(["ok"]).named("openai", "gpt-5"),
    )
    .agent_type("researcher")
    .description("Finds things out.")
    .capability("search")
    .capability("summarise")
    .tool(CountingTool::new("look"))
    .build()
    .unwrap();
    registry.agent(agent("plain")).unwrap();
    registry.agent(scholar).unwrap();
    let function = FunctionHandle::new("add", add).with_description("Adds.");
    registry.register(function).unwrap();
    assert_eq!(
        serde_json::to_value(registry.list()).unwrap(),
        json!([
            {"kind": "agent", "name": "plain", "model": "scripted-1"},
            {"kind": "agent", "name": "scholar", "description": "Finds things out.", "agent_type": "researcher",
             "capabilities": ["search", "summarise"], "model": "gpt-5", "tools": ["look"]},
            {"kind": "function", "name": "add", "description": "Adds."},
        ])
    );
    let names =
        |agents: Vec<Agent>| -> Vec<_> { agents.iter().map(|it| it.name().to_owned()).collect() };
    assert_eq!(names(registry.capable("search")), ["scholar"]);
    assert!(registry.capable("juggle").is_empty());
}

#[test]
fn schemas_are_known_where_types_are() {
    let registry = Registry::new();
    registry.agent(agent("text")).unwrap();
    let typed = Agent::builder("typed", ScriptedModel::new(["{}"]));
    registry
        .agent(typed.output_type::<Pair>().build().unwrap())
        .unwrap();
    registry.function("add", add).unwrap();
    registry
        .function("any", async |input: Value| Ok::<_, String>(input))
        .unwrap();
    let entry = |kind, name| registry.get(kind, name).unwrap();
    let add = entry(EntryKind::Function, "add");
    assert_eq!(
        schema(add.input_schema()).unwrap()["required"],
        json!(["one", "other"])
    );
    assert_eq!(
        schema(add.output_schema()).unwrap()["properties"]["sum"]["type"],
        "integer"
    );
    let any = entry(EntryKind::Function, "any");
    assert!(any.input_schema().is_none() && any.output_schema().is_none());
    let text = entry(EntryKind::Agent, "text");
    assert_eq!(
        schema(text.output_schema()),
        Some(json!({"type": "string"}))
    );
    let typed = entry(EntryKind::Agent, "typed");
    assert_eq!(
        schema(typed.output_schema()).unwrap()["required"],
        json!(["one", "other"])
    );
}

#[tokio::test]
async fn a_function_is_called_with_json_and_says_what_is_wrong() {
    let call = async |function: &FunctionHandle, input| {
        let result = function.call(RunContext::new(), input).await;
        result.map_err(|error| error.to_string())
    };
    let adds = FunctionHandle::new("add", add);
    assert_eq!(
        call(&adds, json!({"one": 1, "other": 2})).await,
        Ok(json!({"sum": 3}))
    );
    assert_eq!(
        call(&adds, json!({"one": "x", "other": 2})).await,
        Err("invalid_arguments: the input does not fit the schema: at `one`: invalid type: string \"x\", expected i64".into())
    );
    assert_eq!(
        call(&adds, json!({"one": i64::MAX, "other": 1})).await,
        Err("tool_error: too large".into())
    );
    let panics = FunctionHandle::new("panics", async |input: Value| {
        assert!(input.is_null(), "on purpose");
        Err::<Value, _>(ToolError::new(ToolErrorKind::Limit, "no more"))
    });
    assert_eq!(
        call(&panics, json!(1)).await,
        Err("panic: the function panicked".into())
    );
    assert_eq!(
        call(&panics, json!(null)).await,
        Err("limit: no more".into())
    );
}

#[tokio::test]
async fn a_function_is_given_the_context_of_its_caller() {
    let told = FunctionHandle::new("told", async |context: RunContext, (): ()| {
        Ok::<_, String>(context.run_id().to_string())
    });
    let context = RunContext::builder().run_id("r-1").build();
    assert_eq!(told.call(context, Value::Null).await.unwrap(), "r-1");
}

#[tokio::test(start_paused = true)]
async fn what_runs_is_found_by_the_names_of_the_registry() {
    let live = LiveOperations::new();
    let slow = |name: &str| {
        let model = ScriptedModel::new([Turn::from("ok").delay(Duration::from_secs(1))]);
        let observers = Observers::none().with(live.clone());
        Agent::builder(name, model)
            .observers(observers)
            .build()
            .unwrap()
    };
    let registry = Registry::new();
    registry.agent(slow("known")).unwrap();
    let known = registry.find_agent("known").unwrap();
    let stranger = slow("stranger");
    let mut known = std::pin::pin!(known.run("hi").into_future());
    let mut stranger = std::pin::pin!(stranger.run("hi").into_future());
    assert!(poll_immediate(&mut known).await.is_none());
    assert!(poll_immediate(&mut stranger).await.is_none());
    let names = |running: Vec<LiveOperation>| -> Vec<Arc<str>> {
        running.into_iter().map(|it| it.name).collect()
    };
    assert_eq!(names(registry.running(&live)), ["known".into()]);
    known.await.unwrap();
    assert!(registry.running(&live).is_empty());
}
