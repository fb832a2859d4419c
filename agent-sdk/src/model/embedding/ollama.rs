//! The embeddings of Ollama's native API: `/api/embed`.

use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use super::{
    EmbeddingRequest, EmbeddingResponse,
    client::{EmbeddingApi, embedding_client},
    vectors::{List, Vector, checked},
};
use crate::model::{
    ModelError, Usage,
    http::{
        Defaults, Settings,
        body::{Fields, write},
    },
    provider::ollama,
    wire::{Count, Failed, Report, Text, object},
};

/// The fields that [`EmbeddingRequest::extra`] cannot replace.
const RESERVED: [&str; 2] = ["model", "input"];

embedding_client! {
    /// A client of the embeddings of Ollama, for one model. Cheap to clone; clones share its connections.
    ///
    /// [`OllamaEmbeddings::from_env`] takes the address from `OLLAMA_HOST` and a key from `OLLAMA_API_KEY`; neither is needed.
    OllamaEmbeddings,
    /// Settings for an [`OllamaEmbeddings`] client; made by [`OllamaEmbeddings::builder`].
    OllamaEmbeddingsBuilder,
    Ollama
}

#[derive(Clone, Copy, Debug, Default)]
pub(in crate::model) struct Ollama;

impl EmbeddingApi for Ollama {
    const NAME: &'static str = "Ollama's embedding API";

    const DEFAULTS: Defaults = ollama::DEFAULTS;

    fn variables(
        &mut self,
        settings: &mut Settings,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<(), ModelError> {
        ollama::variables(settings, variable)
    }

    fn path(&self, _model: &str) -> String {
        "/api/embed".to_owned()
    }

    fn body(&self, model: &str, request: &EmbeddingRequest) -> Result<Vec<u8>, ModelError> {
        write(&Body { model, request })
    }

    fn read(&self, body: &str, request: &EmbeddingRequest) -> Result<EmbeddingResponse, Failed> {
        let answer: Answer<'_> = object(body)?;
        if let Some(error) = answer.error {
            return Err(Failed::Report(Report::of_value(error.get())));
        }
        let vectors = answer.embeddings.unwrap_or_default().0;
        let vectors = checked(vectors, request.inputs.len(), request.dimensions)?;
        let mut response = EmbeddingResponse::new(vectors);
        response.usage = Usage::unknown();
        response.usage.input_tokens = answer.prompt_eval_count.0;
        response.model = answer.model.filled().map(Into::into);
        Ok(response)
    }
}

struct Body<'a> {
    model: &'a str,
    request: &'a EmbeddingRequest,
}

impl Serialize for Body<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { model, request } = self;
        let map = serializer.serialize_map(None)?;
        let mut body = Fields::new(map, &request.extra, &RESERVED);
        body.put("model", *model)?;
        body.put("input", &request.inputs)?;
        body.put_some("dimensions", request.dimensions.as_ref())?;
        body.end()
    }
}

#[derive(Default, Deserialize)]
#[serde(default, bound = "'de: 'a")]
struct Answer<'a> {
    model: Text<'a>,
    embeddings: Option<List<Vector>>,
    prompt_eval_count: Count,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}
