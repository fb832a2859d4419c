//! Turns as an agent takes them: what was answered goes back as it was, and the next answer is asked for.

use super::*;
use crate::{
    message::{Conversation, Message, ToolResult},
    model::FinishReason,
};

/// The parts of an answer, as the API wrote them.
fn parts() -> Value {
    json!([
        {"text": "Let me look.", "thoughtSignature": "dGV4dA=="},
        {"toolCall": {"toolType": "GOOGLE_SEARCH_WEB", "id": "s1"}, "thoughtSignature": "c2VhcmNo"},
        {"toolResponse": {"toolType": "GOOGLE_SEARCH_WEB", "id": "s1", "response": {"n": 1.50}}},
        {"functionCall": {"id": "c1", "name": "weather", "args": {"city": "São Paulo"}}, "thoughtSignature": "Y2FsbA=="},
        {"functionCall": {"id": "c2", "name": "weather", "args": {"city": "Oslo"}}},
        {"inlineData": {"mimeType": "image/png", "data": "AA=="}, "thoughtSignature": "aW1hZ2U="},
        {"text": "", "thoughtSignature": "ZW5k"},
    ])
}

#[tokio::test]
async fn an_answer_goes_back_as_it_came_with_the_results_of_its_calls() {
    let body = json!({"candidates": [{"content": {"role": "model", "parts": parts()}, "finishReason": "STOP"}]});
    let answered = whole(&body).unwrap();
    assert_eq!(answered.finish_reason, FinishReason::ToolCalls);
    // The same answer as a stream, a piece for each part.
    let parts_apart = parts();
    let pieces = parts_apart
        .as_array()
        .unwrap()
        .iter()
        .map(|part| json!({"candidates": [{"content": {"parts": [part]}}]}).to_string());
    let end = r#"{"candidates":[{"finishReason":"STOP"}]}"#.to_owned();
    let pieces: Vec<String> = pieces.chain([end]).collect();
    let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
    assert_eq!(streamed(&pieces).await.1.unwrap().message, answered.message);

    // It is kept as JSON in between.
    let kept = serde_json::to_string(&answered.message).unwrap();
    let message: Message = serde_json::from_str(&kept).unwrap();
    let results: Vec<_> = message
        .tool_calls()
        .map(|call| ToolResult::ok(call, "sunny"))
        .collect();
    let conversation = Conversation::from_iter([
        Message::user("weather?"),
        message,
        Message::tool_results(results),
    ]);
    let sent = body_of(conversation);
    assert_eq!(sent[1], json!({"role": "model", "parts": parts()}));
    let response = |id: &str| json!({"functionResponse": {"id": id, "name": "weather", "response": {"output": "sunny"}}});
    assert_eq!(
        sent[2],
        json!({"role": "user", "parts": [response("c1"), response("c2")]})
    );
}

fn body_of(conversation: Conversation) -> Value {
    body("gemini-3-flash-preview", &ChatRequest::new(conversation))["contents"].take()
}
