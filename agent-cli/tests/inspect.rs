//! `agent inspect`, as a script calls it.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests may panic as tests do"
)]

use std::{
    io::Write,
    process::{Command, Output, Stdio},
};

use serde_json::{Value, json};

fn inspect(arguments: &[&str], body: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_agent"))
        .args(["inspect", "response"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = command.stdin.take().unwrap();
    // A command that refuses its arguments does not read.
    let _ = stdin.write_all(body.as_bytes());
    drop(stdin);
    command.wait_with_output().unwrap()
}

fn read(arguments: &[&str], body: &str) -> Value {
    let output = inspect(arguments, body);
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn an_answer_is_printed_as_the_client_reads_it() {
    let body = r#"{"model":"m-1","choices":[{"finish_reason":"tool_calls","message":{"content":"hi","tool_calls":[
        {"id":"c","function":{"name":"f","arguments":"{\"a\":1}"}}]}}],"usage":{"prompt_tokens":5,"completion_tokens":0}}"#;
    let expected = json!({
        "model": "m-1", "text": "hi", "reasoning_text": "", "refusal": null,
        "tool_calls": [{"id": "c", "name": "f", "arguments": {"a": 1}}],
        "finish_reasons": ["tool_calls"],
        "usage": {"input_tokens": 5, "output_tokens": 0, "cache_read_tokens": null, "cache_write_tokens": null, "reasoning_tokens": null},
        "error": null,
    });
    assert_eq!(read(&["--api", "openai.chat", "-"], body), expected);
}

#[test]
fn a_stream_and_a_failure_are_read_too() {
    let stream = "data: {\"choices\":[{\"delta\":{\"content\":\"hi\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    let answer = read(&["--api", "openai.chat", "--stream", "-"], stream);
    assert_eq!(answer["text"], "hi");
    let failure =
        r#"{"error":{"message":"slow down","type":"requests","code":"rate_limit_exceeded"}}"#;
    let answer = read(&["--api", "openai.chat", "--status", "429", "-"], failure);
    assert_eq!(
        (
            &answer["error"]["status"],
            &answer["error"]["code"],
            &answer["error"]["message"]
        ),
        (
            &json!(429),
            &json!("rate_limit_exceeded"),
            &json!("slow down")
        )
    );
    let cut = read(
        &["--api", "openai.chat", "--stream", "-"],
        "data: {\"choices\":[]}\n\n",
    );
    assert!(
        cut["error"]["message"]
            .as_str()
            .unwrap()
            .contains("broke off")
    );
}

#[test]
fn what_cannot_be_inspected_is_a_wrong_argument() {
    for (arguments, said) in [
        (
            &["--api", "openai.chats", "-"][..],
            "there are openai.chat, ",
        ),
        (&["--api", "openai.chat", "/no/such/file"], "cannot be read"),
        (&["--api", "openai.chat", "--status", "99", "-"], "99"),
    ] {
        let output = inspect(arguments, "");
        assert_eq!(output.status.code(), Some(2));
        let said_so = String::from_utf8_lossy(&output.stderr).contains(said);
        assert!(said_so, "{output:?}");
    }
}
