//! A server of scripts: heads, statuses, redirects, limits, silence.

use std::time::Duration;

use super::*;
use crate::message::{Opaque, Part};
use crate::model::http::testing::{STREAM, Server, Step};

const ANSWER: &str = r#"{"id":"r","model":"m-1","choices":[{"index":0,"finish_reason":"stop",
    "message":{"role":"assistant","content":"hello","reasoning_content":"hm"}}],
    "usage":{"prompt_tokens":5,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":0}}}"#;
const JSON: &str = "content-type: application/json\r\n";

fn client(server: &Server) -> OpenAi {
    keyed(server).build().unwrap()
}

fn keyed(server: &Server) -> OpenAiBuilder {
    OpenAi::builder("m")
        .base_url(&server.base_url)
        .api_key("sk-secret-key")
}

async fn chat(server: &Server) -> Result<ChatResponse, ModelError> {
    client(server)
        .chat(&RunContext::new(), ChatRequest::new("hi"))
        .await
}

async fn stream(server: &Server) -> Result<ChatResponse, ModelError> {
    client(server)
        .stream(&RunContext::new(), ChatRequest::new("hi"))
        .await?
        .collect()
        .await
}

#[tokio::test]
async fn a_request_carries_its_key_and_headers_and_reuses_its_connection() {
    let server = Server::answering(200, JSON, ANSWER).await;
    let client = keyed(&server).header("x-team", "blue").build().unwrap();
    for _ in 0..3 {
        let response = client
            .chat(&RunContext::new(), ChatRequest::new("hi"))
            .await
            .unwrap();
        assert_eq!(response.text(), "hello");
        assert!(
            matches!(&response.message.parts[0], Part::Reasoning(thought) if thought.text == "hm")
        );
        assert_eq!(response.usage.cache_read_tokens, Some(0));
        assert_eq!(response.usage.reasoning_tokens, None);
    }
    assert_eq!(server.connections(), 1);
    let request = server.requests()[0].to_ascii_lowercase();
    assert!(
        request.starts_with("post /v1/chat/completions http/1.1\r\n"),
        "{request}"
    );
    for line in [
        "authorization: bearer sk-secret-key",
        "x-team: blue",
        "accept: application/json",
    ] {
        assert!(request.contains(line), "{request}");
    }
    assert!(!request.contains("accept-encoding"));
}

#[tokio::test]
async fn streams_reuse_their_connection_though_nothing_is_read_after_their_end() {
    let body = sse(&[
        r#"{"choices":[{"delta":{"content":"x"},"finish_reason":"stop"}]}"#,
        "[DONE]",
    ]);
    let server = Server::answering(200, "content-type: text/event-stream\r\n", &body).await;
    let client = client(&server);
    for _ in 0..3 {
        let stream = client
            .stream(&RunContext::new(), ChatRequest::new("hi"))
            .await
            .unwrap();
        assert_eq!(stream.collect().await.unwrap().text(), "x");
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn l12_each_status_has_its_class() {
    use ModelErrorKind::{
        Authentication, BadRequest, ContentFilter, ContextLength, NotFound, Overloaded, Quota,
        RateLimited, Timeout,
    };
    let coded = |code: &str| format!(r#"{{"error":{{"message":"m","type":"t","code":"{code}"}}}}"#);
    let cases = [
        (400, coded("x"), BadRequest),
        (400, coded("context_length_exceeded"), ContextLength),
        (400, coded("content_policy_violation"), ContentFilter),
        (400, coded("content_filter"), ContentFilter),
        (
            400,
            r#"{"error":{"message":"litellm.BadRequestError: litellm.ContextWindowExceededError: too long","code":"400"}}"#.into(),
            ContextLength,
        ),
        (
            400,
            r#"{"error":{"message":"no such field: ContextWindowExceededError","code":"400"}}"#.into(),
            BadRequest,
        ),
        (401, coded("invalid_api_key"), Authentication),
        (402, coded("x"), Quota),
        (403, coded("x"), Authentication),
        (404, coded("model_not_found"), NotFound),
        (404, coded("DeploymentNotFound"), NotFound),
        (408, coded("x"), Timeout),
        (409, coded("x"), Overloaded),
        (
            422,
            r#"{"detail":[{"loc":["body"],"msg":"m","input":"hi"}]}"#.into(),
            BadRequest,
        ),
        (429, coded("rate_limit_exceeded"), RateLimited),
        (429, coded("insufficient_quota"), Quota),
        (500, coded("x"), Overloaded),
        (502, "<html>".into(), Overloaded),
        (503, String::new(), Overloaded),
        (504, "m".into(), Timeout),
        (
            529,
            r#"[{"error":{"message":"m","status":"UNAVAILABLE"}}]"#.into(),
            Overloaded,
        ),
    ];
    for (status, body, kind) in cases {
        let server = Server::answering(
            status,
            "x-request-id: req-1\r\ncontent-type: text/html\r\n",
            &body,
        )
        .await;
        for error in [
            chat(&server).await.unwrap_err(),
            stream(&server).await.unwrap_err(),
        ] {
            assert_eq!(
                (error.kind(), error.status()),
                (kind, Some(status)),
                "{error}"
            );
            assert_eq!(
                (error.request_id(), error.provider()),
                (Some("req-1"), Some("openai"))
            );
            if body.contains("\"m\"") {
                assert_eq!(error.message(), "m");
            }
        }
    }
}

#[tokio::test]
async fn l11_a_wait_is_clamped_and_nonsense_is_no_wait() {
    const DATE: &str = "date: Wed, 21 Oct 2015 07:28:00 GMT\r\n";
    let cases = [
        ("retry-after: 7\r\n", Some(7_000)),
        ("retry-after: 1.5\r\n", Some(1_500)),
        ("retry-after: 0\r\n", Some(0)),
        ("retry-after: -5\r\n", Some(0)),
        ("retry-after: 1000000000\r\n", Some(60_000)),
        ("retry-after: soon\r\n", None),
        ("retry-after: inf\r\n", None),
        ("retry-after: 1e3\r\n", None),
        ("retry-after-ms: 250\r\nretry-after: 9\r\n", Some(250)),
        (
            "retry-after: Wed, 21 Oct 2015 07:28:30 GMT\r\n",
            Some(30_000),
        ),
        ("retry-after: Wed, 21 Oct 2015 07:27:30 GMT\r\n", Some(0)),
        (
            "retry-after: Wed, 21 Oct 2099 07:27:30 GMT\r\n",
            Some(60_000),
        ),
        ("", None),
    ];
    for (header, milliseconds) in cases {
        let server = Server::answering(429, &format!("{DATE}{header}"), "{}").await;
        let error = chat(&server).await.unwrap_err();
        assert_eq!(
            error.retry_after(),
            milliseconds.map(Duration::from_millis),
            "{header}"
        );
    }
}

#[tokio::test]
async fn what_is_no_answer_says_what_it_is() {
    let html = "<html>Sign in</html>";
    let cases = [
        ("text/html", html, "text/html"),
        ("application/json", "", "empty"),
        ("application/json", "{\"cut\":", "application/json"),
        ("application/json", "{}", ""),
        ("application/json", r#"{"choices":[]}"#, ""),
        (
            "text/html",
            r#"{"choices":[{"message":"secret"}]}"#,
            "text/html",
        ),
    ];
    for (content_type, body, names) in cases {
        let server =
            Server::answering(200, &format!("content-type: {content_type}\r\n"), body).await;
        for error in [
            chat(&server).await.unwrap_err(),
            stream(&server).await.unwrap_err(),
        ] {
            assert_eq!(
                (error.kind(), error.status()),
                (ModelErrorKind::Decode, Some(200)),
                "{error}"
            );
            assert!(error.message().contains(names), "{error}");
            assert!(!format!("{error:?}").contains("secret"), "{error:?}");
        }
    }
    let failed = r#"{"error":{"message":"busy","type":"overloaded_error","code":529}}"#;
    let server = Server::answering(200, JSON, failed).await;
    for error in [
        chat(&server).await.unwrap_err(),
        stream(&server).await.unwrap_err(),
    ] {
        assert_eq!(
            (error.kind(), error.status()),
            (ModelErrorKind::Overloaded, Some(529))
        );
    }
    let zipped = Server::answering(200, "content-encoding: gzip\r\n", "\x1f").await;
    assert!(
        chat(&zipped)
            .await
            .unwrap_err()
            .message()
            .contains("compressed")
    );
}

#[tokio::test]
async fn a_body_that_breaks_off_or_is_too_long_is_an_error() {
    let cut = format!("HTTP/1.1 200 X\r\n{JSON}content-length: 5000\r\n\r\n{ANSWER}");
    let server = Server::start(vec![
        Step::Send(cut.into_bytes()),
        Step::Wait(Duration::ZERO),
    ])
    .await;
    assert_eq!(
        chat(&server).await.unwrap_err().kind(),
        ModelErrorKind::Truncated
    );

    let server = Server::answering(200, JSON, ANSWER).await;
    let limits = Limits {
        reply_bytes: 50,
        ..Limits::default()
    };
    let client = keyed(&server).limits(limits).build().unwrap();
    let error = client
        .chat(&RunContext::new(), ChatRequest::new("hi"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ModelErrorKind::Decode);
}

#[tokio::test]
async fn a_stream_that_breaks_off_on_the_wire_is_truncated_unless_it_had_finished() {
    let piece = r#"{"choices":[{"delta":{"content":"half"}}]}"#;
    let last = r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#;
    let broken = STREAM.replace("connection: close", "content-length: 9999");
    for head in [STREAM, &broken] {
        for (data, whole) in [(&[piece][..], false), (&[piece, last], true)] {
            let body = format!("{head}{}", sse(data)).into_bytes();
            let server = Server::start(vec![Step::Send(body), Step::Wait(Duration::ZERO)]).await;
            match stream(&server).await {
                Ok(response) => assert!(whole && response.text() == "half"),
                Err(error) => {
                    assert!(!whole);
                    assert_eq!(error.kind(), ModelErrorKind::Truncated, "{error}");
                }
            }
        }
    }
}

#[tokio::test]
async fn l15_a_redirect_is_not_followed_and_the_other_server_sees_nothing() {
    let other = Server::answering(200, JSON, ANSWER).await;
    for status in [301, 302, 307, 308] {
        let location = format!("location: http://127.0.0.1:{}/v1?secret\r\n", other.port);
        let server = Server::answering(status, &location, "").await;
        for error in [
            chat(&server).await.unwrap_err(),
            stream(&server).await.unwrap_err(),
        ] {
            assert_eq!(
                (error.kind(), error.status()),
                (ModelErrorKind::Configuration, Some(status))
            );
            assert!(!format!("{error:?}").contains("secret"));
        }
    }
    assert_eq!(other.connections(), 0);
}

#[tokio::test]
async fn a_client_of_the_user_s_that_follows_redirects_is_refused_its_answer_and_keeps_the_key() {
    let other = Server::answering(200, JSON, ANSWER).await;
    let location = format!("location: http://127.0.0.1:{}/v1\r\n", other.port);
    let server = Server::answering(307, &location, "").await;
    let following = reqwest::Client::builder().build().unwrap();
    let client = keyed(&server).http_client(following).build().unwrap();
    let error = client
        .chat(&RunContext::new(), ChatRequest::new("hi"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ModelErrorKind::Configuration);
    assert!(
        other
            .requests()
            .iter()
            .all(|request| !request.contains("sk-secret-key"))
    );
}

#[tokio::test]
async fn a_server_that_is_silent_or_absent_is_named_without_the_url_s_secrets() {
    let silent = Server::start(vec![Step::Hold]).await;
    let timeouts = Timeouts {
        first_chunk: Duration::from_millis(50),
        total: Duration::from_millis(100),
        ..Timeouts::default()
    };
    let client = keyed(&silent).timeouts(timeouts).build().unwrap();
    let error = client
        .stream(&RunContext::new(), ChatRequest::new("hi"))
        .await
        .unwrap_err();
    assert!(
        error.kind() == ModelErrorKind::Timeout && error.message().contains("first_chunk"),
        "{error}"
    );
    let error = client
        .chat(&RunContext::new(), ChatRequest::new("hi"))
        .await
        .unwrap_err();
    assert!(
        error.kind() == ModelErrorKind::Timeout && error.message().contains("total"),
        "{error}"
    );

    let closed = Server::start(vec![]).await.port;
    let unused = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    assert_ne!(closed, unused);
    let client = OpenAi::builder("m")
        .base_url(format!("http://127.0.0.1:{unused}/v1?token=secret"))
        .api_key("sk-secret")
        .build()
        .unwrap();
    let error = client
        .chat(&RunContext::new(), ChatRequest::new("hi"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ModelErrorKind::Transport);
    assert!(
        error
            .message()
            .starts_with(&format!("could not reach 127.0.0.1:{unused}: ")),
        "{error}"
    );
    assert!(!format!("{error}{error:?}").contains("secret"), "{error:?}");
}

#[tokio::test]
async fn a_key_that_the_server_sends_back_is_not_repeated() {
    let body = r#"{"error":{"message":"bad key sk-secret-key"}}"#;
    for body in [body, "<html>sk-secret-key"] {
        let server = Server::answering(401, "", body).await;
        let error = chat(&server).await.unwrap_err();
        assert!(error.message().contains("[redacted:"), "{error}");
        assert!(!format!("{error:?}").contains("secret-key"), "{error:?}");
    }
}

#[tokio::test]
async fn what_was_spoken_is_kept_as_it_came() {
    let audio = r#"{"id":"audio_1","data":"AA==","transcript":"hi"}"#;
    let body = format!(
        r#"{{"choices":[{{"message":{{"content":null,"audio":{audio}}},"finish_reason":"stop"}}]}}"#
    );
    let server = Server::answering(200, "content-type: application/json\r\n", &body).await;
    let answer = chat(&server).await.unwrap();
    let spoken = Opaque::new("openai.chat", "audio", audio);
    assert_eq!(answer.message.parts, [Part::Opaque(spoken)]);
}
