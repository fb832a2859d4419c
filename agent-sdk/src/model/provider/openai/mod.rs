//! The OpenAI Chat Completions API, as OpenAI and the many servers that copied it speak it.
//!
//! [`OpenAi::from_env`] takes the key from `OPENAI_API_KEY` and the base URL, if any, from `OPENAI_BASE_URL`.
//!
//! `request` and `content` write a request's body, `wire` and `usage` are what comes back, `assemble` puts it together.
//!
//! # What is sent
//!
//! | Of the request | In the body |
//! |---|---|
//! | web search | `web_search_options`; a search with `max_uses` or domains is refused: the API has no place for them |
//! | server tools of the provider's own | among `tools`, as they are |
//! | `top_k`, reasoning budget, cache breakpoints | left out: servers that know such fields get them by `extra` |
//! | reasoning | left out, but for [`send_reasoning`](OpenAiBuilder::send_reasoning) |
//!
//! What a model speaks, in an answer that came whole, is a [`Part::Opaque`](crate::message::Part::Opaque) of the kind `audio` and
//! is named in the next turn; it is not read from streams.
//!
//! Promises:
//! - an answer without a finish reason is an error, unless it came as one whole body;
//! - tool calls are never mixed up: a piece that may belong to two of them is an error;
//! - usage that was not reported is unknown, not zero.

mod assemble;
mod content;
mod request;
#[cfg(test)]
mod tests;
mod usage;
mod wire;

pub(in crate::model) use assemble::Assembler;
pub(in crate::model) use usage::WireUsage;

use self::request::Dialect;
use crate::model::{
    ChatRequest, ModelError,
    http::{Api, Auth, Defaults, http_client},
};

http_client! {
    /// A client of the OpenAI Chat Completions API, for one model. Cheap to clone; clones share its connections.
    ///
    /// # Example
    ///
    /// ```
    /// use agent_sdk::model::{ModelHandle, provider::OpenAi};
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
    OpenAi,
    /// Settings for an [`OpenAi`] client; made by [`OpenAi::builder`].
    OpenAiBuilder,
    ChatCompletions
}

impl OpenAiBuilder {
    /// Whether the longest answer is sent as `max_tokens`, for servers that do not know `max_completion_tokens`.
    /// Default: no.
    pub fn legacy_max_tokens(mut self, legacy: bool) -> Self {
        self.api.dialect.max_tokens = legacy;
        self
    }

    /// Whether the reasoning of earlier answers is sent back, as `reasoning_content`, to servers that want to see it again when
    /// a tool's result follows (`DeepSeek`, Moonshot, `OpenRouter`). Default: no.
    pub fn send_reasoning(mut self, send: bool) -> Self {
        self.api.dialect.send_reasoning = send;
        self
    }

    /// Whether streams are asked to report what they used, with `stream_options`. Default: yes. Without it many servers
    /// report nothing, and the cost is then unknown.
    pub fn stream_usage(mut self, report: bool) -> Self {
        self.api.dialect.no_stream_options = !report;
        self
    }
}

/// The API's name, in what it wrote for itself.
const API: &str = "openai.chat";

/// The Chat Completions API.
#[derive(Clone, Debug, Default)]
pub(in crate::model) struct ChatCompletions {
    dialect: Dialect,
}

impl Api for ChatCompletions {
    type Decode = Assembler;

    const DEFAULTS: Defaults = Defaults {
        client: "OpenAi",
        provider: "openai",
        api_type: Some("chat_completions"),
        base_url: "https://api.openai.com/v1",
        key_variables: &["OPENAI_API_KEY"],
        base_url_variable: "OPENAI_BASE_URL",
        auth: Auth::Bearer,
        needs_key: true,
        headers: &[],
    };

    fn path(&self, _model: &str, _stream: bool) -> String {
        "/chat/completions".to_owned()
    }

    fn body(
        &self,
        model: &str,
        request: &ChatRequest,
        stream: bool,
    ) -> Result<Vec<u8>, ModelError> {
        request::body(model, request, stream, self.dialect)
    }
}
