//! Embeddings: texts as vectors, and what that used.
//!
//! Implement [`EmbeddingModel`] for whatever makes vectors; everything else holds an [`EmbeddingHandle`], which erases the type and
//! wraps each request in an `embeddings` operation: priced, counted and traced as a chat is. The clients are [`OpenAiEmbeddings`]
//! for the API of OpenAI and the many servers that copied it, [`GeminiEmbeddings`], and [`OllamaEmbeddings`].
//!
//! | Of a request | OpenAI | Gemini | Ollama |
//! |---|---|---|---|
//! | `inputs`, one request for all | `input` | `requests` | `input` |
//! | `dimensions` | `dimensions` | `outputDimensionality` | `dimensions` |
//! | `encoding` | `encoding_format` | – | – |
//! | `user` | `user` | – | – |
//! | `extra` | the body | each of `requests` (`taskType`, `title`) | the body (`truncate`, `keep_alive`, `options`) |
//!
//! What has no place is left out: neither changes what the vectors say.
//!
//! Promises of all of them:
//! - there is one vector for each input, in the order of the inputs, and all have the same length, the one that was asked for if
//!   one was; an answer that differs is an error;
//! - every number is finite;
//! - a request is sent as it is: one with more inputs than the provider takes in a request (2,048 at OpenAI, 100 at Gemini, at the
//!   time of writing) is refused by the provider, as [`ModelErrorKind::BadRequest`](super::ModelErrorKind::BadRequest). A large
//!   answer may need larger [`Limits`](super::Limits): 2,048 vectors of 3,072 numbers are about 70 MB of JSON.

#[cfg(feature = "http")]
mod client;
#[cfg(feature = "http")]
mod gemini;
mod handle;
#[cfg(feature = "http")]
mod ollama;
#[cfg(feature = "http")]
mod openai;
mod request;
mod response;
#[cfg(feature = "http")]
#[cfg(test)]
mod tests;
#[cfg(feature = "http")]
mod vectors;

use std::{future::Future, sync::Arc};

#[cfg(feature = "http")]
pub use gemini::{GeminiEmbeddings, GeminiEmbeddingsBuilder};
pub use handle::EmbeddingHandle;
#[cfg(feature = "http")]
pub use ollama::{OllamaEmbeddings, OllamaEmbeddingsBuilder};
#[cfg(feature = "http")]
pub(in crate::model) use openai::{NAME as OPENAI_API, read as read_openai};
#[cfg(feature = "http")]
pub use openai::{OpenAiEmbeddings, OpenAiEmbeddingsBuilder};
pub use request::{EmbeddingEncoding, EmbeddingRequest};
pub use response::EmbeddingResponse;

use super::{ModelError, ModelInfo};
use crate::operation::RunContext;

/// A model that makes vectors of texts; implementers write `async fn embed`.
///
/// It knows nothing of prices or traces: the `embeddings` operation around it is opened by its [`EmbeddingHandle`]. It opens one
/// `attempt` operation under `context` for each HTTP request that it sends.
///
/// Cancellation: the future is dropped, and with it the request.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no embedding model",
    note = "implement `EmbeddingModel::info` and `EmbeddingModel::embed`, or use a client of `agent_sdk::model::embedding`"
)]
pub trait EmbeddingModel: Send + Sync + 'static {
    /// Which model this is, of whom, and where.
    fn info(&self) -> Arc<ModelInfo>;

    /// Makes one vector for each input, in their order.
    fn embed(
        &self,
        context: &RunContext,
        request: EmbeddingRequest,
    ) -> impl Future<Output = Result<EmbeddingResponse, ModelError>> + Send;
}
