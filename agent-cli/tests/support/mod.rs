//! What tests of the command share: the command without the caller's variables, and a server that answers with given bytes.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "each test uses a part; helpers of tests may panic as tests do"
)]

pub(crate) mod plans;
pub(crate) mod script;

use std::{
    io::{Read, Write},
    net::TcpListener,
    path::Path,
    process::{Command, Output, Stdio},
    thread,
};

use tempfile::TempDir;

/// A key that must never be printed.
pub(crate) const KEY: &str = "sk-canary-0123456789abcdefghij";

/// The command, with no variables but those that a process needs. There is no folder for its store.
pub(crate) fn agent(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_agent"));
    command
        .env_clear()
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// The command, with its store in a folder.
pub(crate) fn agent_in(home: &Path, arguments: &[&str]) -> Command {
    let mut command = agent(arguments);
    command.env("AGENT_SDK_HOME", home).env("USER", "tester");
    command
}

pub(crate) fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// What a command said and its exit code; the key is in none of it.
pub(crate) fn ended(output: &Output) -> (Option<i32>, &str, &str) {
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(!out.contains(KEY) && !err.contains(KEY), "{out}{err}");
    (output.status.code(), out, err)
}

/// A server that gives every request the same answer; `hold` keeps the connection open after it. With it goes a folder for the
/// store of the command that asks it.
pub(crate) struct Server {
    pub(crate) url: String,
    pub(crate) home: TempDir,
}

impl Server {
    pub(crate) fn answering(status: &str, kind: &str, body: &str, hold: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let mut reply =
            format!("HTTP/1.1 {status}\r\ncontent-type: {kind}\r\nconnection: close\r\n");
        if !hold {
            reply += "content-length: ";
            reply += &body.len().to_string();
            reply += "\r\n";
        }
        reply += "\r\n";
        reply += body;
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (mut stream, reply) = (stream.unwrap(), reply.clone());
                thread::spawn(move || {
                    read_request(&mut stream);
                    // The client may have gone.
                    let _ = stream.write_all(reply.as_bytes());
                    while hold && matches!(stream.read(&mut [0; 64]), Ok(read) if read > 0) {}
                });
            }
        });
        let home = tempfile::tempdir().unwrap();
        Self { url, home }
    }

    /// A streamed answer of these events.
    pub(crate) fn streaming(events: &[String], hold: bool) -> Self {
        let mut body = String::new();
        for event in events {
            body.extend(["data: ", event, "\n\n"]);
        }
        if !hold {
            body += "data: [DONE]\n\n";
        }
        Self::answering("200 OK", "text/event-stream", &body, hold)
    }

    /// Runs the command on a model of this server.
    pub(crate) fn run(&self, flags: &[&str]) -> Command {
        let arguments = ["run", "hi", "--model", "openai:m", "--base-url", &self.url];
        let mut command = agent_in(self.home.path(), &arguments);
        command.args(flags).env("OPENAI_API_KEY", KEY);
        command
    }
}

/// Reads a request and gives back what was read.
fn read_request(stream: &mut impl Read) -> String {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let read = stream.read(&mut buffer).unwrap_or(0);
        request.extend_from_slice(buffer.get(..read).unwrap());
        let text = String::from_utf8_lossy(&request).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            assert!(read > 0, "the request broke off");
            continue;
        };
        let head = head.to_lowercase();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length:"));
        if read == 0 || body.len() >= length.map_or(0, |length| length.trim().parse().unwrap()) {
            return text;
        }
    }
}

/// A piece of a streamed answer.
pub(crate) fn piece(content: &str) -> String {
    let delta = serde_json::json!({"role": "assistant", "content": content});
    chunk(&delta, None)
}

/// The last pieces of a streamed answer.
pub(crate) fn end(reason: &str) -> [String; 2] {
    let usage = serde_json::json!({"id": "c", "model": "m", "choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 5}});
    [
        chunk(&serde_json::json!({}), Some(reason)),
        usage.to_string(),
    ]
}

/// A piece that calls a tool.
pub(crate) fn call(name: &str, arguments: &str) -> String {
    let function = serde_json::json!({"name": name, "arguments": arguments});
    let call =
        serde_json::json!({"index": 0, "id": "call-1", "type": "function", "function": function});
    chunk(
        &serde_json::json!({"role": "assistant", "tool_calls": [call]}),
        None,
    )
}

fn chunk(delta: &serde_json::Value, reason: Option<&str>) -> String {
    let choice = serde_json::json!({"index": 0, "delta": delta, "finish_reason": reason});
    serde_json::json!({"id": "c", "model": "m", "choices": [choice]}).to_string()
}
