//! Streams in memory: every cut, every truncation, failures on the way.

use proptest::prelude::*;

use super::*;
use crate::model::{
    Usage,
    wire::{Decode, Reader},
};

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

/// Any event that a server may send, in order or not.
fn event() -> impl Strategy<Value = String> {
    let index = 0..3_u64;
    let text = prop::sample::select(vec!["", "x", "{}", "{\"a\":1}", "é\n", "\"", "null"]);
    (0..14_usize, index, text).prop_map(|(kind, index, text)| {
        let begin = |block: Value| json!({"type": "content_block_start", "index": index, "content_block": block});
        let more = |delta: Value| json!({"type": "content_block_delta", "index": index, "delta": delta});
        let event = match kind {
            0 => begin(json!({"type": "text", "text": text})),
            1 => begin(json!({"type": "tool_use", "id": text, "name": "f", "input": {"x": text}})),
            2 => begin(json!({"type": "redacted_thinking", "data": text})),
            3 => begin(json!({"type": "server_tool_use", "id": "s", "input": {}})),
            4 => begin(json!({"type": "thinking", "thinking": text})),
            5 => begin(json!([text])),
            6 => more(json!({"type": "text_delta", "text": text, "citation": text})),
            7 => more(json!({"type": "input_json_delta", "partial_json": text})),
            8 => more(json!({"type": "signature_delta", "signature": text, "content": [text]})),
            9 | 10 => json!({"type": "content_block_stop", "index": index}),
            11 => json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": index}}),
            12 => json!({"type": "message_stop"}),
            _ => json!({"type": text}),
        };
        event.to_string()
    })
}

/// The text that events tell, and how the stream ends.
fn read(chunks: &[&[u8]]) -> (String, Result<crate::model::ChatResponse, ModelErrorKind>) {
    let mut reader = Reader::<Assembler>::new(&Limits::default());
    let fed = chunks.iter().find_map(|chunk| reader.feed(chunk));
    let end = fed.unwrap_or_else(|| reader.cut("", |error| error));
    let mut events = Vec::new();
    while let Some(event) = reader.pop() {
        events.push(event);
    }
    let end = end.map_err(|broken| {
        broken
            .into_error::<Assembler>("", &crate::model::wire::Secrets::default())
            .kind()
    });
    (text_of(&events), end)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_048))]

    #[test]
    fn any_events_in_any_chunks_read_alike_and_tell_what_they_end_with(
        events in proptest::collection::vec(event(), 0..16),
        cut in any::<prop::sample::Index>(),
    ) {
        let data: Vec<&str> = events.iter().map(String::as_str).collect();
        let body = sse(&data).into_bytes();
        let whole = read(&[&body]);
        let bytes: Vec<&[u8]> = body.chunks(1).collect();
        prop_assert_eq!(&read(&bytes), &whole);
        let (told, end) = whole;
        if let Ok(response) = end {
            prop_assert_eq!(told, response.text());
            // It can be sent back.
            let conversation = Conversation::from_iter([response.message]);
            prop_assert!(request::body("m", &ChatRequest::new(conversation), false, Habits::default()).is_ok());
        }
        let at = cut.index(body.len() + 1);
        if let (_, Err(kind)) = read(&[body.get(..at).unwrap_or_default()]) {
            prop_assert!(matches!(kind, ModelErrorKind::Truncated | ModelErrorKind::Decode));
        }
    }

    #[test]
    fn no_bytes_make_it_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(&[&body]);
        let text = String::from_utf8_lossy(&body);
        let _ = Assembler::new(&Limits::default()).whole(&text);
    }
}
