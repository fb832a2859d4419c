//! Streams in memory: every cut, every truncation, limits.

use super::*;
use crate::{
    message::Part,
    model::{FinishReason, Usage},
};

const TEXT: &str = "naïve 日本 👩‍👧";

fn small() -> String {
    sse(&[
        r#"{"candidates":[{"content":{"role":"model","parts":[{"text":"hm","thought":true}]},"index":0}],"modelVersion":"m-1","responseId":"a","usageMetadata":{"promptTokenCount":3,"thoughtsTokenCount":2}}"#,
        r#"{"candidates":[{"content":{"parts":[{"text":"naïve "}]}}]}"#,
        r#"{"candidates":[{"content":{"parts":[{"text":"日本 "}]}}],"unknown":[{}]}"#,
        r#"{"candidates":[{"content":{"parts":[{"text":"👩‍👧"}]},"finishReason":"STOP"}]}"#,
        r#"{"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":4,"thoughtsTokenCount":2}}"#,
    ])
}

#[tokio::test]
async fn the_answer_does_not_depend_on_the_cuts() {
    let client = offline().build().unwrap();
    let body = small().into_bytes();
    let whole = drain(reply(&client, [body.clone()])).await.1.unwrap();
    let expected = Usage::new(3, 6).with_reasoning(2);
    assert_eq!((whole.text().as_str(), whole.usage), (TEXT, expected));
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
async fn a_stream_cut_anywhere_is_whole_exactly_when_its_finish_reason_came() {
    let client = offline().build().unwrap();
    let body = small();
    let finish = body.find("finishReason").unwrap();
    // The last byte of its event, and of the line after it, may be missing.
    let finished = finish + body.split_at(finish).1.find("\n\n").unwrap();
    for at in 0..=body.len() {
        let (events, response) = drain(reply(&client, [&body.as_bytes()[..at]])).await;
        match response {
            Ok(response) => {
                assert!(at >= finished, "whole at {at}");
                assert_eq!(response.text(), TEXT);
            }
            Err(error) => {
                assert!(at < finished + 2, "broken at {at}: {error}");
                assert_eq!(error.kind(), ModelErrorKind::Truncated);
                assert!(TEXT.starts_with(&text_of(&events)));
                assert_eq!(error.partial().unwrap().text(), text_of(&events));
            }
        }
    }
}

#[tokio::test]
async fn the_last_finish_reason_counts_and_no_reason_is_none() {
    let piece = |text: &str, reason: &str| {
        json!({"candidates": [{"content": {"parts": [{"text": text}]}, "finishReason": reason}]})
            .to_string()
    };
    let each = [
        piece("a", "STOP"),
        piece("b", "STOP"),
        piece("c", "MAX_TOKENS"),
    ];
    let response = streamed(&each.each_ref().map(String::as_str))
        .await
        .1
        .unwrap();
    assert_eq!(
        (response.text().as_str(), response.finish_reason),
        ("abc", FinishReason::Length)
    );
    for unsaid in ["", "FINISH_REASON_UNSPECIFIED"] {
        let error = streamed(&[&piece("a", unsaid), "[DONE]"])
            .await
            .1
            .unwrap_err();
        assert_eq!(error.kind(), ModelErrorKind::Truncated);
    }
    // Of two alternatives one is not whole.
    let two = [
        r#"{"candidates":[{"finishReason":"STOP"}]}"#,
        r#"{"candidates":[{"index":1,"content":{"parts":[{"text":"x"}]}}]}"#,
    ];
    let (events, response) = streamed(&two).await;
    assert!(events.is_empty(), "events tell of the first alone");
    assert_eq!(response.unwrap_err().kind(), ModelErrorKind::Truncated);
}

#[tokio::test]
async fn a_signed_text_is_not_joined_with_what_stands_before_or_behind_it() {
    let piece = |part: &Value| json!({"candidates": [{"content": {"parts": [part]}}]}).to_string();
    let pieces = [
        piece(&json!({"text": "a"})),
        piece(&json!({"text": "b"})),
        piece(&json!({"text": "c", "thoughtSignature": "s"})),
        piece(&json!({"text": "d"})),
        piece(&json!({"text": "", "thoughtSignature": "e"})),
        r#"{"candidates":[{"finishReason":"STOP"}]}"#.to_owned(),
    ];
    let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
    let (events, response) = streamed(&pieces).await;
    let response = response.unwrap();
    assert_eq!(
        (text_of(&events), response.text()),
        ("abcd".into(), "abcd".into())
    );
    let texts: Vec<_> = response
        .message
        .parts
        .iter()
        .filter_map(Part::as_text)
        .collect();
    assert_eq!(texts, ["ab", "c", "d"]);
    assert_eq!(response.message.parts.len(), 5);
}

#[tokio::test]
async fn limits_are_kept() {
    let limits = Limits {
        reply_bytes: 20_000,
        tool_argument_bytes: 100,
        line_bytes: 10_000,
    };
    let client = offline().limits(limits).build().unwrap();
    let call = |call: Value| {
        json!({"candidates": [{"content": {"parts": [{"functionCall": call}]}}]}).to_string()
    };
    let whole = call(json!({"name": "f", "args": {"x": "x".repeat(100)}}));
    let begin = call(json!({"name": "f", "willContinue": true}));
    let value = json!([{"jsonPath": "$.x", "stringValue": "x".repeat(30), "willContinue": true}]);
    let more = call(json!({"partialArgs": value, "willContinue": true}));
    let text = r#"{"candidates":[{"content":{"parts":[{"text":"x"}]}}]}"#;
    let part = format!(
        r#"{{"candidates":[{{"content":{{"parts":[{}]}}}}]}}"#,
        [r#"{"a":1}"#; 1_000].join(",")
    );
    let cases = [
        (sse(&[text; 1_000]), "reply_bytes"),
        (sse(&[&whole]), "tool_argument_bytes"),
        (
            sse(&[&begin, &more, &more, &more, &more]),
            "tool_argument_bytes",
        ),
        (format!("data: {}", "x".repeat(20_000)), "line_bytes"),
    ];
    for (body, setting) in cases {
        let error = drain(reply(&client, body.as_bytes().chunks(64)))
            .await
            .1
            .unwrap_err();
        assert_eq!(error.kind(), ModelErrorKind::Decode);
        assert!(error.message().contains(setting), "{error}");
    }
    let error = streamed(&[&*part; 10]).await.1.unwrap_err();
    assert!(error.message().contains("8192 parts"), "{error}");
}

#[tokio::test]
async fn what_is_no_json_of_ours_is_refused_without_repeating_it() {
    for data in [
        "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"se",
        "[1]",
        "{\"candidates\":\"secret\"}",
        "{\"candidates\":[{\"content\":{\"parts\":[\"secret\"]}}]}",
        "secret",
    ] {
        let error = streamed(&[data]).await.1.unwrap_err();
        assert_eq!(error.kind(), ModelErrorKind::Decode, "{data}");
        assert!(!format!("{error:?}").contains("secret"), "{error:?}");
    }
    let deep = format!(
        "{{\"candidates\":[{{\"content\":{{\"parts\":[{{\"x\":{}1{}}}]}}}}]}}",
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    let huge = r#"{"usageMetadata":{"promptTokenCount":1e400},"candidates":[{"index":-1}]}"#;
    for data in [deep.as_str(), huge] {
        let _ = streamed(&[data]).await;
    }
}
