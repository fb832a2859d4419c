//! The OpenAI Chat Completions API, as OpenAI and the many servers that copied it speak it.
//!
//! [`OpenAi`] is a [`Model`]: one HTTP request per call, each an `attempt` operation, with no retries of its own. The modules
//! follow the way of a request: `request` and `content` write its body, `exchange` sends it, `wire` is what comes back,
//! `assemble` and `calls` put it together, from a whole body or piece by piece in `stream`, and `error` says what went wrong.
//!
//! Promises:
//! - an answer without a finish reason is an error, unless it came as one whole body;
//! - tool calls are never mixed up: a piece that may belong to two of them is an error;
//! - nothing is read without a limit of bytes and of time;
//! - keys, header values and a URL's query are never printed, nor sent to another server after a redirect;
//! - usage that was not reported is unknown, not zero.

mod assemble;
mod attempt;
mod builder;
mod calls;
mod content;
mod error;
mod events;
mod exchange;
mod request;
mod stream;
#[cfg(test)]
mod tests;
mod usage;
mod wire;

use std::{fmt, sync::Arc};

use http::HeaderMap;
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};

pub use builder::{Limits, OpenAiBuilder, Timeouts};

use self::{
    assemble::Assembler,
    error::{Report, Secrets},
    exchange::{Exchange, Head, not_ours},
    request::Dialect,
    stream::Reply,
    wire::Completion,
};
use super::{ChatRequest, ChatResponse, ChatStream, Model, ModelError, ModelErrorKind, ModelInfo};
use crate::operation::RunContext;

/// A client of the OpenAI Chat Completions API, for one model. Cheap to clone; clones share its connections.
///
/// # Example
///
/// ```
/// use agent_sdk::model::{ModelHandle, openai::OpenAi};
///
/// # fn main() -> Result<(), agent_sdk::model::ModelError> {
/// let local = OpenAi::builder("qwen3:8b")
///     .base_url("http://localhost:11434/v1")
///     .provider("ollama")
///     .without_key()
///     .build()?;
/// let model = ModelHandle::new(local);
/// assert_eq!(model.info().server_port, Some(11434));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct OpenAi {
    client: Arc<Client>,
}

/// What the clones of a client share.
struct Client {
    http: reqwest::Client,
    endpoint: Url,
    headers: HeaderMap,
    secrets: Vec<SecretString>,
    /// Host and port, for people.
    address: String,
    info: Arc<ModelInfo>,
    timeouts: Timeouts,
    limits: Limits,
    dialect: Dialect,
    whole_only: bool,
}

impl Client {
    fn secrets(&self) -> Secrets<'_> {
        Secrets(
            self.secrets
                .iter()
                .map(ExposeSecret::expose_secret)
                .collect(),
        )
    }
}

impl OpenAi {
    /// Settings for a client of this model.
    pub fn builder(model: impl Into<Arc<str>>) -> OpenAiBuilder {
        OpenAiBuilder::new(model.into())
    }

    /// A client of this model, with the key from `OPENAI_API_KEY` and the base URL, if any, from `OPENAI_BASE_URL`.
    ///
    /// # Errors
    ///
    /// [`ModelErrorKind::Configuration`] where the key is missing or the base URL is none.
    pub fn from_env(model: impl Into<Arc<str>>) -> Result<Self, ModelError> {
        OpenAiBuilder::from_variables(model.into(), |name| std::env::var(name).ok())?.build()
    }
}

impl fmt::Debug for OpenAi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenAi")
            .field("info", &self.client.info)
            .field("endpoint", &builder::public(&self.client.endpoint))
            .field("timeouts", &self.client.timeouts)
            .field("limits", &self.client.limits)
            .finish_non_exhaustive()
    }
}

impl Model for OpenAi {
    fn info(&self) -> Arc<ModelInfo> {
        self.client.info.clone()
    }

    fn streams(&self) -> bool {
        !self.client.whole_only
    }

    async fn stream(
        &self,
        context: &RunContext,
        request: ChatRequest,
    ) -> Result<ChatStream, ModelError> {
        let mut exchange = self.open(context, &request, true).await?;
        if streams(&exchange.head) {
            return Ok(ChatStream::new(Reply::new(exchange)).outside_span());
        }
        let read = exchange.read().await;
        let error = match read {
            Ok((body, _)) => exchange.dress(not_a_stream(&self.client, &exchange.head, &body)),
            Err(error) => error,
        };
        exchange.attempt.fail(&error);
        Err(error)
    }

    async fn chat(
        &self,
        context: &RunContext,
        request: ChatRequest,
    ) -> Result<ChatResponse, ModelError> {
        let mut exchange = self.open(context, &request, false).await?;
        let read = exchange.read().await;
        let result = read.and_then(|(body, last_byte)| {
            let response = whole(&self.client, &exchange.head, &body);
            response
                .map(|response| (response, last_byte))
                .map_err(|error| exchange.dress(error))
        });
        match result {
            Ok((response, last_byte)) => {
                exchange.attempt.succeed(last_byte);
                Ok(response)
            }
            Err(error) => {
                exchange.attempt.fail(&error);
                Err(error)
            }
        }
    }
}

impl OpenAi {
    async fn open(
        &self,
        context: &RunContext,
        request: &ChatRequest,
        stream: bool,
    ) -> Result<Exchange, ModelError> {
        let client = &self.client;
        let body = request::body(&client.info.model, request, stream, client.dialect)
            .map_err(|error| client.dress(error, &Head::default()))?;
        Exchange::open(client, context, body, stream).await
    }
}

/// Reads an answer that came as one body.
fn whole(client: &Client, head: &Head, body: &[u8]) -> Result<ChatResponse, ModelError> {
    let text = String::from_utf8_lossy(body);
    let completion = match Completion::read(&text) {
        Ok(completion) => completion,
        Err(error) => {
            return Err(page(client, head, body).unwrap_or_else(|| not_ours(head, &error)));
        }
    };
    if let Some(error) = completion.error {
        return Err(Report::of_value(error.get()).into_error(None, &client.secrets()));
    }
    Assembler::new(client.limits.tool_argument_bytes).whole(completion)
}

/// Whether an answer of this type may be an event stream; some servers send theirs under another type, or under none.
fn streams(head: &Head) -> bool {
    head.content_type.is_none()
        || matches!(
            head.content_type().to_ascii_lowercase().as_str(),
            "text/event-stream" | "text/plain" | "application/octet-stream"
        )
}

/// An answer that is whole where a stream was asked for.
fn not_a_stream(client: &Client, head: &Head, body: &[u8]) -> ModelError {
    let report = std::str::from_utf8(body).ok().and_then(Report::of_body);
    if let Some(report) = report {
        return report.into_error(None, &client.secrets());
    }
    page(client, head, body).unwrap_or_else(|| {
        let message = format!("the reply is {} and no event stream", head.content_type());
        ModelError::new(ModelErrorKind::Decode, message)
    })
}

/// The beginning of a web page that came in place of an answer, or the news that nothing came.
fn page(client: &Client, head: &Head, body: &[u8]) -> Option<ModelError> {
    let text = String::from_utf8_lossy(body);
    let text = text.trim();
    let message = if text.is_empty() {
        format!("the reply is empty ({})", head.content_type())
    } else if text.starts_with('<') {
        format!(
            "the reply is {}: {}",
            head.content_type(),
            client.secrets().scrub(text)
        )
    } else {
        return None;
    };
    Some(ModelError::new(ModelErrorKind::Decode, message))
}
