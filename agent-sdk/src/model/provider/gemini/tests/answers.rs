//! Answers that come whole.

use super::*;
use crate::{
    message::{MediaKind, MediaSource, Message, Part},
    model::FinishReason,
};

fn candidate(parts: &Value, finish: &str) -> Value {
    json!({"candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": finish, "index": 0}],
        "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 2, "serviceTier": "standard"},
        "modelVersion": "gemini-x", "responseId": "r1"})
}

/// What the parts are, in their order.
fn kinds(response: &ChatResponse) -> Vec<String> {
    let kind = |part: &Part| match part {
        Part::Text(text) => format!("text {}", &**text),
        Part::Reasoning(thought) => format!("thought {}", &*thought.text),
        Part::ToolCall(call) => format!("call {}", call.name),
        Part::Media(media) => format!("media {:?}", media.kind),
        Part::Opaque(opaque) => format!("opaque {}", opaque.kind),
        other => format!("{other:?}"),
    };
    response.message.parts.iter().map(kind).collect()
}

#[test]
fn parts_stay_in_their_order_and_each_is_what_it_is() {
    let parts = json!([
        {"text": "hm", "thought": true},
        {"text": "hmm", "thought": true, "thoughtSignature": "t"},
        {"text": "one "},
        {"text": "two"},
        {"executableCode": {"language": "PYTHON", "code": "1"}},
        {"codeExecutionResult": {"outcome": "OUTCOME_OK"}, "thoughtSignature": "c"},
        {"text": "three", "thoughtSignature": "s"},
        {"functionCall": {"name": "f", "args": {"x": 1}}, "thoughtSignature": "f"},
        {"inlineData": {"mimeType": "image/png", "data": "AA=="}, "thoughtSignature": "i"},
        {"inlineData": {"mimeType": "audio/L16;rate=24000", "data": "BB=="}},
        {"thought": true, "inlineData": {"mimeType": "image/png", "data": "CC=="}},
        {"fileData": {"mimeType": "text/plain", "fileUri": "gs://b/f"}},
        {"thoughtSignature": "alone", "newThing": 1},
        {"text": "", "thoughtSignature": "end"},
        {"text": ""},
        {},
        null,
    ]);
    let response = whole(&candidate(&parts, "STOP")).unwrap();
    let expected = [
        "thought hm",
        "thought hmm",
        "text one two",
        "opaque executableCode",
        "opaque codeExecutionResult",
        "text three",
        "opaque thoughtSignature",
        "call f",
        "media Image",
        "opaque thoughtSignature",
        "media Audio",
        "opaque inlineData",
        "opaque fileData",
        "opaque newThing",
        "opaque text",
    ];
    assert_eq!(kinds(&response), expected);
    assert_eq!(response.finish_reason, FinishReason::ToolCalls);
    assert_eq!(response.native_finish_reasons, ["STOP"]);
    assert_eq!(
        (
            response.id.as_deref(),
            response.model.as_deref(),
            response.service_tier.as_deref()
        ),
        (Some("r1"), Some("gemini-x"), Some("standard"))
    );
    let Part::ToolCall(call) = &response.message.parts[7] else {
        panic!("a call")
    };
    assert_eq!(call.arguments, r#"{"x":1}"#);
    assert_eq!(call.signature.as_ref().unwrap().of(API), Some("f"));
    let Part::Media(sound) = &response.message.parts[10] else {
        panic!("a sound")
    };
    assert_eq!(sound.kind, MediaKind::Audio);
    assert!(matches!(&sound.source, MediaSource::Base64(data) if *data == "BB=="));
}

#[test]
fn each_alternative_stands_by_itself_in_the_order_of_its_index() {
    let body = json!({"candidates": [
        {"content": {"parts": [{"text": "b"}]}, "finishReason": "MAX_TOKENS", "index": 2},
        {"content": {"parts": [{"text": "a"}]}, "finishReason": "SAFETY", "index": 1},
        {"content": {"parts": [{"text": "first"}]}, "finishReason": "STOP", "index": 0},
    ]});
    let response = whole(&body).unwrap();
    assert_eq!(response.text(), "first");
    let others: Vec<_> = response.alternatives.iter().map(Message::text).collect();
    assert_eq!(others, ["a", "b"]);
    assert_eq!(
        response.native_finish_reasons,
        ["STOP", "SAFETY", "MAX_TOKENS"]
    );
    assert!(response.usage.is_unknown());
    // The first index is left out, as defaults are.
    let body = json!({"candidates": [
        {"content": {"parts": [{"text": "x"}]}, "finishReason": 1},
        {"content": {"parts": [{"text": "y"}]}, "finishReason": "STOP"},
    ]});
    let response = whole(&body).unwrap();
    assert_eq!(
        (response.text().as_str(), response.alternatives.len()),
        ("x", 1)
    );
    assert_eq!(response.native_finish_reasons, ["1", "STOP"]);
    assert_eq!(response.finish_reason, FinishReason::Stop);
}

#[tokio::test]
async fn a_refused_prompt_is_an_answer_that_was_withheld() {
    let body = r#"{"promptFeedback":{"blockReason":"PROHIBITED_CONTENT"},"usageMetadata":{"promptTokenCount":8}}"#;
    let answers = [
        whole(&serde_json::from_str(body).unwrap()),
        streamed(&[body]).await.1,
    ];
    for response in answers {
        let response = response.unwrap();
        assert_eq!(response.finish_reason, FinishReason::ContentFilter);
        assert_eq!(response.block_reason.as_deref(), Some("PROHIBITED_CONTENT"));
        assert!(response.native_finish_reasons.is_empty());
        assert!(response.message.parts.is_empty());
        assert_eq!(response.usage.input_tokens, Some(8));
    }
    let only_ratings = json!({"promptFeedback": {"safetyRatings": []},
        "candidates": [{"content": {"parts": [{"text": "x"}]}, "finishReason": "STOP"}]});
    assert_eq!(
        whole(&only_ratings).unwrap().finish_reason,
        FinishReason::Stop
    );
}

#[test]
fn searches_of_the_web_are_counted_and_other_grounding_is_not() {
    let with = |grounding: Value, model: &str| {
        let body = json!({"candidates": [{"content": {"parts": [{"text": "x"}]}, "finishReason": "STOP",
            "groundingMetadata": grounding}], "modelVersion": model});
        whole(&body).unwrap().usage.web_search_requests
    };
    let queries = json!({"webSearchQueries": ["a", "b", ""]});
    assert_eq!(with(queries.clone(), "gemini-3-pro"), Some(2));
    assert_eq!(with(queries, "gemini-2.5-pro"), Some(1));
    assert_eq!(with(json!({"groundingChunks": [{}]}), "gemini-3-pro"), None);
}

#[test]
fn a_body_that_is_no_answer_is_refused() {
    for body in [
        json!({}),
        json!({"candidates": []}),
        json!({"candidates": null, "promptFeedback": {}}),
        json!({"candidates": {"content": 1}}),
        json!("text"),
        json!([{"candidates": []}]),
    ] {
        let error = whole(&body).unwrap_err();
        assert_eq!(error.kind(), ModelErrorKind::Decode, "{body}");
    }
    let silent = whole(&json!({"candidates": [{"content": {}}]})).unwrap();
    assert_eq!(silent.native_finish_reasons, ["unknown"]);
}
