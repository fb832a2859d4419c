//! Answers that come as one body.

use serde_json::json;

use super::*;
use crate::{
    message::Part,
    model::{FinishReason, http::testing::Server},
    operation::RunContext,
};

#[test]
fn items_become_parts_in_their_order() {
    let body = json!({"id": "resp_1", "model": "m-1", "status": "completed", "service_tier": "flex", "output": [
        {"type": "reasoning", "id": "rs_1", "summary": [{"text": "one"}, {"text": "two"}], "encrypted_content": "gA"},
        {"type": "web_search_call", "id": "ws_1", "action": {"type": "search"}},
        {"type": "web_search_call", "id": "ws_2", "action": {"type": "open_page"}},
        {"type": "message", "id": "msg_1", "content": [
            {"type": "output_text", "text": "a"}, {"type": "output_text", "text": "b"}, {"type": "refusal", "refusal": "no"}]},
        {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "f", "arguments": "{}", "namespace": "t"},
        {"type": "custom_tool_call", "id": "ct_1", "call_id": "c2", "name": "g", "input": "x y"},
        {"type": "never_heard_of", "deep": [1]},
    ]});
    let answer = whole(&body.to_string()).unwrap();
    let kinds = answer.message.parts.iter().map(|part| match part {
        Part::Text(text) => format!("text {}", text.as_str()),
        Part::Refusal(text) => format!("refusal {}", text.as_str()),
        Part::Reasoning(thought) => format!(
            "reasoning {} {:?}",
            thought.text.as_str(),
            thought.id.as_deref()
        ),
        Part::ToolCall(call) => format!(
            "call {} {} {}",
            call.id.as_str(),
            call.name,
            call.arguments.as_str()
        ),
        Part::Opaque(own) => format!("opaque {}", own.kind),
        _ => "other".to_owned(),
    });
    assert_eq!(
        kinds.collect::<Vec<_>>(),
        [
            "reasoning one\n\ntwo Some(\"rs_1\")",
            "opaque web_search_call",
            "opaque web_search_call",
            "text ab",
            "refusal no",
            "call c1 f {}",
            "call c2 g x y",
            "opaque never_heard_of",
        ]
    );
    assert_eq!(answer.finish_reason, FinishReason::ToolCalls);
    assert_eq!(answer.native_finish_reasons, ["completed"]);
    assert_eq!(answer.service_tier.as_deref(), Some("flex"));
    assert_eq!(answer.usage.web_search_requests, Some(1));
}

#[test]
fn the_reason_is_why_it_is_not_whole_or_else_the_status() {
    let of = |status: &str, reason: serde_json::Value| {
        let body = json!({"status": status, "incomplete_details": reason, "output": []});
        let answer = whole(&body.to_string()).unwrap();
        (answer.finish_reason, answer.native_finish_reasons.join(","))
    };
    let none = serde_json::Value::Null;
    let rows = [
        (
            of("completed", none.clone()),
            FinishReason::Stop,
            "completed",
        ),
        (
            of("incomplete", json!({"reason": "max_output_tokens"})),
            FinishReason::Length,
            "max_output_tokens",
        ),
        (
            of("incomplete", json!({"reason": "content_filter"})),
            FinishReason::ContentFilter,
            "content_filter",
        ),
        (
            of("queued", none.clone()),
            FinishReason::Other("queued".into()),
            "queued",
        ),
        (
            of("cancelled", none),
            FinishReason::Other("cancelled".into()),
            "cancelled",
        ),
        (
            of("incomplete", json!("odd")),
            FinishReason::Other("incomplete".into()),
            "incomplete",
        ),
    ];
    for ((finish, native), wanted, word) in rows {
        assert_eq!((finish, native.as_str()), (wanted, word));
    }
}

#[test]
fn searches_are_counted_as_reported_or_else_as_seen() {
    let searches = |extra: serde_json::Value| {
        let mut body = json!({"status": "completed", "output": []});
        body.as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        whole(&body.to_string()).unwrap().usage.web_search_requests
    };
    assert_eq!(searches(json!({})), None);
    assert_eq!(
        searches(json!({"tool_usage": {"web_search": {"num_requests": 0}}})),
        Some(0)
    );
    let seen = json!([{"type": "web_search_call"}, {"type": "web_search_call", "action": {"type": "search"}}]);
    assert_eq!(searches(json!({"output": seen})), Some(2));
    assert_eq!(
        searches(json!({"output": seen, "tool_usage": {"web_search": {"num_requests": 5}}})),
        Some(5)
    );
}

#[test]
fn what_is_no_answer_is_an_error_of_its_class() {
    let rows = [
        (
            json!({"status": "failed", "error": {"code": "rate_limit_exceeded", "message": "slow"}}),
            ModelErrorKind::RateLimited,
        ),
        (
            json!({"status": "failed", "error": {"code": "server_error", "message": "oops"}}),
            ModelErrorKind::Overloaded,
        ),
        (json!({"status": "failed"}), ModelErrorKind::Overloaded),
        (
            json!({"error": {"code": "context_length_exceeded"}}),
            ModelErrorKind::ContextLength,
        ),
        (
            json!({"status": "failed", "error": {"code": "invalid_prompt"}}),
            ModelErrorKind::BadRequest,
        ),
        (json!({}), ModelErrorKind::Decode),
        (json!([]), ModelErrorKind::Decode),
        (
            json!({"status": "completed", "output": 3}),
            ModelErrorKind::Decode,
        ),
        (
            json!({"status": "completed", "output": [{"type": "function_call", "call_id": "c"}]}),
            ModelErrorKind::Decode,
        ),
    ];
    for (body, kind) in rows {
        let error = whole(&body.to_string()).unwrap_err();
        assert_eq!(error.kind(), kind, "{body} {error}");
    }
}

#[test]
fn a_call_of_no_id_gets_one_and_one_id_is_given_once() {
    let call =
        |id: &str| json!({"type": "function_call", "call_id": id, "name": "f", "arguments": ""});
    let body = json!({"status": "completed", "output": [call("a"), call("a"), call("")]});
    let answer = whole(&body.to_string()).unwrap();
    let ids: Vec<_> = answer
        .message
        .tool_calls()
        .map(|call| call.id.as_str().to_owned())
        .collect();
    assert_eq!(ids, ["a", "call_1", "call_2"]);
}

#[tokio::test]
async fn a_refusal_of_the_server_keeps_its_class_its_wait_and_its_id() {
    let table = [
        (
            429,
            r#"{"error":{"type":"insufficient_quota","code":"insufficient_quota","message":"x"}}"#,
            ModelErrorKind::Quota,
        ),
        (
            429,
            r#"{"error":{"type":"requests","code":"rate_limit_exceeded","message":"x"}}"#,
            ModelErrorKind::RateLimited,
        ),
        (
            400,
            r#"{"code":"invalid-argument","error":"Model not found"}"#,
            ModelErrorKind::BadRequest,
        ),
        (
            401,
            r#"{"error":{"code":"invalid_api_key","message":"x"}}"#,
            ModelErrorKind::Authentication,
        ),
        (
            404,
            r#"{"error":{"code":"model_not_found","message":"x"}}"#,
            ModelErrorKind::NotFound,
        ),
        (503, "<html>down</html>", ModelErrorKind::Overloaded),
    ];
    for (status, body, kind) in table {
        let headers = "retry-after: 7\r\nx-request-id: req_1\r\n";
        let server = Server::answering(status, headers, body).await;
        let client = OpenAiResponses::builder("m")
            .base_url(&server.base_url)
            .without_key();
        let client = client.build().unwrap().client;
        let error = client
            .chat(&RunContext::new(), ChatRequest::new("hi"))
            .await
            .unwrap_err();
        assert_eq!(
            (error.kind(), error.status()),
            (kind, Some(status)),
            "{error}"
        );
        assert_eq!(error.retry_after().map(|wait| wait.as_secs()), Some(7));
        assert_eq!(error.request_id(), Some("req_1"));
        assert!(server.requests()[0].starts_with("POST /v1/responses "));
    }
}
