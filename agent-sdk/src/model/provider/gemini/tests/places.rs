//! Where requests go, and how they are paid for.

use super::*;
use crate::model::http::testing::Server;

const ANSWER: &str = r#"{"candidates":[{"content":{"parts":[{"text":"hello"}],"role":"model"},"finishReason":"STOP"}]}"#;
const STREAM: &str = "content-type: text/event-stream\r\n";

fn endpoints(builder: GeminiBuilder) -> [String; 2] {
    let client = builder.api_key("secret").build().unwrap().client;
    [false, true].map(|stream| client.endpoint(stream).to_string())
}

#[test]
fn each_place_has_its_address() {
    let studio = "https://generativelanguage.googleapis.com/v1beta/models/m";
    assert_eq!(
        endpoints(Gemini::builder("m")),
        [
            format!("{studio}:generateContent"),
            format!("{studio}:streamGenerateContent?alt=sse")
        ]
    );
    let rows = [
        (
            Gemini::builder("tunedModels/x"),
            "https://generativelanguage.googleapis.com/v1beta/tunedModels/x",
        ),
        (
            Gemini::builder("m").base_url("http://[::1]:8080/v1/?q=1"),
            "http://[::1]:8080/v1/models/m",
        ),
        (
            Gemini::vertex("p-1", "europe-west4", "m"),
            "https://europe-west4-aiplatform.googleapis.com/v1beta1/projects/p-1/locations/europe-west4/publishers/google/models/m",
        ),
        (
            Gemini::vertex("p", "global", "m"),
            "https://aiplatform.googleapis.com/v1beta1/projects/p/locations/global/publishers/google/models/m",
        ),
        (
            Gemini::vertex("example.com:p", "eu", "endpoints/12"),
            "https://aiplatform.eu.rep.googleapis.com/v1beta1/projects/example.com:p/locations/eu/endpoints/12",
        ),
        (
            Gemini::vertex("p", "us-central1", "m").base_url("http://localhost:1/v1/projects/q"),
            "http://localhost:1/v1/projects/q/publishers/google/models/m",
        ),
        (
            Gemini::vertex_express("m"),
            "https://aiplatform.googleapis.com/v1beta1/publishers/google/models/m",
        ),
    ];
    for (builder, expected) in rows {
        let [whole, _] = endpoints(builder);
        let whole = whole.replace("?q=1", "");
        assert_eq!(whole, format!("{expected}:generateContent"));
    }
}

#[test]
fn a_name_that_would_lead_the_token_elsewhere_is_refused() {
    for (project, location) in [
        ("p", "x.evil.example/"),
        ("p", ""),
        ("p/../../x", "global"),
        ("p", "eu#"),
        ("", "eu"),
    ] {
        let builder = Gemini::vertex(project, location, "m").api_key("secret");
        let error = builder.build().unwrap_err();
        assert_eq!(error.kind(), ModelErrorKind::Configuration, "{error}");
        assert_eq!(error.provider(), Some("gcp.vertex_ai"));
    }
    let [odd, _] = endpoints(Gemini::builder("a?b#c"));
    assert!(odd.ends_with("/models/a%3Fb%23c:generateContent"), "{odd}");
}

#[test]
fn the_environment_gives_key_and_base_url() {
    let with = |pairs: &'static [(&str, &str)]| {
        let look = move |name: &str| {
            let found = pairs.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Gemini::builder("m")
            .variables(look)
            .and_then(GeminiBuilder::build)
    };
    let error = with(&[]).unwrap_err();
    assert!(error.message().contains("GEMINI_API_KEY or GOOGLE_API_KEY"));
    for pairs in [
        &[("GOOGLE_API_KEY", "g")] as &[_],
        &[
            ("GEMINI_API_KEY", "k"),
            ("GEMINI_BASE_URL", "http://localhost:1/v1beta"),
        ],
    ] {
        assert_eq!(&*with(pairs).unwrap().info().provider, "gcp.gemini");
    }
}

#[tokio::test]
async fn each_place_gets_its_kind_of_key() {
    let server = Server::answering(200, "content-type: application/json\r\n", ANSWER).await;
    let tokens = std::sync::atomic::AtomicUsize::new(0);
    let token = move || {
        let token = tokens.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        Some(format!("token-{token}").into())
    };
    let clients = [
        Gemini::builder("m").api_key("key"),
        Gemini::vertex_express("m").api_key("key"),
        Gemini::vertex("p", "global", "m").api_key_from(token),
    ];
    for builder in clients {
        let client = builder.base_url(&server.base_url).build().unwrap();
        for _ in 0..2 {
            let answer = client
                .chat(&RunContext::new(), ChatRequest::new("hi"))
                .await;
            assert_eq!(answer.unwrap().text(), "hello");
        }
    }
    let requests: Vec<_> = server
        .requests()
        .iter()
        .map(|request| request.to_ascii_lowercase())
        .collect();
    assert_eq!(requests.len(), 6);
    for request in &requests[..4] {
        assert!(request.contains("x-goog-api-key: key\r\n"), "{request}");
        assert!(!request.contains("authorization"), "{request}");
    }
    for (at, request) in requests[4..].iter().enumerate() {
        // The secrets that an error must not repeat are asked for as well, so that tokens are not numbered through.
        assert!(
            request.contains("authorization: bearer token-"),
            "{at} {request}"
        );
        assert!(!request.contains("x-goog-api-key"), "{request}");
    }
    assert_ne!(requests[4], requests[5], "each request has its own token");
}

#[tokio::test]
async fn a_stream_is_asked_for_as_server_sent_events() {
    let server = Server::answering(200, STREAM, &sse(&[ANSWER])).await;
    let client = Gemini::builder("m")
        .base_url(&server.base_url)
        .api_key("key");
    let client = client.build().unwrap();
    let stream = client
        .stream(&RunContext::new(), ChatRequest::new("hi"))
        .await;
    assert_eq!(stream.unwrap().collect().await.unwrap().text(), "hello");
    let request = &server.requests()[0];
    let first = "POST /v1/models/m:streamGenerateContent?alt=sse HTTP/1.1\r\n";
    assert!(request.starts_with(first), "{request}");
    assert!(request.contains("accept: text/event-stream"), "{request}");
}
