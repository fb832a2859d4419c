//! A chat request as the body of an HTTP request.
//!
//! The body is written straight from the borrowed request: neither the history nor a schema is cloned, and only what is set
//! is sent.

use serde::{Serialize, Serializer, ser::SerializeSeq};
use serde_json::value::RawValue;

use super::content::UserContent;
use crate::{
    message::{Message, Part, Role, ToolCall, ToolResult},
    model::{
        ChatRequest, ModelError, OutputFormat, ToolChoice, ToolSpec,
        http::body::{Fields, Joined, write},
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
    let body = Body {
        model,
        request,
        stream,
        dialect,
    };
    write(&body)
}

struct Body<'a> {
    model: &'a str,
    request: &'a ChatRequest,
    stream: bool,
    dialect: Dialect,
}

impl Serialize for Body<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (request, settings) = (self.request, &*self.request.settings);
        let mut body = Fields::new(serializer.serialize_map(None)?, &settings.extra, &RESERVED);
        body.put("model", &self.model)?;
        body.put("messages", &Messages(request))?;
        if !request.tools.is_empty() {
            body.put("tools", &Tools(&request.tools))?;
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
struct Messages<'a>(&'a ChatRequest);

impl Serialize for Messages<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(None)?;
        if let Some(instructions) = self.0.instructions.as_deref() {
            list.serialize_element(&Said {
                role: "system",
                content: instructions,
            })?;
        }
        for Message { role, parts, .. } in self.0.conversation.messages() {
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
                Role::Assistant => list.serialize_element(&Assistant::new(parts))?,
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
    tool_calls: Option<Calls<'a>>,
}

impl<'a> Assistant<'a> {
    fn new(parts: &'a [Part]) -> Self {
        let has = |wanted: fn(&Part) -> bool| parts.iter().any(wanted);
        let refusal = parts.iter().find_map(|part| match part {
            Part::Refusal(refusal) => Some(refusal.as_str()),
            _ => None,
        });
        let calls = has(|part| matches!(part, Part::ToolCall(_)));
        let text = has(|part| part.as_text().is_some_and(|text| !text.is_empty()));
        Self {
            role: "assistant",
            content: (text || !(calls || refusal.is_some())).then_some(Joined(parts)),
            refusal,
            tool_calls: calls.then_some(Calls(parts)),
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

struct Tools<'a>(&'a [ToolSpec]);

impl Serialize for Tools<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|tool| Tool {
            kind: "function",
            function: Declared {
                name: &tool.name,
                description: Some(&*tool.description).filter(|text| !text.is_empty()),
                parameters: &tool.parameters,
            },
        }))
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
