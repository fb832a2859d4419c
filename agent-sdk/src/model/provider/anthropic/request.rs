//! A chat request as the body of an HTTP request.
//!
//! The history is laid out as the turns and blocks that the API wants, all of them borrowed, and then written.

use std::num::NonZeroU32;

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::{
    content::{Block, Turns},
    tools::{Choice, Tools},
};
use crate::model::{
    CacheLifetime, ChatRequest, ChatSettings, ModelError, OutputFormat, PromptCache, ServerTool,
    http::body::{Fields, refuse, write},
};

/// The fields that [`ChatSettings::extra`] cannot replace.
const RESERVED: [&str; 3] = ["model", "messages", "stream"];

/// What is asked of a model that shall answer in JSON of any shape.
const JSON_OBJECT: &str =
    "Answer with one JSON object and nothing else: no other text, no code fence.";

/// How a client of this API is set up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Habits {
    pub(super) max_tokens: NonZeroU32,
    pub(super) no_adaptive_thinking: bool,
}

impl Default for Habits {
    fn default() -> Self {
        Self {
            max_tokens: const { NonZeroU32::new(4096) }.unwrap_or(NonZeroU32::MIN),
            no_adaptive_thinking: false,
        }
    }
}

/// Writes the body.
///
/// # Errors
///
/// `BadRequest` where the API has no place for a part of the history.
pub(super) fn body(
    model: &str,
    request: &ChatRequest,
    stream: bool,
    habits: Habits,
) -> Result<Vec<u8>, ModelError> {
    for tool in &request.settings.server_tools {
        if matches!(tool, ServerTool::Native(tool) if !tool.is_object()) {
            return refuse("a native tool of the Messages API is a JSON object");
        }
    }
    let mut turns = Turns::of(request)?;
    if matches!(request.output, OutputFormat::JsonObject) {
        turns.system.push(Block::text(JSON_OBJECT));
    }
    if let Some(cache) = request.settings.prompt_cache {
        turns.mark(cache);
    }
    write(&Body {
        model,
        request,
        turns,
        stream,
        habits,
    })
}

struct Body<'a> {
    model: &'a str,
    request: &'a ChatRequest,
    turns: Turns<'a>,
    stream: bool,
    habits: Habits,
}

impl Body<'_> {
    fn thinking(&self) -> Option<Thinking> {
        let settings = &self.request.settings;
        match settings.reasoning_budget {
            Some(0) => Some(Thinking::Disabled),
            Some(budget_tokens) => Some(Thinking::Enabled { budget_tokens }),
            None => {
                let adaptive =
                    settings.reasoning_effort.is_some() && !self.habits.no_adaptive_thinking;
                adaptive.then_some(Thinking::Adaptive)
            }
        }
    }

    fn max_tokens(&self) -> u32 {
        let ChatSettings {
            max_output_tokens,
            reasoning_budget,
            ..
        } = &*self.request.settings;
        max_output_tokens.unwrap_or_else(|| {
            let budget = reasoning_budget.unwrap_or(0);
            self.habits.max_tokens.get().saturating_add(budget)
        })
    }
}

impl Serialize for Body<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (request, settings) = (self.request, &*self.request.settings);
        let mut body = Fields::new(serializer.serialize_map(None)?, &settings.extra, &RESERVED);
        body.put("model", self.model)?;
        body.put("max_tokens", &self.max_tokens())?;
        let system = &self.turns.system;
        body.put_some("system", Some(system).filter(|list| !list.is_empty()))?;
        body.put("messages", &self.turns.list)?;
        let tools = Tools {
            server: &settings.server_tools,
            own: &request.tools,
            cache: settings.prompt_cache.filter(|cache| cache.tools),
        };
        if !tools.is_empty() {
            body.put("tools", &tools)?;
            body.put_some("tool_choice", Choice::of(request).as_ref())?;
        }
        body.put_some("thinking", self.thinking().as_ref())?;
        let config = OutputConfig {
            effort: settings.reasoning_effort.as_deref(),
            format: match &request.output {
                OutputFormat::JsonSchema { schema, .. } => Some(Format::JsonSchema { schema }),
                _ => None,
            },
        };
        body.put_some(
            "output_config",
            Some(&config).filter(|config| !config.is_empty()),
        )?;
        body.put_some("temperature", settings.temperature.as_ref())?;
        body.put_some("top_p", settings.top_p.as_ref())?;
        body.put_some("top_k", settings.top_k.as_ref())?;
        let stop = Some(&settings.stop).filter(|stop| !stop.is_empty());
        body.put_some("stop_sequences", stop)?;
        body.put_some("service_tier", settings.service_tier.as_ref())?;
        if self.stream {
            body.put("stream", &true)?;
        }
        body.end()
    }
}

#[derive(Clone, Copy, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Thinking {
    Disabled,
    Enabled { budget_tokens: u32 },
    Adaptive,
}

#[derive(Serialize)]
struct OutputConfig<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    effort: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<Format<'a>>,
}

impl OutputConfig<'_> {
    fn is_empty(&self) -> bool {
        self.effort.is_none() && self.format.is_none()
    }
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Format<'a> {
    JsonSchema { schema: &'a RawValue },
}

/// Where the prompt cache ends.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct CacheControl {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<&'static str>,
}

impl From<PromptCache> for CacheControl {
    fn from(cache: PromptCache) -> Self {
        Self {
            kind: "ephemeral",
            ttl: match cache.lifetime {
                CacheLifetime::FiveMinutes => None,
                CacheLifetime::OneHour => Some("1h"),
            },
        }
    }
}
