//! Streams in memory: every cut, every truncation, failures on the way.

use super::*;
use crate::model::Usage;

const TEXT: &str = "naïve 日本 👩‍👧";

/// A stream in the API's own framing, which names its events.
fn framed(data: &[&str]) -> String {
    let mut body = String::new();
    for data in data {
        let parsed: Value = serde_json::from_str(data).unwrap();
        let kind = parsed["type"].as_str().unwrap();
        body += &["event: ", kind, "\n"].concat();
        body += &sse(&[data]);
    }
    body
}

const START: &str = r#"{"type":"message_start","message":{"id":"msg_1","model":"m-1","usage":{"input_tokens":3,"output_tokens":1}}}"#;
const BEGIN: &str =
    r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#;
const HALF: &str =
    r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"half"}}"#;
const DELTA: &str =
    r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":4}}"#;
const STOP: &str = r#"{"type":"message_stop"}"#;

fn small() -> String {
    framed(&[
        START,
        r#"{"type":"ping"}"#,
        BEGIN,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"naïve "}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"日本 👩‍👧"}}"#,
        r#"{"type":"content_block_stop","index":0}"#,
        DELTA,
        STOP,
    ])
}

fn reply<C: Into<Vec<u8>>>(chunks: impl IntoIterator<Item = C>) -> crate::model::ChatStream {
    testing::reply(&offline().build().unwrap().client, chunks)
}

#[tokio::test]
async fn the_answer_does_not_depend_on_the_cuts() {
    let body = small().into_bytes();
    let whole = drain(reply([body.clone()])).await.1.unwrap();
    assert_eq!(
        (whole.text().as_str(), whole.usage),
        (TEXT, Usage::new(3, 4))
    );
    assert_eq!(
        (whole.id.as_deref(), whole.model.as_deref()),
        (Some("msg_1"), Some("m-1"))
    );
    for at in 0..=body.len() {
        let (start, end) = body.split_at(at);
        let (events, response) = drain(reply([start, end])).await;
        assert_eq!(
            (text_of(&events).as_str(), response.unwrap()),
            (TEXT, whole.clone())
        );
    }
    let (events, response) = drain(reply(body.chunks(1))).await;
    assert_eq!(
        (text_of(&events).as_str(), response.unwrap()),
        (TEXT, whole)
    );
}

#[tokio::test]
async fn a_stream_is_whole_exactly_when_its_last_event_came() {
    let body = small();
    let finished = body.trim_end().len();
    for at in 0..=body.len() {
        let (events, response) = drain(reply([&body.as_bytes()[..at]])).await;
        match response {
            Ok(response) => {
                assert!(at >= finished, "whole at {at}");
                assert_eq!(response.text(), TEXT);
            }
            Err(error) => {
                assert!(at < finished, "broken at {at}: {error}");
                assert_eq!(error.kind(), ModelErrorKind::Truncated);
                let partial = error.partial().unwrap();
                assert!(TEXT.starts_with(&partial.text()));
                assert!(partial.text().starts_with(&text_of(&events)));
            }
        }
    }
}

#[tokio::test]
async fn what_had_come_of_a_broken_answer_is_told_and_no_call_of_it() {
    let call = r#"{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"c","name":"f","input":{}}}"#;
    let search = r#"{"type":"content_block_start","index":2,"content_block":{"type":"server_tool_use","id":"s"}}"#;
    for (end, output) in [(&[][..], None), (&[DELTA], Some(4))] {
        let body = framed(&[&[START, BEGIN, HALF, call, search], end].concat());
        let error = drain(reply([body])).await.1.unwrap_err();
        let partial = error.partial().unwrap();
        assert_eq!(partial.message, crate::message::Message::assistant("half"));
        assert_eq!(partial.finish_reason, FinishReason::Error);
        // The count at the start is of what had been written by then.
        assert_eq!(partial.usage.output_tokens, output);
        assert_eq!(partial.usage.input_tokens, Some(3));
    }
}

#[tokio::test]
async fn an_end_without_a_reason_is_a_broken_answer() {
    let error = drain(reply([framed(&[START, BEGIN, HALF, STOP])]))
        .await
        .1
        .unwrap_err();
    assert_eq!(error.kind(), ModelErrorKind::Truncated);
    assert_eq!(error.partial().unwrap().text(), "half");
}

#[tokio::test]
async fn an_error_inside_a_good_answer_keeps_its_class() {
    for (kind, message, class) in [
        ("overloaded_error", "Overloaded", ModelErrorKind::Overloaded),
        (
            "api_error",
            "Internal server error",
            ModelErrorKind::Overloaded,
        ),
        ("rate_limit_error", "slow down", ModelErrorKind::RateLimited),
        ("billing_error", "no money", ModelErrorKind::Quota),
        ("timeout_error", "too slow", ModelErrorKind::Timeout),
        ("invalid_request_error", "no", ModelErrorKind::BadRequest),
    ] {
        let error = json!({"type": "error", "error": {"type": kind, "message": message}, "request_id": "r"});
        let data = error.to_string();
        for body in [
            framed(&[START, BEGIN, HALF, &data]),
            sse(&[START, BEGIN, HALF, &data]),
        ] {
            let (events, response) = drain(reply([body])).await;
            let error = response.unwrap_err();
            assert_eq!((error.kind(), error.message()), (class, message));
            assert_eq!(error.provider_type(), Some(kind));
            assert_eq!(text_of(&events), "half");
            assert_eq!(error.partial().unwrap().text(), "half");
        }
    }
}

#[tokio::test]
async fn limits_are_kept_and_what_follows_the_end_is_not_read() {
    let limits = Limits {
        reply_bytes: 4_000,
        tool_argument_bytes: 100,
        line_bytes: 500,
    };
    let client = offline().limits(limits).build().unwrap();
    let call = r#"{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"c","name":"f","input":{}}}"#;
    let arguments = json!({"type": "content_block_delta", "index": 0,
        "delta": {"type": "input_json_delta", "partial_json": "x".repeat(60)}})
    .to_string();
    let cases = [
        (sse(&[START; 100]), "reply_bytes"),
        (sse(&[call, &arguments, &arguments]), "tool_argument_bytes"),
        (format!("data: {}", "x".repeat(1_000)), "max_line_bytes"),
    ];
    for (body, setting) in cases {
        let chunks = body.as_bytes().chunks(64);
        let error = drain(testing::reply(&client.client, chunks))
            .await
            .1
            .unwrap_err();
        assert_eq!(error.kind(), ModelErrorKind::Decode);
        assert!(error.message().contains(setting), "{error}");
    }
    let after = small() + &sse(&[HALF; 100]) + "data: [DONE]\n\n";
    assert_eq!(drain(reply([after])).await.1.unwrap().text(), TEXT);

    let mut many = String::new();
    for index in 0..5_000 {
        let block = json!({"type": "content_block_start", "index": index, "content_block": {"type": "text"}});
        many += &sse(&[&block.to_string()]);
    }
    let error = drain(reply([many])).await.1.unwrap_err();
    assert!(error.message().contains("blocks"), "{error}");
}

#[tokio::test]
async fn what_is_no_event_of_ours_is_refused_without_repeating_it() {
    for data in ["{\"type\":\"se", "[1]", "{\"index\":\"secret\"}", "secret"] {
        let error = drain(reply([sse(&[data])])).await.1.unwrap_err();
        assert_eq!(error.kind(), ModelErrorKind::Decode, "{data}");
        assert!(!format!("{error:?}").contains("secret"), "{error:?}");
    }
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let begin = format!(
        "{{\"type\":\"content_block_start\",\"content_block\":{{\"type\":\"x\",\"y\":{deep}}}}}"
    );
    let delta = format!("{{\"type\":\"content_block_delta\",\"delta\":{{\"y\":{deep}}}}}");
    let lone =
        r#"{"type":"content_block_start","content_block":{"type":"text","text":"\ud800\u0000"}}"#;
    for data in [
        &[begin.as_str()][..],
        &[
            r#"{"type":"content_block_start","content_block":{"type":"x"}}"#,
            &delta,
        ],
        &[lone],
    ] {
        let _ = drain(reply([sse(data) + &sse(&[DELTA, STOP])])).await;
    }
}
