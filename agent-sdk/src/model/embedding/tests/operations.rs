//! The operation around a request.

use std::sync::{Arc, Mutex};

use super::*;
use crate::operation::{Details, Kind, Observer, Observers, OperationRecord, Payload};

#[derive(Default)]
struct Ends(Mutex<Vec<String>>);

impl Observer for Ends {
    fn ended(&self, record: &OperationRecord<'_>, _: Payload<'_>) {
        let (info, facts) = (record.info, record.facts);
        let mut words = vec![
            info.span_name().into_owned(),
            record.outcome.as_str().to_owned(),
        ];
        if let Details::Embeddings(embeddings) = &info.details {
            let cost = record.cost.map(|cost| cost.total.to_string());
            let (usage, by) = (facts.usage.input_tokens, &facts.response_model);
            let (dimensions, encoding) = (embeddings.dimensions, embeddings.encoding);
            words.push(format!(
                "{dimensions:?} {encoding:?} input={usage:?} by={by:?} cost={cost:?}"
            ));
        }
        words.extend(facts.error.as_ref().map(|error| error.class.to_string()));
        self.0.lock().unwrap().push(words.join(" "));
        assert!(
            info.kind != Kind::Embeddings || facts.last_byte.is_some() || facts.error.is_some()
        );
    }
}

async fn ended(base_url: &str, request: EmbeddingRequest) -> Vec<String> {
    let ends = Arc::new(Ends::default());
    let observers = Observers::none().with_shared(ends.clone());
    let context = RunContext::builder().observers(observers).build();
    let client = OpenAiEmbeddings::builder("text-embedding-3-small").base_url(base_url);
    let model = EmbeddingHandle::new(client.api_key("k").build().unwrap());
    let _ = model.embed(&context, request).await;
    let lines = ends.0.lock().unwrap();
    lines.clone()
}

#[tokio::test]
async fn a_request_is_one_priced_operation_around_its_attempt() {
    let answer = json!({"model": "text-embedding-3-small", "data": [{"embedding": [1]}],
        "usage": {"prompt_tokens": 1_000, "total_tokens": 1_000}});
    let server = Server::answering(200, JSON, &answer.to_string()).await;
    let request = EmbeddingRequest::new(["x"]).with_dimensions(1);
    assert_eq!(
        ended(&server.base_url, request).await,
        [
            "POST ok",
            "embeddings text-embedding-3-small ok Some(1) None input=Some(1000) by=Some(\"text-embedding-3-small\") cost=Some(\"0.00002\")",
        ]
    );
}

#[tokio::test]
async fn o7_a_key_in_the_name_of_what_answered_goes_nowhere() {
    let answer =
        json!({"model": "proxy?key=sk-proj-4f9a8b7c6d5e4f3a2b1c", "data": [{"embedding": [1]}]});
    let server = Server::answering(200, JSON, &answer.to_string()).await;
    let ended = ended(&server.base_url, EmbeddingRequest::new(["x"])).await;
    assert!(
        ended[1].contains("by=Some(\"proxy?key=[redacted:"),
        "{ended:?}"
    );
    assert!(!ended.concat().contains("4f9a8b7c"), "{ended:?}");
}

#[tokio::test]
async fn a_failure_ends_the_operation_with_its_class() {
    let server = Server::answering(429, "", "{}").await;
    let request = EmbeddingRequest::new(["x"]).with_encoding(EmbeddingEncoding::Base64);
    assert_eq!(
        ended(&server.base_url, request).await,
        [
            "POST error 429",
            "embeddings text-embedding-3-small error None Some(\"base64\") input=None by=None cost=None rate_limited",
        ]
    );
}

/// A model that gives one vector, whatever it is asked.
struct One;

impl EmbeddingModel for One {
    fn info(&self) -> Arc<ModelInfo> {
        Arc::new(ModelInfo::new("here", "one"))
    }

    async fn embed(
        &self,
        _: &RunContext,
        _: EmbeddingRequest,
    ) -> Result<EmbeddingResponse, ModelError> {
        Ok(EmbeddingResponse::new(vec![vec![1.0]]).with_usage(Usage::new(3, 0)))
    }
}

#[tokio::test]
async fn a_model_of_the_user_s_is_held_to_one_vector_for_each_input() {
    let model = EmbeddingHandle::new(One);
    let context = RunContext::new();
    assert!(
        model
            .embed(&context, EmbeddingRequest::new(["x"]))
            .await
            .is_ok()
    );
    let both = model
        .embed(&context, EmbeddingRequest::new(["x", "y"]))
        .await;
    let error = both.unwrap_err();
    assert_eq!(error.kind(), ModelErrorKind::Decode);
    assert!(
        error.message().contains("1 vectors for 2 inputs"),
        "{error}"
    );
}
