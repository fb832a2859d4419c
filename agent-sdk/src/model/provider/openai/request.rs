//! A chat request as the body of an HTTP request.
//!
//! The body is written straight from the borrowed request: neither the history nor a schema is cloned, and only what is set
//! is sent.

use std::{borrow::Cow, fmt};

use serde::{Deserialize, Serialize, Serializer, ser::SerializeSeq};
use serde_json::{Map, Value, value::RawValue};

use super::{API, content::UserContent};
use crate::{
    message::{Message, Part, Role, ToolCall, ToolResult},
    model::{
        ChatRequest, ModelError, OutputFormat, ServerTool, ToolChoice, ToolSpec, WebSearch,
        http::body::{Fields, Joined, refuse, write},
    },
};

/// The fields that [`ChatSettings::extra`](crate::model::ChatSettings::extra) cannot replace.
const RESERVED: [&str; 4] = ["model", "messages", "stream", "stream_options"];

/// How a server's dialect differs from the usual one.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Dialect {
    /// It knows `max_tokens` only.
    pub(super) max_tokens: bool,
    /// It does not know `stream_options`.
    pub(super) no_stream_options: bool,
    /// It wants to see the reasoning of earlier answers again.
    pub(super) send_reasoning: bool,
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
    dialect: Dialect,
) -> Result<Vec<u8>, ModelError> {
    for message in request.conversation.messages() {
        for part in &message.parts {
            super::content::check(message.role, part)?;
        }
    }
    let search = search(&request.settings.server_tools)?;
    let body = Body {
        model,
        request,
        search,
        stream,
        dialect,
    };
    write(&body)
}

/// Whether the web may be searched; refuses what the API has no place for.
fn search(tools: &[ServerTool]) -> Result<bool, ModelError> {
    let mut search = false;
    for tool in tools {
        if let ServerTool::WebSearch(how) = tool {
            search = true;
            if *how != WebSearch::new() {
                return refuse(
                    "the Chat Completions API has no place for `max_uses` and domains of a web search",
                );
            }
        }
    }
    Ok(search)
}

struct Body<'a> {
    model: &'a str,
    request: &'a ChatRequest,
    search: bool,
    stream: bool,
    dialect: Dialect,
}

impl Serialize for Body<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (request, settings) = (self.request, &*self.request.settings);
        let mut body = Fields::new(serializer.serialize_map(None)?, &settings.extra, &RESERVED);
        body.put("model", &self.model)?;
        let messages = Messages {
            request,
            send_reasoning: self.dialect.send_reasoning,
        };
        body.put("messages", &messages)?;
        let tools = Tools {
            own: &request.tools,
            server: &settings.server_tools,
        };
        if !tools.is_empty() {
            body.put("tools", &tools)?;
            if request.tool_choice != ToolChoice::Auto {
                body.put("tool_choice", &Choice(&request.tool_choice))?;
            }
            body.put_some("parallel_tool_calls", settings.parallel_tool_calls.as_ref())?;
        }
        match &request.output {
            OutputFormat::Text => {}
            OutputFormat::JsonObject => {
                let format = Format {
                    kind: "json_object",
                    json_schema: None,
                };
                body.put("response_format", &format)?;
            }
            OutputFormat::JsonSchema {
                name,
                schema,
                strict,
            } => {
                let json_schema = Some(Schema {
                    name,
                    text: schema,
                    strict: *strict,
                });
                body.put(
                    "response_format",
                    &Format {
                        kind: "json_schema",
                        json_schema,
                    },
                )?;
            }
        }
        let longest = if self.dialect.max_tokens {
            "max_tokens"
        } else {
            "max_completion_tokens"
        };
        body.put_some(longest, settings.max_output_tokens.as_ref())?;
        body.put_some("temperature", settings.temperature.as_ref())?;
        body.put_some("top_p", settings.top_p.as_ref())?;
        body.put_some("frequency_penalty", settings.frequency_penalty.as_ref())?;
        body.put_some("presence_penalty", settings.presence_penalty.as_ref())?;
        body.put_some("stop", Some(&settings.stop).filter(|stop| !stop.is_empty()))?;
        body.put_some("seed", settings.seed.as_ref())?;
        body.put_some("reasoning_effort", settings.reasoning_effort.as_ref())?;
        body.put_some("prompt_cache_key", settings.prompt_cache_key.as_ref())?;
        body.put_some("service_tier", settings.service_tier.as_ref())?;
        if self.search {
            body.put("web_search_options", &Map::<String, Value>::new())?;
        }
        if self.stream {
            body.put("stream", &true)?;
            if !self.dialect.no_stream_options {
                body.put(
                    "stream_options",
                    &StreamOptions {
                        include_usage: true,
                    },
                )?;
            }
        }
        body.end()
    }
}

#[derive(Serialize)]
struct StreamOptions {
    include_usage: bool,
}

/// The instructions and the history.
struct Messages<'a> {
    request: &'a ChatRequest,
    send_reasoning: bool,
}

impl Serialize for Messages<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(None)?;
        if let Some(instructions) = self.request.instructions.as_deref() {
            list.serialize_element(&Said {
                role: "system",
                content: instructions,
            })?;
        }
        for Message { role, parts, .. } in self.request.conversation.messages() {
            for part in parts {
                if let Part::ToolResult(ToolResult {
                    call_id, content, ..
                }) = part
                {
                    list.serialize_element(&Answer {
                        role: "tool",
                        tool_call_id: call_id.as_str(),
                        content: content.as_str(),
                    })?;
                }
            }
            match role {
                Role::Tool => {}
                Role::System => {
                    list.serialize_element(&Said {
                        role: "system",
                        content: Joined(parts),
                    })?;
                }
                Role::Assistant => {
                    list.serialize_element(&Assistant::new(parts, self.send_reasoning))?;
                }
                Role::User => {
                    let results_only = !parts.is_empty()
                        && parts.iter().all(|part| matches!(part, Part::ToolResult(_)));
                    if !results_only {
                        let content = UserContent(parts);
                        list.serialize_element(&Said {
                            role: "user",
                            content,
                        })?;
                    }
                }
            }
        }
        list.end()
    }
}

#[derive(Serialize)]
struct Said<T> {
    role: &'static str,
    content: T,
}

#[derive(Serialize)]
struct Answer<'a> {
    role: &'static str,
    tool_call_id: &'a str,
    content: &'a str,
}

#[derive(Serialize)]
struct Assistant<'a> {
    role: &'static str,
    content: Option<Joined<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<Thoughts<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    audio: Option<Spoken<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_calls: Option<Calls<'a>>,
}

impl<'a> Assistant<'a> {
    fn new(parts: &'a [Part], send_reasoning: bool) -> Self {
        let has = |wanted: fn(&Part) -> bool| parts.iter().any(wanted);
        let refusal = parts.iter().find_map(|part| match part {
            Part::Refusal(refusal) => Some(refusal.as_str()),
            _ => None,
        });
        let calls = has(|part| matches!(part, Part::ToolCall(_)));
        let text = has(|part| part.as_text().is_some_and(|text| !text.is_empty()));
        let thoughts = send_reasoning && has(|part| thought(part).is_some());
        let audio = parts.iter().find_map(Spoken::of);
        Self {
            role: "assistant",
            content: (text || !(calls || refusal.is_some() || audio.is_some()))
                .then_some(Joined(parts)),
            refusal,
            reasoning_content: thoughts.then_some(Thoughts(parts)),
            audio,
            tool_calls: calls.then_some(Calls(parts)),
        }
    }
}

/// The reasoning that a part shows, if any.
fn thought(part: &Part) -> Option<&str> {
    match part {
        Part::Reasoning(thought) => Some(thought.text.as_str()).filter(|text| !text.is_empty()),
        _ => None,
    }
}

/// All reasoning as one text.
struct Thoughts<'a>(&'a [Part]);

impl fmt::Display for Thoughts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut thoughts = self.0.iter().filter_map(thought);
        thoughts.try_for_each(|text| f.write_str(text))
    }
}

impl Serialize for Thoughts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What the model spoke, which the server knows by its id.
#[derive(Deserialize, Serialize)]
struct Spoken<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
}

impl<'a> Spoken<'a> {
    fn of(part: &'a Part) -> Option<Self> {
        match part {
            Part::Opaque(own) if *own.api == *API => serde_json::from_str(&own.json).ok(),
            _ => None,
        }
    }
}

struct Calls<'a>(&'a [Part]);

impl Serialize for Calls<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().filter_map(|part| match part {
            Part::ToolCall(ToolCall {
                id,
                name,
                arguments,
                ..
            }) => Some(Call {
                id: id.as_str(),
                kind: "function",
                function: Function {
                    name,
                    arguments: arguments.as_str(),
                },
            }),
            _ => None,
        }))
    }
}

#[derive(Serialize)]
struct Call<'a> {
    id: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    function: Function<'a>,
}

#[derive(Serialize)]
struct Function<'a> {
    name: &'a str,
    arguments: &'a str,
}

struct Tools<'a> {
    own: &'a [ToolSpec],
    server: &'a [ServerTool],
}

impl Tools<'_> {
    fn is_empty(&self) -> bool {
        let mut server = self.server.iter();
        self.own.is_empty() && !server.any(|tool| matches!(tool, ServerTool::Native(_)))
    }
}

impl Serialize for Tools<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(None)?;
        for tool in self.own {
            list.serialize_element(&Tool {
                kind: "function",
                function: Declared {
                    name: &tool.name,
                    description: Some(&*tool.description).filter(|text| !text.is_empty()),
                    parameters: &tool.parameters,
                },
            })?;
        }
        for tool in self.server {
            if let ServerTool::Native(tool) = tool {
                list.serialize_element(tool)?;
            }
        }
        list.end()
    }
}

#[derive(Serialize)]
struct Tool<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    function: Declared<'a>,
}

#[derive(Serialize)]
struct Declared<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    parameters: &'a RawValue,
}

struct Choice<'a>(&'a ToolChoice);

impl Serialize for Choice<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Named<'a> {
            name: &'a str,
        }
        #[derive(Serialize)]
        struct This<'a> {
            #[serde(rename = "type")]
            kind: &'static str,
            function: Named<'a>,
        }
        match self.0 {
            ToolChoice::Auto => serializer.serialize_str("auto"),
            ToolChoice::None => serializer.serialize_str("none"),
            ToolChoice::Required => serializer.serialize_str("required"),
            ToolChoice::Tool(name) => This {
                kind: "function",
                function: Named { name },
            }
            .serialize(serializer),
        }
    }
}

#[derive(Serialize)]
struct Format<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    json_schema: Option<Schema<'a>>,
}

#[derive(Serialize)]
struct Schema<'a> {
    name: &'a str,
    #[serde(rename = "schema")]
    text: &'a RawValue,
    strict: bool,
}
