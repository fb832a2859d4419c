//! Who is told of the trace.

use super::*;
use crate::{
    model::{ModelHandle, http::testing::Server},
    operation::{Baggage, Propagation},
    testing::TraceCapture,
};

const ANSWER: &str = r#"{"id":"c","model":"m","system_fingerprint":"fp_1","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}]}"#;

#[tokio::test]
async fn a_host_that_is_told_gets_the_attempt_s_traceparent_and_no_other_does() {
    let server = Server::answering(200, "content-type: application/json\r\n", ANSWER).await;
    for (host, told) in [("127.0.0.1", true), ("api.example.com", false)] {
        let trace = TraceCapture::new();
        let propagation = Propagation::none().with_host(host).unwrap();
        let observers = trace.observers().with_propagation(propagation);
        let context = RunContext::builder()
            .observers(observers)
            .baggage(Baggage::read("tenant=acme").0)
            .build();
        let client = OpenAi::builder("m")
            .base_url(&server.base_url)
            .without_key()
            .build()
            .unwrap();
        let answer = ModelHandle::new(client)
            .chat(&context, ChatRequest::new("hi"))
            .await
            .unwrap();
        assert_eq!(answer.system_fingerprint.as_deref(), Some("fp_1"));
        let request = server.requests().pop().unwrap();
        let attempt = trace.find("POST").unwrap().trace;
        let traceparent = format!("traceparent: {}\r\n", attempt.traceparent());
        assert_eq!(request.contains(&traceparent), told, "{request}");
        assert_eq!(
            request.contains("baggage: tenant=acme\r\n"),
            told,
            "{request}"
        );
        assert_eq!(request.contains("traceparent"), told, "{request}");
    }
}
