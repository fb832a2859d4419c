//! Runs that stop before their end, and go on: after signals, kills, pauses, failures and limits.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests may panic as tests do"
)]

mod support;

use std::{
    io::{BufRead, BufReader},
    process::Child,
    thread,
    time::Duration,
};

use support::{
    KEY, ended,
    script::{Gate, Reply, Scripted, signal},
};

/// Waits for the first line that the command prints.
fn first_line(child: &mut Child) -> BufReader<std::process::ChildStdout> {
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    assert_eq!(line, "begun\n");
    out
}

/// A run that called a tool, and whose second request is under way.
fn under_way(server: &Scripted, flags: &[&str]) -> Child {
    let mut child = server.run_with_tools(flags).spawn().unwrap();
    let out = first_line(&mut child);
    child.stdout = Some(out.into_inner());
    child
}

fn script() -> Scripted {
    Scripted::new([
        Reply::calls("list_files"),
        Reply::begins("begun\n"),
        Reply::says("done"),
    ])
}

/// Whether only the request in doubt was sent again, with the key that it had.
fn only_the_last_was_repeated(server: &Scripted) {
    let keys: Vec<_> = server
        .requests()
        .iter()
        .map(|request| request.header("idempotency-key"))
        .collect();
    assert_eq!(
        keys,
        [
            Some("r/1:m".into()),
            Some("r/2:m".into()),
            Some("r/2:m".into())
        ]
    );
    let requests = server.requests();
    assert_eq!(requests[1].body, requests[2].body);
}

fn resumed(server: &Scripted) {
    let output = server.agent(&["resume", "r"]).output().unwrap();
    let (code, out, err) = ended(&output);
    assert_eq!((code, err), (Some(0), ""), "{out}");
    assert!(out.starts_with("done\n"), "{out}");
    assert!(
        out.contains("3 model calls, 1 tool call") || out.contains("2 model calls, 1 tool call"),
        "{out}"
    );
    assert!(out.ends_with("Run: r.\n"), "{out}");
}

#[test]
fn s1_a_run_that_was_interrupted_goes_on_where_it_was() {
    let server = script();
    let child = under_way(&server, &["--tag", "a=b", "--system", "Be brief."]);
    signal(&child, "INT");
    let output = child.wait_with_output().unwrap();
    let (code, _, err) = ended(&output);
    assert_eq!(code, Some(130));
    assert!(
        err.ends_with("run r is interrupted; go on with: agent resume r\n"),
        "{err}"
    );
    let listed = server.json(&["runs", "list", "--json"]);
    assert_eq!(listed["status"], "cancelled");
    let kept = &listed["application"]["agent_run"];
    assert_eq!(kept["model"], "openai:m");
    assert!(!listed.to_string().contains(KEY));
    resumed(&server);
    only_the_last_was_repeated(&server);
}

#[test]
fn s1_a_run_that_was_killed_goes_on_where_it_was() {
    let server = script();
    let child = under_way(&server, &[]);
    signal(&child, "KILL");
    child.wait_with_output().unwrap();
    let listed = server.json(&["runs", "list", "--json", "--status", "interrupted"]);
    assert_eq!(
        (&listed["id"], &listed["status"]),
        (&"r".into(), &"interrupted".into())
    );
    assert!(
        server
            .said(&["runs", "show", "r"])
            .contains("Go on with: agent resume r")
    );
    resumed(&server);
    only_the_last_was_repeated(&server);
    let shown = server.json(&["runs", "show", "r", "--json"]);
    assert_eq!(shown["run"]["status"], "ok");
}

#[test]
fn s4_of_two_processes_one_has_the_run_and_the_other_says_who() {
    let server = script();
    let mut child = under_way(&server, &[]);
    let output = server.agent(&["resume", "r"]).output().unwrap();
    let (code, out, err) = ended(&output);
    assert_eq!((code, out), (Some(1), ""), "{err}");
    let pid = format!("(process {}) until ", child.id());
    assert!(
        err.contains(&pid) && err.contains("agent interrupt r"),
        "{err}"
    );
    for arguments in [&["runs", "delete", "r"][..], &["cleanup", "--days", "0"]] {
        server.agent(arguments).output().unwrap();
    }
    assert!(server.said(&["runs", "list"]).contains(" running "));
    child.kill().unwrap();
    child.wait().unwrap();
    resumed(&server);
}

#[test]
fn a_second_process_asks_the_first_to_pause() {
    let gate = Gate::default();
    let server = Scripted::new([
        Reply::calls("list_files").behind(&gate),
        Reply::says("done"),
    ]);
    let child = server.run_with_tools(&[]).spawn().unwrap();
    while server.requests().is_empty() {
        thread::yield_now();
    }
    let said = server.said(&["interrupt", "r"]);
    let process = format!("run r, process {}, was asked to pause", child.id());
    assert!(said.starts_with(&process), "{said}");
    // The run looks into its inbox twice a second.
    thread::sleep(Duration::from_secs(2));
    gate.open();
    let output = child.wait_with_output().unwrap();
    let (code, _, err) = ended(&output);
    assert_eq!(
        (code, err),
        (Some(5), "run r is paused; go on with: agent resume r\n")
    );
    let said = server.said(&["interrupt", "r"]);
    assert!(said.contains("not under way (it is `paused`)"), "{said}");
    // The wish was for the life that it was said to.
    assert!(server.said(&["resume", "r"]).starts_with("done\n"));
    assert!(
        server
            .said(&["interrupt", "r"])
            .contains("has ended already")
    );
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn a_run_that_has_ended_prints_its_answer_again_and_asks_nobody() {
    let server = Scripted::new([Reply::says("the answer")]);
    server.run(&[]).output().unwrap();
    let output = server
        .agent(&["resume", "r"])
        .env_remove("OPENAI_API_KEY")
        .output()
        .unwrap();
    let (code, out, err) = ended(&output);
    assert_eq!(code, Some(0));
    assert!(out.starts_with("the answer\n"), "{out}");
    assert!(err.contains("run r has ended already"), "{err}");
    let report = server.json(&["resume", "r", "--json"]);
    assert_eq!(
        (&report["type"], &report["text"], &report["model_calls"]),
        (&"run_report".into(), &"the answer".into(), &1.into())
    );
    assert_eq!(server.requests().len(), 1);
    assert_eq!(server.json(&["runs", "list", "--json"])["records"], 4);
}

#[test]
fn a_run_that_failed_or_reached_a_limit_can_go_on() {
    let server = Scripted::new([
        Reply::calls("list_files"),
        Reply::Status("401 Unauthorized"),
        Reply::calls("list_files"),
        Reply::says("done"),
    ]);
    let output = server
        .run_with_tools(&["--max-turns", "2"])
        .output()
        .unwrap();
    let (code, _, err) = ended(&output);
    assert_eq!(code, Some(1));
    assert!(
        err.contains("run r can go on where it stopped: agent resume r\n"),
        "{err}"
    );
    let output = server.agent(&["resume", "r"]).output().unwrap();
    let (code, _, err) = ended(&output);
    assert_eq!(code, Some(4), "{err}");
    assert!(err.contains("agent resume r --max-turns 4\n"), "{err}");
    assert_eq!(server.json(&["runs", "list", "--json"])["status"], "limit");
    let said = server.said(&["resume", "r", "--max-turns", "4"]);
    assert!(said.starts_with("done\n"), "{said}");
    assert_eq!(server.requests().len(), 4);
}

#[test]
fn what_the_agent_was_made_of_must_still_be_there() {
    let server = script();
    let child = under_way(&server, &[]);
    signal(&child, "INT");
    child.wait_with_output().unwrap();
    let kept = server.json(&["runs", "list", "--json"])["application"].clone();
    assert_eq!(
        kept["agent_run"]["workspace"].as_str(),
        server.folder.path().to_str()
    );
    std::fs::remove_dir_all(server.folder.path()).unwrap();
    let output = server.agent(&["resume", "r"]).output().unwrap();
    let (code, _, err) = ended(&output);
    assert_eq!(code, Some(2));
    assert!(err.contains("--workspace"), "{err}");
}

#[test]
fn a_run_that_is_not_there_is_said() {
    let server = script();
    for arguments in [
        &["resume", "nothing"][..],
        &["runs", "show", "nothing"],
        &["runs", "export", "nothing"],
        &["runs", "delete", "nothing"],
        &["interrupt", "nothing"],
        &["approve", "nothing", "c", "yes"],
    ] {
        let output = server.agent(arguments).output().unwrap();
        let (code, out, err) = ended(&output);
        assert_eq!((code, out), (Some(2), ""), "{arguments:?}");
        assert!(err.contains("there is no run nothing"), "{err}");
        assert!(err.contains("`agent runs list`"), "{err}");
    }
}

#[tokio::test]
async fn an_agent_that_is_not_what_it_was_is_refused_with_the_remedy() {
    use std::sync::Arc;

    use agent_sdk::{
        agent::Agent,
        operation::RunContext,
        store::SqliteStore,
        testing::{CountingTool, ScriptedModel, Turn},
    };

    let server = Scripted::new([Reply::says("done")]);
    // A run of an agent with other instructions, which waits.
    let store = Arc::new(SqliteStore::open(server.file()).unwrap());
    let model = ScriptedModel::new([Turn::new().tool_call("c", "look", "{}")]);
    let agent = Agent::builder("agent", model)
        .instructions("as it was")
        .tool(CountingTool::new("look"))
        .build()
        .unwrap();
    let recipe = serde_json::json!({"agent_run": {"model": "openai:m", "base_url": server.url, "system": "as it is"}});
    let context = RunContext::builder().run_id("r").build();
    let waits = agent
        .run("hi")
        .context(&context)
        .store(store.clone())
        .application(recipe)
        .ask_before(["look"])
        .await;
    assert!(waits.is_err());
    let context = RunContext::builder().run_id("other").build();
    let waits = agent
        .run("hi")
        .context(&context)
        .store(store.clone())
        .ask_before(["look"])
        .await;
    assert!(waits.is_err());
    drop(store);

    let output = server.agent(&["resume", "r"]).output().unwrap();
    let (code, _, err) = ended(&output);
    assert_eq!(code, Some(2), "{err}");
    for said in [
        "the instructions changed",
        "tool `look` is gone",
        "agent resume r --accept-changes",
    ] {
        assert!(err.contains(said), "no {said:?} in {err}");
    }
    server.said(&["approve", "r", "c", "no"]);
    let output = server
        .agent(&["resume", "r", "--accept-changes"])
        .output()
        .unwrap();
    let (code, out, err) = ended(&output);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.starts_with("done\n"), "{out}");

    let output = server.agent(&["resume", "other"]).output().unwrap();
    let (code, _, err) = ended(&output);
    assert_eq!(code, Some(2));
    assert!(err.contains("was not begun by `agent run`"), "{err}");
}
