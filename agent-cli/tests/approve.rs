//! Runs that wait for a person's word.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests may panic as tests do"
)]

mod support;

use support::{
    ended,
    script::{Reply, Scripted},
};

/// A run that wants to call a tool, and waits.
fn waiting() -> Scripted {
    let server = Scripted::new([Reply::calls("list_files"), Reply::says("done")]);
    let output = server
        .run_with_tools(&["--ask", "list_files"])
        .output()
        .unwrap();
    let (code, out, err) = ended(&output);
    assert_eq!(code, Some(5), "{out}{err}");
    let expected = "\
run r is paused: it waits to be told about 1 tool call
  list_files {}
    may this be called?
    agent approve r call-1 yes    (or: no --reason TEXT)
then go on with: agent resume r
";
    assert_eq!(err, expected);
    server
}

/// What the model was told about its call.
fn told(server: &Scripted) -> String {
    let requests = server.requests();
    let messages = requests.last().unwrap().body["messages"]
        .as_array()
        .unwrap();
    messages.last().unwrap()["content"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[test]
fn a_call_that_is_allowed_is_made_when_the_run_goes_on() {
    let server = waiting();
    assert_eq!(server.json(&["runs", "list", "--json"])["status"], "paused");
    let shown = server.said(&["runs", "show", "r"]);
    assert!(shown.contains("agent approve r call-1 yes"), "{shown}");
    // Nobody has answered: it waits again, and asks no model.
    let output = server.agent(&["resume", "r"]).output().unwrap();
    assert_eq!(ended(&output).0, Some(5));
    assert_eq!(server.requests().len(), 1);

    let said = server.said(&["approve", "r", "call-1", "yes"]);
    assert_eq!(
        said,
        "answered with yes: list_files {}\ngo on with: agent resume r\n"
    );
    assert!(
        !server
            .said(&["runs", "show", "r"])
            .contains("agent approve")
    );
    assert!(server.said(&["resume", "r"]).starts_with("done\n"));
    assert!(told(&server).contains("notes.txt"), "{}", told(&server));
    let records = server.json(&["runs", "show", "r", "--json"]);
    let given = records["records"].as_array().unwrap().iter();
    let given: Vec<_> = given
        .filter(|it| it["record"]["type"] == "approval_given")
        .collect();
    assert_eq!(given[0]["record"]["verdict"]["by"], "tester");
    let replayed = server.said(&["replay", "r"]);
    assert!(replayed.contains("goes as it went"), "{replayed}");
}

#[test]
fn a_call_that_is_refused_is_not_made_and_the_model_is_told_why() {
    let server = waiting();
    server.said(&[
        "approve",
        "r",
        "1/call-1",
        "no",
        "--reason",
        "not this folder",
    ]);
    assert!(server.said(&["resume", "r"]).starts_with("done\n"));
    let told = told(&server);
    assert!(
        told.contains("not this folder") && !told.contains("notes.txt"),
        "{told}"
    );
}

#[test]
fn an_answer_that_fits_nothing_is_refused() {
    let server = waiting();
    for (arguments, said) in [
        (
            &["approve", "r", "other", "yes"][..],
            "it asks about call-1",
        ),
        (&["approve", "r", "call-1", "maybe"], "yes, no"),
        (
            &["approve", "r", "call-1", "yes", "--reason", "x"],
            "goes with `no`",
        ),
    ] {
        let output = server.agent(arguments).output().unwrap();
        let (code, _, err) = ended(&output);
        assert_eq!(code, Some(2), "{err}");
        assert!(err.contains(said), "{err}");
    }
    let output = server.run_with_tools(&["--ask", "rm"]).output().unwrap();
    let (code, _, err) = ended(&output);
    assert_eq!(code, Some(2));
    assert!(err.contains("--ask rm"), "{err}");
}

#[test]
fn where_nobody_can_be_asked_and_nothing_is_kept_the_call_is_not_made() {
    let server = Scripted::new([Reply::calls("list_files"), Reply::says("done")]);
    let output = server
        .run_with_tools(&["--ask", "list_files", "--no-store"])
        .output()
        .unwrap();
    let (code, _, err) = ended(&output);
    assert_eq!(code, Some(0), "{err}");
    assert!(err.contains("warning: nobody can be asked here"), "{err}");
    assert!(!told(&server).contains("notes.txt"));
}

#[cfg(unix)]
#[test]
fn a_call_that_writes_is_made_once_it_is_allowed() {
    let arguments = r#"{"path":"notes.txt","content":"more\n"}"#;
    let server = Scripted::new([
        Reply::calls_with("append_file", arguments),
        Reply::says("done"),
    ]);
    let file = server.folder.path().join("notes.txt");
    std::fs::remove_file(&file).unwrap();
    let flags = ["--write", "--ask", "append_file"];
    assert_eq!(
        server
            .run_with_tools(&flags)
            .output()
            .unwrap()
            .status
            .code(),
        Some(5)
    );
    server.said(&["approve", "r", "call-1", "yes"]);
    assert!(server.said(&["resume", "r"]).starts_with("done\n"));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "more\n");
}
