//! Models: what is asked of them, what they answer, what it used.
//!
//! Implement [`Model`] for whatever answers chat requests; everything else holds a [`ModelHandle`], which erases the type and
//! wraps each request in a `chat` operation. [`ModelHandle::builder`] puts layers around a model: a cache of answers, other models
//! that stand in for it, retries, a breaker, limits. Usage keeps *unknown* apart from zero in every field.

mod around;
#[cfg(feature = "http")]
mod cassette;
#[cfg(feature = "http")]
mod catalog;
pub mod embedding;
mod error;
mod handle;
#[cfg(feature = "http")]
mod http;
mod named;
mod observed;
#[cfg(feature = "http")]
pub mod provider;
mod quote;
mod request;
mod response;
mod size;
pub mod sse;
mod stream;
mod usage;
#[cfg(feature = "http")]
mod wire;

use std::{future::Future, net::IpAddr, sync::Arc};

pub(crate) use around::{BreakerPermit, PerMinute, Refusal, Reservation, Verdict};
pub use around::{
    BreakerState, CircuitBreaker, CircuitBreakerBuilder, Hedge, Jitter, ModelHandleBuilder,
    ResponseCache, Retry, RetryBudget,
};
#[cfg(feature = "http")]
pub use cassette::{CassetteError, CassetteErrorKind, Recorder, Replay};
#[cfg(feature = "http")]
pub use catalog::{Catalog, NamedModel, Preset, Quirk};
pub use error::{ModelError, ModelErrorKind};
pub use handle::ModelHandle;
#[cfg(feature = "http")]
pub use http::{StructuredOutput, Timeouts};
#[cfg(feature = "http")]
pub(crate) use http::{client_builder, default_client, retry_after};
pub use named::IntoModel;
pub use request::{
    CacheLifetime, ChatRequest, ChatSettings, OutputFormat, Prompt, PromptCache, ServerTool,
    ToolChoice, ToolSpec, WebSearch,
};
pub use response::{ChatResponse, FinishReason, SideUsage};
pub(crate) use size::RequestSize;
pub use stream::{ChatEvent, ChatStream};
pub use usage::Usage;
#[cfg(feature = "http")]
pub use wire::Limits;
#[cfg(feature = "http")]
pub(crate) use wire::MAX_RETRY_AFTER;

use crate::operation::RunContext;

/// A chat model; implementers write `async fn stream`, and `chat` too where a whole answer is cheaper than a stream of it.
///
/// A model knows nothing of budgets, retries or traces: the `chat` operation around it is opened by its [`ModelHandle`]. It
/// opens one `attempt` operation under `context` for each HTTP request that it sends.
///
/// Cancellation: the future or the stream is dropped, and with it the request.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a chat model",
    note = "implement `Model::info` and `Model::stream`, or use a client of `agent_sdk::model`"
)]
pub trait Model: Send + Sync + 'static {
    /// Which model this is, of whom, and where.
    fn info(&self) -> Arc<ModelInfo>;

    /// Whether it can answer piece by piece. Asked once. Where it cannot, a stream is made of its whole answer.
    fn streams(&self) -> bool {
        true
    }

    /// When a request that failed should be sent again, unless the handle's builder says otherwise. Asked once. Default: never.
    ///
    /// For a model that is asked over a network: `Some(Retry::default())`.
    fn retry(&self) -> Option<Retry> {
        None
    }

    /// Sends one request and returns the answer as it arrives.
    fn stream(
        &self,
        context: &RunContext,
        request: ChatRequest,
    ) -> impl Future<Output = Result<ChatStream, ModelError>> + Send;

    /// Sends one request and waits for the whole answer. By default the collected form of [`stream`](Self::stream).
    fn chat(
        &self,
        context: &RunContext,
        request: ChatRequest,
    ) -> impl Future<Output = Result<ChatResponse, ModelError>> + Send {
        async move { self.stream(context, request).await?.collect().await }
    }
}

/// Which model, of whom, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ModelInfo {
    /// Who runs it; recorded as `gen_ai.provider.name`.
    pub provider: Arc<str>,
    /// Its name as it is requested; recorded as `gen_ai.request.model`.
    pub model: Arc<str>,
    /// The host that is asked.
    pub server_address: Option<Arc<str>>,
    /// The port that is asked.
    pub server_port: Option<u16>,
    /// Which of the provider's APIs is asked, where it has several; recorded as `openai.api.type`.
    pub api_type: Option<&'static str>,
}

impl ModelInfo {
    /// A model of a provider, at no known address.
    pub fn new(provider: impl Into<Arc<str>>, model: impl Into<Arc<str>>) -> Self {
        Self {
            provider: provider.into(),
            model: model.into(),
            server_address: None,
            server_port: None,
            api_type: None,
        }
    }

    /// Adds the host and the port that are asked.
    #[must_use]
    pub fn with_server(mut self, address: impl Into<Arc<str>>, port: Option<u16>) -> Self {
        self.server_address = Some(address.into());
        self.server_port = port;
        self
    }

    /// Names the API that is asked, of a provider that has several.
    #[must_use]
    pub fn with_api_type(mut self, api_type: Option<&'static str>) -> Self {
        self.api_type = api_type;
        self
    }
}

/// Whether a host, as URLs spell it, is this machine: `localhost`, `127.0.0.0/8` or `[::1]`.
pub fn is_loopback(host: &str) -> bool {
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    address.map_or(host == "localhost", |address| address.is_loopback())
}
