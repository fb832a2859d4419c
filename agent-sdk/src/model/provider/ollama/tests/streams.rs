//! What is read.

use serde_json::json;

use super::*;
use crate::{
    message::{Conversation, Message, Part, ToolResult},
    model::{
        ChatEvent, ChatResponse, FinishReason, Limits, ModelErrorKind, Usage,
        http::testing::{Server, drain, reply, text_of},
    },
    operation::RunContext,
};

const TEXT: &str = "naïve 日本 👩‍👧";

fn lines(lines: &[&str]) -> String {
    lines.iter().flat_map(|line| [*line, "\n"]).collect()
}

fn small() -> String {
    lines(&[
        r#"{"model":"m-1","created_at":"x","message":{"role":"assistant","content":"","thinking":"hm "},"done":false}"#,
        r#"{"model":"m-1","message":{"role":"assistant","content":"","thinking":"so"},"done":false}"#,
        r#"{"model":"m-1","message":{"role":"assistant","content":"naïve "},"done":false}"#,
        r#"{"model":"m-1","message":{"role":"assistant","content":"日本 👩‍👧"},"done":false,"new":[{}]}"#,
        r#"{"model":"m-1","message":{"role":"assistant","content":""},"done":true,"done_reason":"stop","prompt_eval_count":3,"eval_count":4}"#,
    ])
}

fn client() -> Ollama {
    offline().build().unwrap()
}

#[tokio::test]
async fn the_answer_does_not_depend_on_the_cuts_and_is_whole_exactly_when_it_said_so() {
    let client = client();
    let body = small().into_bytes();
    let (events, whole) = drain(reply(&client.client, [body.clone()])).await;
    let whole = whole.unwrap();
    assert_eq!(text_of(&events), TEXT);
    assert!(matches!(&events[0], ChatEvent::Reasoning(thought) if thought == "hm "));
    assert_eq!(
        (whole.text().as_str(), whole.usage),
        (TEXT, Usage::new(3, 4))
    );
    assert!(matches!(&whole.message.parts[0], Part::Reasoning(thought) if thought.text == "hm so"));
    assert_eq!(whole.model.as_deref(), Some("m-1"));
    assert_eq!(whole.finish_reason, FinishReason::Stop);
    for at in 0..=body.len() {
        let (start, end) = body.split_at(at);
        let (_, response) = drain(reply(&client.client, [start, end])).await;
        assert_eq!(response.unwrap(), whole);
        // The last line is whole though its end is missing.
        let (events, response) = drain(reply(&client.client, [start])).await;
        match response {
            Ok(response) => {
                assert!(at >= body.len() - 1, "whole at {at}");
                assert_eq!(response, whole);
            }
            Err(error) => {
                assert!(at < body.len() - 1, "broken at {at}: {error}");
                assert_eq!(error.kind(), ModelErrorKind::Truncated);
                let partial = error.partial().unwrap().text();
                assert_eq!(partial, text_of(&events));
                assert!(TEXT.starts_with(&partial));
            }
        }
    }
    let (_, response) = drain(reply(&client.client, body.chunks(1))).await;
    assert_eq!(response.unwrap(), whole);
}

#[tokio::test]
async fn an_error_inside_a_good_answer_is_an_error() {
    let client = client();
    let piece = r#"{"message":{"content":"half"},"done":false}"#;
    for end in ["", "\n"] {
        let body = lines(&[piece])
            + r#"{"error":"an error was encountered while running the model"}"#
            + end;
        let error = drain(reply(&client.client, [body])).await.1.unwrap_err();
        assert_eq!(error.kind(), ModelErrorKind::Overloaded);
        assert!(error.message().contains("while running"), "{error}");
        assert_eq!(error.partial().unwrap().text(), "half");
    }
    let server = Server::answering(
        200,
        "content-type: application/json\r\n",
        r#"{"error":"no"}"#,
    )
    .await;
    let client = Ollama::builder("m")
        .base_url(server.base_url)
        .build()
        .unwrap();
    let (context, request) = (RunContext::new(), ChatRequest::new("hi"));
    let error = client.chat(&context, request.clone()).await.unwrap_err();
    assert_eq!(error.message(), "no");
    let stream = client.stream(&context, request).await.unwrap();
    assert_eq!(stream.collect().await.unwrap_err().message(), "no");
}

#[tokio::test]
async fn what_is_no_json_of_ours_is_refused_without_repeating_it() {
    let client = client();
    for line in [
        "[1]",
        "{\"message\":\"secret\"}",
        "secret",
        "{\"message\":{\"content\":\"secret",
    ] {
        let error = drain(reply(&client.client, [lines(&[line])]))
            .await
            .1
            .unwrap_err();
        assert_eq!(error.kind(), ModelErrorKind::Decode, "{line}");
        assert!(!format!("{error:?}").contains("secret"), "{error:?}");
    }
}

#[tokio::test]
async fn limits_are_kept_and_what_follows_the_end_is_not_read() {
    let limits = Limits {
        reply_bytes: 2_000,
        tool_argument_bytes: 100,
        line_bytes: 500,
    };
    let client = offline().limits(limits).build().unwrap();
    let call = json!({"message": {"tool_calls": [{"function": {"name": "f", "arguments": {"x": "x".repeat(60)}}}]}});
    let call = call.to_string();
    for (body, setting) in [
        (
            lines(&[r#"{"message":{"content":"x"}}"#; 100]),
            "reply_bytes",
        ),
        (lines(&[&call, &call]), "tool_argument_bytes"),
        ("x".repeat(1_000), "line_bytes"),
    ] {
        let chunks = body.as_bytes().chunks(64);
        let error = drain(reply(&client.client, chunks)).await.1.unwrap_err();
        assert_eq!(error.kind(), ModelErrorKind::Decode);
        assert!(error.message().contains(setting), "{error}");
    }
    let after = small() + &lines(&[r#"{"message":{"content":"more"}}"#; 100]);
    let (_, response) = drain(reply(&super::offline().build().unwrap().client, [after])).await;
    assert_eq!(response.unwrap().text(), TEXT);
}

async fn whole(body: &str) -> Result<ChatResponse, ModelError> {
    let server = Server::answering(200, "content-type: application/json\r\n", body).await;
    let client = Ollama::builder("m")
        .base_url(server.base_url)
        .build()
        .unwrap();
    client
        .chat(&RunContext::new(), ChatRequest::new("hi"))
        .await
}

#[tokio::test]
async fn counts_that_are_left_out_are_unknown_and_reasons_are_kept() {
    let of =
        |rest: &str| format!(r#"{{"model":"m","message":{{"content":"x"}},"done":true{rest}}}"#);
    for (rest, input, output, finish, native) in [
        (
            r#","eval_count":2"#,
            None,
            Some(2),
            FinishReason::Stop,
            "stop",
        ),
        (
            r#","prompt_eval_count":0,"eval_count":"2","done_reason":"length""#,
            Some(0),
            None,
            FinishReason::Length,
            "length",
        ),
        (
            r#","done_reason":"load""#,
            None,
            None,
            FinishReason::Other("load".into()),
            "load",
        ),
    ] {
        let response = whole(&of(rest)).await.unwrap();
        assert_eq!(
            (response.usage.input_tokens, response.usage.output_tokens),
            (input, output)
        );
        assert_eq!(response.finish_reason, finish);
        assert_eq!(response.native_finish_reasons, [native]);
    }
    let half = whole(r#"{"message":{"content":"x"},"done":false}"#)
        .await
        .unwrap_err();
    assert_eq!(half.kind(), ModelErrorKind::Truncated);
    for none in ["{}", "", "<html>", r#"{"done":true}"#] {
        assert_eq!(
            whole(none).await.unwrap_err().kind(),
            ModelErrorKind::Decode,
            "{none}"
        );
    }
}

#[tokio::test]
async fn each_status_has_its_class() {
    for (status, kind) in [
        (400, ModelErrorKind::BadRequest),
        (401, ModelErrorKind::Authentication),
        (404, ModelErrorKind::NotFound),
        (429, ModelErrorKind::RateLimited),
        (500, ModelErrorKind::Overloaded),
        (503, ModelErrorKind::Overloaded),
    ] {
        let head = "retry-after: 7\r\nx-request-id: r\r\n";
        let server = Server::answering(status, head, r#"{"error":"m"}"#).await;
        let client = Ollama::builder("m")
            .base_url(server.base_url)
            .build()
            .unwrap();
        let error = client
            .chat(&RunContext::new(), ChatRequest::new("hi"))
            .await
            .unwrap_err();
        assert_eq!((error.kind(), error.message()), (kind, "m"));
        assert_eq!(error.retry_after().unwrap().as_secs(), 7);
        assert_eq!(
            (error.request_id(), error.provider()),
            (Some("r"), Some("ollama"))
        );
    }
}

#[tokio::test]
async fn a_call_without_an_id_its_result_and_the_answer_go_round() {
    let body = lines(&[
        r#"{"message":{"content":"","thinking":"look it up"},"done":false}"#,
        r#"{"message":{"content":"","tool_calls":[{"function":{"name":"f","arguments":{"x":1}}}]},"done":false}"#,
        r#"{"message":{"content":"","tool_calls":[{"function":{"name":"f","arguments":"{\"x\":1}"}},{"id":"own","function":{"index":0,"name":"g"}}]},"done":false}"#,
        r#"{"message":{"content":""},"done":true,"done_reason":"stop"}"#,
    ]);
    let (events, response) = drain(reply(&client().client, [body])).await;
    let response = response.unwrap();
    assert_eq!(response.finish_reason, FinishReason::ToolCalls);
    assert_eq!(response.native_finish_reasons, ["stop"]);
    let calls: Vec<_> = response.message.tool_calls().cloned().collect();
    let brief: Vec<_> = calls
        .iter()
        .map(|call| (call.id.as_str(), &*call.name, call.arguments.as_str()))
        .collect();
    assert_eq!(
        brief,
        [
            ("call_0", "f", "{\"x\":1}"),
            ("call_1", "f", "{\"x\":1}"),
            ("own", "g", "{}")
        ]
    );
    let told = events
        .iter()
        .filter(|event| matches!(event, ChatEvent::ToolCall { .. }));
    assert_eq!(told.count(), 3);

    let results = Message::tool_results(calls.iter().map(|call| ToolResult::ok(call, "12")));
    let history = Conversation::from_iter([Message::user("hi"), response.message, results]);
    let sent = request::body("m", &ChatRequest::new(history), true).unwrap();
    let sent: serde_json::Value = serde_json::from_slice(&sent).unwrap();
    assert_eq!(sent["messages"][1]["thinking"], "look it up");
    assert_eq!(
        sent["messages"][1]["tool_calls"][2]["function"]["arguments"],
        json!({})
    );
    assert_eq!(sent["messages"][4]["tool_call_id"], "own");

    let server = Server::answering(200, "content-type: application/x-ndjson\r\n", &small()).await;
    let client = Ollama::builder("m")
        .base_url(&server.base_url)
        .build()
        .unwrap();
    let stream = client
        .stream(&RunContext::new(), ChatRequest::new("hi"))
        .await
        .unwrap();
    assert_eq!(stream.collect().await.unwrap().text(), TEXT);
    assert!(server.requests()[0].contains("accept: application/x-ndjson"));
}
