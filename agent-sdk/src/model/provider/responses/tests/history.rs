//! A tool call, its result and the answer, as an agent makes them: what the model wrote for itself goes back unchanged.

use serde_json::{Value, json};

use super::*;
use crate::{
    message::{Conversation, Message, ToolResult},
    model::{Model, http::testing::Server},
    operation::RunContext,
};

async fn ask(answer: &Value, conversation: &Conversation) -> (ChatResponse, Value) {
    let server = Server::answering(
        200,
        "content-type: application/json\r\n",
        &answer.to_string(),
    )
    .await;
    let client = OpenAiResponses::builder("gpt-5").base_url(&server.base_url);
    let client = client.api_key("sk-test").build().unwrap();
    let request = ChatRequest::new(conversation.clone());
    let response = client.chat(&RunContext::new(), request).await.unwrap();
    let sent = server.requests().pop().unwrap();
    let (head, body) = sent.split_once("\r\n\r\n").unwrap();
    assert!(
        head.to_ascii_lowercase()
            .contains("authorization: bearer sk-test")
    );
    (response, serde_json::from_str(body).unwrap())
}

#[tokio::test]
async fn reasoning_searches_and_calls_go_back_as_they_came() {
    let items = json!([
        {"type": "reasoning", "id": "rs_1", "summary": [], "content": [], "encrypted_content": "gAAA", "status": null},
        {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "q"}},
        {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "f", "arguments": "{\"a\": 1}", "namespace": "n"},
        {"type": "custom_tool_call", "id": "ct_1", "call_id": "c2", "name": "sql", "input": "SELECT 1"},
    ]);
    let mut conversation = Conversation::from("hi");
    let first = json!({"id": "resp_1", "status": "completed", "output": items});
    let (answer, sent) = ask(&first, &conversation).await;
    assert_eq!(
        (&sent["store"], &sent["include"][0]),
        (&json!(false), &json!("reasoning.encrypted_content"))
    );

    let results: Vec<_> = answer
        .message
        .tool_calls()
        .map(|call| ToolResult::ok(call, "1"))
        .collect();
    // Through the journal, as a run that is resumed would.
    let stored = serde_json::to_string(&answer).unwrap();
    let answer: ChatResponse = serde_json::from_str(&stored).unwrap();
    conversation.push(answer.message);
    conversation.push(Message::tool_results(results));

    let last = json!({"status": "completed", "output": [{"type": "message", "content": [{"type": "output_text", "text": "done"}]}]});
    let (answer, sent) = ask(&last, &conversation).await;
    assert_eq!(answer.text(), "done");
    let expected = json!([
        {"role": "user", "content": "hi"},
        items[0],
        items[1],
        {"type": "function_call", "call_id": "c1", "name": "f", "namespace": "n", "arguments": "{\"a\": 1}"},
        {"type": "custom_tool_call", "call_id": "c2", "name": "sql", "input": "SELECT 1"},
        {"type": "function_call_output", "call_id": "c1", "output": "1"},
        {"type": "custom_tool_call_output", "call_id": "c2", "output": "1"},
    ]);
    assert_eq!(sent["input"], expected);
}
