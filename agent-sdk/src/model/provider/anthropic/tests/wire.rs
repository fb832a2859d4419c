//! A server of scripts: heads, keys, statuses.

use std::time::Duration;

use super::*;
use crate::{
    cost::Usd,
    model::{ChatResponse, Model, ModelHandle, Usage, http::testing::Server},
    operation::{Kind, Observer, Observers, OperationRecord, Payload, RunContext},
};

const JSON: &str = "content-type: application/json\r\n";
const ANSWER: &str =
    r#"{"type":"message","content":[{"type":"text","text":"hello"}],"stop_reason":"end_turn"}"#;

fn client(server: &Server) -> AnthropicBuilder {
    let base_url = format!("http://127.0.0.1:{}", server.port);
    Anthropic::builder("m")
        .base_url(base_url)
        .api_key("sk-secret-key")
}

async fn chat(server: &Server) -> Result<ChatResponse, ModelError> {
    let client = client(server).build().unwrap();
    client
        .chat(&RunContext::new(), ChatRequest::new("hi"))
        .await
}

#[tokio::test]
async fn a_request_carries_its_key_and_its_version() {
    let server = Server::answering(200, JSON, ANSWER).await;
    assert_eq!(chat(&server).await.unwrap().text(), "hello");
    let other = client(&server)
        .header("anthropic-beta", "a,b")
        .header("anthropic-version", "2099-01-01")
        .build()
        .unwrap();
    other
        .chat(&RunContext::new(), ChatRequest::new("hi"))
        .await
        .unwrap();
    let requests: Vec<_> = server
        .requests()
        .iter()
        .map(|request| request.to_ascii_lowercase())
        .collect();
    for (request, lines) in requests.iter().zip([
        [
            "x-api-key: sk-secret-key\r\n",
            "anthropic-version: 2023-06-01\r\n",
        ],
        [
            "anthropic-beta: a,b\r\n",
            "anthropic-version: 2099-01-01\r\n",
        ],
    ]) {
        assert!(
            request.starts_with("post /v1/messages http/1.1\r\n"),
            "{request}"
        );
        assert!(!request.contains("authorization"));
        for line in lines {
            assert!(request.contains(line), "{request}");
        }
    }
}

#[tokio::test]
async fn each_failure_has_its_class() {
    use ModelErrorKind::{
        Authentication, BadRequest, ContentFilter, ContextLength, NotFound, Overloaded, Quota,
        RateLimited, Timeout,
    };
    let invalid = "invalid_request_error";
    let rows = [
        (400, invalid, "messages.0: wrong", BadRequest),
        (
            400,
            invalid,
            "prompt is too long: 200001 tokens > 200000 maximum",
            ContextLength,
        ),
        (
            400,
            invalid,
            "input length and `max_tokens` exceed context limit: 1 + 2 > 2",
            ContextLength,
        ),
        (400, invalid, "the prompt is too longwinded", BadRequest),
        (
            400,
            invalid,
            "Your credit balance is too low to access the API.",
            Quota,
        ),
        (
            400,
            invalid,
            "Output blocked by content filtering policy",
            ContentFilter,
        ),
        (
            401,
            "authentication_error",
            "invalid x-api-key",
            Authentication,
        ),
        (402, "billing_error", "m", Quota),
        (403, "permission_error", "m", Authentication),
        (404, "not_found_error", "model: m", NotFound),
        (413, "request_too_large", "m", ContextLength),
        (429, "rate_limit_error", "m", RateLimited),
        (500, "api_error", "m", Overloaded),
        (504, "timeout_error", "m", Timeout),
        (529, "overloaded_error", "Overloaded", Overloaded),
    ];
    for (status, kind, message, class) in rows {
        let body = json!({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"});
        let head = format!("{JSON}request-id: req_1\r\nretry-after: 7\r\n");
        let server = Server::answering(status, &head, &body.to_string()).await;
        let error = chat(&server).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.status()),
            (class, Some(status)),
            "{error}"
        );
        assert_eq!(
            (error.provider_type(), error.message()),
            (Some(kind), message)
        );
        assert_eq!(
            (error.request_id(), error.provider()),
            (Some("req_1"), Some("anthropic"))
        );
        assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
    }
}

#[tokio::test]
async fn the_server_says_whether_to_try_again() {
    let body = r#"{"type":"error","error":{"type":"rate_limit_error","message":"m"}}"#;
    for (header, retryable) in [("", true), ("x-should-retry: false\r\n", false)] {
        let server = Server::answering(429, header, body).await;
        assert_eq!(chat(&server).await.unwrap_err().is_retryable(), retryable);
    }
}

#[tokio::test]
async fn what_is_no_answer_says_what_it_is() {
    let failed = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
    let server = Server::answering(200, JSON, failed).await;
    assert_eq!(
        chat(&server).await.unwrap_err().kind(),
        ModelErrorKind::Overloaded
    );
    for body in ["", "{}", "{\"cut\":", "[]", r#"{"content":"secret"}"#] {
        let server = Server::answering(200, JSON, body).await;
        let error = chat(&server).await.unwrap_err();
        assert_eq!(error.kind(), ModelErrorKind::Decode, "{body}");
        assert!(!format!("{error:?}").contains("secret"), "{error:?}");
    }
}

/// Keeps the costs of what ended.
#[derive(Default)]
struct Costs(std::sync::Mutex<Vec<Option<Usd>>>);

impl Observer for Costs {
    fn ended(&self, record: &OperationRecord<'_>, _: Payload<'_>) {
        if record.info.kind == Kind::Chat {
            let total = record.cost.map(|cost| cost.total);
            self.0.lock().unwrap().push(total);
        }
    }
}

#[tokio::test]
async fn what_was_used_beside_the_answer_is_paid_for_and_unknown_where_its_price_is() {
    let usage = |side: &str| {
        format!(
            r#"{{"content":[],"stop_reason":"end_turn","model":"claude-sonnet-4-5","usage":{{"input_tokens":1000,
            "output_tokens":100,"iterations":[{{"type":"message","input_tokens":1000,"output_tokens":100}}{side}]}}}}"#
        )
    };
    let counts = r#""input_tokens":2000,"output_tokens":300}"#;
    let rows = [
        (String::new(), Some(4_500_000)),
        (
            format!(r#",{{"type":"compaction",{counts}"#),
            Some(4_500_000 + 10_500_000),
        ),
        (
            format!(r#",{{"type":"advisor_message","model":"claude-opus-4-5",{counts}"#),
            Some(4_500_000 + 17_500_000),
        ),
        (
            format!(r#",{{"type":"advisor_message","model":"m-2",{counts}"#),
            None,
        ),
    ];
    for (side, nanos) in rows {
        let costs = Arc::new(Costs::default());
        let observers = Observers::none().with_shared(costs.clone());
        let context = RunContext::builder().observers(observers).build();
        let server = Server::answering(200, JSON, &usage(&side)).await;
        let model = ModelHandle::new(client(&server).build().unwrap());
        let response = model.chat(&context, ChatRequest::new("hi")).await.unwrap();
        assert_eq!(response.usage, Usage::new(1_000, 100));
        assert_eq!(
            *costs.0.lock().unwrap(),
            [nanos.map(Usd::from_nanos)],
            "{side}"
        );
    }
}

#[tokio::test]
async fn an_answer_of_a_schema_that_is_not_strict_comes_by_a_tool_and_reads_as_text() {
    let call = |name: &str| {
        let call = json!({"type": "tool_use", "id": "c", "name": name, "input": {"x": 1}});
        json!({"content": [call], "stop_reason": "tool_use"}).to_string()
    };
    let request = ChatRequest::new("hi").with_output(OutputFormat::JsonSchema {
        name: "s".into(),
        schema: schema(r#"{"type":"object"}"#),
        strict: false,
    });
    let asked = Server::answering(200, JSON, &call("f")).await;
    let other = client(&asked).build().unwrap();
    let other = other
        .chat(&RunContext::new(), request.clone())
        .await
        .unwrap();
    assert_eq!(other.finish_reason, FinishReason::ToolCalls);
    let sent = asked.requests().remove(0);
    let sent: Value = serde_json::from_str(sent.split_once("\r\n\r\n").unwrap().1).unwrap();
    let name = sent["tool_choice"]["name"].as_str().unwrap();
    assert_eq!(sent["tool_choice"]["type"], "tool");
    assert_eq!(sent["tools"][0]["name"], name);
    assert_eq!(sent["tools"][0]["input_schema"], json!({"type": "object"}));

    let server = Server::answering(200, JSON, &call(name)).await;
    let answered = client(&server).build().unwrap();
    let answered = answered.chat(&RunContext::new(), request).await.unwrap();
    assert_eq!(
        (answered.text().as_str(), answered.finish_reason),
        (r#"{"x":1}"#, FinishReason::Stop)
    );
}
