//! A server repeats the key and the prompt: where they are then found, of all that the command says, logs and keeps.
#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

mod support;

use std::{
    fmt::Write as _,
    fs,
    path::Path,
    process::{Command, Output},
};

use support::{Server, agent_in, end, piece, text};

/// No pattern knows it.
const KEY: &str = "canary-plain-0f1e2d3c4b5a";
const KEY_IN_BASE64: &str = "Y2FuYXJ5LXBsYWluLTBmMWUyZDNjNGI1";
const PROMPT: &str = "canary-prompt-9a8b7c6d";
const ANSWER: &str = "canary-answer-6b7c8d9e";

fn run(server: &Server, flags: &[&str]) -> Command {
    let arguments = ["run", PROMPT, "--base-url", &server.url, "--model"];
    let mut command = agent_in(server.home.path(), &arguments);
    command
        .args(["openai:m", "-v", "--log-file"])
        .arg(server.home.path().join("log.jsonl"))
        .arg("--record")
        .arg(server.home.path().join("cassette.json"))
        .args(flags)
        .env("RUST_LOG", "trace")
        .env("OPENAI_API_KEY", KEY);
    command
}

/// The bytes of every file beneath, by name.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            found.push((name, fs::read(&path).unwrap()));
        }
    }
    found
}

fn occurs(bytes: &[u8], word: &str) -> bool {
    let mut parts = bytes.windows(word.len());
    parts.any(|part| part == word.as_bytes())
}

/// The key is nowhere but in what is kept of an answer that has it, which is as it came; the prompt is in no line of a log.
fn is_safe(server: &Server, output: &Output, named_by_answer: bool) {
    let mut hex = String::new();
    for byte in KEY.bytes() {
        write!(hex, "{byte:02x}").unwrap();
    }
    let mut left = files(server.home.path());
    let names: Vec<_> = left.iter().map(|(name, _)| name.clone()).collect();
    for name in ["store.db", "log.jsonl"] {
        assert!(names.iter().any(|known| known == name), "{names:?}");
    }
    left.push(("stdout".to_owned(), output.stdout.clone()));
    left.push(("stderr".to_owned(), output.stderr.clone()));
    for (name, bytes) in &left {
        if named_by_answer && name.starts_with("store.db") {
            continue;
        }
        for form in [KEY, KEY_IN_BASE64, &hex, &hex.to_uppercase()] {
            let shown = String::from_utf8_lossy(bytes);
            let line = shown.lines().find(|line| line.contains(form));
            assert!(!occurs(bytes, form), "{form} is in {name}: {line:?}");
        }
    }
    let (_, log) = left.iter().find(|(name, _)| name == "log.jsonl").unwrap();
    let logged = text(log).lines().chain(text(&output.stderr).lines());
    let mut lines = 0;
    for line in logged.filter(|line| line.starts_with('{')) {
        lines += 1;
        for content in [PROMPT, ANSWER] {
            assert!(!line.contains(content), "{content} was logged: {line}");
        }
    }
    assert!(lines > 10, "nothing was logged");
    assert!(text(log).contains("agent_sdk.run.finished"), "no summary");
}

#[test]
fn o7_an_error_that_repeats_the_key_and_the_prompt_is_no_leak() {
    let message = format!("'{PROMPT}' with {KEY} ({KEY_IN_BASE64}YQ==) is not read");
    let body =
        format!(r#"{{"error": {{"message": "{message}", "type": "t {KEY}", "code": "c {KEY}"}}}}"#);
    for status in ["400 Bad Request", "401 Unauthorized", "503 Unavailable"] {
        let server = Server::answering(status, "application/json", &body, false);
        let output = run(&server, &["--log-format", "json"]).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        is_safe(&server, &output, false);
        let output = run(&server, &["--json"]).output().unwrap();
        is_safe(&server, &output, false);
    }
}

#[test]
fn o7_an_answer_that_names_the_key_is_no_leak_and_a_broken_one_neither() {
    let broken = format!(
        r#"{{"error": {{"message": "'{PROMPT}' with {KEY}", "type": "t {KEY}", "code": "c"}}}}"#
    );
    let named: Vec<_> = [piece(ANSWER)]
        .into_iter()
        .chain(end("stop"))
        .map(|event| event.replace("\"m\"", &format!("\"m {KEY}\"")))
        .collect();
    for (events, code) in [(named, 0), (vec![piece(ANSWER), broken], 1)] {
        let server = Server::streaming(&events, false);
        let output = run(&server, &["--log-format", "json"]).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        is_safe(&server, &output, code == 0);
        let mut report = agent_in(server.home.path(), &["cost", "report", "--since", "all"]);
        let output = report.output().unwrap();
        assert!(!text(&output.stdout).contains(KEY), "{output:?}");
    }
}
