//! What a run leaves behind in its workspace.

use serde_json::{Value, json};

use super::Sandbox;
use crate::{
    agent::{Agent, AgentBuilder},
    model::FinishReason,
    run::{Artifact, RunErrorKind, RunReport},
    testing::{ScriptedModel, Turn},
    tool::{FnTool, NoArguments, ToolContext},
    workspace::{Workspace, WorkspaceErrorKind},
};

/// A call of `write_file`.
fn writes(id: &str, path: &str, content: &str) -> Turn {
    let arguments = json!({"path": path, "content": content}).to_string();
    Turn::new().tool_call(id, "write_file", arguments)
}

fn agent(turns: impl IntoIterator<Item = Turn>) -> AgentBuilder {
    Agent::builder("writer", ScriptedModel::new(turns))
}

fn listed(report: &RunReport) -> Vec<(&str, u64)> {
    let artifacts = report.artifacts.iter();
    artifacts.map(|file| (&*file.path, file.bytes)).collect()
}

fn read(workspace: &Workspace, path: &str) -> String {
    String::from_utf8(workspace.read(path).unwrap()).unwrap()
}

fn saved_report(workspace: &Workspace) -> Value {
    serde_json::from_str(&read(workspace, "report.json")).unwrap()
}

#[tokio::test]
async fn the_answer_and_the_report_are_saved_beside_what_was_written() {
    let sandbox = Sandbox::new(&[("before", "not of this run")]);
    let turns = [
        writes("1", "b/notes.md", "12345").tool_call(
            "2",
            "append_file",
            r#"{"path":"b/notes.md","content":"678"}"#,
        ),
        writes("3", "a.txt", "1").tool_call("4", "write_file", r#"{"path":"../x","content":""}"#),
        Turn::from("Done."),
    ];
    let agent = agent(turns)
        .workspace(sandbox.workspace.clone())
        .build()
        .unwrap();
    let report = agent.run("Write!").await.unwrap();
    let expected = [("a.txt", 1), ("answer.md", 5), ("b/notes.md", 8)];
    assert_eq!(listed(&report), expected);
    assert_eq!(read(&sandbox.workspace, "answer.md"), "Done.");
    assert_eq!(read(&sandbox.workspace, "b/notes.md"), "12345678");
    let saved = saved_report(&sandbox.workspace);
    assert_eq!(saved, serde_json::to_value(&report).unwrap());
    assert_eq!(
        saved["artifacts"][2],
        json!({"path": "b/notes.md", "bytes": 8})
    );
    assert_eq!(saved["text"], "Done.");
}

#[tokio::test]
async fn each_run_lists_its_own_files() {
    let sandbox = Sandbox::new(&[]);
    let turns = [
        writes("1", "first", "1"),
        Turn::from("One."),
        writes("1", "second", "2"),
        Turn::from("Two!!"),
    ];
    let agent = agent(turns)
        .workspace(sandbox.workspace.clone())
        .build()
        .unwrap();
    let first = agent.run("One").await.unwrap();
    let second = agent.run("Two").await.unwrap();
    assert_eq!(listed(&first), [("answer.md", 4), ("first", 1)]);
    assert_eq!(listed(&second), [("answer.md", 5), ("second", 1)]);
    assert_eq!(read(&sandbox.workspace, "answer.md"), "Two!!");
}

#[tokio::test]
async fn a_run_may_bring_its_own_workspace() {
    let (agents, runs) = (Sandbox::new(&[]), Sandbox::new(&[]));
    let turns = [writes("1", "f", "1"), Turn::from("Done.")];
    let agent = agent(turns)
        .workspace(agents.workspace.clone())
        .build()
        .unwrap();
    let report = agent
        .run("x")
        .workspace(runs.workspace.clone())
        .await
        .unwrap();
    assert_eq!(listed(&report), [("answer.md", 5), ("f", 1)]);
    assert_eq!(agents.workspace.files().unwrap().entries, []);
    assert_eq!(runs.workspace.files().unwrap().entries.len(), 3);
}

#[tokio::test]
async fn an_agent_without_a_workspace_lists_and_saves_nothing() {
    let sandbox = Sandbox::new(&[]);
    let turns = [writes("1", "f", "1"), Turn::from("Done.")];
    let agent = agent(turns)
        .tools(sandbox.workspace.tools())
        .build()
        .unwrap();
    let report = agent.run("x").await.unwrap();
    assert_eq!(listed(&report), []);
    let files = sandbox.workspace.files().unwrap().entries;
    assert_eq!(
        files.iter().map(|file| &*file.path).collect::<Vec<_>>(),
        ["f"]
    );
    assert!(
        serde_json::to_value(&report)
            .unwrap()
            .get("artifacts")
            .is_none()
    );
}

#[tokio::test]
async fn what_an_agent_inside_writes_is_the_run_s_and_its_answer_is_not_saved() {
    let sandbox = Sandbox::new(&[]);
    for has_workspace in [true, false] {
        let inner = Agent::builder(
            "helper",
            ScriptedModel::new([
                writes("1", "inner", "1"),
                Turn::from("The helper's answer."),
            ]),
        );
        let inner = if has_workspace {
            inner.workspace(sandbox.workspace.clone())
        } else {
            inner.tools(sandbox.workspace.tools())
        };
        let turns = [
            Turn::new().tool_call("1", "helper", r#"{"task":"help"}"#),
            writes("2", "outer", "12"),
            Turn::from("Done."),
        ];
        let agent = agent(turns)
            .workspace(sandbox.workspace.clone())
            .tool(inner.build().unwrap().as_tool())
            .build()
            .unwrap();
        let report = agent.run("x").await.unwrap();
        assert_eq!(
            listed(&report),
            [("answer.md", 5), ("inner", 1), ("outer", 2)]
        );
        assert_eq!(read(&sandbox.workspace, "answer.md"), "Done.");
    }
}

#[tokio::test]
async fn an_agent_inside_leaves_no_answer_where_the_run_has_none() {
    let sandbox = Sandbox::new(&[]);
    let inner = Agent::builder("helper", ScriptedModel::new([Turn::from("A part.")]));
    let inner = inner.workspace(sandbox.workspace.clone()).build().unwrap();
    let turns = [
        Turn::new().tool_call("1", "helper", r#"{"task":"help"}"#),
        Turn::from("cut").finish(FinishReason::Length),
    ];
    let agent = agent(turns)
        .workspace(sandbox.workspace.clone())
        .tool(inner.as_tool())
        .build()
        .unwrap();
    let error = agent.run("x").await.unwrap_err();
    assert_eq!(error.report().tool_calls, 1);
    assert_eq!(listed(error.report()), []);
    assert_eq!(sandbox.workspace.files().unwrap().entries, []);
}

#[tokio::test]
async fn a_tool_of_the_application_reaches_the_workspace() {
    let sandbox = Sandbox::new(&[]);
    let draw = FnTool::new("draw", "", async |context: ToolContext, _: NoArguments| {
        let workspace = context.state::<Workspace>().ok_or("no workspace")?;
        let written = tokio::task::spawn_blocking(move || workspace.write("chart.png", [0, 159]));
        let written = written.await.map_err(|error| error.to_string())?;
        written.map_err(|error| error.to_string())
    });
    let turns = [
        Turn::new().tool_call("1", "draw", "{}"),
        Turn::from("Done."),
    ];
    let agent = agent(turns)
        .workspace(sandbox.workspace.clone())
        .tool(draw)
        .build()
        .unwrap();
    let report = agent.run("x").await.unwrap();
    let chart = Artifact::new("chart.png", 2);
    assert_eq!(report.artifacts, [Artifact::new("answer.md", 5), chart]);
}

#[tokio::test]
async fn a_model_cannot_write_where_the_answer_will_be() {
    let sandbox = Sandbox::new(&[]);
    let turns = [
        writes("1", "answer.md", "x").tool_call(
            "2",
            "write_file",
            r#"{"path":"./REPORT.json","content":"x"}"#,
        ),
        writes("3", "docs/report.json", "{}"),
        Turn::from("Done."),
    ];
    let agent = agent(turns)
        .workspace(sandbox.workspace.clone())
        .build()
        .unwrap();
    let report = agent.run("x").await.unwrap();
    assert_eq!(listed(&report), [("answer.md", 5), ("docs/report.json", 2)]);
    assert_eq!(read(&sandbox.workspace, "answer.md"), "Done.");
    // A handle of nobody's run may.
    sandbox.workspace.write("answer.md", "edited").unwrap();
}

#[tokio::test]
async fn a_run_that_fails_lists_what_it_wrote_and_saves_nothing() {
    let sandbox = Sandbox::new(&[]);
    let turns = [
        writes("1", "f", "1"),
        Turn::from("cut").finish(FinishReason::Length),
    ];
    let agent = agent(turns)
        .workspace(sandbox.workspace.clone())
        .build()
        .unwrap();
    let error = agent.run("x").await.unwrap_err();
    assert_eq!(error.kind(), RunErrorKind::Truncated);
    assert_eq!(listed(error.report()), [("f", 1)]);
    let files = sandbox.workspace.files().unwrap().entries;
    assert_eq!(files.len(), 1, "{files:?}");
}

#[derive(Debug, PartialEq, serde::Deserialize, schemars::JsonSchema)]
struct Verdict {
    text: String,
}

#[tokio::test]
async fn a_typed_answer_is_saved_as_json_that_means_the_same() {
    let sandbox = Sandbox::new(&[]);
    let hostile = "a\u{9b}\u{202e}\u{9d}b\x1b[31m";
    let escaped = json!({"text": hostile}).to_string();
    let agent = agent([Turn::from(format!("```json\r\n{escaped}\r\n```"))])
        .workspace(sandbox.workspace.clone())
        .build()
        .unwrap();
    let answer = agent.run("x").output::<Verdict>().await.unwrap();
    assert_eq!(answer.output.text, hostile);
    let saved = read(&sandbox.workspace, "answer.json");
    let acts = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
    assert!(!saved.contains(acts), "{saved:?}");
    assert_eq!(
        serde_json::from_str::<Verdict>(&saved).unwrap(),
        answer.output
    );
    assert_eq!(
        listed(&answer.report),
        [("answer.json", saved.len() as u64)]
    );
    assert_eq!(
        sandbox.workspace.read("answer.md").unwrap_err().kind(),
        WorkspaceErrorKind::NotFound
    );
    assert_eq!(saved_report(&sandbox.workspace)["text"], saved);
}

#[tokio::test]
async fn c3_nothing_that_acts_on_a_terminal_is_saved() {
    for byte in 0..=u8::MAX {
        let sandbox = Sandbox::new(&[]);
        let c = char::from(byte);
        let answer = format!("a{c}[31mb\u{202e}");
        let called = Turn::new().tool_call("1", &*format!("no-{c}-tool\u{9b}2J"), "{}");
        let agent = agent([called, Turn::from(&*answer)])
            .workspace(sandbox.workspace.clone())
            .build()
            .unwrap();
        let report = agent.run("x").await.unwrap();
        assert_eq!(report.text.as_str(), answer);
        let acts = |c: char| (c.is_control() && !matches!(c, '\n' | '\t')) || c == '\u{202e}';
        let text = read(&sandbox.workspace, "answer.md");
        assert!(!text.contains(acts), "{byte:#x}: {text:?}");
        let saved = read(&sandbox.workspace, "report.json");
        assert!(!saved.contains(acts), "{byte:#x}: {saved:?}");
        let mut strings = vec![saved_report(&sandbox.workspace)];
        while let Some(value) = strings.pop() {
            match value {
                Value::String(text) => assert!(!text.contains(acts), "{byte:#x}: {text:?}"),
                Value::Array(values) => strings.extend(values),
                Value::Object(fields) => strings.extend(fields.into_iter().map(|(_, value)| value)),
                _ => {}
            }
        }
    }
}

#[tokio::test]
async fn an_output_file_is_in_the_workspace_unless_its_path_is_absolute() {
    let sandbox = Sandbox::new(&[]);
    let absolute = sandbox.outside().join("answer.txt");
    for (path, expected) in [
        (
            "out/result.md".into(),
            vec![("answer.md", 5), ("out/result.md", 5)],
        ),
        (absolute.clone(), vec![("answer.md", 5)]),
    ] {
        let agent = agent([Turn::from("Done.")])
            .output_file(path)
            .workspace(sandbox.workspace.clone())
            .build()
            .unwrap();
        let report = agent.run("x").await.unwrap();
        assert_eq!(listed(&report), expected);
    }
    assert_eq!(std::fs::read_to_string(absolute).unwrap(), "Done.");
    assert_eq!(read(&sandbox.workspace, "out/result.md"), "Done.");

    let built = agent([])
        .output_file("../secret.txt")
        .workspace(sandbox.workspace.clone())
        .build();
    let error = built.unwrap_err().to_string();
    assert!(
        error.contains("`../secret.txt` leads out of the workspace"),
        "{error}"
    );
    let run = agent([Turn::from("Done.")])
        .output_file("../secret.txt")
        .build()
        .unwrap();
    let error = run
        .run("x")
        .workspace(sandbox.workspace.clone())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), RunErrorKind::OutputFile);
    assert_eq!(error.report().text, "Done.");
    let secret = std::fs::read_to_string(sandbox.outside().join("secret.txt")).unwrap();
    assert_eq!(secret, super::SECRET);
}

#[cfg(unix)]
#[tokio::test]
async fn what_cannot_be_saved_fails_the_run_and_loses_no_answer() {
    for blocked in ["answer.md", "report.json"] {
        let sandbox = Sandbox::new(&[]);
        std::fs::create_dir(sandbox.inside(blocked)).unwrap();
        let agent = agent([Turn::from("Done.")])
            .workspace(sandbox.workspace.clone())
            .build()
            .unwrap();
        let error = agent.run("x").await.unwrap_err();
        assert_eq!(error.kind(), RunErrorKind::OutputFile, "{blocked}");
        assert_eq!(error.report().text, "Done.");
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert_eq!(source, format!("`{blocked}` is no regular file"));
    }
}
