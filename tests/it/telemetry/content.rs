//! Content stays inside, unless it was switched on.

use agent_sdk_otel::ContentCapture;
use futures_util::StreamExt;
use serde_json::{Value, json};
use tracing_subscriber::prelude::*;

use super::render::occurs;
use super::*;

/// An answer of the server that refuses, with content in it.
const REFUSED: &str = r#"{"error":{"message":"bad canary-prompt-7f3a canary-key-ab12","type":"invalid_request_error","code":"canary-answer-91be"}}"#;

/// Runs whole, streamed and refused, and gives back all that left.
async fn everything_that_leaves(capture: ContentCapture) -> (Collector, Vec<Vec<u8>>) {
    let collector = Collector::start();
    let telemetry = telemetry_to(&collector).content(capture).build().unwrap();
    let subscriber = tracing_subscriber::registry().with(telemetry.layer());
    let _guard = tracing::subscriber::set_default(subscriber);
    let server = ModelServer::start([
        (200, CALL),
        (200, ANSWER),
        (200, CALL),
        (200, ANSWER),
        (400, REFUSED),
    ]);
    let agent = with_search(agent(&server, &telemetry));
    agent.run(PROMPT).await.unwrap();
    // The server's second script is for a stream that the client gets whole.
    agent.run(PROMPT).await.unwrap();
    agent.run(PROMPT).await.unwrap_err();
    let server = ModelServer::start([(200, STREAMED)]);
    let streamed = super::agent(&server, &telemetry).build().unwrap();
    let mut events = streamed.stream(PROMPT);
    while events.next().await.is_some() {}
    events.report().await.unwrap();
    let page = telemetry.metrics_text().unwrap();
    assert!(page.contains("gen_ai_client_inference_duration_seconds_count"));
    assert!(telemetry.shutdown().is_complete());
    let mut sent: Vec<_> = collector.raw().iter().map(|body| body.to_vec()).collect();
    assert!(sent.len() >= 2, "traces and metrics were sent");
    sent.push(page.into_bytes());
    (collector, sent)
}

#[tokio::test]
async fn no_content_leaves_by_default() {
    let (_, sent) = everything_that_leaves(ContentCapture::Off).await;
    for canary in CANARIES {
        let found = sent.iter().any(|body| occurs(body, canary));
        assert!(!found, "{canary} left");
    }
}

#[tokio::test]
async fn captured_content_is_on_the_spans_as_json_and_nowhere_else() {
    let (collector, sent) = everything_that_leaves(ContentCapture::Spans).await;
    for secret in ["canary-key-ab12", "canary-header-77aa"] {
        assert!(
            !sent.iter().any(|body| occurs(body, secret)),
            "{secret} left"
        );
    }
    let page = sent.last().unwrap();
    assert!(!CANARIES.iter().any(|canary| occurs(page, canary)));

    let spans = collector.spans();
    let of = |name: &str, key: &str| -> Vec<Value> {
        let named = spans.iter().filter(|span| span.name == name);
        let pairs = named
            .flat_map(|span| &span.attributes)
            .filter(|pair| pair.key == key);
        pairs
            .map(|pair| {
                let value = pair.value.as_ref().unwrap().value.clone().unwrap();
                let opentelemetry_proto::tonic::common::v1::any_value::Value::StringValue(text) =
                    value
                else {
                    panic!("{key} is no text");
                };
                serde_json::from_str(&text).unwrap()
            })
            .collect()
    };
    let prompt = json!([{"role": "user", "parts": [{"type": "text", "content": PROMPT}]}]);
    let answer = json!({"type": "text", "content": "canary-answer-91be"});
    let agent = "invoke_agent triage";
    assert_eq!(of(agent, "gen_ai.input.messages"), vec![prompt.clone(); 4]);
    let said = json!([{"role": "assistant", "parts": [answer]}]);
    assert_eq!(of(agent, "gen_ai.output.messages")[0], said);

    let chat = "chat gpt-4o";
    let asked = of(chat, "gen_ai.input.messages");
    assert_eq!(asked[0], prompt);
    let call = json!({
        "type": "tool_call", "id": "call_1", "name": "search",
        "arguments": {"query": "canary-argument-c0de"},
    });
    let result =
        json!({"type": "tool_call_response", "id": "call_1", "response": "canary-result-4d5e"});
    assert_eq!(asked[1][1], json!({"role": "assistant", "parts": [call]}));
    assert_eq!(asked[1][2], json!({"role": "tool", "parts": [result]}));
    let answers = of(chat, "gen_ai.output.messages");
    let called = json!([{"role": "assistant", "parts": [call], "finish_reason": "tool_call"}]);
    assert_eq!(answers[0], called);
    let told = json!([{"role": "assistant", "parts": [answer], "finish_reason": "stop"}]);
    assert_eq!(answers[1], told);
    assert_eq!(answers.last(), Some(&told), "the streamed one too");
    let instructions = json!([{"type": "text", "content": "canary-instructions-52c1"}]);
    assert_eq!(of(chat, "gen_ai.system_instructions")[0], instructions);

    let tool = "execute_tool search";
    let arguments = json!({"query": "canary-argument-c0de"});
    assert_eq!(of(tool, "gen_ai.tool.call.arguments")[0], arguments);
    assert_eq!(
        of(tool, "gen_ai.tool.call.result")[0],
        json!("canary-result-4d5e")
    );
}
