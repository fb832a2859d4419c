//! What servers should not send. The names begin with the row of the catalogue of faults that they show.

use super::*;
use crate::model::http::testing::Server;

#[tokio::test]
async fn l4_what_came_before_a_stream_broke_off_is_kept_and_marked() {
    let client = offline().build().unwrap();
    let body = sse(&[
        r#"{"id":"a","choices":[{"delta":{"content":"half an "}}],"usage":{"prompt_tokens":7,"completion_tokens":2}}"#,
        r#"{"choices":[{"delta":{"content":"answer","tool_calls":[{"index":0,"id":"c","function":{"name":"pay","arguments":"{\"a\""}}]}}]}"#,
    ]);
    let error = drain(reply(&client, [body.as_bytes()]))
        .await
        .1
        .unwrap_err();
    assert_eq!(error.kind(), ModelErrorKind::Truncated);
    let message = error.message();
    let counts = format!("{} bytes and 2 events", body.len());
    assert!(message.contains(&counts), "{message}");
    let partial = error.partial().unwrap();
    assert_eq!(partial.text(), "half an answer");
    assert_eq!(partial.message.tool_calls().count(), 0);
    assert_eq!(partial.usage.input_tokens, Some(7));
}

#[tokio::test]
async fn l9_a_compressed_reply_is_refused_before_any_of_it_is_read() {
    // 16 KiB that could become 16 MiB: nothing here unpacks it.
    let bomb = "\u{1f}".repeat(16 * 1024);
    for encoding in ["gzip", "zstd", "br", "deflate", "identity, gzip"] {
        let head = format!("content-type: text/event-stream\r\ncontent-encoding: {encoding}\r\n");
        let server = Server::answering(200, &head, &bomb).await;
        let client = OpenAi::builder("m")
            .base_url(&server.base_url)
            .without_key()
            .build()
            .unwrap();
        let context = RunContext::new();
        let request = ChatRequest::new("hi");
        let error = client.stream(&context, request.clone()).await.unwrap_err();
        assert_eq!(error.kind(), ModelErrorKind::Decode, "{encoding}");
        let error = client.chat(&context, request).await.unwrap_err();
        assert!(error.message().contains("compressed"), "{error}");
        let sent = server.requests().join("").to_ascii_lowercase();
        assert!(!sent.contains("accept-encoding"), "{sent}");
    }
}

#[tokio::test]
async fn l10_json_at_its_edges_is_an_error_or_a_defined_value() {
    let client = offline().build().unwrap();
    let deep = |open: &str, close: &str| {
        let (open, close) = (open.repeat(100_000), close.repeat(100_000));
        format!(r#"{{"choices":[{{"delta":{{"content":{open}1{close}}}}}]}}"#)
    };
    let stop = r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#;
    // The text that is read, or `None` for an error.
    let cases = [
        (deep("[", "]"), Some("")),
        (deep(r#"{"a":"#, "}"), None),
        (r#"{"choices":[{"delta":{"content":"a","content":"b"}}]}"#.to_owned(), None),
        (r#"{"choices":[{"delta":{"content":"\ud800"}}]}"#.to_owned(), None),
        (r#"{"choices":[{"delta":{"content":"a\u0000b"}}]}"#.to_owned(), Some("a\0b")),
        (
            r#"{"choices":[{"delta":{"content":"x"}}],"usage":{"prompt_tokens":18446744073709551615,"completion_tokens":18446744073709551615}}"#.to_owned(),
            Some("x"),
        ),
    ];
    for (data, text) in cases {
        let shown: String = data.chars().take(60).collect();
        let (_, end) = drain(reply(&client, [sse(&[&data, stop, "[DONE]"])])).await;
        match (end, text) {
            (Ok(response), Some(text)) => assert_eq!(response.text(), text, "{shown}"),
            (Err(error), None) => assert_eq!(error.kind(), ModelErrorKind::Decode, "{shown}"),
            (end, _) => panic!("{shown}: {end:?}"),
        }
    }
    let huge =
        r#"{"choices":[{"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":1e400}}"#;
    let (_, end) = drain(reply(&client, [sse(&[huge])])).await;
    assert!(end.is_err_and(|error| error.kind() == ModelErrorKind::Decode));
}
