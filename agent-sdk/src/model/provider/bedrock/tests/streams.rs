//! What is read.

use serde_json::json;

use super::*;
use crate::{
    message::{Conversation, Message, Part, ToolResult},
    model::{
        ChatEvent, ChatResponse, FinishReason, Limits, Model, ModelErrorKind, Usage,
        http::testing::{STREAM, Server, Step, drain, reply, text_of},
    },
    operation::RunContext,
};

const TEXT: &str = "naïve 日本 👩‍👧";

/// The events of a small stream, and which of them says why it stopped.
fn small() -> (Vec<Vec<u8>>, usize) {
    let delta = |text: &str| {
        event(
            "contentBlockDelta",
            &json!({"contentBlockIndex": 0, "delta": {"text": text}, "p": "abc"}),
        )
    };
    let events = vec![
        event(
            "messageStart",
            &json!({"role": "assistant", "p": "abcdefg"}),
        ),
        delta("naïve "),
        delta("日本 👩‍👧"),
        event("someNewEvent", &json!({"x": [1]})),
        event("contentBlockStop", &json!({"contentBlockIndex": 0})),
        event("messageStop", &json!({"stopReason": "end_turn"})),
        event(
            "metadata",
            &json!({"usage": {"inputTokens": 3, "outputTokens": 4, "totalTokens": 9, "cacheReadInputTokens": 2},
            "metrics": {"latencyMs": 1}, "serviceTier": {"type": "priority"}}),
        ),
    ];
    (events, 5)
}

fn client() -> Bedrock {
    offline().build().unwrap()
}

async fn read(chunks: Vec<Vec<u8>>) -> (Vec<ChatEvent>, Result<ChatResponse, ModelError>) {
    drain(reply(&client().client, chunks)).await
}

#[tokio::test]
async fn the_answer_does_not_depend_on_the_cuts() {
    let client = client();
    let body = small().0.concat();
    let whole = drain(reply(&client.client, [body.clone()]))
        .await
        .1
        .unwrap();
    let usage = Usage::new(5, 4).with_cache_read(2);
    assert_eq!((whole.text().as_str(), whole.usage), (TEXT, usage));
    assert_eq!(whole.native_finish_reasons, ["end_turn"]);
    assert_eq!(whole.service_tier.as_deref(), Some("priority"));
    for at in 0..=body.len() {
        let (start, end) = body.split_at(at);
        let (events, response) = drain(reply(&client.client, [start, end])).await;
        assert_eq!(
            (text_of(&events).as_str(), response.unwrap()),
            (TEXT, whole.clone())
        );
    }
    let (_, response) = drain(reply(&client.client, body.chunks(1))).await;
    assert_eq!(response.unwrap(), whole);
}

#[tokio::test]
async fn a_stream_cut_anywhere_is_whole_exactly_when_its_stop_reason_came() {
    let (events, stop) = small();
    let finished: usize = events.iter().take(stop + 1).map(Vec::len).sum();
    let body = events.concat();
    for at in 0..=body.len() {
        let (events, response) = read(vec![body[..at].to_vec()]).await;
        match response {
            Ok(response) => {
                assert!(at >= finished, "whole at {at}");
                assert_eq!(response.text(), TEXT);
                assert_eq!(response.usage.is_unknown(), at < body.len());
            }
            Err(error) => {
                assert!(at < finished, "broken at {at}: {error}");
                assert_eq!(error.kind(), ModelErrorKind::Truncated);
                assert_eq!(error.partial().unwrap().text(), text_of(&events));
                assert!(TEXT.starts_with(&text_of(&events)));
            }
        }
    }
}

#[tokio::test]
async fn an_exception_in_a_stream_keeps_its_class_and_what_came_before() {
    use ModelErrorKind::{
        Authentication, BadRequest, ContextLength, Overloaded, RateLimited, Timeout,
    };
    let half = event(
        "contentBlockDelta",
        &json!({"contentBlockIndex": 0, "delta": {"text": "half"}}),
    );
    for (name, message, kind) in [
        ("throttlingException", "m", RateLimited),
        ("serviceQuotaExceededException", "m", RateLimited),
        ("internalServerException", "m", Overloaded),
        ("serviceUnavailableException", "m", Overloaded),
        ("modelStreamErrorException", "m", Overloaded),
        ("modelTimeoutException", "m", Timeout),
        ("validationException", "m", BadRequest),
        (
            "validationException",
            "Input is too long for requested model.",
            ContextLength,
        ),
        ("accessDeniedException", "m", Authentication),
    ] {
        let failed = exception(name, &json!({"message": message}).to_string());
        let (events, response) = read(vec![half.clone(), failed]).await;
        let error = response.unwrap_err();
        assert_eq!((error.kind(), error.message()), (kind, message), "{name}");
        assert_eq!(error.provider_type(), Some(name));
        assert_eq!(text_of(&events), "half");
        assert_eq!(error.partial().unwrap().text(), "half");
    }
}

#[tokio::test]
async fn damage_and_limits_are_errors() {
    let limits = Limits {
        reply_bytes: 4_000,
        tool_argument_bytes: 100,
        line_bytes: 1_000,
    };
    let client = offline().limits(limits).build().unwrap();
    let (events, _) = small();
    let mut damaged = events.concat();
    damaged[30] ^= 1;
    let long = event(
        "contentBlockDelta",
        &json!({"delta": {"text": "x".repeat(1_000)}}),
    );
    let call = event(
        "contentBlockStart",
        &json!({"contentBlockIndex": 1, "start": {"toolUse": {"toolUseId": "a", "name": "f"}}}),
    );
    let input = event(
        "contentBlockDelta",
        &json!({"contentBlockIndex": 1, "delta": {"toolUse": {"input": "x".repeat(60)}}}),
    );
    let text = event(
        "contentBlockDelta",
        &json!({"contentBlockIndex": 0, "delta": {"text": "x"}}),
    );
    for (body, names) in [
        (damaged, "damaged"),
        (long, "line_bytes"),
        ([call, input.clone(), input].concat(), "tool_argument_bytes"),
        (text.repeat(40), "reply_bytes"),
        (event("messageStop", &json!("secret")), "Converse"),
        (
            message(&[(":event-type", "messageStop")], "secret"),
            "Converse",
        ),
    ] {
        let chunks = body.chunks(64);
        let error = drain(reply(&client.client, chunks)).await.1.unwrap_err();
        assert_eq!(error.kind(), ModelErrorKind::Decode, "{error}");
        assert!(error.message().contains(names), "{error}");
        assert!(!format!("{error:?}").contains("secret"), "{error:?}");
    }
}

/// Reasoning, text, two calls whose pieces are mixed, a search of Bedrock's own, and redacted reasoning.
fn rich() -> Vec<Vec<u8>> {
    let start = |index: u64, start: Value| {
        event(
            "contentBlockStart",
            &json!({"contentBlockIndex": index, "start": start}),
        )
    };
    let delta = |index: u64, delta: Value| {
        event(
            "contentBlockDelta",
            &json!({"contentBlockIndex": index, "delta": delta}),
        )
    };
    let own = json!({"toolUseId": "s", "name": "nova_grounding", "type": "server_tool_use"});
    vec![
        delta(0, json!({"reasoningContent": {"text": "hm "}})),
        delta(0, json!({"reasoningContent": {"text": "so"}})),
        delta(0, json!({"reasoningContent": {"signature": "sig"}})),
        delta(1, json!({"reasoningContent": {"redactedContent": "AAAA"}})),
        start(2, json!({"toolUse": own})),
        delta(2, json!({"toolUse": {"input": "{\"query\":"}})),
        delta(2, json!({"toolUse": {"input": "\"x\"}"}})),
        start(
            3,
            json!({"toolResult": {"toolUseId": "s", "type": "nova_grounding_result", "status": "success"}}),
        ),
        delta(3, json!({"toolResult": [{"json": {"hits": 1}}]})),
        delta(4, json!({"text": "look"})),
        delta(4, json!({"citation": {"title": "t"}})),
        start(5, json!({"toolUse": {"toolUseId": "a", "name": "f"}})),
        start(6, json!({"toolUse": {"toolUseId": "b", "name": "g"}})),
        delta(6, json!({"toolUse": {"input": "{\"y\":"}})),
        delta(5, json!({"toolUse": {"input": "{\"x\":1}"}})),
        delta(6, json!({"toolUse": {"input": "2}"}})),
        event("messageStop", &json!({"stopReason": "tool_use"})),
        event(
            "metadata",
            &json!({"usage": {"inputTokens": 1, "outputTokens": 2}}),
        ),
    ]
}

/// The same answer as one body.
fn rich_whole() -> Value {
    json!({"output": {"message": {"role": "assistant", "content": [
        {"reasoningContent": {"reasoningText": {"text": "hm so", "signature": "sig"}}},
        {"reasoningContent": {"redactedContent": "AAAA"}},
        {"toolUse": {"toolUseId": "s", "name": "nova_grounding", "type": "server_tool_use", "input": {"query": "x"}}},
        {"toolResult": {"toolUseId": "s", "type": "nova_grounding_result", "status": "success", "content": [{"json": {"hits": 1}}]}},
        {"citationsContent": {"content": [{"text": "look"}], "citations": [{"title": "t"}]}},
        {"toolUse": {"toolUseId": "a", "name": "f", "input": {"x": 1}, "type": "tool_use"}},
        {"toolUse": {"toolUseId": "b", "name": "g", "input": {"y": 2}}},
    ]}}, "stopReason": "tool_use", "usage": {"inputTokens": 1, "outputTokens": 2}})
}

async fn whole(body: &str) -> Result<ChatResponse, ModelError> {
    let server = Server::answering(200, "content-type: application/json\r\n", body).await;
    let client = Bedrock::builder("m")
        .base_url(server.base_url)
        .without_key();
    let client = client.build().unwrap();
    client
        .chat(&RunContext::new(), ChatRequest::new("hi"))
        .await
}

#[tokio::test]
async fn what_came_goes_back_as_it_came_together_with_the_results() {
    let streamed = read(rich()).await;
    let told = |event: &&ChatEvent| matches!(event, ChatEvent::ToolCall { .. });
    assert_eq!(streamed.0.iter().filter(told).count(), 2);
    let expected = rich_whole()["output"]["message"]["content"].clone();
    for response in [
        streamed.1.unwrap(),
        whole(&rich_whole().to_string()).await.unwrap(),
    ] {
        assert_eq!(response.finish_reason, FinishReason::ToolCalls);
        assert_eq!(response.text(), "look");
        assert_eq!(response.usage, Usage::new(1, 2));
        let calls: Vec<_> = response.message.tool_calls().cloned().collect();
        let brief: Vec<_> = calls
            .iter()
            .map(|call| (call.id.as_str(), &*call.name))
            .collect();
        assert_eq!(brief, [("a", "f"), ("b", "g")]);
        assert!(
            matches!(&response.message.parts[1], Part::Reasoning(thought) if thought.is_redacted)
        );
        let results = Message::tool_results([
            ToolResult::ok(&calls[0], "1"),
            ToolResult::error(&calls[1], "no"),
        ]);
        let history = Conversation::from_iter([Message::user("hi"), response.message, results]);
        let body = request::body("m", &ChatRequest::new(history)).unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        let sent = body["messages"][1]["content"].as_array().unwrap();
        for (at, (sent, came)) in sent.iter().zip(expected.as_array().unwrap()).enumerate() {
            let mut came = came.clone();
            match at {
                4 => came = json!({"text": "look"}),
                5 => {
                    came["toolUse"].as_object_mut().unwrap().remove("type");
                }
                _ => {}
            }
            assert_eq!(*sent, came);
        }
        assert_eq!(sent.len(), 7);
        assert_eq!(
            body["messages"][2],
            json!({"role": "user", "content": [
                {"toolResult": {"toolUseId": "a", "content": [{"text": "1"}]}},
                {"toolResult": {"toolUseId": "b", "content": [{"text": "no"}], "status": "error"}},
            ]})
        );
    }
}

#[tokio::test]
async fn each_stop_reason_has_its_meaning() {
    for (native, reason) in [
        ("end_turn", FinishReason::Stop),
        ("stop_sequence", FinishReason::Stop),
        ("max_tokens", FinishReason::Length),
        ("model_context_window_exceeded", FinishReason::Length),
        ("guardrail_intervened", FinishReason::ContentFilter),
        ("content_filtered", FinishReason::ContentFilter),
        ("malformed_tool_use", FinishReason::Error),
        ("new", FinishReason::Other("new".into())),
    ] {
        let body =
            json!({"output": {"message": {"content": [{"text": "x"}]}}, "stopReason": native});
        let response = whole(&body.to_string()).await.unwrap();
        assert_eq!(response.finish_reason, reason);
        assert_eq!(response.native_finish_reasons, [native]);
        assert!(response.usage.is_unknown());
    }
    for none in ["{}", "", "<html>", r#"{"output":{}}"#, "[]"] {
        assert_eq!(
            whole(none).await.unwrap_err().kind(),
            ModelErrorKind::Decode,
            "{none}"
        );
    }
}

#[tokio::test]
async fn a_refused_request_has_the_class_of_its_type_or_its_status() {
    use ModelErrorKind::{
        Authentication, BadRequest, ContextLength, NotFound, Overloaded, RateLimited, Timeout,
    };
    for (status, name, body, kind) in [
        (400, "ValidationException", r#"{"message":"m"}"#, BadRequest),
        (
            400,
            "ValidationException",
            r#"{"message":"Input is too long for requested model"}"#,
            ContextLength,
        ),
        (
            400,
            "ServiceQuotaExceededException",
            r#"{"message":"m"}"#,
            RateLimited,
        ),
        (
            403,
            "AccessDeniedException",
            r#"{"Message":"m"}"#,
            Authentication,
        ),
        (
            403,
            "ExpiredTokenException",
            r#"{"message":"m"}"#,
            Authentication,
        ),
        (
            404,
            "ResourceNotFoundException",
            r#"{"message":"m"}"#,
            NotFound,
        ),
        (408, "ModelTimeoutException", r#"{"message":"m"}"#, Timeout),
        (424, "ModelErrorException", r#"{"message":"m"}"#, Overloaded),
        (
            429,
            "ThrottlingException",
            r#"{"message":"m"}"#,
            RateLimited,
        ),
        (
            429,
            "ModelNotReadyException",
            r#"{"message":"m"}"#,
            Overloaded,
        ),
        (
            500,
            "InternalServerException",
            r#"{"message":"m"}"#,
            Overloaded,
        ),
        (
            503,
            "ServiceUnavailableException",
            r#"{"message":"m"}"#,
            Overloaded,
        ),
    ] {
        let head = format!(
            "x-amzn-errortype: {name}:http://internal.amazon.com/\r\nx-amzn-requestid: r\r\nretry-after: 3\r\n"
        );
        let server = Server::answering(status, &head, body).await;
        let client = Bedrock::builder("m")
            .base_url(server.base_url)
            .without_key();
        let client = client.build().unwrap();
        let (context, request) = (RunContext::new(), ChatRequest::new("hi"));
        let whole = client.chat(&context, request.clone()).await.unwrap_err();
        let stream = client.stream(&context, request).await.unwrap_err();
        for error in [whole, stream] {
            assert_eq!(
                (error.kind(), error.status()),
                (kind, Some(status)),
                "{error}"
            );
            assert_eq!(
                (error.provider_type(), error.request_id()),
                (Some(name), Some("r"))
            );
            assert_eq!(error.retry_after().unwrap().as_secs(), 3);
            assert!(body.contains(error.message()));
        }
    }
}

#[tokio::test]
async fn a_stream_is_read_from_a_server() {
    let head = STREAM.replace("text/event-stream", "application/vnd.amazon.eventstream");
    let body = [head.into_bytes(), small().0.concat()].concat();
    let server = Server::start(vec![
        Step::Send(body),
        Step::Wait(std::time::Duration::ZERO),
    ])
    .await;
    let client = Bedrock::builder("a:0")
        .base_url(&server.base_url)
        .without_key();
    let client = client.build().unwrap();
    let stream = client
        .stream(&RunContext::new(), ChatRequest::new("hi"))
        .await
        .unwrap();
    assert_eq!(stream.collect().await.unwrap().text(), TEXT);
    let request = &server.requests()[0];
    assert!(
        request.starts_with("POST /v1/model/a%3A0/converse-stream "),
        "{request}"
    );
    assert!(request.contains("accept: application/vnd.amazon.eventstream"));
    assert!(!request.contains("authorization"));
}
