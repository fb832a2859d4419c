//! A server that answers each request with the next of its replies, and remembers the requests.

use std::{
    collections::VecDeque,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command},
    sync::{Arc, Condvar, Mutex},
    thread,
};

use serde_json::Value;
use tempfile::TempDir;

use super::{KEY, agent_in, call, end, piece, read_request};

/// What the server does with a request.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// Answers with these events.
    Whole(Vec<String>),
    /// Begins to answer, and goes on holding the connection until the client leaves.
    Held(Vec<String>),
    /// Answers once it is let to.
    Gated(Vec<String>, Gate),
    /// Refuses.
    Status(&'static str),
}

impl Reply {
    /// An answer.
    pub(crate) fn says(text: &str) -> Self {
        Self::Whole([piece(text)].into_iter().chain(end("stop")).collect())
    }

    /// The beginning of an answer.
    pub(crate) fn begins(text: &str) -> Self {
        Self::Held(vec![piece(text)])
    }

    /// A call of a tool.
    pub(crate) fn calls(tool: &str) -> Self {
        Self::calls_with(tool, "{}")
    }

    /// The same, once the gate is open.
    pub(crate) fn behind(self, gate: &Gate) -> Self {
        match self {
            Self::Whole(events) => Self::Gated(events, gate.clone()),
            other => other,
        }
    }

    /// A call of a tool with arguments.
    pub(crate) fn calls_with(tool: &str, arguments: &str) -> Self {
        let events = [call(tool, arguments)].into_iter();
        Self::Whole(events.chain(end("tool_calls")).collect())
    }
}

/// Holds an answer back until it is opened.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    pub(crate) fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }

    fn wait(&self) {
        let is_open = self.0.0.lock().unwrap();
        drop(self.0.1.wait_while(is_open, |is_open| !*is_open).unwrap());
    }
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    head: String,
    pub(crate) body: Value,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name)
                .then(|| value.trim().to_owned())
        })
    }
}

/// A server with a script, a folder for the store of the command that asks it, and one with a file to read.
pub(crate) struct Scripted {
    pub(crate) url: String,
    pub(crate) home: TempDir,
    pub(crate) folder: TempDir,
    requests: Arc<Requests>,
}

/// The requests that came.
#[derive(Debug, Default)]
struct Requests {
    all: Mutex<Vec<Request>>,
    more: Condvar,
}

impl Scripted {
    pub(crate) fn new(replies: impl IntoIterator<Item = Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let replies: Arc<Mutex<VecDeque<Reply>>> =
            Arc::new(Mutex::new(replies.into_iter().collect()));
        let requests = Arc::new(Requests::default());
        let log = requests.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let (replies, log) = (replies.clone(), log.clone());
                thread::spawn(move || {
                    let text = read_request(&mut stream);
                    let (head, body) = text.split_once("\r\n\r\n").unwrap();
                    let body: Value = serde_json::from_str(body).unwrap_or_default();
                    let streams = body["stream"] == true;
                    let head = head.to_owned();
                    let reply = replies.lock().unwrap().pop_front();
                    log.all.lock().unwrap().push(Request { head, body });
                    log.more.notify_all();
                    let reply = reply.unwrap_or(Reply::Status("400 Not In The Script"));
                    answer(&mut stream, reply, streams);
                });
            }
        });
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("notes.txt"), "one line\n").unwrap();
        Self {
            url,
            home: tempfile::tempdir().unwrap(),
            folder,
            requests,
        }
    }

    /// `agent run hi --id r` on the server's model.
    pub(crate) fn run(&self, flags: &[&str]) -> Command {
        let mut command = self.agent(&["run", "hi", "--id", "r", "--model", "openai:m"]);
        command.args(["--base-url", &self.url]).args(flags);
        command
    }

    /// As [`run`](Self::run), with tools that read a folder.
    pub(crate) fn run_with_tools(&self, flags: &[&str]) -> Command {
        let mut command = self.run(&["--workspace"]);
        command.arg(self.folder.path()).args(flags);
        command
    }

    /// The command on the same store.
    pub(crate) fn agent(&self, arguments: &[&str]) -> Command {
        let mut command = agent_in(self.home.path(), arguments);
        command.env("OPENAI_API_KEY", KEY);
        command
    }

    /// What the command says when all goes well.
    pub(crate) fn said(&self, arguments: &[&str]) -> String {
        let output = self.agent(arguments).output().unwrap();
        let (code, out, err) = super::ended(&output);
        assert_eq!(code, Some(0), "{arguments:?}: {out}{err}");
        out.to_owned()
    }

    /// The same as JSON.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.said(arguments)).unwrap()
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.all.lock().unwrap().clone()
    }

    /// Waits until so many requests have come.
    pub(crate) fn wait_for(&self, requests: usize) {
        let all = self.requests.all.lock().unwrap();
        let more = &self.requests.more;
        drop(more.wait_while(all, |all| all.len() < requests).unwrap());
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.home.path().join("store.db")
    }
}

/// Answers piece by piece, or where the request did not ask for that with one piece of JSON.
fn answer(stream: &mut TcpStream, reply: Reply, streams: bool) {
    let (events, hold) = match reply {
        Reply::Status(status) => {
            let body = r#"{"error":{"message":"no"}}"#;
            let text = format!(
                "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
            let _ = stream.write_all(text.as_bytes());
            return;
        }
        Reply::Gated(events, gate) => {
            gate.wait();
            (events, false)
        }
        Reply::Whole(events) => (events, false),
        Reply::Held(events) => (events, true),
    };
    if !streams {
        let body = if hold {
            "{".to_owned()
        } else {
            whole(&events).to_string()
        };
        // What is held back never comes.
        let length = body.len() + usize::from(hold);
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
        );
        let _ = stream.write_all(format!("{head}{body}").as_bytes());
        while hold && matches!(stream.read(&mut [0; 64]), Ok(read) if read > 0) {}
        return;
    }
    let mut body = String::new();
    for event in &events {
        body.extend(["data: ", event, "\n\n"]);
    }
    if !hold {
        body += "data: [DONE]\n\n";
    }
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
    // The client may have gone.
    let _ = stream.write_all(format!("{head}{body}").as_bytes());
    while hold && matches!(stream.read(&mut [0; 64]), Ok(read) if read > 0) {}
}

/// The pieces of an answer as one.
fn whole(events: &[String]) -> Value {
    let (mut content, mut calls) = (String::new(), Vec::new());
    let (mut reason, mut usage) = (Value::Null, Value::Null);
    for event in events {
        let event: Value = serde_json::from_str(event).unwrap();
        let choice = &event["choices"][0];
        content.push_str(choice["delta"]["content"].as_str().unwrap_or_default());
        calls.extend(
            choice["delta"]["tool_calls"]
                .as_array()
                .cloned()
                .unwrap_or_default(),
        );
        if !choice["finish_reason"].is_null() {
            reason = choice["finish_reason"].clone();
        }
        if !event["usage"].is_null() {
            usage = event["usage"].clone();
        }
    }
    let mut message = serde_json::json!({"role": "assistant", "content": content});
    if !calls.is_empty() {
        message["tool_calls"] = calls.into();
    }
    let choice = serde_json::json!({"index": 0, "message": message, "finish_reason": reason});
    serde_json::json!({"id": "c", "model": "m", "choices": [choice], "usage": usage})
}

/// Sends a signal to a process.
pub(crate) fn signal(child: &Child, name: &str) {
    let pid = child.id().to_string();
    let sent = Command::new("kill").args(["-s", name, &pid]).status();
    assert!(sent.unwrap().success());
}
