//! A chat request as the body of an HTTP request.

use serde::{
    Serialize, Serializer,
    ser::{SerializeMap, SerializeSeq},
};
use serde_json::{Map, Value, value::RawValue};

use super::{API, input::Input};
use crate::{
    message::Part,
    model::{
        ChatRequest, ModelError, OutputFormat, ServerTool, ToolChoice, ToolSpec, WebSearch,
        http::body::{Fields, refuse, write},
    },
};

/// The fields that [`ChatSettings::extra`](crate::model::ChatSettings::extra) cannot replace. To the last three it adds.
const RESERVED: [&str; 6] = ["model", "input", "stream", "reasoning", "text", "include"];

/// The fields that need what was stored.
const STORED: [&str; 3] = ["previous_response_id", "conversation", "background"];

/// What asks for the reasoning.
const ENCRYPTED: &str = "reasoning.encrypted_content";

/// How a server's dialect differs from the usual one.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Dialect {
    /// It wants the instructions as a message.
    pub(super) system_message: bool,
    /// Whether its reasoning is asked for, where that is known.
    pub(super) encrypted_reasoning: Option<bool>,
}

/// Writes the body.
///
/// # Errors
///
/// `BadRequest` where the API has no place for a part of the history or of the settings.
pub(super) fn body(
    model: &str,
    request: &ChatRequest,
    stream: bool,
    dialect: Dialect,
) -> Result<Vec<u8>, ModelError> {
    let settings = &*request.settings;
    for tool in &settings.server_tools {
        if let ServerTool::WebSearch(search) = tool {
            check(search, settings.server_tools.len())?;
        }
    }
    let stored = match settings.extra.get("store") {
        Some(store) => store.as_bool() == Some(true),
        None => STORED.iter().any(|key| settings.extra.contains_key(*key)),
    };
    let input = Input::new(request, dialect.system_message, stored)?;
    let encrypted = !stored
        && dialect
            .encrypted_reasoning
            .unwrap_or_else(|| reasons(model, request));
    write(&Body {
        model,
        request,
        input,
        stream,
        dialect,
        stored,
        encrypted,
    })
}

/// Refuses what the API has no place for.
fn check(search: &WebSearch, server_tools: usize) -> Result<(), ModelError> {
    if !search.blocked_domains.is_empty() {
        return refuse(
            "the Responses API has no place for `blocked_domains` of a web search: name those that are allowed",
        );
    }
    if search.max_uses.is_some() && server_tools > 1 {
        return refuse(
            "the Responses API has no place for `max_uses` of a web search beside other server tools: set `max_tool_calls` for all of them",
        );
    }
    Ok(())
}

/// Whether the model is known to reason, or the request shows it.
fn reasons(model: &str, request: &ChatRequest) -> bool {
    let settings = &*request.settings;
    if let Some(effort) = &settings.reasoning_effort {
        return effort != "none";
    }
    let before = || {
        let messages = request.conversation.messages().iter();
        messages.flat_map(|message| &message.parts).any(|part| {
            matches!(part, Part::Reasoning(thought)
                if thought.signature.as_ref().is_some_and(|own| own.of(API).is_some()))
        })
    };
    is_reasoning_model(model) || settings.extra.contains_key("reasoning") || before()
}

/// Whether the name is of a family that reasons; gateways put a provider before it.
fn is_reasoning_model(model: &str) -> bool {
    let name = model.rsplit('/').next().unwrap_or(model);
    let name = name.strip_prefix("openai.").unwrap_or(name);
    if name.starts_with("gpt-5-chat") {
        return false;
    }
    let generation = |text: &str| {
        let digits = text.split(|c: char| !c.is_ascii_digit()).next();
        digits.and_then(|digits| digits.parse::<u32>().ok())
    };
    let series_o = name.strip_prefix('o').and_then(generation);
    let gpt = name.strip_prefix("gpt-").and_then(generation);
    series_o.is_some() || gpt.is_some_and(|number| number >= 5) || name.contains("codex")
}

struct Body<'a> {
    model: &'a str,
    request: &'a ChatRequest,
    input: Input<'a>,
    stream: bool,
    dialect: Dialect,
    stored: bool,
    encrypted: bool,
}

impl Serialize for Body<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (request, settings) = (self.request, &*self.request.settings);
        let extra = &settings.extra;
        let mut body = Fields::new(serializer.serialize_map(None)?, extra, &RESERVED);
        body.put("model", &self.model)?;
        if !self.dialect.system_message {
            body.put_some("instructions", request.instructions.as_deref())?;
        }
        body.put("input", &self.input)?;
        if !(request.tools.is_empty() && settings.server_tools.is_empty()) {
            body.put(
                "tools",
                &Tools {
                    own: &request.tools,
                    server: &settings.server_tools,
                },
            )?;
            if request.tool_choice != ToolChoice::Auto {
                body.put("tool_choice", &Choice(&request.tool_choice))?;
            }
            body.put_some("parallel_tool_calls", settings.parallel_tool_calls.as_ref())?;
        }
        let searches = settings.server_tools.iter().find_map(|tool| match tool {
            ServerTool::WebSearch(search) => search.max_uses,
            ServerTool::Native(_) => None,
        });
        body.put_some("max_tool_calls", searches.as_ref())?;
        let format = Format::of(&request.output);
        let text = Merged {
            key: "format",
            ours: format.as_ref(),
            more: extra.get("text"),
        };
        body.put_some("text", text.filled())?;
        let reasoning = Merged {
            key: "effort",
            ours: settings.reasoning_effort.as_ref(),
            more: extra.get("reasoning"),
        };
        body.put_some("reasoning", reasoning.filled())?;
        body.put_some("max_output_tokens", settings.max_output_tokens.as_ref())?;
        body.put_some("temperature", settings.temperature.as_ref())?;
        body.put_some("top_p", settings.top_p.as_ref())?;
        body.put_some("prompt_cache_key", settings.prompt_cache_key.as_ref())?;
        body.put_some("service_tier", settings.service_tier.as_ref())?;
        if !self.stored {
            body.put("store", &false)?;
        }
        let include = Include {
            encrypted: self.encrypted,
            more: extra.get("include"),
        };
        body.put_some("include", include.filled())?;
        if self.stream {
            body.put("stream", &true)?;
        }
        body.end()
    }
}

/// An object with a field of ours, and the user's own; these replace ours.
struct Merged<'a, T> {
    key: &'static str,
    ours: Option<&'a T>,
    more: Option<&'a Value>,
}

impl<T> Merged<'_, T> {
    fn filled(&self) -> Option<&Self> {
        (self.ours.is_some() || self.more.is_some()).then_some(self)
    }
}

impl<T: Serialize> Serialize for Merged<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let none = Map::new();
        let more = match self.more {
            Some(Value::Object(more)) => more,
            Some(other) => return other.serialize(serializer),
            None => &none,
        };
        let mut map = serializer.serialize_map(None)?;
        if let Some(ours) = self.ours
            && !more.contains_key(self.key)
        {
            map.serialize_entry(self.key, ours)?;
        }
        for (key, value) in more {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

/// What the answer is to hold besides what it always does.
struct Include<'a> {
    encrypted: bool,
    more: Option<&'a Value>,
}

impl Include<'_> {
    fn filled(&self) -> Option<&Self> {
        (self.encrypted || self.more.is_some()).then_some(self)
    }
}

impl Serialize for Include<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let more = match self.more {
            Some(Value::Array(more)) => more.as_slice(),
            Some(other) => return other.serialize(serializer),
            None => &[],
        };
        let mut list = serializer.serialize_seq(None)?;
        if self.encrypted && !more.iter().any(|asked| asked == ENCRYPTED) {
            list.serialize_element(ENCRYPTED)?;
        }
        for asked in more {
            list.serialize_element(asked)?;
        }
        list.end()
    }
}

struct Tools<'a> {
    own: &'a [ToolSpec],
    server: &'a [ServerTool],
}

impl Serialize for Tools<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(None)?;
        for tool in self.own {
            list.serialize_element(&Function {
                kind: "function",
                name: &tool.name,
                description: Some(&*tool.description).filter(|text| !text.is_empty()),
                parameters: &tool.parameters,
                strict: false,
            })?;
        }
        for tool in self.server {
            match tool {
                ServerTool::WebSearch(search) => {
                    let allowed_domains = search.allowed_domains.as_slice();
                    list.serialize_element(&Search {
                        kind: "web_search",
                        filters: (!allowed_domains.is_empty())
                            .then_some(Filters { allowed_domains }),
                    })?;
                }
                ServerTool::Native(tool) => list.serialize_element(tool)?,
            }
        }
        list.end()
    }
}

#[derive(Serialize)]
struct Function<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    parameters: &'a RawValue,
    /// Left to itself the server would rewrite the schema, or refuse it.
    strict: bool,
}

#[derive(Serialize)]
struct Search<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    filters: Option<Filters<'a>>,
}

#[derive(Serialize)]
struct Filters<'a> {
    allowed_domains: &'a [String],
}

struct Choice<'a>(&'a ToolChoice);

impl Serialize for Choice<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct This<'a> {
            #[serde(rename = "type")]
            kind: &'static str,
            name: &'a str,
        }
        match self.0 {
            ToolChoice::Auto => serializer.serialize_str("auto"),
            ToolChoice::None => serializer.serialize_str("none"),
            ToolChoice::Required => serializer.serialize_str("required"),
            ToolChoice::Tool(name) => This {
                kind: "function",
                name,
            }
            .serialize(serializer),
        }
    }
}

/// The form of the answer.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Format<'a> {
    JsonObject,
    JsonSchema {
        name: &'a str,
        schema: &'a RawValue,
        strict: bool,
    },
}

impl<'a> Format<'a> {
    fn of(output: &'a OutputFormat) -> Option<Self> {
        match output {
            OutputFormat::Text => None,
            OutputFormat::JsonObject => Some(Self::JsonObject),
            OutputFormat::JsonSchema {
                name,
                schema,
                strict,
            } => Some(Self::JsonSchema {
                name,
                schema,
                strict: *strict,
            }),
        }
    }
}
