//! The clients as wholes: on loopback and on recorded traffic.

mod operations;

use serde_json::{Value, json};

use super::*;
use crate::{
    cost::Usd,
    model::{ModelErrorKind, Usage, http::testing::Server, provider::judge::recordings},
};

const JSON: &str = "content-type: application/json\r\n";

fn openai(base_url: &str) -> OpenAiEmbeddings {
    let builder = OpenAiEmbeddings::builder("m").base_url(base_url);
    builder.api_key("sk-secret").build().unwrap()
}

fn gemini(base_url: &str) -> GeminiEmbeddings {
    let builder = GeminiEmbeddings::builder("m").base_url(base_url);
    builder.api_key("sk-secret").build().unwrap()
}

fn ollama(base_url: &str) -> OllamaEmbeddings {
    let builder = OllamaEmbeddings::builder("m").base_url(base_url);
    builder.build().unwrap()
}

async fn embed(
    model: &impl EmbeddingModel,
    request: EmbeddingRequest,
) -> Result<EmbeddingResponse, ModelError> {
    model.embed(&RunContext::new(), request).await
}

/// The last request's head and body.
fn sent(server: &Server) -> (String, Value) {
    let requests = server.requests();
    let (head, body) = requests.last().unwrap().split_once("\r\n\r\n").unwrap();
    (head.to_owned(), serde_json::from_str(body).unwrap())
}

#[tokio::test]
async fn recorded_traffic_reads_as_its_manifest_says() {
    let recordings = recordings("openai.embeddings");
    assert!(recordings.is_empty() || recordings.len() >= 2);
    for recording in recordings {
        let server = Server::giving(&recording.answer).await;
        let asked = &recording.request;
        let mut request = EmbeddingRequest::new([asked["input"].as_str().unwrap()]);
        request.dimensions = asked["dimensions"]
            .as_u64()
            .map(|count| u32::try_from(count).unwrap());
        request.encoding = match asked["encoding_format"].as_str() {
            Some("base64") => Some(EmbeddingEncoding::Base64),
            Some(_) => Some(EmbeddingEncoding::Float),
            None => None,
        };
        let response = embed(&openai(&server.base_url), request).await.unwrap();
        let expected = &recording.expected;
        assert_eq!(json!(response.model), expected["model"], "{}", recording.id);
        let usage = &expected["usage"];
        assert_eq!(
            json!(response.usage.input_tokens),
            usage["input_tokens_total"]
        );
        assert_eq!(
            json!(response.usage.output_tokens),
            usage["output_tokens_total"]
        );
        let [vector] = &response.vectors[..] else {
            panic!("{}", recording.id);
        };
        // Both providers give vectors of the length 1.
        let length: f32 = vector.iter().map(|number| number * number).sum();
        assert!((length - 1.0).abs() < 0.01, "{}: {length}", recording.id);
        let (_, mut body) = sent(&server);
        body["input"] = body["input"][0].take();
        body["model"] = asked["model"].clone();
        assert_eq!(body, *asked, "{}", recording.id);
    }
}

fn full() -> EmbeddingRequest {
    EmbeddingRequest::new(["one", "two"])
        .with_dimensions(2)
        .with_encoding(EmbeddingEncoding::Float)
        .with_user("u")
        .with_extra("own", 1)
        .with_extra("model", "other")
}

#[tokio::test]
async fn openai_puts_vectors_in_order_and_tells_what_they_cost() {
    let answer = json!({"model": "m-1", "data": [
        {"index": 1, "embedding": [2, 2]}, {"index": 0, "embedding": [1, 1.5]},
    ], "usage": {"prompt_tokens": 4, "completion_tokens": 0, "total_tokens": 4, "cost": 0.001}});
    let server = Server::answering(200, JSON, &answer.to_string()).await;
    let response = embed(&openai(&server.base_url), full()).await.unwrap();
    assert_eq!(response.vectors, [[1.0, 1.5], [2.0, 2.0]]);
    assert_eq!(response.model.as_deref(), Some("m-1"));
    assert_eq!(
        (response.usage.input_tokens, response.usage.output_tokens),
        (Some(4), None)
    );
    assert_eq!(response.provider_cost, Some(Usd::from_nanos(1_000_000)));
    let (head, body) = sent(&server);
    assert!(head.starts_with("POST /v1/embeddings "), "{head}");
    assert!(head.contains("authorization: Bearer sk-secret"));
    assert_eq!(
        body,
        json!({"model": "m", "input": ["one", "two"], "dimensions": 2, "encoding_format": "float", "user": "u", "own": 1})
    );
}

#[tokio::test]
async fn gemini_is_asked_for_all_in_one_request() {
    let answer = json!({"embeddings": [{"values": [1, 1.5]}, {"values": [2, 2]}]});
    let server = Server::answering(200, JSON, &answer.to_string()).await;
    let response = embed(&gemini(&server.base_url), full()).await.unwrap();
    assert_eq!(response.vectors, [[1.0, 1.5], [2.0, 2.0]]);
    assert!(response.usage.is_unknown());
    let (head, body) = sent(&server);
    assert!(
        head.starts_with("POST /v1/models/m:batchEmbedContents "),
        "{head}"
    );
    assert!(head.contains("x-goog-api-key: sk-secret"));
    let one = |text: &str| json!({"model": "models/m", "content": {"parts": [{"text": text}]}, "outputDimensionality": 2, "own": 1});
    assert_eq!(body, json!({"requests": [one("one"), one("two")]}));
}

#[tokio::test]
async fn ollama_s_count_is_unknown_where_it_is_left_out() {
    for (count, tokens) in [(json!(3), Some(3)), (json!(null), None)] {
        let answer =
            json!({"model": "m", "embeddings": [[1, 1.5], [2, 2]], "prompt_eval_count": count});
        let server = Server::answering(200, JSON, &answer.to_string()).await;
        let response = embed(&ollama(&server.base_url), full()).await.unwrap();
        assert_eq!(response.vectors, [[1.0, 1.5], [2.0, 2.0]]);
        assert_eq!(response.usage.input_tokens, tokens);
        let (head, body) = sent(&server);
        assert!(head.starts_with("POST /v1/api/embed "), "{head}");
        assert_eq!(
            body,
            json!({"model": "m", "input": ["one", "two"], "dimensions": 2, "own": 1})
        );
    }
}

#[tokio::test]
async fn an_answer_that_does_not_fit_its_request_is_an_error() {
    let kinds = async |body: Value| {
        let server = Server::answering(200, JSON, &body.to_string()).await;
        let url = &server.base_url;
        [
            embed(&openai(url), full()).await,
            embed(&gemini(url), full()).await,
            embed(&ollama(url), full()).await,
        ]
        .map(|result| result.unwrap_err())
    };
    let each = |vectors: Vec<Value>| {
        let placed: Vec<_> = vectors
            .iter()
            .map(|vector| json!({"embedding": vector}))
            .collect();
        let both: Vec<_> = vectors
            .iter()
            .map(|vector| json!({"values": vector}))
            .collect();
        // One body for all three: Gemini and Ollama use one name for two forms.
        [
            json!({"data": placed, "embeddings": both}),
            json!({"data": placed, "embeddings": vectors}),
        ]
    };
    for vectors in [
        vec![json!([1, 2])],
        vec![json!([1, 2]); 3],
        vec![json!([1, 2]), json!([1])],
        vec![json!([1]), json!([1])],
        vec![json!([1, null]), json!([1, 2])],
        vec![json!([1, 1e39]), json!([1, 2])],
        vec![],
    ] {
        for body in each(vectors) {
            for error in kinds(body.clone()).await {
                assert_eq!(error.kind(), ModelErrorKind::Decode, "{body}: {error}");
                assert_eq!(error.status(), Some(200));
            }
        }
    }
    for error in kinds(json!({"error": {"message": "no", "type": "rate_limit_error"}})).await {
        assert_eq!(
            (error.kind(), error.message()),
            (ModelErrorKind::RateLimited, "no")
        );
    }
}

#[tokio::test]
async fn a_refused_request_says_why_and_repeats_no_key() {
    let body = r#"{"error":{"message":"too many inputs for sk-secret"}}"#;
    let server = Server::answering(400, "x-request-id: r\r\n", body).await;
    let error = embed(&openai(&server.base_url), full()).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.status()),
        (ModelErrorKind::BadRequest, Some(400))
    );
    assert_eq!(
        (error.request_id(), error.provider()),
        (Some("r"), Some("openai"))
    );
    assert_eq!(error.message(), "too many inputs for [redacted:secret]");
    assert!(OpenAiEmbeddings::builder("m").build().is_err());
    let printed = format!("{:?}", openai("http://127.0.0.1:9"));
    assert!(
        printed.contains("OpenAiEmbeddings") && !printed.contains("secret"),
        "{printed}"
    );
}
