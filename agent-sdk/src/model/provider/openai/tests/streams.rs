//! Streams in memory: every cut, every truncation, every silence.

use std::{sync::Mutex, time::Duration};

use futures_util::{StreamExt, stream};
use tokio::time::{Instant, sleep};

use super::*;
use crate::{
    model::{FinishReason, ModelHandle, ModelInfo, Usage},
    operation::{Kind, Observer, Observers, OperationRecord, Payload},
};

const TEXT: &str = "naïve 日本 👩‍👧";

fn small() -> String {
    sse(&[
        r#"{"id":"a","model":"m-1","choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}"#,
        r#"{"choices":[{"index":0,"delta":{"content":"naïve "}}]}"#,
        r#"{"choices":[{"index":0,"delta":{"content":"日本 "}}]}"#,
        r#"{"choices":[{"index":0,"delta":{"content":"👩‍👧"}}]}"#,
        r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
        r#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7}}"#,
        "[DONE]",
    ])
}

#[tokio::test]
async fn l1_the_answer_does_not_depend_on_the_cuts() {
    let client = offline().build().unwrap();
    let body = small().into_bytes();
    let whole = drain(reply(&client, [body.clone()])).await.1.unwrap();
    assert_eq!(
        (whole.text().as_str(), whole.usage),
        (TEXT, Usage::new(3, 4))
    );
    assert_eq!(
        (whole.id.as_deref(), whole.model.as_deref()),
        (Some("a"), Some("m-1"))
    );
    for at in 0..=body.len() {
        let (start, end) = body.split_at(at);
        let (events, response) = drain(reply(&client, [start, end])).await;
        assert_eq!(
            (text_of(&events).as_str(), response.unwrap()),
            (TEXT, whole.clone())
        );
    }
    let (events, response) = drain(reply(&client, body.chunks(1))).await;
    assert_eq!(
        (text_of(&events).as_str(), response.unwrap()),
        (TEXT, whole)
    );
}

#[tokio::test]
async fn l4_a_stream_cut_anywhere_is_whole_exactly_when_its_finish_reason_came() {
    let client = offline().build().unwrap();
    let body = small();
    let finish = body.find("finish_reason").unwrap();
    let finished = finish + body.split_at(finish).1.find("\n\n").unwrap();
    for at in 0..=body.len() {
        let (events, response) = drain(reply(&client, [&body.as_bytes()[..at]])).await;
        match response {
            Ok(response) => {
                assert!(at >= finished, "whole at {at}");
                assert_eq!(response.text(), TEXT);
                assert_eq!(
                    response.usage.is_unknown(),
                    !body.split_at(at).0.contains("7}}")
                );
            }
            Err(error) => {
                assert!(at < finished, "broken at {at}: {error}");
                assert_eq!(error.kind(), ModelErrorKind::Truncated);
                assert!(TEXT.starts_with(&text_of(&events)));
            }
        }
    }
}

#[tokio::test]
async fn l5_done_without_a_finish_reason_is_a_broken_answer() {
    let client = offline().build().unwrap();
    let body = sse(&[r#"{"choices":[{"delta":{"content":"half"}}]}"#, "[DONE]"]);
    let (events, response) = drain(reply(&client, [body])).await;
    assert_eq!(text_of(&events), "half");
    assert_eq!(response.unwrap_err().kind(), ModelErrorKind::Truncated);
}

#[tokio::test]
async fn l6_an_error_inside_a_good_answer_keeps_its_class_and_its_status() {
    let client = offline().build().unwrap();
    let piece = r#"{"choices":[{"delta":{"content":"half"}}]}"#;
    let cases = [
        (
            sse(&[
                piece,
                r#"{"error":{"message":"busy","code":503,"type":"server_error"}}"#,
            ]),
            (ModelErrorKind::Overloaded, Some(503), Some("503")),
        ),
        (
            sse(&[piece])
                + "event: error\ndata: {\"error\":{\"message\":\"no\",\"code\":\"content_filter\",\"status_code\":400}}\n\n",
            (
                ModelErrorKind::ContentFilter,
                Some(400),
                Some("content_filter"),
            ),
        ),
        (
            sse(&[piece])
                + "event: error\ndata: {\"message\":\"slow down\",\"type\":\"rate_limit_error\"}\n\n",
            (ModelErrorKind::RateLimited, Some(200), None),
        ),
        (
            sse(&[piece, r#"{"error":"it broke"}"#]),
            (ModelErrorKind::Overloaded, Some(200), None),
        ),
        (
            sse(&[
                r#"{"choices":[{"delta":{},"finish_reason":"length"}]}"#,
                r#"{"error":{"code":400,"message":"token limit"},"choices":[{"delta":{"content":""}}]}"#,
                "[DONE]",
            ]),
            (ModelErrorKind::BadRequest, Some(400), Some("400")),
        ),
    ];
    for (body, expected) in cases {
        let error = drain(reply(&client, [body])).await.1.unwrap_err();
        assert_eq!(
            (error.kind(), error.status(), error.code()),
            expected,
            "{error}"
        );
    }
}

#[tokio::test]
async fn l8_limits_are_kept_and_the_bytes_after_the_end_are_not_read() {
    let limits = Limits {
        reply_bytes: 2_000,
        tool_argument_bytes: 100,
        line_bytes: 500,
    };
    let client = offline().limits(limits).build().unwrap();
    let piece = r#"{"choices":[{"delta":{"content":"x"}}]}"#;
    let arguments = format!(
        r#"{{"choices":[{{"delta":{{"tool_calls":[{{"index":0,"id":"a","function":{{"name":"f","arguments":"{}"}}}}]}}}}]}}"#,
        "x".repeat(60)
    );
    let cases = [
        (sse(&[piece; 100]), "reply_bytes"),
        (sse(&[&arguments, &arguments]), "tool_argument_bytes"),
        (format!("data: {}", "x".repeat(1_000)), "max_line_bytes"),
        (": ping\n".repeat(500), "reply_bytes"),
    ];
    for (body, setting) in cases {
        let error = drain(reply(&client, body.as_bytes().chunks(64)))
            .await
            .1
            .unwrap_err();
        assert_eq!(error.kind(), ModelErrorKind::Decode);
        assert!(error.message().contains(setting), "{error}");
    }
    let after = small() + &sse(&[r#"{"choices":[{"delta":{"content":"more"}}]}"#; 100]);
    let response = drain(reply(&offline().build().unwrap(), [after]))
        .await
        .1
        .unwrap();
    assert_eq!(response.text(), TEXT);
}

#[tokio::test]
async fn what_is_no_json_of_ours_is_refused_without_repeating_it() {
    let client = offline().build().unwrap();
    for data in [
        "{\"choices\":[{\"delta\":{\"content\":\"se",
        "[1]",
        "{\"choices\":\"secret\"}",
        "secret",
    ] {
        let error = drain(reply(&client, [sse(&[data])])).await.1.unwrap_err();
        assert_eq!(error.kind(), ModelErrorKind::Decode, "{data}");
        assert!(!format!("{error:?}").contains("secret"), "{error:?}");
    }
    let deep = format!("{{\"x\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let huge =
        r#"{"choices":[{"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":1e400}}"#;
    for data in [deep.as_str(), huge] {
        let _ = drain(reply(&client, [sse(&[data])])).await;
    }
}

/// A body whose chunks come after these pauses.
fn paused(chunks: Vec<(u64, &'static str)>) -> Body {
    stream::iter(chunks)
        .then(|(seconds, chunk)| async move {
            sleep(Duration::from_secs(seconds)).await;
            Ok(bytes::Bytes::from_static(chunk.as_bytes()))
        })
        .chain(stream::pending())
        .boxed()
}

const PIECE: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\n";
const LAST: &str = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";

#[tokio::test(start_paused = true)]
async fn l7_each_silence_has_its_own_limit() {
    let client = offline()
        .timeouts(Timeouts {
            first_chunk: Duration::from_secs(5),
            inter_chunk: Duration::from_secs(3),
            total: Duration::from_secs(20),
            ..Timeouts::default()
        })
        .build()
        .unwrap();
    let cases = [
        (vec![], 5, Err("first_chunk")),
        (vec![(4, PIECE)], 7, Err("inter_chunk")),
        (
            vec![(4, PIECE), (2, PIECE), (2, PIECE)],
            11,
            Err("inter_chunk"),
        ),
        (vec![(2, ": ping\n"); 20], 20, Err("total")),
        (vec![(4, PIECE), (2, LAST)], 9, Ok("x")),
        (
            vec![(4, PIECE), (2, LAST), (1, "data: [DONE]\n\n")],
            7,
            Ok("x"),
        ),
    ];
    for (chunks, seconds, expected) in cases {
        let start = Instant::now();
        let result = drain(reply_of(&client, &RunContext::new(), paused(chunks)))
            .await
            .1;
        assert_eq!(start.elapsed().as_secs(), seconds, "{result:?}");
        match (result, expected) {
            (Ok(response), Ok(text)) => assert_eq!(response.text(), text),
            (Err(error), Err(setting)) => {
                assert_eq!(error.kind(), ModelErrorKind::Timeout);
                assert!(error.message().contains(setting), "{error}");
            }
            (result, _) => panic!("{result:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_run_s_deadline_counts_and_a_slow_reader_is_not_a_silent_server() {
    let client = offline().build().unwrap();
    let context = RunContext::new().with_timeout(Duration::from_secs(7));
    let error = drain(reply_of(&client, &context, paused(vec![(1, PIECE)])))
        .await
        .1
        .unwrap_err();
    assert!(error.message().contains("deadline"), "{error}");

    let mut reply = reply_of(
        &client,
        &RunContext::new(),
        paused(vec![(0, PIECE), (50, LAST)]),
    );
    assert!(matches!(reply.next().await, Some(Ok(ChatEvent::Text(_)))));
    sleep(Duration::from_mins(5)).await;
    assert!(matches!(reply.next().await, Some(Ok(ChatEvent::Done(_)))));
}

/// Keeps what ended.
#[derive(Default)]
struct Ends(Mutex<Vec<End>>);

/// Kind, outcome, milliseconds and class of failure.
type End = (Kind, &'static str, u128, Option<String>);

impl Observer for Ends {
    fn ended(&self, record: &OperationRecord<'_>, _: Payload<'_>) {
        let failure = record
            .facts
            .error
            .as_ref()
            .map(|failure| failure.class.to_string());
        let end = (
            record.info.kind,
            record.outcome.as_str(),
            record.duration.as_millis(),
            failure,
        );
        self.0.lock().unwrap().push(end);
    }
}

fn watched() -> (std::sync::Arc<Ends>, RunContext) {
    let ends = std::sync::Arc::new(Ends::default());
    let observers = Observers::none().with_shared(ends.clone());
    (ends, RunContext::builder().observers(observers).build())
}

/// A model whose streams have these bodies.
struct Scripted(OpenAi, Vec<(u64, &'static str)>);

impl Model for Scripted {
    fn info(&self) -> std::sync::Arc<ModelInfo> {
        self.0.info()
    }

    async fn stream(&self, context: &RunContext, _: ChatRequest) -> Result<ChatStream, ModelError> {
        Ok(ChatStream::new(reply_of(
            &self.0,
            context,
            paused(self.1.clone()),
        )))
    }
}

#[tokio::test(start_paused = true)]
async fn durations_stop_at_the_last_byte_however_slow_the_reader() {
    let (ends, context) = watched();
    let script = vec![(1, PIECE), (1, PIECE), (0, LAST), (0, "data: [DONE]\n\n")];
    let model = ModelHandle::new(Scripted(offline().build().unwrap(), script));
    let mut stream = model
        .stream(&context, ChatRequest::new("hi"))
        .await
        .unwrap();
    let mut finished = None;
    while let Some(event) = stream.next().await {
        if let ChatEvent::Done(response) = event.unwrap() {
            finished = Some(response.finish_reason.clone());
        } else if ends.0.lock().unwrap().len() == 1 {
            sleep(Duration::from_secs(100)).await;
        }
    }
    assert_eq!(finished, Some(FinishReason::Stop));
    let ends = ends.0.lock().unwrap();
    assert_eq!(
        *ends,
        [
            (Kind::Attempt, "ok", 2_000, None),
            (Kind::Chat, "ok", 2_000, None)
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_dropped_was_cancelled_and_one_that_breaks_says_why() {
    let (ends, context) = watched();
    let client = offline().build().unwrap();
    let model = ModelHandle::new(Scripted(client.clone(), vec![(1, PIECE)]));
    let mut stream = model
        .stream(&context, ChatRequest::new("hi"))
        .await
        .unwrap();
    assert!(stream.next().await.is_some());
    drop(stream);
    let stream = model
        .stream(&context, ChatRequest::new("hi"))
        .await
        .unwrap();
    assert!(stream.collect().await.is_err());
    let ends = ends.0.lock().unwrap();
    let kinds: Vec<_> = ends
        .iter()
        .map(|(kind, outcome, _, class)| (*kind, *outcome, class.as_deref()))
        .collect();
    assert_eq!(
        kinds,
        [
            (Kind::Attempt, "cancelled", None),
            (Kind::Chat, "cancelled", None),
            (Kind::Attempt, "timeout", Some("timeout")),
            (Kind::Chat, "timeout", Some("timeout")),
        ]
    );
}
