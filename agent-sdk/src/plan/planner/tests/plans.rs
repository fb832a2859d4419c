//! Good plans, and wrong ones that the model corrects.

use std::{num::NonZeroU32, sync::Arc};

use futures_util::StreamExt;
use serde_json::{Value, json};

use super::{Planner, model, registry, report};
use crate::{
    message::Message,
    model::OutputFormat,
    operation::EventKind,
    plan::{Open, Plan, PlannerErrorKind},
    testing::{EventLog, TraceCapture},
};

#[tokio::test]
async fn a_good_plan_is_taken_at_once() {
    let (model, trace) = (model([report().to_string()]), TraceCapture::new());
    let chief = Planner::new(model.clone());
    let registry = registry();
    let context = trace.context();
    let planned = chief.plan("A page about Rust", &registry);
    let planned = planned.context(&context).await.unwrap();

    let expected = Plan::from_toml(
        r#"
name = "report"
description = "A page about Rust."
[[steps]]
id = "news"
agent = "researcher"
action = "Find out what is new."
[[steps]]
id = "past"
agent = "researcher"
action = "Find out how it began."
[[steps]]
id = "write"
agent = "writer"
description = "Writes the page."
action = "Write a page."
input = { news = "${steps.news}", past = "${steps.past}" }
[[steps]]
id = "done"
tool = "search"
depends_on = ["write"]
"#,
    );
    assert_eq!(planned.plan, expected.unwrap());
    assert_eq!(planned.rounds, 1);
    assert_eq!(planned.report.usage.input_tokens, Some(1_000));
    assert_eq!(planned.report.cost.to_string(), "0.00018");
    assert_eq!(planned.report.run_id, *context.run_id());
    assert_eq!(trace.tree(), "plan planner\n  chat gpt-4o-mini\n");
}

#[tokio::test]
async fn the_model_is_told_the_goal_the_form_and_what_is_registered() {
    let model = model([report().to_string()]);
    let chief = Planner::builder(model.clone())
        .instructions("Plan well.")
        .build();
    chief.plan("A page about Rust", &registry()).await.unwrap();

    let [request] = model.requests().try_into().unwrap();
    assert_eq!(
        request.conversation.messages(),
        [Message::user("A page about Rust")]
    );
    let said = request.instructions.unwrap();
    assert!(
        said.starts_with("Plan well.\n\n# The form of a plan\n"),
        "{said}"
    );
    let (_, told) = said.split_once("A plan has at most 24 steps.\n\n").unwrap();
    let look = crate::tool::ToolHandle::from(crate::testing::CountingTool::new("search"));
    let schema: Value = serde_json::from_str(look.spec().parameters.get()).unwrap();
    assert_eq!(
        told,
        format!(
            r#"# What can run

## Agents

- "researcher": Finds things out.
  can: English
- "writer": Writes texts.
  can: English

## Tools

- "search": {}
  input schema: {schema}

## Functions

- "count": Counts words.
  input schema: {{"items":{{"type":"string"}},"type":"array"}}
  gives: {{"format":"uint32","minimum":0,"type":"integer"}}
"#,
            look.spec().description
        )
    );

    let OutputFormat::JsonSchema { schema, .. } = request.output else {
        panic!("the answer is asked for as JSON of a schema");
    };
    let schema: Value = serde_json::from_str(schema.get()).unwrap();
    let step = &schema["properties"]["steps"]["items"]["properties"];
    assert_eq!(step["agent"]["enum"], json!(["researcher", "writer"]));
    assert_eq!(step["tool"]["enum"], json!(["search"]));
    assert_eq!(step["function"]["enum"], json!(["count"]));
    assert_eq!(schema["properties"]["steps"]["maxItems"], 24);
    let fits = jsonschema::validator_for(&schema).unwrap();
    let plain = json!({"name": "p", "steps": [{"id": "a", "agent": "writer", "input": ["${params.x}", 1], "map": [1]}]});
    assert!(fits.is_valid(&plain));
    assert!(!fits.is_valid(&json!({"name": "p", "steps": [{"id": "a", "agent": "nobody"}]})));
}

#[tokio::test]
async fn every_mistake_goes_back_to_the_model_with_its_place() {
    let wrong = json!({"name": "report", "steps": [
        {"id": "read", "agent": "reseacher", "input": "${steps.nobody}"},
        {"id": "sum", "function": "count", "input": 3},
        {"id": "write", "agent": "writer", "depends_on": ["done"]},
        {"id": "done", "agent": "writer", "depends_on": ["write"]},
    ]});
    let fenced = format!("```json\n{}\n```", report());
    let (model, trace) = (model([wrong.to_string(), fenced]), TraceCapture::new());
    let chief = Planner::builder(model.clone())
        .name("chief")
        .observers(trace.observers())
        .build();
    let planned = chief.plan("A page", &registry()).await.unwrap();
    assert_eq!((planned.plan.steps.len(), planned.rounds), (4, 2));
    assert_eq!(planned.report.cost.to_string(), "0.00036");
    assert_eq!(
        trace.tree(),
        "plan chief\n  chat gpt-4o-mini\n  chat gpt-4o-mini\n"
    );

    let [first, second] = model.requests().try_into().unwrap();
    let told = "\
This plan cannot be run. What is wrong with it:
- steps[0].input: there is no step `nobody`
- steps[0].agent: there is no agent `reseacher`; is `researcher` meant?
- steps[1].input: 3 is not of type \"array\"
- steps[2]: these wait for each other: write → done → write
Correct all of it, and answer with the whole plan: JSON of its form only.";
    assert_eq!(
        second.conversation.messages(),
        [
            Message::user("A page"),
            Message::assistant(wrong.to_string()),
            Message::user(told),
        ]
    );
    assert_eq!(second.instructions, first.instructions);
    assert!(Arc::ptr_eq(&second.settings, &first.settings));
    assert!(second.tools.is_empty());
    let form = |output: OutputFormat| match output {
        OutputFormat::JsonSchema { name, schema, .. } => (name, schema.get().to_owned()),
        other => panic!("{other:?}"),
    };
    assert_eq!(form(second.output), form(first.output));
}

#[tokio::test]
async fn a_wrong_plan_in_the_last_round_is_an_error_with_all_its_mistakes() {
    let first = json!({"name": "a/b", "steps": [{"id": "x", "agent": "writer"}]}).to_string();
    let last = json!({"name": "p", "steps": [
        {"id": "x y", "agent": "nobody"},
        {"id": "z", "agent": "writer", "when": "steps.q ==", "map": 3},
    ]});
    let (model, trace) = (model([first, last.to_string()]), TraceCapture::new());
    let chief = Planner::builder(model.clone())
        .observers(trace.observers())
        .build();
    let error = chief.plan("A secret page", &registry()).await.unwrap_err();

    assert_eq!(error.kind(), PlannerErrorKind::InvalidPlan);
    let places: Vec<_> = error
        .problems()
        .iter()
        .map(|it| it.place.as_str())
        .collect();
    assert_eq!(
        places,
        [
            "steps[1].when",
            "steps[0].id",
            "steps[0].agent",
            "steps[1].map.over"
        ]
    );
    assert_eq!(error.answer().unwrap().as_str(), last.to_string());
    assert_eq!((error.rounds(), error.report().model_calls), (2, 2));
    assert_eq!(error.report().cost.to_string(), "0.00036");
    assert_eq!(
        error.to_string(),
        "no plan was made: 4 things are wrong with the model's plan, in round 2"
    );
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(
        source.contains("steps[0].agent: there is no agent `nobody`"),
        "{source}"
    );
    let debug = format!("{:?}", error.answer());
    assert!(!debug.contains("nobody"), "an answer is content: {debug}");
    assert_eq!(
        trace.tree(),
        "plan planner  error=invalid_plan\n  chat gpt-4o-mini\n  chat gpt-4o-mini\n"
    );
}

#[tokio::test]
async fn as_many_rounds_are_made_as_were_asked_for() {
    let wrong = r#"{"name": "p", "steps": []}"#;
    let turns = [wrong.to_owned(), wrong.to_owned(), report().to_string()];
    for (max_turns, is_made) in [(1, false), (2, false), (3, true)] {
        let model = model(turns.clone());
        let chief = Planner::builder(model.clone()).max_turns(NonZeroU32::new(max_turns).unwrap());
        let made = chief.build().plan("x", &registry()).await;
        assert_eq!(made.is_ok(), is_made, "{max_turns}");
        assert_eq!(model.asked(), max_turns as usize);
    }
}

#[tokio::test]
async fn the_plan_is_told_as_an_event_with_what_each_step_waits_for() {
    let log = EventLog::new();
    let chief = Planner::builder(model([report().to_string()])).observers(log.observers());
    chief.build().plan("A page", &registry()).await.unwrap();
    assert_eq!(
        log.types(),
        [
            "run_started",
            "chat_started",
            "chat_completed",
            "plan_created",
            "run_report"
        ]
    );
    let events = log.events();
    let created = events.iter().find_map(|event| match &event.kind {
        EventKind::PlanCreated { .. } => Some(serde_json::to_value(&event.kind).unwrap()),
        _ => None,
    });
    assert_eq!(
        created.unwrap(),
        json!({"type": "plan_created", "steps": [
            {"id": "news", "kind": "agent", "name": "researcher", "description": "Find out what is new.", "depends_on": []},
            {"id": "past", "kind": "agent", "name": "researcher", "description": "Find out how it began.", "depends_on": []},
            {"id": "write", "kind": "agent", "name": "writer", "description": "Writes the page.",
                "depends_on": ["news", "past"]},
            {"id": "done", "kind": "tool", "name": "search", "depends_on": ["write"]},
        ]})
    );
}

#[tokio::test]
async fn it_can_be_read_as_a_stream_that_ends_with_the_plan() {
    let chief = Planner::new(model([report().to_string()]));
    let registry = registry();
    let mut stream = chief.plan("A page", &registry).stream();
    let mut types = Vec::new();
    while let Some(event) = stream.next().await {
        let json = serde_json::to_value(&*event).unwrap();
        types.push(json["type"].as_str().unwrap().to_owned());
    }
    assert_eq!(
        types,
        [
            "run_started",
            "chat_started",
            "chat_completed",
            "plan_created",
            "run_report"
        ]
    );
    assert_eq!(stream.report().await.unwrap().plan.steps.len(), 4);
}

#[tokio::test]
async fn maps_and_conditions_are_part_of_a_plan() {
    let answer = json!({"name": "p", "steps": [
        {"id": "list", "agent": "researcher"},
        {"id": "each", "agent": "writer", "input": "${item}", "map": "${steps.list}", "when": "status.list == \"ok\""},
    ]});
    let chief = Planner::new(model([answer.to_string()]));
    let planned = chief.plan("x", &registry()).await.unwrap();
    let each = planned.plan.step("each").unwrap();
    assert_eq!(each.map.as_ref().unwrap().over, "${steps.list}");
    assert_eq!(each.when.as_deref(), Some("status.list == \"ok\""));
    let toml = planned.plan.to_toml().unwrap();
    let again = Plan::from_toml(&toml).unwrap();
    assert_eq!(again, planned.plan);
    again.check(&Open).unwrap();
}
