//! The embeddings of the Gemini API: `batchEmbedContents`.

use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use super::{
    EmbeddingRequest, EmbeddingResponse,
    client::{EmbeddingApi, embedding_client},
    vectors::{List, Vector, checked},
};
use crate::{
    message::Content,
    model::{
        ModelError, Usage,
        http::{
            Auth, Defaults,
            body::{Fields, write},
        },
        wire::{Count, Failed, Report, object},
    },
};

/// The fields that [`EmbeddingRequest::extra`] cannot replace.
const RESERVED: [&str; 2] = ["model", "content"];

embedding_client! {
    /// A client of the embeddings of the Gemini API, for one model. Cheap to clone; clones share its connections.
    ///
    /// [`GeminiEmbeddings::from_env`] takes the key from `GEMINI_API_KEY` or `GOOGLE_API_KEY` and the base URL, if any, from
    /// `GEMINI_BASE_URL`. What the vectors are for is said in `extra`, as `taskType`.
    GeminiEmbeddings,
    /// Settings for a [`GeminiEmbeddings`] client; made by [`GeminiEmbeddings::builder`].
    GeminiEmbeddingsBuilder,
    Gemini
}

#[derive(Clone, Copy, Debug, Default)]
pub(in crate::model) struct Gemini;

impl EmbeddingApi for Gemini {
    const NAME: &'static str = "the Gemini API";

    const DEFAULTS: Defaults = Defaults {
        client: "GeminiEmbeddings",
        provider: "gcp.gemini",
        api_type: None,
        base_url: "https://generativelanguage.googleapis.com/v1beta",
        key_variables: &["GEMINI_API_KEY", "GOOGLE_API_KEY"],
        base_url_variable: "GEMINI_BASE_URL",
        auth: Auth::Header("x-goog-api-key"),
        needs_key: true,
        headers: &[],
    };

    fn path(&self, model: &str) -> String {
        format!("/{}:batchEmbedContents", Named(model))
    }

    fn body(&self, model: &str, request: &EmbeddingRequest) -> Result<Vec<u8>, ModelError> {
        #[derive(Serialize)]
        struct Body<'a> {
            requests: Vec<One<'a>>,
        }
        let one = |input| One {
            model,
            input,
            request,
        };
        write(&Body {
            requests: request.inputs.iter().map(one).collect(),
        })
    }

    fn read(&self, body: &str, request: &EmbeddingRequest) -> Result<EmbeddingResponse, Failed> {
        let answer: Answer<'_> = object(body)?;
        if let Some(error) = answer.error {
            return Err(Failed::Report(Report::of_value(error.get())));
        }
        let vectors = answer.embeddings.unwrap_or_default().0.into_iter();
        let vectors = vectors.map(|one| one.values).collect();
        let vectors = checked(vectors, request.inputs.len(), request.dimensions)?;
        let mut usage = Usage::unknown();
        usage.input_tokens = answer.usage_metadata.prompt_token_count.0;
        Ok(EmbeddingResponse::new(vectors).with_usage(usage))
    }
}

/// A model's name with the word that the API wants before it.
struct Named<'a>(&'a str);

impl std::fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let prefix = if self.0.contains('/') { "" } else { "models/" };
        write!(f, "{prefix}{}", self.0)
    }
}

/// The request of one vector.
struct One<'a> {
    model: &'a str,
    input: &'a Content,
    request: &'a EmbeddingRequest,
}

impl Serialize for One<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Parts<'a> {
            parts: [Words<'a>; 1],
        }
        #[derive(Serialize)]
        struct Words<'a> {
            text: &'a str,
        }
        let map = serializer.serialize_map(None)?;
        let mut one = Fields::new(map, &self.request.extra, &RESERVED);
        one.put("model", &Named(self.model).to_string())?;
        let parts = [Words { text: self.input }];
        one.put("content", &Parts { parts })?;
        one.put_some("outputDimensionality", self.request.dimensions.as_ref())?;
        one.end()
    }
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound = "'de: 'a")]
struct Answer<'a> {
    embeddings: Option<List<Values>>,
    usage_metadata: Counts,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Values {
    values: Vector,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Counts {
    prompt_token_count: Count,
}
