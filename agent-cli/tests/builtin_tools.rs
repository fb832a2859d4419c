//! Built-in tools that a run is given.
#![cfg(unix)]
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

/// What the model was told about its last call.
fn told(server: &Scripted) -> String {
    let requests = server.requests();
    let messages = requests.last().unwrap().body["messages"]
        .as_array()
        .unwrap();
    let result = messages.iter().rfind(|message| message["role"] == "tool");
    result.unwrap()["content"].as_str().unwrap().to_owned()
}

#[test]
fn what_is_allowed_to_no_tool_and_a_tool_that_is_allowed_nothing_are_refused() {
    let server = Scripted::new([Reply::says("done")]);
    for (flags, said) in [
        (
            &["--tool", "http_request"][..],
            "Name some with `--allow-host HOST`",
        ),
        (
            &["--tool", "run_command"],
            "Name some with `--allow-program NAME`",
        ),
        (
            &["--allow-host", "example.com"],
            "goes with `--tool http_request`",
        ),
        (&["--allow-program", "ls"], "goes with `--tool run_command`"),
        (
            &["--tool", "http_request", "--allow-host", "127.0.0.1"],
            "this machine itself",
        ),
        (
            &[
                "--tool",
                "run_command",
                "--allow-program",
                "no-such-program-at-all",
            ],
            "is not there",
        ),
        (&["--tool", "shell"], "http_request, run_command"),
    ] {
        let output = server.run_with_tools(flags).output().unwrap();
        let (code, _, err) = ended(&output);
        assert_eq!(code, Some(2), "{flags:?}: {err}");
        assert!(err.contains(said), "{flags:?}: {err}");
    }
    let output = server
        .run(&["--tool", "run_command", "--allow-program", "ls"])
        .output()
        .unwrap();
    let (code, _, err) = ended(&output);
    assert_eq!(code, Some(2), "{err}");
    assert!(err.contains("no folder to run in"), "{err}");
    assert!(server.requests().is_empty());
}

#[test]
fn a_program_runs_in_the_folder_once_a_person_has_said_so() {
    let call = Reply::calls_with("run_command", r#"{"argv":["ls"]}"#);
    let server = Scripted::new([call, Reply::says("done")]);
    let flags = ["--tool", "run_command", "--allow-program", "ls"];
    let output = server.run_with_tools(&flags).output().unwrap();
    let (code, out, err) = ended(&output);
    assert_eq!(code, Some(5), "{out}{err}");
    assert!(err.contains("agent approve r call-1 yes"), "{err}");
    server.said(&["approve", "r", "call-1", "yes"]);
    assert!(server.said(&["resume", "r"]).contains("done"));
    let told = told(&server);
    assert!(
        told.starts_with(r#"{"exit_code":0,"#) && told.contains("notes.txt"),
        "{told}"
    );
}

#[test]
fn a_host_that_was_not_named_is_not_asked() {
    let arguments = r#"{"url":"http://169.254.169.254/latest/meta-data/"}"#;
    let call = Reply::calls_with("http_request", arguments);
    let server = Scripted::new([call, Reply::says("done")]);
    let flags = ["--tool", "http_request", "--allow-host", "*.example.com"];
    let output = server.run_with_tools(&flags).output().unwrap();
    let (code, out, err) = ended(&output);
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(told(&server).contains("this host is not allowed"));
}
