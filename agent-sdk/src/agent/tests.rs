use std::error::Error;

use super::*;
use crate::testing::{CountingTool, EventLog, ScriptedModel, Turn};

fn builder() -> AgentBuilder {
    Agent::builder("a", ScriptedModel::new(["ok"]))
}

#[test]
fn two_tools_of_one_name_and_names_that_providers_refuse_do_not_build() {
    let twice = builder()
        .tool(CountingTool::new("look"))
        .tool(CountingTool::new("look"));
    assert_eq!(
        twice.build().unwrap_err().to_string(),
        "two tools are called `look`; give one of them another name"
    );
    for name in ["", "has space", "ünï", &"x".repeat(65)] {
        let error = builder()
            .tool(CountingTool::new(name))
            .build()
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("cannot be a tool's name"),
            "{name:?}: {error}"
        );
    }
}

#[tokio::test]
async fn context_files_join_the_instructions_and_have_a_size_cap() {
    let folder = tempfile::tempdir().unwrap();
    let notes = folder.path().join("notes.md");
    std::fs::write(&notes, "Be kind.").unwrap();
    let model = ScriptedModel::new(["ok"]).recording();
    let agent = Agent::builder("a", model.clone())
        .instructions("Answer.")
        .context_file(&notes)
        .build()
        .unwrap();
    agent.run("hi").await.unwrap();
    let instructions = model.requests()[0].instructions.clone().unwrap();
    assert_eq!(
        &*instructions,
        "Answer.\n\n<file name=\"notes.md\">\nBe kind.\n</file>"
    );

    let capped = builder()
        .context_file(&notes)
        .context_file_bytes(7)
        .build()
        .unwrap_err();
    assert!(
        capped.to_string().contains("is larger than 7 bytes"),
        "{capped}"
    );
    let missing = builder()
        .context_file(folder.path().join("none"))
        .build()
        .unwrap_err();
    assert!(missing.to_string().contains("cannot be read") && missing.source().is_some());
}

#[tokio::test]
async fn the_output_file_holds_the_answer_and_its_end_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("answer.md");
    let turns = [
        Turn::new()
            .tool_call("1", "look", "{}")
            .tool_call("2", "look", "{}"),
        Turn::from("the answer"),
    ];
    let log = EventLog::new();
    let agent = Agent::builder("a", ScriptedModel::new(turns))
        .agent_type("writer")
        .tool(CountingTool::new("look"))
        .output_file(&path)
        .observers(log.observers())
        .build()
        .unwrap();
    agent.run("hi").await.unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "the answer");
    let lines = log.json_lines().unwrap();
    let end = lines
        .lines()
        .find(|line| line.contains("agent_completed"))
        .unwrap();
    let end: serde_json::Value = serde_json::from_str(end).unwrap();
    assert_eq!(end["output_file"], path.to_str().unwrap());
    assert_eq!(end["tools_used"], serde_json::json!(["look"]));
    assert_eq!(
        (&end["agent_type"], &end["total_words"]),
        (&"writer".into(), &2.into())
    );

    let nowhere = builder()
        .output_file(folder.path().join("no/such/folder"))
        .build()
        .unwrap();
    let error = nowhere.run("hi").await.unwrap_err();
    assert_eq!(error.kind(), crate::run::RunErrorKind::OutputFile);
    assert_eq!(error.report().text, "ok", "the answer is not lost");
}

#[test]
fn a_model_can_be_named_and_a_name_that_leads_to_none_is_an_error() {
    let error = Agent::builder("a", "nowhere:m").build().unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(error.to_string(), "the agent `a` has no model");
    assert!(cause.contains("`nowhere` is no provider"), "{cause}");
}
