//! Turns as an agent takes them: what was answered goes back as it was, and the next answer is asked for.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::value::RawValue;

use super::*;
use crate::{
    message::{Conversation, Message, ToolResult},
    model::{
        FinishReason, OutputFormat, ToolSpec,
        http::testing::Server,
        wire::{Events, Frame},
    },
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

#[tokio::test]
async fn an_answer_of_a_schema_beside_tools_comes_as_text_from_an_older_model_too() {
    let schema = |text: &str| Arc::<RawValue>::from(RawValue::from_string(text.into()).unwrap());
    let tool = ToolSpec::new("look", "", schema("{}"));
    let request =
        ChatRequest::new("hi")
            .with_tools(vec![tool])
            .with_output(OutputFormat::JsonSchema {
                name: "s".into(),
                schema: schema(r#"{"type":"object"}"#),
                strict: true,
            });
    let answer = r#"{"candidates":[{"content":{"parts":[{"functionCall":{"name":"give_answer","args":{"n":1}}}]},"finishReason":"STOP"}]}"#;
    let server = Server::answering(200, "content-type: application/json\r\n", answer).await;
    let client = Gemini::builder("gemini-2.5-flash").base_url(&server.base_url);
    let client = client.without_key().build().unwrap();
    let response = client.chat(&RunContext::new(), request).await.unwrap();
    assert_eq!(
        (response.text().as_str(), response.finish_reason),
        (r#"{"n":1}"#, FinishReason::Stop)
    );
    let request = &server.requests()[0];
    let (_, body) = request.split_once("\r\n\r\n").unwrap();
    let body: Value = serde_json::from_str(body).unwrap();
    assert!(body.get("generationConfig").is_none(), "{body}");
    assert_eq!(
        body["toolConfig"]["functionCallingConfig"]["mode"], "ANY",
        "{body}"
    );
    let declared = body["tools"][0]["functionDeclarations"].as_array().unwrap();
    assert_eq!(declared[1]["name"], "give_answer");
}

fn part() -> impl Strategy<Value = Value> {
    let text = prop::sample::select(vec!["", "a", "日本"]);
    let values = prop::sample::select(vec!["$", "$.a", "$.b[0]", "$.b[1].c", "$['a']", "nowhere"]);
    prop_oneof![
        text.clone().prop_map(|text| json!({"text": text})),
        text.clone()
            .prop_map(|text| json!({"text": text, "thought": true})),
        text.prop_map(|text| json!({"text": text, "thoughtSignature": "s"})),
        Just(json!({"text": "t", "thought": true, "thoughtSignature": "s"})),
        Just(json!({"codeExecutionResult": {"output": "1"}})),
        Just(
            json!({"inlineData": {"mimeType": "image/png", "data": "AA=="}, "thoughtSignature": "s"})
        ),
        Just(json!({"functionCall": {"name": "f", "args": {"x": 1}}, "thoughtSignature": "s"})),
        Just(json!({"functionCall": {"name": "g", "id": "own", "willContinue": true}})),
        Just(json!({"functionCall": {}})),
        (values, any::<bool>())
            .prop_map(|(path, more)| json!({"functionCall": {"willContinue": more,
            "partialArgs": [{"jsonPath": path, "stringValue": "v"}]}})),
    ]
}

/// An answer, or the class of its failure.
fn brief(result: Result<ChatResponse, ModelError>) -> Result<ChatResponse, ModelErrorKind> {
    result.map_err(|error| error.kind())
}

proptest! {
    #[test]
    fn any_parts_read_the_same_whole_and_in_pieces_and_can_be_sent_back(
        parts in prop::collection::vec(part(), 0..12)
    ) {
        let one = json!({"candidates": [{"content": {"parts": parts}, "finishReason": "STOP"}]});
        let mut reader = Assembler::new(&Limits::default());
        let mut events = Events::queue();
        let mut pieces = parts.iter().map(|part| json!({"candidates": [{"content": {"parts": [part]}}]}));
        let failed = pieces.find_map(|piece| {
            let data = piece.to_string();
            reader.event(Frame { event: "", data: &data }, &mut events).err()
        });
        let streamed = if let Some(failed) = failed {
            Err(failed.into_error("", "", &Secrets::default()))
        } else {
            let end = r#"{"candidates":[{"finishReason":"STOP"}]}"#;
            reader.event(Frame { event: "", data: end }, &mut events).unwrap();
            reader.finish(&mut events)
        };
        let whole = brief(whole(&one));
        prop_assert_eq!(&whole, &brief(streamed));
        if let Ok(response) = whole {
            let request = ChatRequest::new(Conversation::from_iter([response.message]));
            prop_assert!(GenerateContent::default().body("gemini-3", &request, false).is_ok());
        }
    }
}

fn body_of(conversation: Conversation) -> Value {
    body("gemini-3-flash-preview", &ChatRequest::new(conversation))["contents"].take()
}
