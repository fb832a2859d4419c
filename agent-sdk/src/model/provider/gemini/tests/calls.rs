//! Tool calls, whole and value by value.

use super::*;
use crate::model::FinishReason;

fn piece(calls: &[Value]) -> String {
    let parts: Vec<_> = calls
        .iter()
        .map(|call| json!({"functionCall": call}))
        .collect();
    json!({"responseId": "r", "candidates": [{"content": {"parts": parts}}]}).to_string()
}

async fn answer(
    pieces: &[String],
    finish: &str,
) -> (Vec<ChatEvent>, Result<ChatResponse, ModelError>) {
    let end = json!({"candidates": [{"finishReason": finish}]}).to_string();
    let data: Vec<&str> = pieces.iter().map(String::as_str).chain([&*end]).collect();
    streamed(&data).await
}

/// Id, name and arguments of each call.
fn brief(response: &ChatResponse) -> Vec<(&str, &str, &str)> {
    response
        .message
        .tool_calls()
        .map(|call| (call.id.as_str(), &*call.name, call.arguments.as_str()))
        .collect()
}

#[tokio::test]
async fn a_call_without_an_id_gets_one_of_the_answer_and_its_place() {
    let pieces = [
        piece(&[json!({"name": "f", "args": {"a": 1}}), json!({"name": "f"})]),
        piece(&[json!({"name": "g", "id": "own", "args": {}})]),
        piece(&[json!({"name": "h", "id": "own", "args": null})]),
    ];
    let (events, response) = answer(&pieces, "STOP").await;
    let response = response.unwrap();
    assert_eq!(
        brief(&response),
        [
            ("call_r_0", "f", "{\"a\":1}"),
            ("call_r_1", "f", "{}"),
            ("own", "g", "{}"),
            ("call_3", "h", "{}"),
        ]
    );
    assert_eq!(response.finish_reason, FinishReason::ToolCalls);
    let told: Vec<_> = events
        .iter()
        .map(|event| match event {
            ChatEvent::ToolCall { index, id, name } => format!("{index} {id} {name}"),
            ChatEvent::ToolCallArguments { index, fragment } => format!("{index} {fragment}"),
            other => format!("{other:?}"),
        })
        .collect();
    assert_eq!(
        told,
        [
            "0 call_r_0 f",
            "0 {\"a\":1}",
            "1 call_r_1 f",
            "2 own g",
            "2 {}",
            "3 call_3 h"
        ]
    );
}

#[tokio::test]
async fn arguments_that_come_value_by_value_are_put_together() {
    let more = |path: &str, text: &str| json!({"partialArgs": [{"jsonPath": path, "stringValue": text}], "willContinue": true});
    let begin = |name: &str| json!({"name": name, "willContinue": true});
    let pieces = [
        piece(&[begin("f")]),
        piece(&[more("$.city", "San ")]),
        piece(&[more("$.city", "José")]),
        piece(&[json!({"partialArgs": [{"jsonPath": "$.days[0]", "numberValue": 2}]})]),
        piece(&[begin("g")]),
        piece(&[json!({})]),
        // All at once, and an end that nothing belongs to.
        piece(&[json!({"name": "h", "partialArgs": [{"jsonPath": "$.x", "boolValue": true}]})]),
        piece(&[json!({})]),
        // Whole arguments win over values.
        piece(&[
            begin("k"),
            more("$.x", "half"),
            json!({"args": {"x": "whole"}}),
        ]),
    ];
    let (_, response) = answer(&pieces, "STOP").await;
    let response = response.unwrap();
    let calls: Vec<_> = brief(&response)
        .iter()
        .map(|call| (call.1, call.2))
        .collect();
    assert_eq!(
        calls,
        [
            ("f", r#"{"city":"San José","days":[2]}"#),
            ("g", "{}"),
            ("h", r#"{"x":true}"#),
            ("k", r#"{"x":"whole"}"#),
        ]
    );
}

#[tokio::test]
async fn values_belong_to_their_call_by_id_and_never_to_two() {
    let begin = |id: &str| json!({"name": "f", "id": id, "willContinue": true});
    let value = |text: &str| json!([{"jsonPath": "$.x", "stringValue": text}]);
    let end = |id: &str, text: &str| json!({"id": id, "partialArgs": value(text)});
    let pieces = [piece(&[
        begin("a"),
        begin("b"),
        end("b", "2"),
        end("a", "1"),
    ])];
    let (_, response) = answer(&pieces, "STOP").await;
    assert_eq!(
        brief(&response.unwrap()),
        [("a", "f", r#"{"x":"1"}"#), ("b", "f", r#"{"x":"2"}"#)]
    );
    let pieces = [piece(&[
        begin("a"),
        begin("b"),
        json!({"partialArgs": value("?")}),
    ])];
    let error = answer(&pieces, "STOP").await.1.unwrap_err();
    assert_eq!(error.kind(), ModelErrorKind::Decode);
    assert!(error.message().contains("more than one call"), "{error}");
    let nameless = [piece(&[json!({"args": {"x": 1}})])];
    let error = answer(&nameless, "STOP").await.1.unwrap_err();
    assert!(error.message().contains("without naming it"), "{error}");
}

#[tokio::test]
async fn a_call_that_is_still_being_written_at_the_end_does_not_run() {
    let value = json!([{"jsonPath": "$.x", "stringValue": "half", "willContinue": true}]);
    let open = json!({"name": "f", "partialArgs": value, "willContinue": true});
    let error = answer(&[piece(std::slice::from_ref(&open))], "STOP")
        .await
        .1
        .unwrap_err();
    assert_eq!(error.kind(), ModelErrorKind::Truncated);
    let (_, response) = answer(&[piece(&[open])], "MAX_TOKENS").await;
    assert_eq!(response.unwrap().finish_reason, FinishReason::Length);
}
