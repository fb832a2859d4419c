//! What is asked of a model.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::message::Conversation;

/// One request to a model. Cloning shares the history, the tools and the settings.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ChatRequest {
    /// The developer's instructions.
    pub instructions: Option<Arc<str>>,
    /// What was said so far.
    pub conversation: Conversation,
    /// The tools that the model may call.
    pub tools: Arc<[ToolSpec]>,
    /// Whether it may, must or must not call one.
    pub tool_choice: ToolChoice,
    /// The form of the answer.
    pub output: OutputFormat,
    /// Sampling and lengths.
    pub settings: Arc<ChatSettings>,
    /// The prompt that it was made of, where that has a name. It is recorded, and not sent.
    pub prompt: Option<Arc<Prompt>>,
}

impl ChatRequest {
    /// A request with nothing but a history.
    pub fn new(conversation: impl Into<Conversation>) -> Self {
        Self {
            conversation: conversation.into(),
            ..Self::default()
        }
    }

    /// Sets the developer's instructions.
    #[must_use]
    pub fn with_instructions(mut self, instructions: impl Into<Arc<str>>) -> Self {
        self.instructions = Some(instructions.into());
        self
    }

    /// Sets the tools that the model may call.
    #[must_use]
    pub fn with_tools(mut self, tools: impl Into<Arc<[ToolSpec]>>) -> Self {
        self.tools = tools.into();
        self
    }

    /// Sets whether the model may, must or must not call a tool.
    #[must_use]
    pub fn with_tool_choice(mut self, choice: ToolChoice) -> Self {
        self.tool_choice = choice;
        self
    }

    /// Sets the form of the answer.
    #[must_use]
    pub fn with_output(mut self, output: OutputFormat) -> Self {
        self.output = output;
        self
    }

    /// Names the prompt that it was made of.
    #[must_use]
    pub fn with_prompt(mut self, prompt: Prompt) -> Self {
        self.prompt = Some(Arc::new(prompt));
        self
    }

    /// Sets sampling and lengths.
    #[must_use]
    pub fn with_settings(mut self, settings: impl Into<Arc<ChatSettings>>) -> Self {
        self.settings = settings.into();
        self
    }
}

/// The name of a prompt that requests are made of, as a library of prompts knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Prompt {
    /// Its name; recorded as `gen_ai.prompt.name`.
    pub name: Arc<str>,
    /// Its version; recorded as `gen_ai.prompt.version`.
    pub version: Option<Arc<str>>,
}

impl Prompt {
    /// A prompt of a name.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self {
            name: name.into(),
            version: None,
        }
    }

    /// Adds its version.
    #[must_use]
    pub fn with_version(mut self, version: impl Into<Arc<str>>) -> Self {
        self.version = Some(version.into());
        self
    }
}

/// A tool as a model is told of it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ToolSpec {
    /// The name that the model calls it by.
    pub name: Arc<str>,
    /// What it does, for the model.
    pub description: Arc<str>,
    /// The JSON schema of its arguments, as text that is sent unchanged.
    pub parameters: Arc<RawValue>,
}

impl ToolSpec {
    /// A tool of a name, a description and a schema.
    pub fn new(
        name: impl Into<Arc<str>>,
        description: impl Into<Arc<str>>,
        parameters: impl Into<Arc<RawValue>>,
    ) -> Self {
        Self {
            name: name.into(),
            description: description.into(),
            parameters: parameters.into(),
        }
    }
}

/// Whether a model may, must or must not call a tool.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ToolChoice {
    /// The model decides.
    #[default]
    Auto,
    /// No tool may be called.
    None,
    /// Some tool must be called.
    Required,
    /// This tool must be called.
    Tool(Arc<str>),
}

/// The form of an answer.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum OutputFormat {
    /// Text of any kind.
    #[default]
    Text,
    /// A JSON object of any shape.
    JsonObject,
    /// JSON of this schema.
    JsonSchema {
        /// A name for the schema: letters, digits, `_` and `-`, at most 64.
        name: Arc<str>,
        /// The schema, as text that is sent unchanged.
        schema: Arc<RawValue>,
        /// Whether the provider shall enforce it; its rules for such schemas then apply.
        strict: bool,
    },
}

/// Sampling and lengths; what is `None` is left to the provider.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ChatSettings {
    /// The longest answer, in tokens, reasoning included.
    pub max_output_tokens: Option<u32>,
    /// Randomness, from 0.
    pub temperature: Option<f64>,
    /// Nucleus sampling, 0 to 1.
    pub top_p: Option<f64>,
    /// Penalty for tokens by how often they appeared, -2 to 2.
    pub frequency_penalty: Option<f64>,
    /// Penalty for tokens that appeared at all, -2 to 2.
    pub presence_penalty: Option<f64>,
    /// Texts that end the answer.
    pub stop: Vec<String>,
    /// Seed for sampling that can be repeated.
    pub seed: Option<i64>,
    /// Sampling from this many of the likeliest tokens.
    pub top_k: Option<u32>,
    /// How hard to think, in the provider's own word (`low`, `medium`, `high`, …).
    pub reasoning_effort: Option<String>,
    /// How many tokens to think with at most, for APIs that count them; 0 turns thinking off where that is possible.
    pub reasoning_budget: Option<u32>,
    /// Whether several tools may be called in one turn.
    pub parallel_tool_calls: Option<bool>,
    /// Which parts of the request to keep in the provider's prompt cache, where it wants to be told (Anthropic, Bedrock).
    pub prompt_cache: Option<PromptCache>,
    /// Requests with the same key share the provider's prompt cache, where it routes by one (OpenAI).
    pub prompt_cache_key: Option<String>,
    /// The tier of service, in the provider's own word (`auto`, `flex`, `priority`, …).
    pub service_tier: Option<String>,
    /// What the provider may do by itself while it answers.
    pub server_tools: Vec<ServerTool>,
    /// Fields that go into the request's body as they are.
    pub extra: serde_json::Map<String, serde_json::Value>,
}

/// Where a request's prompt-cache breakpoints stand: everything before one is kept for the requests that follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PromptCache {
    /// After the tools.
    pub tools: bool,
    /// After the instructions.
    pub instructions: bool,
    /// After the last message.
    pub conversation: bool,
    /// For how long.
    pub lifetime: CacheLifetime,
}

impl Default for PromptCache {
    /// All three, for five minutes.
    fn default() -> Self {
        Self {
            tools: true,
            instructions: true,
            conversation: true,
            lifetime: CacheLifetime::FiveMinutes,
        }
    }
}

impl PromptCache {
    /// Keeps it for an hour, at a higher price for what is written.
    #[must_use]
    pub fn for_one_hour(mut self) -> Self {
        self.lifetime = CacheLifetime::OneHour;
        self
    }
}

/// For how long a prompt cache keeps what it was given, counted from its last use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum CacheLifetime {
    /// The usual lifetime.
    #[default]
    FiveMinutes,
    /// A longer one.
    OneHour,
}

/// Something that the provider does by itself while it answers.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ServerTool {
    /// Searches the web.
    WebSearch(WebSearch),
    /// A tool of the provider's own, as its API wants it written.
    Native(serde_json::Value),
}

/// How the web may be searched; what an API has no place for, it refuses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WebSearch {
    /// How many searches at most.
    pub max_uses: Option<u32>,
    /// Only these domains, where there are any.
    pub allowed_domains: Vec<String>,
    /// None of these domains.
    pub blocked_domains: Vec<String>,
}

impl WebSearch {
    /// Searches as the provider sees fit.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets how many searches there may be.
    #[must_use]
    pub fn with_max_uses(mut self, searches: u32) -> Self {
        self.max_uses = Some(searches);
        self
    }

    /// Adds a domain that may be read; without one, all may.
    #[must_use]
    pub fn with_allowed_domain(mut self, domain: impl Into<String>) -> Self {
        self.allowed_domains.push(domain.into());
        self
    }
}

impl ChatSettings {
    /// Settings that leave everything to the provider.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the longest answer, in tokens.
    #[must_use]
    pub fn with_max_output_tokens(mut self, tokens: u32) -> Self {
        self.max_output_tokens = Some(tokens);
        self
    }

    /// Sets the randomness.
    #[must_use]
    pub fn with_temperature(mut self, temperature: f64) -> Self {
        self.temperature = Some(temperature);
        self
    }

    /// Sets the seed.
    #[must_use]
    pub fn with_seed(mut self, seed: i64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Sets nucleus sampling.
    #[must_use]
    pub fn with_top_p(mut self, top_p: f64) -> Self {
        self.top_p = Some(top_p);
        self
    }

    /// Sets from how many of the likeliest tokens to sample.
    #[must_use]
    pub fn with_top_k(mut self, top_k: u32) -> Self {
        self.top_k = Some(top_k);
        self
    }

    /// Adds a text that ends the answer.
    #[must_use]
    pub fn with_stop(mut self, stop: impl Into<String>) -> Self {
        self.stop.push(stop.into());
        self
    }

    /// Sets how many tokens the model may think with.
    #[must_use]
    pub fn with_reasoning_budget(mut self, tokens: u32) -> Self {
        self.reasoning_budget = Some(tokens);
        self
    }

    /// Sets which parts of the request the provider's prompt cache keeps.
    #[must_use]
    pub fn with_prompt_cache(mut self, cache: PromptCache) -> Self {
        self.prompt_cache = Some(cache);
        self
    }

    /// Sets the key by which requests share the provider's prompt cache.
    #[must_use]
    pub fn with_prompt_cache_key(mut self, key: impl Into<String>) -> Self {
        self.prompt_cache_key = Some(key.into());
        self
    }

    /// Sets the tier of service.
    #[must_use]
    pub fn with_service_tier(mut self, tier: impl Into<String>) -> Self {
        self.service_tier = Some(tier.into());
        self
    }

    /// Adds something that the provider may do by itself.
    #[must_use]
    pub fn with_server_tool(mut self, tool: ServerTool) -> Self {
        self.server_tools.push(tool);
        self
    }

    /// Sets how hard the model thinks.
    #[must_use]
    pub fn with_reasoning_effort(mut self, effort: impl Into<String>) -> Self {
        self.reasoning_effort = Some(effort.into());
        self
    }

    /// Adds a field to the request's body.
    #[must_use]
    pub fn with_extra(
        mut self,
        key: impl Into<String>,
        value: impl Into<serde_json::Value>,
    ) -> Self {
        self.extra.insert(key.into(), value.into());
        self
    }
}
