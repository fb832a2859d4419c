//! How much memory a server, and a store full of cost, can make the SDK hold, by the count of an allocator. A binary of its own, so that
//! nothing else is counted.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests may panic as tests do"
)]

use std::{
    io::{Read, Write},
    net::TcpListener,
    sync::Arc,
    thread,
};

use agent_sdk::{
    cost::{CostKeeper, CostLines, CostQuery, Dimension, Usd},
    model::{ChatRequest, Limits, Model, ModelError, ModelErrorKind, provider::OpenAi},
    operation::{Outcome, Payload, RunContext, trace_chat},
    store::SqliteStore,
};
use futures_util::StreamExt;
use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

const MEBIBYTE: usize = 1024 * 1024;

/// Each test counts alone.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// What is allowed beside the limit that is hit.
const ROOM: usize = 16 * MEBIBYTE;

/// A server that repeats `more` after `first` up to a GiB, or until the client goes.
fn endless(kind: &str, first: &str, more: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let head =
        format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\nconnection: close\r\n\r\n{first}");
    let block = more.repeat((64 * 1024 / more.len()).max(1)).into_bytes();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]);
        let mut sent = head.len();
        let mut result = stream.write_all(head.as_bytes());
        while result.is_ok() && sent < 1024 * MEBIBYTE {
            result = stream.write_all(&block);
            sent += block.len();
        }
    });
    format!("http://{address}/v1")
}

async fn ask(base_url: String, stream: bool) -> ModelError {
    let client = OpenAi::builder("m").base_url(base_url).without_key();
    let client = client.build().unwrap();
    let (context, request) = (RunContext::new(), ChatRequest::new("hi"));
    if !stream {
        return client.chat(&context, request).await.unwrap_err();
    }
    let mut events = client.stream(&context, request).await.unwrap();
    while let Some(event) = events.next().await {
        if let Err(error) = event {
            return error;
        }
    }
    panic!("a stream without an end ended well");
}

#[tokio::test]
async fn l8_a_server_cannot_make_the_sdk_hold_more_than_its_limits() {
    let _alone = ALONE.lock().await;
    let limits = Limits::default();
    let call = r#"data: {"choices":[{"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}}]}}]}"#;
    let more = r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}}]}}]}"#;
    let more = format!("data: {more}\n\n");
    let text = "data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\n";
    let sse = "text/event-stream";
    let cases = [
        (
            "a line without an end",
            sse,
            "data: ".to_owned(),
            "x".to_owned(),
            limits.line_bytes,
        ),
        (
            "a million events",
            sse,
            String::new(),
            text.to_owned(),
            limits.reply_bytes,
        ),
        (
            "tool arguments without an end",
            sse,
            format!("{call}\n\n"),
            more,
            limits.tool_argument_bytes,
        ),
        (
            "comments without an end",
            sse,
            String::new(),
            ": x\n".to_owned(),
            limits.reply_bytes,
        ),
        (
            "a body without an end",
            "application/json",
            "{\"id\":\"".to_owned(),
            "x".to_owned(),
            limits.reply_bytes,
        ),
    ];
    for (what, kind, first, more, limit) in cases {
        let base_url = endless(kind, &first, &more);
        MEMORY.reset_peak_usage();
        let before = MEMORY.current_usage();
        let error = ask(base_url, kind == sse).await;
        let held = MEMORY.peak_usage().saturating_sub(before);
        assert_eq!(error.kind(), ModelErrorKind::Decode, "{what}: {error}");
        assert!(held <= limit + ROOM, "{what}: {held} bytes were held");
        println!("{what}: {} KiB held at most", held / 1024);
    }
}

#[tokio::test]
async fn a_hundred_thousand_lines_of_cost_are_reported_page_by_page() {
    let _alone = ALONE.lock().await;
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(SqliteStore::open(folder.path().join("store.db")).unwrap());
    let keeper = CostKeeper::new(store.clone());
    for run in 0..100 {
        let context = RunContext::builder()
            .observers(keeper.observers())
            .user(format!("user-{}", run % 7))
            .build();
        for call in 0..1_000 {
            let chat = trace_chat(&context, "openai", format!("model-{}", call % 3)).begin();
            chat.record(|facts| facts.provider_cost = Some(Usd::from_nanos(call)));
            chat.end(Outcome::Ok, Payload::None);
        }
        keeper.flush().await.unwrap();
    }
    assert_eq!(keeper.folded(), 0);
    let kept = CostLines::new(store);
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    let query = CostQuery::by([Dimension::Model, Dimension::User]);
    let report = kept.report(&query).await.unwrap();
    let held = MEMORY.peak_usage().saturating_sub(before);
    assert_eq!(report.total.requests, 100_000);
    assert_eq!(report.total.amount, Usd::from_nanos(100 * 999 * 1_000 / 2));
    assert_eq!(report.rows.len(), 21);
    assert!(held <= 8 * MEBIBYTE, "{held} bytes were held");
    println!("100,000 lines: {} KiB held at most", held / 1024);
}
