//! What Google says of failures.

use std::time::Duration;

use super::*;
use crate::model::http::testing::Server;

fn failure(code: u16, status: &str, message: &str, details: &Value) -> Value {
    json!({"error": {"code": code, "status": status, "message": message, "details": details}})
}

async fn both(status: u16, headers: &str, body: &str) -> [ModelError; 2] {
    let server = Server::answering(status, headers, body).await;
    let client = Gemini::builder("m")
        .base_url(&server.base_url)
        .api_key("key-secret");
    let client = client.build().unwrap();
    let (context, request) = (RunContext::new(), ChatRequest::new("hi"));
    [
        client.chat(&context, request.clone()).await.unwrap_err(),
        client.stream(&context, request).await.unwrap_err(),
    ]
}

#[tokio::test]
async fn each_failure_has_its_class() {
    use ModelErrorKind::{
        Authentication, BadRequest, ContextLength, NotFound, Overloaded, Quota, RateLimited,
        Timeout,
    };
    let quota = |id: &str| json!([{"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": id}]}]);
    let reason =
        json!([{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}]);
    let none = json!([]);
    let too_long =
        "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).";
    let rows = [
        (400, "INVALID_ARGUMENT", "m", &none, BadRequest),
        (
            400,
            "INVALID_ARGUMENT",
            "API key not valid.",
            &reason,
            Authentication,
        ),
        (400, "INVALID_ARGUMENT", too_long, &none, ContextLength),
        (400, "FAILED_PRECONDITION", "m", &none, BadRequest),
        (401, "UNAUTHENTICATED", "m", &none, Authentication),
        (403, "PERMISSION_DENIED", "m", &none, Authentication),
        (404, "NOT_FOUND", "m", &none, NotFound),
        (429, "RESOURCE_EXHAUSTED", "m", &none, RateLimited),
        (
            429,
            "RESOURCE_EXHAUSTED",
            "m",
            &quota("GenerateRequestsPerMinutePerProjectPerModel-FreeTier"),
            RateLimited,
        ),
        (
            429,
            "RESOURCE_EXHAUSTED",
            "m",
            &quota("GenerateRequestsPerDayPerProjectPerModel-FreeTier"),
            Quota,
        ),
        (500, "INTERNAL", "m", &none, Overloaded),
        (503, "UNAVAILABLE", "m", &none, Overloaded),
        (504, "DEADLINE_EXCEEDED", "m", &none, Timeout),
        // Details of another kind hide nothing.
        (404, "NOT_FOUND", "m", &json!("see above"), NotFound),
        (404, "NOT_FOUND", "m", &json!({"retryDelay": 1}), NotFound),
    ];
    for (status, word, message, details, kind) in rows {
        let body = failure(status, word, message, details);
        for body in [body.to_string(), json!([body]).to_string()] {
            for error in both(status, "x-request-id: r-1\r\n", &body).await {
                assert_eq!(
                    (error.kind(), error.status()),
                    (kind, Some(status)),
                    "{error}"
                );
                assert_eq!(error.provider_type(), Some(word));
                assert_eq!(error.code(), Some(status.to_string().as_str()));
                assert_eq!(error.message(), message);
                assert_eq!(error.request_id(), Some("r-1"));
                assert_eq!(error.provider(), Some("gcp.gemini"));
            }
        }
    }
}

#[tokio::test]
async fn the_wait_is_the_header_s_or_the_body_s_and_at_most_a_minute() {
    for (headers, delay, expected) in [
        ("", json!("34.4s"), Some(34_400)),
        ("", json!("3600s"), Some(60_000)),
        ("retry-after: 7\r\n", json!("34.4s"), Some(7_000)),
        ("", json!("-1s"), None),
        ("", json!("soon"), None),
        ("", json!(5), None),
    ] {
        let details = json!([
            {"@type": "type.googleapis.com/google.rpc.Help", "links": []},
            {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay},
        ]);
        let body = failure(429, "RESOURCE_EXHAUSTED", "m", &details).to_string();
        for error in both(429, headers, &body).await {
            assert_eq!(
                error.retry_after(),
                expected.map(Duration::from_millis),
                "{delay}"
            );
        }
    }
}

#[tokio::test]
async fn a_failure_inside_a_good_answer_keeps_its_class_and_what_had_come() {
    let piece = r#"{"candidates":[{"content":{"parts":[{"text":"half"}]}}],"usageMetadata":{"promptTokenCount":3}}"#;
    let rows = [
        (
            r#"{"error":{"code":503,"message":"busy","status":"UNAVAILABLE"}}"#,
            ModelErrorKind::Overloaded,
            Some(503),
        ),
        (
            r#"[{"error":{"code":429,"message":"busy","status":"RESOURCE_EXHAUSTED"}}]"#,
            ModelErrorKind::RateLimited,
            Some(429),
        ),
        (
            r#"{"usageMetadata":{"candidatesTokenCount":9},"error":{"message":"busy","status":"DEADLINE_EXCEEDED"}}"#,
            ModelErrorKind::Timeout,
            Some(200),
        ),
        (
            r#"{"error":{"message":"busy","status":"PERMISSION_DENIED"}}"#,
            ModelErrorKind::Authentication,
            Some(200),
        ),
    ];
    for (failure, kind, status) in rows {
        let (events, response) = streamed(&[piece, failure]).await;
        assert_eq!(text_of(&events), "half");
        let error = response.unwrap_err();
        assert_eq!((error.kind(), error.status()), (kind, status), "{error}");
        assert_eq!(error.message(), "busy");
        let partial = error.partial().unwrap();
        assert_eq!(
            (partial.text().as_str(), partial.usage.input_tokens),
            ("half", Some(3))
        );
        let beside = failure.contains("usageMetadata").then_some(9);
        assert_eq!(partial.usage.output_tokens, beside);
        let body: Value = serde_json::from_str(failure).unwrap();
        assert_eq!(whole(&body).unwrap_err().kind(), kind);
    }
}

#[tokio::test]
async fn a_stream_that_comes_as_one_list_is_named_as_what_it_is() {
    let body =
        r#"[{"candidates":[{"content":{"parts":[{"text":"secret"}]},"finishReason":"STOP"}]}]"#;
    let server = Server::answering(200, "content-type: application/json\r\n", body).await;
    let client = Gemini::builder("m")
        .base_url(&server.base_url)
        .without_key();
    let client = client.build().unwrap();
    let (context, request) = (RunContext::new(), ChatRequest::new("hi"));
    let error = client.stream(&context, request.clone()).await.unwrap_err();
    assert_eq!(error.kind(), ModelErrorKind::Decode);
    assert_eq!(
        error.message(),
        "the reply is application/json and no event stream"
    );
    let error = client.chat(&context, request).await.unwrap_err();
    assert_eq!(error.kind(), ModelErrorKind::Decode);
    assert!(!format!("{error:?}").contains("secret"), "{error:?}");
}
