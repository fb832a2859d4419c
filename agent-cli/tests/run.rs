//! `agent run`, through the real command, against servers on this machine.
#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

mod support;

use std::{io::Write, process::Stdio};

use support::{KEY, Server, agent, agent_in, call, end, ended, piece};

fn answer(pieces: &[&str]) -> Server {
    let events: Vec<_> = pieces
        .iter()
        .map(|text| piece(text))
        .chain(end("stop"))
        .collect();
    Server::streaming(&events, false)
}

#[test]
fn what_is_missing_is_named_and_nothing_is_asked() {
    for (arguments, said) in [
        (&["run", "hi"][..], "AGENT_MODEL"),
        (
            &["run", "hi", "--model", "openai:gpt-5-mini"],
            "OPENAI_API_KEY is not set",
        ),
        (&["run", "hi", "--model", "acme:m"], "--base-url"),
        (
            &[
                "run",
                "hi",
                "--model",
                "acme:m",
                "--base-url",
                "https://acme.invalid/v1",
            ],
            "ACME_API_KEY",
        ),
        (&["run", "hi", "--nonsense"], "--nonsense"),
        (&["run", ""], "AGENT_MODEL"),
        (
            &[
                "run",
                "hi",
                "--model",
                "openai:m",
                "--base-url",
                "http://127.0.0.1:1",
                "--workspace",
                "/no/such",
            ],
            "--workspace /no/such",
        ),
    ] {
        let output = agent(arguments).output().unwrap();
        let (code, out, err) = ended(&output);
        assert_eq!((code, out), (Some(2), ""), "{arguments:?}: {err}");
        assert!(err.contains(said), "{arguments:?}: {err}");
    }
}

#[test]
fn wrong_variables_are_wrong_configuration() {
    let server = answer(&["hi"]);
    for (name, value, flag) in [
        ("RUST_LOG", "a=b=c", "-v"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "carrier-pigeon", "-v"),
    ] {
        let output = server.run(&[flag]).env(name, value).output().unwrap();
        let (code, _, err) = ended(&output);
        assert_eq!(code, Some(2), "{err}");
        assert!(err.contains(name), "{err}");
    }
}

#[test]
fn the_answer_comes_first_and_the_trace_after_it_plain() {
    let output = answer(&["Hello ", "world."]).run(&[]).output().unwrap();
    let (code, out, err) = ended(&output);
    assert_eq!((code, err), (Some(0), ""));
    assert!(out.starts_with("Hello world.\n\n  operation"), "{out}");
    assert!(
        out.contains("chat m") && out.contains("10 tokens in, 5 out"),
        "{out}"
    );
    assert!(out.contains("\nBottleneck: "), "{out}");
    assert!(out.is_ascii() && !out.contains('\x1b'), "{out}");
}

#[test]
fn what_a_model_writes_cannot_act_on_a_terminal() {
    let server = answer(&["a\x1b]52;c;cm0=\x07", "\x1b", "[2J\u{202e}b\r\u{9b}31m"]);
    for flags in [&[][..], &["--json"]] {
        let output = server
            .run(flags)
            .env("CLICOLOR_FORCE", "0")
            .output()
            .unwrap();
        let (code, out, _) = ended(&output);
        assert_eq!(code, Some(0));
        let acts = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!out.contains(acts), "{out:?}");
    }
}

#[test]
fn json_is_an_event_a_line_and_the_report_last() {
    let output = answer(&["one\n", "two"])
        .run(&["--json", "--tag", "a=b"])
        .output()
        .unwrap();
    let (code, out, err) = ended(&output);
    assert_eq!((code, err), (Some(0), ""));
    let events: Vec<serde_json::Value> = out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(events.first().unwrap()["type"], "run_started");
    let report = events.last().unwrap();
    assert_eq!(report["type"], "run_report");
    assert_eq!(report["text"], "one\ntwo");
    assert!(!report["profile"]["bottleneck"].as_str().unwrap().is_empty());
    let path = report["profile"]["critical_path"].as_array().unwrap();
    assert!(
        path.iter()
            .all(|part| part["name"].is_string() && part["duration_ms"].is_number())
    );
}

#[test]
fn failures_say_what_happened_and_still_show_the_trace() {
    let body =
        format!(r#"{{"error": {{"message": "no, {KEY} will not do", "type": "t", "code": "c"}}}}"#);
    for (status, said) in [
        ("401 Unauthorized", "OPENAI_API_KEY"),
        ("429 Too Many Requests", "rate_limited, status 429"),
        ("500 Internal Server Error", "status 500"),
        ("400 Bad Request", "status 400"),
        ("408 Request Timeout", "timeout, status 408"),
    ] {
        let server = Server::answering(status, "application/json", &body, false);
        let output = server.run(&[]).output().unwrap();
        let (code, out, err) = ended(&output);
        assert_eq!(code, Some(1), "{err}");
        // Before it stand the tries that were made.
        let is_said = err.lines().any(|line| line.starts_with("error: "));
        assert!(is_said && err.contains(said), "{err}");
        assert!(err.contains("no, [redacted:secret] will not do"), "{err}");
        assert!(out.contains("chat m") && out.contains("error"), "{out}");
        let json = server.run(&["--json"]).output().unwrap();
        let (code, out, err) = ended(&json);
        assert_eq!(code, Some(1));
        let last: serde_json::Value = serde_json::from_str(out.lines().last().unwrap()).unwrap();
        assert_eq!(
            (&last["type"], &last["outcome"]),
            (&"run_report".into(), &"error".into())
        );
        assert!(err.starts_with("error: "), "{err}");
    }
}

#[test]
fn a_server_that_is_not_there_is_said() {
    let home = tempfile::tempdir().unwrap();
    let arguments = [
        "run",
        "hi",
        "--model",
        "local:m",
        "--base-url",
        "http://127.0.0.1:9",
    ];
    let output = agent_in(home.path(), &arguments).output().unwrap();
    let (code, _, err) = ended(&output);
    assert_eq!(code, Some(1));
    assert!(
        err.contains("Is 127.0.0.1:9 right") && err.contains("because: local: "),
        "{err}"
    );
}

#[test]
fn a_limit_has_an_exit_code_of_its_own() {
    let events: Vec<_> = [call("list_files", "{}")]
        .into_iter()
        .chain(end("tool_calls"))
        .collect();
    let server = Server::streaming(&events, false);
    let folder = tempfile::tempdir().unwrap();
    let workspace = folder.path().to_str().unwrap();
    let output = server
        .run(&["--workspace", workspace, "--max-turns", "3"])
        .output()
        .unwrap();
    let (code, out, err) = ended(&output);
    assert_eq!(code, Some(4), "{err}");
    assert!(
        err.contains("max_turns = 3") && err.contains("--max-turns"),
        "{err}"
    );
    assert!(out.contains("3 model calls, 3 tool calls"), "{out}");
}

#[test]
fn a_model_writes_in_the_folder_only_where_it_may() {
    let folder = tempfile::tempdir().unwrap();
    let workspace = folder.path().join("ws");
    std::fs::create_dir(&workspace).unwrap();
    let run = |path: &str, flags: &[&str]| {
        let arguments = format!(r#"{{"path":"{path}","content":"\u001b[31mhello\n"}}"#);
        let events: Vec<_> = [call("write_file", &arguments)]
            .into_iter()
            .chain(end("tool_calls"))
            .collect();
        let server = Server::streaming(&events, false);
        let mut command = server.run(&["--max-turns", "2"]);
        command.args(flags).arg("--workspace").arg(&workspace);
        let output = command.output().unwrap();
        let (code, out, err) = ended(&output);
        assert_eq!(code, Some(4), "{out}{err}");
        let mut calls = out.lines().filter(|line| line.contains("tool write_file"));
        calls.next().is_some_and(|call| !call.contains("error"))
    };
    assert!(!run("notes/a.txt", &[]));
    assert_eq!(std::fs::read_dir(&workspace).unwrap().count(), 0);
    assert!(!run("../a.txt", &["--write"]));
    assert!(!folder.path().join("a.txt").exists());
    assert!(run("notes/a.txt", &["--write"]));
    let written = std::fs::read_to_string(workspace.join("notes/a.txt")).unwrap();
    assert_eq!(written, "hello\n");
}

#[test]
fn a_prompt_may_come_on_standard_input() {
    let server = answer(&["yes"]);
    let with = |input: &[u8]| {
        let arguments = ["run", "-", "--model", "openai:m", "--base-url", &server.url];
        let mut child = agent_in(server.home.path(), &arguments)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        child.wait_with_output().unwrap()
    };
    assert_eq!(ended(&with(b"what?\n")).0, Some(0));
    let wrong = with(b"a\xff");
    let (code, _, err) = ended(&wrong);
    assert_eq!(code, Some(2));
    assert!(err.contains("UTF-8"), "{err}");
    assert_eq!(ended(&with(b" \n")).0, Some(2));
}

#[test]
fn logs_go_to_standard_error_and_hold_no_key() {
    let server = answer(&["yes"]);
    let output = server
        .run(&["-v"])
        .env("RUST_LOG", "trace")
        .output()
        .unwrap();
    let (code, out, err) = ended(&output);
    assert_eq!(code, Some(0));
    assert!(out.starts_with("yes\n"));
    assert!(
        err.contains("invoke_agent") && err.contains("close"),
        "{err}"
    );
}

#[test]
fn telemetry_that_does_not_arrive_is_said_in_a_line() {
    let server = answer(&["yes"]);
    let mut command = server.run(&[]);
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9");
    let output = command.output().unwrap();
    let (code, out, err) = ended(&output);
    assert_eq!(code, Some(0));
    assert!(out.starts_with("yes\n"));
    assert!(err.contains("warning: not all telemetry arrived"), "{err}");
}

#[test]
fn a_run_is_recorded_and_replayed_without_the_server_and_without_the_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tape.jsonl");
    let file = path.to_str().unwrap();
    let server = answer(&["Hello ", "world."]);
    let output = server.run(&["--record", file]).output().unwrap();
    let (code, out, err) = ended(&output);
    assert_eq!(code, Some(0), "{err}");
    assert!(err.contains("recorded: 1 exchange"), "{err}");
    let tape = std::fs::read_to_string(&path).unwrap();
    assert!(!tape.contains(KEY), "the key stands in the recording");

    // Nobody listens there, and there is no key.
    let replay = [
        "run",
        "hi",
        "--model",
        "openai:m",
        "--base-url",
        "http://127.0.0.1:1/v1",
    ];
    let home = server.home.path();
    let output = agent_in(home, &replay)
        .args(["--replay", file])
        .output()
        .unwrap();
    let (code, again, err) = ended(&output);
    assert_eq!(code, Some(0), "{err}");
    assert!(
        err.starts_with("replay: ") && err.contains("no provider is asked"),
        "{err}"
    );
    assert_eq!(again.lines().next(), out.lines().next());

    let output = agent_in(home, &["run", "something else"])
        .args(&replay[2..])
        .args(["--replay", file])
        .output()
        .unwrap();
    let (code, _, err) = ended(&output);
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains("/messages/0/content"), "{err}");
}

#[test]
fn another_try_is_told_while_it_is_waited_for() {
    let busy = r#"{"error":{"message":"busy"}}"#;
    let server = Server::answering("503 X", "application/json", busy, false);
    let (code, _, err) = {
        let output = server.run(&[]).output().unwrap();
        let (code, out, err) = ended(&output);
        (code, out.to_owned(), err.to_owned())
    };
    assert_eq!(code, Some(1));
    for attempt in [2, 3] {
        let said = format!("`m` failed (overloaded): try {attempt} in ");
        assert!(err.contains(&said), "{err}");
    }
}
