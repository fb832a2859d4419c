//! The OpenAI Responses API, as OpenAI and the servers that copied it speak it.
//!
//! [`OpenAiResponses::from_env`] takes the key from `OPENAI_API_KEY` and the base URL, if any, from `OPENAI_BASE_URL`.
//!
//! `request` and `input` write a request's body, `wire` and `usage` are what comes back, `items` and `assemble` put it together.
//!
//! # What is sent
//!
//! | Of the request | In the body |
//! |---|---|
//! | instructions | `instructions`, or a first message with [`system_message`](OpenAiResponsesBuilder::system_message) |
//! | reasoning effort | `reasoning.effort`; `extra`'s `reasoning` adds to it, for example `{"summary": "auto"}` |
//! | form of the answer | `text.format`; `extra`'s `text` adds to it, for example `{"verbosity": "low"}` |
//! | web search | a tool `web_search`; its `max_uses` is `max_tool_calls`, where it is the only server tool |
//! | `stop`, `seed`, `top_k`, penalties, reasoning budget, cache breakpoints | left out: the API has no place for them |
//! | tools | functions whose schema the server does not rewrite (`strict: false`) |
//!
//! Nothing is kept at the server: `store` is `false` unless `extra` sets it, or names a `previous_response_id`, a `conversation` or
//! `background`, which need what was stored. An answer that is not stored must bring its reasoning along for the next turn: it is
//! asked for (`include: ["reasoning.encrypted_content"]`) where the model reasons, since others refuse to be asked. See
//! [`encrypted_reasoning`](OpenAiResponsesBuilder::encrypted_reasoning). Reasoning that came without it is sent back only where
//! answers are stored.
//!
//! # What comes back
//!
//! Items that the provider made by itself (searches, code that it ran) are [`Part::Opaque`](crate::message::Part::Opaque) in their
//! place, and are sent back as they came. A call of a custom tool is a tool call whose arguments are the text that the model wrote;
//! its result goes back in the form that such calls want. `native_finish_reasons` is why an answer is not whole, or else its
//! status; one that is `queued` holds nothing yet.
//!
//! Promises:
//! - a stream that ends without its last event is an error, and no tool of it runs;
//! - tool calls are never mixed up: each is an item of its own;
//! - what was streamed is what the answer holds.

mod assemble;
mod input;
mod items;
mod request;
#[cfg(test)]
mod tests;
mod usage;
mod wire;

pub(in crate::model) use assemble::Assembler;

use self::request::Dialect;
use crate::model::{
    ChatRequest, ModelError,
    http::{Api, Auth, Defaults, http_client},
};

/// The API's name, in what it wrote for itself.
const API: &str = "openai.responses";

http_client! {
    /// A client of the OpenAI Responses API, for one model. Cheap to clone; clones share its connections.
    ///
    /// # Example
    ///
    /// ```
    /// use agent_sdk::model::{ModelHandle, provider::OpenAiResponses};
    ///
    /// # fn main() -> Result<(), agent_sdk::model::ModelError> {
    /// let model = OpenAiResponses::builder("gpt-5").api_key("sk-…").build()?;
    /// assert_eq!(&*ModelHandle::new(model).info().provider, "openai");
    /// # Ok(())
    /// # }
    /// ```
    OpenAiResponses,
    /// Settings for an [`OpenAiResponses`] client; made by [`OpenAiResponses::builder`].
    OpenAiResponsesBuilder,
    Responses
}

impl OpenAiResponsesBuilder {
    /// Whether the instructions are sent as a first message of the role `system`, for servers that do not know `instructions`
    /// (xAI). Default: no.
    pub fn system_message(mut self, message: bool) -> Self {
        self.api.dialect.system_message = message;
        self
    }

    /// Whether an answer that is not stored brings its reasoning along, encrypted, so that the model can go on from it in the next
    /// turn. Servers refuse this for models that do not reason. Default: where the request sets how hard to think, holds such
    /// reasoning already, or the model is of a family that is known to reason (o1, o3, o4, gpt-5 and later, codex).
    pub fn encrypted_reasoning(mut self, encrypted: bool) -> Self {
        self.api.dialect.encrypted_reasoning = Some(encrypted);
        self
    }
}

/// The Responses API.
#[derive(Clone, Debug, Default)]
pub(in crate::model) struct Responses {
    dialect: Dialect,
}

impl Api for Responses {
    type Decode = Assembler;

    const DEFAULTS: Defaults = Defaults {
        client: "OpenAiResponses",
        provider: "openai",
        api_type: Some("responses"),
        base_url: "https://api.openai.com/v1",
        key_variables: &["OPENAI_API_KEY"],
        base_url_variable: "OPENAI_BASE_URL",
        auth: Auth::Bearer,
        needs_key: true,
        headers: &[],
    };

    fn path(&self, _model: &str, _stream: bool) -> String {
        "/responses".to_owned()
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
