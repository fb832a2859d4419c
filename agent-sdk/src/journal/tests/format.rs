//! A run that was exported once must be read for ever.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    agent::{Agent, AgentBuilder},
    journal::{EventKeeper, Runs, StoredRecord, StoredRun, VERSION, Verdict},
    model::Usage,
    operation::{Observers, RunContext},
    store::{Append, LogId, LogKind, MemoryStore, NewEntry, NewLog, Store},
    testing::{CountingTool, ScriptedModel, Turn},
};

/// A run as version 2 exported it, with fields and an event that this library does not know: later ones may have more.
const GOLDEN: &str = include_str!("run-v2.json");

#[derive(Deserialize)]
struct Exported {
    format: String,
    version: u32,
    run: StoredRun,
    records: Vec<StoredRecord>,
    events: Vec<Value>,
}

fn agent(turns: Vec<Turn>, observers: Observers) -> AgentBuilder {
    let inner = ScriptedModel::new([Turn::from("Two metres.").usage(Usage::new(30, 4))]);
    let inner = Agent::builder("measurer", inner).build().unwrap();
    let outer = ScriptedModel::new(turns).named("openai", "gpt-4o-mini");
    Agent::builder("carpenter", outer)
        .observers(observers)
        .instructions("Measure twice, cut once.")
        .tool(CountingTool::new("cut"))
        .tool(inner.as_tool())
}

fn turns() -> Vec<Turn> {
    vec![
        Turn::new()
            .tool_call("call-1", "measurer", r#"{"task":"measure the board"}"#)
            .tool_call("call-2", "cut", "{}")
            .usage(Usage::new(100, 20)),
        Turn::from("Measured and cut.").usage(Usage::new(180, 6)),
    ]
}

/// Makes such an export; printed by the ignored test below.
async fn export() -> Value {
    let store = Arc::new(MemoryStore::new());
    let keeper = EventKeeper::new(store.clone());
    let context = RunContext::builder()
        .run_id("golden-run")
        .user("ada")
        .session("s-1")
        .observers(keeper.observers())
        .build();
    let agent = agent(turns(), keeper.observers()).build().unwrap();
    let run = agent
        .run("Make a shelf.")
        .context(&context)
        .store(store.clone());
    let run = run.application(json!({"file": "agents/carpenter.toml"}));
    run.ask_before(["cut"]).await.unwrap_err();
    let runs = Runs::new(store.clone());
    runs.answer("golden-run", "call-2", Verdict::allow().by("ada"))
        .await
        .unwrap();
    agent.resume("golden-run", store).await.unwrap();
    keeper.flush().await.unwrap();
    runs.export("golden-run").await.unwrap()
}

#[tokio::test]
#[ignore = "prints what a new golden file begins as"]
async fn an_export_to_keep() {
    println!("{}", serde_json::to_string_pretty(&export().await).unwrap());
}

/// What two exports of the same run have in common: their shape.
fn shape(value: &Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| (name.clone(), shape(value)))
            .collect(),
        Value::Array(items) => items.iter().map(shape).collect(),
        Value::String(_) => "text".into(),
        Value::Number(_) => 0.into(),
        other => other.clone(),
    }
}

#[tokio::test]
async fn an_export_has_the_fields_that_its_document_names() {
    let export = export().await;
    let document = include_str!("../../../../docs/run-format.md");
    let mut objects = vec![("export", &export), ("run", &export["run"])];
    let records = export["records"].as_array().unwrap();
    objects.extend(records.iter().map(|record| ("record", record)));
    objects.extend(records.iter().map(|record| ("record", &record["record"])));
    for (what, object) in objects {
        for name in object.as_object().unwrap().keys() {
            assert!(document.contains(&format!("`{name}`")), "{what}: {name}");
        }
    }
    for record in records {
        let kind = record["record"]["type"].as_str().unwrap();
        assert!(document.contains(&format!("`{kind}`")), "{kind}");
    }
    assert_eq!(shape(&export["records"][0])["record"]["type"], "text");
}

#[test]
fn s6_an_export_of_each_version_is_read_whatever_was_added_to_it() {
    let golden: Exported = serde_json::from_str(GOLDEN).unwrap();
    assert_eq!(
        (golden.format.as_str(), golden.version),
        ("agent-sdk/run", 2)
    );
    assert!(golden.version <= VERSION);
    assert_eq!(golden.run.id.as_str(), "golden-run");
    assert_eq!(
        (&*golden.run.status, golden.run.records),
        ("ok", golden.records.len() as u64)
    );
    assert_eq!(golden.run.summary.user.as_deref(), Some("ada"));
    assert_eq!(golden.run.summary.totals.usage, Usage::new(310, 30));
    let paths: Vec<&str> = golden.records.iter().map(|record| &*record.path).collect();
    assert!(paths.contains(&"1/call-1"), "{paths:?}");
    assert!(
        golden
            .events
            .iter()
            .any(|event| event["type"] == "approval_given")
    );
}

#[tokio::test]
async fn s6_a_run_of_each_version_is_replayed_by_the_agent_that_made_it() {
    let golden: Value = serde_json::from_str(GOLDEN).unwrap();
    let store = Arc::new(MemoryStore::new());
    let log = LogId::new(LogKind::Run, "golden-run").unwrap();
    store.create(NewLog::new(log.clone())).await.unwrap();
    for record in golden["records"].as_array().unwrap() {
        let path = record["path"].as_str().unwrap();
        let entry = NewEntry::new(path, record.to_string());
        let append = Append::new(log.clone(), vec![entry]);
        store.append(append).await.unwrap();
    }
    let agent = agent(Vec::new(), Observers::none()).build().unwrap();
    let replayed = agent.replay("golden-run", store.clone()).await.unwrap();
    assert!(
        replayed.differences.is_empty(),
        "{:?}",
        replayed.differences
    );
    assert_eq!(replayed.report.text, "Measured and cut.");
}
