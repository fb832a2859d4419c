//! Sessions: conversations that runs go on with, and that outlive them.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests may panic as tests do"
)]

mod support;

use support::{
    ended,
    script::{Reply, Scripted, signal},
};

fn run(server: &Scripted, prompt: &str, id: &str, session: &str) -> std::process::Output {
    let arguments = ["run", prompt, "--id", id, "--session", session];
    let model = ["--model", "openai:m", "--base-url", &server.url];
    server.agent(&arguments).args(model).output().unwrap()
}

/// What the last request asked, role by role.
fn asked(server: &Scripted) -> Vec<String> {
    let requests = server.requests();
    let messages = requests.last().unwrap().body["messages"].clone();
    let messages = messages.as_array().unwrap().iter();
    messages
        .map(|it| it["content"].as_str().unwrap_or_default().to_owned())
        .collect()
}

#[test]
fn runs_go_on_with_a_session() {
    let server = Scripted::new([Reply::says("To Oslo."), Reply::says("By train.")]);
    let id = server.said(&["sessions", "create", "--id", "trip", "--title", "A trip"]);
    assert_eq!(id, "trip\n");
    let output = run(&server, "Where to?", "r1", "trip");
    assert_eq!(ended(&output).0, Some(0), "{output:?}");
    server.said(&["sessions", "snapshot", "trip", "decided"]);
    let output = run(&server, "How?", "r2", "trip");
    assert_eq!(ended(&output).0, Some(0), "{output:?}");
    assert_eq!(asked(&server), ["Where to?", "To Oslo.", "How?"]);

    let listed = server.json(&["sessions", "list", "--json"]);
    assert_eq!(
        (&listed["id"], &listed["messages"]),
        (&"trip".into(), &4.into())
    );
    assert_eq!(listed["open_run"], serde_json::Value::Null);
    let shown = server.said(&["sessions", "show", "trip"]);
    assert!(
        shown.contains("assistant\n  By train.") && shown.contains("A trip"),
        "{shown}"
    );
    let then = server.said(&["sessions", "show", "trip", "--at", "decided"]);
    assert!(
        then.contains("To Oslo.") && !then.contains("By train."),
        "{then}"
    );
    let versions = server.said(&["sessions", "versions", "trip"]);
    assert!(
        versions.contains("snapshot") && versions.contains("run r2"),
        "{versions}"
    );
    let diff = server.said(&["sessions", "diff", "trip", "decided", "6"]);
    assert!(diff.contains("+ ") && diff.contains("By train."), "{diff}");
    let run = server.json(&["runs", "list", "--json", "--limit", "1"]);
    assert_eq!(
        (&run["session"], &run["user"]),
        (&"trip".into(), &"tester".into())
    );

    let branch = server.said(&["sessions", "branch", "trip", "--at", "decided"]);
    assert!(
        !server
            .said(&["sessions", "show", branch.trim()])
            .contains("By train.")
    );
    let said = server.said(&["sessions", "compress", "trip", "--keep-turns", "1"]);
    assert!(said.starts_with("2 messages left out"), "{said}");
    let file = server.folder.path().join("trip.json");
    let path = file.to_str().unwrap();
    server.said(&["sessions", "export", "trip", "--output", path]);
    let copy = server.said(&["sessions", "import", path]);
    assert!(
        server
            .said(&["sessions", "show", copy.trim()])
            .contains("By train.")
    );
    server.said(&["sessions", "delete", "trip"]);
    let output = server
        .agent(&["sessions", "show", "trip"])
        .output()
        .unwrap();
    let (code, _, err) = ended(&output);
    assert_eq!(code, Some(2));
    assert!(err.contains("agent sessions list"), "{err}");
    let said = server.said(&["cleanup", "--days", "0", "--sessions"]);
    assert!(
        said.contains("deleted 2 runs") && said.contains("deleted 2 sessions"),
        "{said}"
    );
}

#[test]
fn a_session_of_somebody_else_is_not_there() {
    let server = Scripted::new([]);
    server.said(&["sessions", "create", "--id", "s", "--user", "ada"]);
    let output = server.agent(&["sessions", "show", "s"]).output().unwrap();
    assert_eq!(ended(&output).0, Some(2));
    assert_eq!(server.said(&["sessions", "list"]), "");
    assert!(
        server
            .said(&["sessions", "list", "--user", "ada"])
            .contains("s ")
    );
}

#[test]
fn a_run_that_was_killed_finishes_in_its_session() {
    let server = Scripted::new([
        Reply::begins("begun\n"),
        Reply::says("done"),
        Reply::says("more"),
    ]);
    server.said(&["sessions", "create", "--id", "s"]);
    let child = server.run(&["--session", "s"]).spawn().unwrap();
    while server.requests().is_empty() {
        std::thread::yield_now();
    }
    signal(&child, "KILL");
    child.wait_with_output().unwrap();
    let output = run(&server, "next", "r2", "s");
    let (code, _, err) = ended(&output);
    assert_eq!(code, Some(1));
    assert!(
        err.contains("agent resume r") && err.contains("agent sessions abandon s"),
        "{err}"
    );
    assert!(server.said(&["resume", "r"]).starts_with("done\n"));
    let output = run(&server, "next", "r2", "s");
    assert_eq!(ended(&output).0, Some(0), "{output:?}");
    assert_eq!(asked(&server), ["hi", "done", "next"]);
}

#[test]
fn a_new_session_is_named_where_scripts_do_not_read_it() {
    let server = Scripted::new([Reply::says("hello")]);
    let output = run(&server, "hi", "r", "new");
    let (code, out, err) = ended(&output);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.starts_with("hello\n"), "{out}");
    let id = err.strip_prefix("session: ").unwrap().trim();
    assert!(
        server
            .said(&["sessions", "show", id])
            .contains("assistant\n  hello")
    );
    // A run of a session is shown and replayed as any other is.
    assert!(server.said(&["runs", "show", "r"]).contains("began: hi"));
    assert!(server.said(&["replay", "r"]).contains("goes as it went"));
    assert!(server.said(&["resume", "r"]).starts_with("hello\n"));
}
