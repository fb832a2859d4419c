//! Recorded over loopback, replayed from the file alone.

mod files;
mod secrets;
mod times;

use std::path::PathBuf;

use serde_json::Value;
use tempfile::TempDir;

use super::*;
use crate::{
    model::{
        ChatRequest, Model, ModelError, ModelErrorKind,
        http::testing::{STREAM, Server, Step, drain, sse},
        provider::{OpenAi, openai::OpenAiBuilder},
    },
    operation::RunContext,
};

/// A cassette in a folder of its own.
struct Place {
    _folder: TempDir,
    path: PathBuf,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.cassette");
        Self {
            _folder: folder,
            path,
        }
    }

    fn recorder(&self) -> Recorder {
        Recorder::open(&self.path).unwrap()
    }

    fn replay(&self) -> Replay {
        Replay::open(&self.path).unwrap()
    }

    fn text(&self) -> String {
        std::fs::read_to_string(&self.path).unwrap()
    }

    fn lines(&self) -> Vec<Value> {
        let text = self.text();
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        lines.collect()
    }

    fn write(&self, text: &str) {
        std::fs::write(&self.path, text).unwrap();
    }
}

fn live(base_url: &str, recorder: &Recorder) -> OpenAi {
    let builder = OpenAi::builder("m").base_url(base_url).without_key();
    builder.recorder(recorder.clone()).build().unwrap()
}

/// A client of a server that is not there, and without a key.
fn offline(replay: Replay) -> OpenAi {
    OpenAi::builder("m").replay(replay).build().unwrap()
}

/// Everything that a caller sees of a request.
async fn seen(client: &OpenAi, prompt: &str, stream: bool) -> (String, String) {
    let (context, request) = (RunContext::new(), ChatRequest::new(prompt));
    let (events, result) = if stream {
        match client.stream(&context, request).await {
            Ok(stream) => drain(stream).await,
            Err(error) => (Vec::new(), Err(error)),
        }
    } else {
        (Vec::new(), client.chat(&context, request).await)
    };
    let result = match result {
        Ok(response) => format!("{response:?} {}", response.text()),
        Err(error) => told(&error),
    };
    (format!("{events:?}"), result)
}

fn told(error: &ModelError) -> String {
    // What a cassette tells of a server that could not be reached is the message.
    let source = std::error::Error::source(error)
        .filter(|_| error.kind() != ModelErrorKind::Transport)
        .map(ToString::to_string);
    let (wait, partial) = (error.retry_after(), error.partial());
    let text = partial.map(super::super::ChatResponse::text);
    let again = error.is_retryable();
    format!("{error} {wait:?} {again} {partial:?} {text:?} {source:?}")
}

fn answer(status: u16, headers: &str, body: &str) -> Vec<Step> {
    let head = format!(
        "HTTP/1.1 {status} X\r\ncontent-length: {}\r\n{headers}\r\n",
        body.len()
    );
    vec![Step::Send((head + body).into_bytes())]
}

fn streamed(bodies: &[&[u8]]) -> Vec<Step> {
    let mut steps = vec![Step::Send(STREAM.into())];
    for body in bodies {
        // So that the pieces arrive as pieces.
        steps.push(Step::Wait(std::time::Duration::from_millis(20)));
        steps.push(Step::Send(body.to_vec()));
    }
    steps
}

const WHOLE: &str = r#"{"model":"m-1","choices":[{"message":{"content":"hello"},"finish_reason":"stop"}],
    "usage":{"prompt_tokens":3,"completion_tokens":4}}"#;

fn pieces() -> (String, String) {
    let first = sse(&[r#"{"model":"m-1","choices":[{"delta":{"content":"日本"}}]}"#]);
    let last = sse(&[
        r#"{"choices":[{"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":4}}"#,
        "[DONE]",
    ]);
    (first, last)
}

#[tokio::test]
async fn what_was_recorded_is_served_again_and_looks_the_same() {
    let (first, last) = pieces();
    let inside = first.find('本').unwrap() + 1;
    let bytes = first.as_bytes();
    let failed = sse(&[r#"{"error":{"message":"busy","type":"overloaded","code":503}}"#]);
    let limited = r#"{"error":{"message":"slow down","code":"rate_limit_exceeded"}}"#;
    let headers = "retry-after: 7\r\nx-request-id: req-1\r\ncontent-type: application/json\r\n";
    let json = "content-type: application/json\r\n";
    let scripts: Vec<(&str, bool, Vec<Step>)> = vec![
        ("whole", false, answer(200, json, WHOLE)),
        (
            "streamed",
            true,
            streamed(&[&bytes[..inside], &bytes[inside..], last.as_bytes()]),
        ),
        ("limited", true, answer(429, headers, limited)),
        ("limited whole", false, answer(429, headers, limited)),
        (
            "a page",
            true,
            answer(200, "content-type: text/html\r\n", "<html>oops"),
        ),
        (
            "a page whole",
            false,
            answer(503, "content-type: text/html\r\n", "<html>oops"),
        ),
        ("fails inside", true, streamed(&[bytes, failed.as_bytes()])),
        ("breaks off", true, streamed(&[bytes])),
        ("nothing", false, answer(200, json, "")),
        (
            "too short",
            false,
            vec![
                Step::Send(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{\"".to_vec()),
                Step::Send(Vec::new()),
            ],
        ),
        (
            "hangs up",
            true,
            vec![Step::Send(Vec::new()), Step::Send(b"no http".to_vec())],
        ),
    ];
    let place = Place::new();
    let recorder = place.recorder();
    let mut before = Vec::new();
    for (prompt, stream, script) in &scripts {
        let server = Server::start(script.clone()).await;
        let client = live(&server.base_url, &recorder);
        before.push(seen(&client, prompt, *stream).await);
    }
    assert_eq!(recorder.written(), scripts.len() as u64, "{recorder:?}");
    assert!(before[2].1.contains("Some(7s)"), "{}", before[2].1);
    assert!(before[7].1.contains("日本"), "{}", before[7].1);

    let client = offline(place.replay());
    for ((prompt, stream, _), before) in scripts.iter().zip(before) {
        assert_eq!(seen(&client, prompt, *stream).await, before, "{prompt}");
    }
    let ended: Vec<Value> = place
        .lines()
        .iter()
        .map(|line| line["ended"].clone())
        .collect();
    assert_eq!(ended[9..], ["broken", "unreachable"]);
    assert!(
        ended[..9].iter().all(|ended| ended == "complete"),
        "{ended:?}"
    );
    let usage = place.lines()[1]["usage"].clone();
    assert_eq!(usage["output_tokens"], 4);
    let chunks = place.lines()[1]["response"]["chunks"].clone();
    assert!(
        chunks[0]["hex"].is_string(),
        "cut inside a character: {chunks}"
    );
}

#[tokio::test]
async fn equal_requests_are_answered_in_recorded_order_and_no_oftener() {
    let place = Place::new();
    let recorder = place.recorder();
    for text in ["one", "two"] {
        let body = WHOLE.replace("hello", text);
        let server = Server::start(answer(200, "", &body)).await;
        seen(&live(&server.base_url, &recorder), "hi", false).await;
    }
    let replay = place.replay();
    assert_eq!((replay.recorded(), replay.unserved()), (2, 2));
    let client = offline(replay.clone());
    assert!(seen(&client, "hi", false).await.1.ends_with(" one"));
    assert!(seen(&client, "hi", false).await.1.ends_with(" two"));
    assert_eq!(replay.unserved(), 0);
    let error = client
        .chat(&RunContext::new(), ChatRequest::new("hi"))
        .await
        .unwrap_err();
    assert_eq!(kind(&error), CassetteErrorKind::Exhausted);
    assert!(!error.is_retryable());
}

#[tokio::test]
async fn a_request_that_was_not_recorded_says_where_it_differs_and_not_what_was_said() {
    let place = Place::new();
    let server = Server::start(answer(200, "", WHOLE)).await;
    seen(
        &live(&server.base_url, &place.recorder()),
        "my name is Ann",
        false,
    )
    .await;
    let replay = place.replay();
    let error = |replay: Replay, prompt: &'static str| async move {
        let client = offline(replay);
        client
            .chat(&RunContext::new(), ChatRequest::new(prompt))
            .await
            .unwrap_err()
    };
    let differs = error(replay.clone(), "my name is Bob").await;
    assert_eq!(differs.kind(), ModelErrorKind::Configuration);
    assert_eq!(kind(&differs), CassetteErrorKind::NotRecorded);
    assert_eq!(cassette(&differs).pointer(), Some("/messages/0/content"));
    assert!(
        differs.message().contains("/messages/0/content: the texts"),
        "{differs}"
    );
    assert!(!differs.to_string().contains("Ann") && !differs.to_string().contains("Bob"));
    assert_eq!(replay.unserved(), 1);

    let other = OpenAi::builder("other")
        .base_url("http://localhost/v2")
        .replay(replay.clone());
    let (_, other) = seen(&other.build().unwrap(), "my name is Ann", false).await;
    assert!(
        other.contains("path: /v1/chat/completions and not /v2/chat/completions"),
        "{other}"
    );
    assert!(
        other.contains("/model: `m` recorded and `other` asked"),
        "{other}"
    );

    let client = offline(replay.ignoring("/messages/0"));
    assert!(seen(&client, "anything", false).await.1.ends_with(" hello"));
}

fn cassette(error: &ModelError) -> &CassetteError {
    let source = std::error::Error::source(error).unwrap();
    source.downcast_ref().unwrap()
}

fn kind(error: &ModelError) -> CassetteErrorKind {
    cassette(error).kind()
}

#[tokio::test]
async fn a_reply_that_was_given_up_is_recorded_as_far_as_it_was_read() {
    let (first, last) = pieces();
    let place = Place::new();
    let script = [streamed(&[first.as_bytes()]), vec![Step::Hold]].concat();
    let server = Server::start(script).await;
    let client = live(&server.base_url, &place.recorder());
    let request = ChatRequest::new("hi");
    let mut stream = client.stream(&RunContext::new(), request).await.unwrap();
    let event = futures_util::StreamExt::next(&mut stream).await;
    assert!(event.is_some());
    drop(stream);
    let line = &place.lines()[0];
    assert_eq!(line["ended"], "cancelled");
    assert_eq!(line["response"]["chunks"][0]["text"], first);

    let (events, result) = seen(&offline(place.replay()), "hi", true).await;
    assert!(events.starts_with("[Text("), "{events}");
    assert!(result.contains("its reader gave up"), "{result}");
    assert!(result.contains("truncated"), "{result}");

    // A reader that has its answer lets go of the connection, and that is no cancellation.
    let script = [
        streamed(&[first.as_bytes(), last.as_bytes()]),
        vec![Step::Hold],
    ]
    .concat();
    let server = Server::start(script).await;
    seen(&live(&server.base_url, &place.recorder()), "hi", true).await;
    assert_eq!(place.lines()[1]["ended"], "complete");
}

#[tokio::test]
async fn a_model_that_is_named_is_recorded_and_replayed_without_its_key() {
    let place = Place::new();
    let server = Server::start(answer(200, "", WHOLE)).await;
    let named = |name| super::super::Catalog::embedded().named(name).unwrap();
    let build = || {
        named("openai:m")
            .base_url(&*server.base_url)
            .variables(|_| None)
    };
    let model = build().recorder(place.recorder()).build().unwrap();
    let chat = |model: super::super::ModelHandle| async move {
        let request = ChatRequest::new("hi");
        model
            .chat(&RunContext::new(), request)
            .await
            .unwrap()
            .text()
    };
    assert_eq!(chat(model).await, "hello");
    assert_eq!(server.connections(), 1);
    let elsewhere = named("openai:m").variables(|_| None).replay(place.replay());
    assert_eq!(chat(elsewhere.build().unwrap()).await, "hello");
    assert_eq!(server.connections(), 1);
}

fn keyed(builder: OpenAiBuilder) -> OpenAiBuilder {
    builder.api_key("sk-canary/key==0123456789")
}
