//! The Anthropic Messages API.
//!
//! [`Anthropic::from_env`] takes the key from `ANTHROPIC_API_KEY` and the base URL, if any, from `ANTHROPIC_BASE_URL`. The base
//! URL is written without `/v1`, as Anthropic's own libraries want it.
//!
//! `request`, `content` and `tools` write a request's body; `wire` and `usage` are what comes back, `blocks` and `opaque` keep
//! the blocks of an answer in their order, `assemble` puts it together.
//!
//! Promises:
//! - a stream without its last event is an error, whatever it had said of why it stopped;
//! - blocks are kept in order, and what the provider signed or did by itself goes back to it unchanged;
//! - usage that was not reported is unknown, not zero; tokens of the prompt cache are part of `input_tokens`.
//!
//! # Where settings go
//!
//! | In a request | On the wire |
//! |---|---|
//! | instructions, messages of the role `system` | `system`: all of them stand before the conversation |
//! | messages of the roles `user` and `tool` | one `user` message for those that follow each other, tool results first |
//! | `max_output_tokens` | `max_tokens`, which the API demands: see [`AnthropicBuilder::default_max_tokens`] |
//! | `reasoning_budget` | `thinking` with that budget, or off for 0 |
//! | `reasoning_effort` | `output_config.effort` and, without a budget, adaptive `thinking`: see [`AnthropicBuilder::adaptive_thinking`] |
//! | `stop`, `temperature`, `top_p`, `top_k`, `service_tier` | their fields |
//! | `parallel_tool_calls: false` | `tool_choice.disable_parallel_tool_use` |
//! | `prompt_cache` | `cache_control` after the last tool, the instructions and the last message that can carry it |
//! | a strict JSON schema | `output_config.format` |
//! | a JSON schema that is not strict | a tool that the model must call, whose arguments are handed on as the text of the answer; with a budget for thinking or the provider's own tools, which a call must not forestall, a sentence in `system`. Models older than the API's own schemas want [`StructuredOutput::Tool`] for strict ones too |
//! | a JSON object of any shape | a sentence in `system` |
//! | web search | `web_search_20250305` |
//! | a user's id | `metadata` in `extra` |
//! | beta features | the header `anthropic-beta`: see [`AnthropicBuilder::header`] |
//! | `seed`, `frequency_penalty`, `presence_penalty`, `prompt_cache_key` | nowhere: the API has none, and they are left out |
//!
//! # What comes back in another form
//!
//! - Citations of a text follow it as an opaque part of the kind `citations`, and go back with it.
//! - Blocks of the provider's own tools, summaries of a compaction, and blocks that are not known are opaque parts of their kind.
//! - `pause_turn` is [`FinishReason::Paused`](crate::model::FinishReason::Paused): an agent goes on by itself.
//! - Of a refusal the API's explanation is not kept, nor is the id of a container: name that in `extra` to use it again.
//! - What the provider had other models do, or did before it answered (`usage.iterations`), is the answer's `side_usage`: it is
//!   paid for, perhaps at another model's price, but the API does not count it in the answer's own usage.

mod assemble;
mod blocks;
mod content;
mod media;
mod opaque;
mod request;
#[cfg(test)]
mod tests;
mod tools;
mod usage;
mod wire;

use std::num::NonZeroU32;

pub(in crate::model) use assemble::Assembler;

use self::request::Habits;
use crate::model::{
    ChatRequest, ModelError, OutputFormat, StructuredOutput,
    http::{Api, Auth, Defaults, http_client},
};

/// The API's name on what only it understands.
const API: &str = "anthropic.messages";

http_client! {
    /// A client of the Anthropic Messages API, for one model. Cheap to clone; clones share its connections.
    ///
    /// # Example
    ///
    /// ```
    /// use agent_sdk::model::{ModelHandle, provider::Anthropic};
    ///
    /// # fn main() -> Result<(), agent_sdk::model::ModelError> {
    /// let claude = Anthropic::builder("claude-sonnet-4-6")
    ///     .api_key("a key")
    ///     .header("anthropic-beta", "context-management-2025-06-27")
    ///     .build()?;
    /// let model = ModelHandle::new(claude);
    /// assert_eq!(model.info().server_address.as_deref(), Some("api.anthropic.com"));
    /// # Ok(())
    /// # }
    /// ```
    Anthropic,
    /// Settings for an [`Anthropic`] client; made by [`Anthropic::builder`].
    AnthropicBuilder,
    Messages
}

impl AnthropicBuilder {
    /// The longest answer, in tokens, of a request that names none: the API demands one. A budget for thinking is added to it.
    /// Default: 4096, the most that every model takes.
    pub fn default_max_tokens(mut self, tokens: NonZeroU32) -> Self {
        self.api.habits.max_tokens = tokens;
        self
    }

    /// Whether a `reasoning_effort` without a budget also turns adaptive thinking on. Default: yes. Claude Opus 4.5 knows the
    /// effort alone.
    pub fn adaptive_thinking(mut self, adaptive: bool) -> Self {
        self.api.habits.no_adaptive_thinking = !adaptive;
        self
    }
}

/// The Messages API.
#[derive(Clone, Debug, Default)]
pub(in crate::model) struct Messages {
    habits: Habits,
}

impl Api for Messages {
    type Decode = Assembler;

    const DEFAULTS: Defaults = Defaults {
        client: "Anthropic",
        provider: "anthropic",
        api_type: None,
        base_url: "https://api.anthropic.com",
        key_variables: &["ANTHROPIC_API_KEY"],
        base_url_variable: "ANTHROPIC_BASE_URL",
        auth: Auth::Header("x-api-key"),
        needs_key: true,
        headers: &[("anthropic-version", "2023-06-01")],
    };

    fn path(&self, _model: &str, _stream: bool) -> String {
        "/v1/messages".to_owned()
    }

    fn body(
        &self,
        model: &str,
        request: &ChatRequest,
        stream: bool,
    ) -> Result<Vec<u8>, ModelError> {
        request::body(model, request, stream, self.habits)
    }

    /// The API's own schemas must keep its rules, which those that are not strict may not.
    fn structured(&self, _model: &str, request: &ChatRequest) -> StructuredOutput {
        let settings = &request.settings;
        match request.output {
            OutputFormat::JsonSchema { strict: false, .. } => {
                let thinks = settings.reasoning_budget.is_some_and(|budget| budget > 0);
                if thinks || !settings.server_tools.is_empty() {
                    StructuredOutput::Prompt
                } else {
                    StructuredOutput::Tool
                }
            }
            _ => StructuredOutput::Native,
        }
    }
}
