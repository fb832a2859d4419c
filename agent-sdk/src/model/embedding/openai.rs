//! The embeddings API of OpenAI, as OpenAI and the many servers that copied it speak it.

use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use super::{
    EmbeddingRequest, EmbeddingResponse,
    client::{EmbeddingApi, embedding_client},
    vectors::{List, Placed, checked, in_order},
};
use crate::model::{
    ModelError, Usage,
    http::{
        Auth, Defaults,
        body::{Fields, write},
    },
    provider::openai::WireUsage,
    wire::{Failed, Report, Text, object},
};

/// The API's name, for people.
pub(in crate::model) const NAME: &str = "the embeddings API";

/// The fields that [`EmbeddingRequest::extra`] cannot replace.
const RESERVED: [&str; 2] = ["model", "input"];

embedding_client! {
    /// A client of the embeddings API of `OpenAI`, for one model. Cheap to clone; clones share its connections.
    ///
    /// [`OpenAiEmbeddings::from_env`] takes the key from `OPENAI_API_KEY` and the base URL, if any, from `OPENAI_BASE_URL`.
    OpenAiEmbeddings,
    /// Settings for an [`OpenAiEmbeddings`] client; made by [`OpenAiEmbeddings::builder`].
    OpenAiEmbeddingsBuilder,
    OpenAi
}

#[derive(Clone, Copy, Debug, Default)]
pub(in crate::model) struct OpenAi;

impl EmbeddingApi for OpenAi {
    const NAME: &'static str = NAME;

    const DEFAULTS: Defaults = Defaults {
        client: "OpenAiEmbeddings",
        provider: "openai",
        api_type: None,
        base_url: "https://api.openai.com/v1",
        key_variables: &["OPENAI_API_KEY"],
        base_url_variable: "OPENAI_BASE_URL",
        auth: Auth::Bearer,
        needs_key: true,
        headers: &[],
    };

    fn path(&self, _model: &str) -> String {
        "/embeddings".to_owned()
    }

    fn body(&self, model: &str, request: &EmbeddingRequest) -> Result<Vec<u8>, ModelError> {
        write(&Body { model, request })
    }

    fn read(&self, body: &str, request: &EmbeddingRequest) -> Result<EmbeddingResponse, Failed> {
        read(body, Some(request.inputs.len()), request.dimensions)
    }
}

/// Reads an answer; where it is not known how many vectors were asked for, as many as there are.
pub(in crate::model) fn read(
    body: &str,
    inputs: Option<usize>,
    dimensions: Option<u32>,
) -> Result<EmbeddingResponse, Failed> {
    let answer: Answer<'_> = object(body)?;
    if let Some(error) = answer.error {
        return Err(Failed::Report(Report::of_value(error.get())));
    }
    let placed = answer.data.unwrap_or_default().0;
    let inputs = inputs.unwrap_or(placed.len());
    let vectors = in_order(placed, inputs)?;
    let mut response = EmbeddingResponse::new(checked(vectors, inputs, dimensions)?);
    if let Some(reported) = answer.usage {
        // Some report that nothing was written, which is no count of anything.
        response.usage = Usage {
            output_tokens: None,
            ..reported.usage()
        };
        response.provider_cost = reported.cost();
    }
    response.model = answer.model.filled().map(Into::into);
    Ok(response)
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
        let encoding = request.encoding.map(super::EmbeddingEncoding::as_str);
        body.put_some("encoding_format", encoding)?;
        body.put_some("user", request.user.as_deref())?;
        body.end()
    }
}

#[derive(Default, Deserialize)]
#[serde(default, bound = "'de: 'a")]
struct Answer<'a> {
    data: Option<List<Placed>>,
    model: Text<'a>,
    usage: Option<WireUsage<'a>>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}
