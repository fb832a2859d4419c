//! A chat request as the body of an HTTP request.

use serde::{
    Serialize, Serializer,
    ser::{SerializeMap, SerializeSeq},
};
use serde_json::value::RawValue;

use crate::{
    message::{Media, MediaKind, MediaSource, Message, Part, Role, ToolResult},
    model::{
        ChatRequest, ChatSettings, ModelError, OutputFormat, ServerTool, ToolChoice,
        http::body::{Arguments, Fields, Joined, no_place, refuse, write},
    },
};

/// The fields that [`ChatSettings::extra`] cannot replace; its `options` are added to ours instead.
const RESERVED: [&str; 4] = ["model", "messages", "stream", "options"];

/// Writes the body.
///
/// # Errors
///
/// `BadRequest` where the API has no place for something.
pub(super) fn body(
    model: &str,
    request: &ChatRequest,
    stream: bool,
) -> Result<Vec<u8>, ModelError> {
    for message in request.conversation.messages() {
        for part in &message.parts {
            check(message.role, part)?;
        }
    }
    let offers_tools = !request.tools.is_empty();
    if offers_tools && !matches!(request.tool_choice, ToolChoice::Auto | ToolChoice::None) {
        return refuse(format!("{} cannot make a model call a tool", super::NAME));
    }
    let searches = |tool: &ServerTool| !matches!(tool, ServerTool::Native(_));
    if request.settings.server_tools.iter().any(searches) {
        return refuse(format!(
            "{} has no place for a search of the web",
            super::NAME
        ));
    }
    write(&Body {
        model,
        request,
        stream,
    })
}

fn check(role: Role, part: &Part) -> Result<(), ModelError> {
    let fits = match part {
        Part::Text(_) => !matches!(role, Role::Tool),
        Part::Reasoning(_) | Part::Refusal(_) | Part::ToolCall(_) => {
            matches!(role, Role::Assistant)
        }
        Part::ToolResult(_) => matches!(role, Role::Tool | Role::User),
        Part::Media(_) => matches!(role, Role::User),
        // Another API's: this one has none.
        Part::Opaque(_) => true,
    };
    if !fits {
        return no_place(super::NAME, role, part);
    }
    match part {
        Part::Media(Media {
            kind: MediaKind::Image,
            source: MediaSource::Base64(_),
            ..
        }) => Ok(()),
        Part::Media(Media { kind, .. }) => refuse(format!(
            "{} takes images as base64 alone, not this part of the kind {kind:?}",
            super::NAME
        )),
        _ => Ok(()),
    }
}

struct Body<'a> {
    model: &'a str,
    request: &'a ChatRequest,
    stream: bool,
}

impl Serialize for Body<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (request, settings) = (self.request, &*self.request.settings);
        let map = serializer.serialize_map(None)?;
        let mut body = Fields::new(map, &settings.extra, &RESERVED);
        body.put("model", self.model)?;
        body.put("messages", &Messages(request))?;
        // Streams are what it sends where nobody says otherwise.
        body.put("stream", &self.stream)?;
        let tools = Tools(request);
        body.put_some("tools", Some(&tools).filter(|tools| tools.any()))?;
        match &request.output {
            OutputFormat::Text => {}
            OutputFormat::JsonObject => body.put("format", "json")?,
            OutputFormat::JsonSchema { schema, .. } => body.put("format", &**schema)?,
        }
        body.put_some("think", Think::of(settings).as_ref())?;
        let options = Options(settings);
        body.put_some("options", Some(&options).filter(|options| options.any()))?;
        body.end()
    }
}

/// Whether to think, or how hard.
#[derive(Serialize)]
#[serde(untagged)]
enum Think<'a> {
    Whether(bool),
    Level(&'a str),
}

impl<'a> Think<'a> {
    fn of(settings: &'a ChatSettings) -> Option<Self> {
        match settings.reasoning_effort.as_deref() {
            Some("true") => Some(Self::Whether(true)),
            Some("false" | "none") => Some(Self::Whether(false)),
            Some(level) => Some(Self::Level(level)),
            None => settings
                .reasoning_budget
                .map(|tokens| Self::Whether(tokens > 0)),
        }
    }
}

/// Sampling and lengths, and the user's own options over them.
struct Options<'a>(&'a ChatSettings);

impl Options<'_> {
    fn any(&self) -> bool {
        let Self(settings) = self;
        settings.extra.contains_key("options")
            || settings.max_output_tokens.is_some()
            || settings.temperature.is_some()
            || settings.top_p.is_some()
            || settings.top_k.is_some()
            || settings.frequency_penalty.is_some()
            || settings.presence_penalty.is_some()
            || settings.seed.is_some()
            || !settings.stop.is_empty()
    }
}

impl Serialize for Options<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let settings = self.0;
        let own = match settings.extra.get("options") {
            None => serde_json::Map::new(),
            Some(serde_json::Value::Object(own)) => own.clone(),
            Some(other) => return other.serialize(serializer),
        };
        let mut options = Fields::new(serializer.serialize_map(None)?, &own, &[]);
        options.put_some("num_predict", settings.max_output_tokens.as_ref())?;
        options.put_some("temperature", settings.temperature.as_ref())?;
        options.put_some("top_p", settings.top_p.as_ref())?;
        options.put_some("top_k", settings.top_k.as_ref())?;
        options.put_some("frequency_penalty", settings.frequency_penalty.as_ref())?;
        options.put_some("presence_penalty", settings.presence_penalty.as_ref())?;
        options.put_some("seed", settings.seed.as_ref())?;
        let stop = Some(&settings.stop).filter(|stop| !stop.is_empty());
        options.put_some("stop", stop)?;
        options.end()
    }
}

/// The tools that may be called: none, where none may be.
struct Tools<'a>(&'a ChatRequest);

impl Tools<'_> {
    fn any(&self) -> bool {
        self.0.tool_choice != ToolChoice::None
            && !(self.0.tools.is_empty() && self.0.settings.server_tools.is_empty())
    }
}

impl Serialize for Tools<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Tool<'a> {
            #[serde(rename = "type")]
            kind: &'static str,
            function: Declared<'a>,
        }
        #[derive(Serialize)]
        struct Declared<'a> {
            name: &'a str,
            description: &'a str,
            parameters: &'a RawValue,
        }
        let mut list = serializer.serialize_seq(None)?;
        for tool in &*self.0.tools {
            list.serialize_element(&Tool {
                kind: "function",
                function: Declared {
                    name: &tool.name,
                    description: &tool.description,
                    parameters: &tool.parameters,
                },
            })?;
        }
        for tool in &self.0.settings.server_tools {
            if let ServerTool::Native(tool) = tool {
                list.serialize_element(tool)?;
            }
        }
        list.end()
    }
}

/// The instructions and the history.
struct Messages<'a>(&'a ChatRequest);

impl Serialize for Messages<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(None)?;
        if let Some(instructions) = self.0.instructions.as_deref() {
            list.serialize_element(&Instructions {
                role: "system",
                content: instructions,
            })?;
        }
        for Message { role, parts, .. } in self.0.conversation.messages() {
            for part in parts {
                if let Part::ToolResult(result) = part {
                    list.serialize_element(&Answer::of(result))?;
                }
            }
            let results = |part: &Part| matches!(part, Part::ToolResult(_));
            let results_only = !parts.is_empty() && parts.iter().all(results);
            if *role != Role::Tool && !results_only {
                list.serialize_element(&Said(*role, parts))?;
            }
        }
        list.end()
    }
}

#[derive(Serialize)]
struct Instructions<'a> {
    role: &'static str,
    content: &'a str,
}

#[derive(Serialize)]
struct Answer<'a> {
    role: &'static str,
    content: &'a str,
    tool_name: &'a str,
    tool_call_id: &'a str,
}

impl<'a> Answer<'a> {
    fn of(result: &'a ToolResult) -> Self {
        Self {
            role: "tool",
            content: &result.content,
            tool_name: &result.name,
            tool_call_id: result.call_id.as_str(),
        }
    }
}

/// What one of the two said. A refusal is said in words.
struct Said<'a>(Role, &'a [Part]);

impl Serialize for Said<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(role, parts) = self;
        let has = |wanted: fn(&Part) -> bool| parts.iter().any(wanted);
        let mut said = serializer.serialize_map(None)?;
        said.serialize_entry("role", role.as_str())?;
        if has(|part| matches!(part, Part::Refusal(_))) {
            let words: String = parts.iter().filter_map(spoken).collect();
            said.serialize_entry("content", &words)?;
        } else {
            said.serialize_entry("content", &Joined(parts))?;
        }
        if has(|part| thought(part).is_some()) {
            let thoughts: String = parts.iter().filter_map(thought).collect();
            said.serialize_entry("thinking", &thoughts)?;
        }
        if has(|part| image(part).is_some()) {
            said.serialize_entry("images", &Each(parts, image))?;
        }
        if has(|part| call(part).is_some()) {
            said.serialize_entry("tool_calls", &Each(parts, call))?;
        }
        said.end()
    }
}

/// Those of the parts that are something.
struct Each<'a, T>(&'a [Part], fn(&'a Part) -> Option<T>);

impl<T: Serialize> Serialize for Each<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().filter_map(self.1))
    }
}

fn spoken(part: &Part) -> Option<&str> {
    match part {
        Part::Text(text) | Part::Refusal(text) => Some(text),
        _ => None,
    }
}

fn thought(part: &Part) -> Option<&str> {
    match part {
        Part::Reasoning(thought) if !thought.text.is_empty() => Some(&thought.text),
        _ => None,
    }
}

fn image(part: &Part) -> Option<&str> {
    match part {
        Part::Media(Media {
            source: MediaSource::Base64(data),
            ..
        }) => Some(data),
        _ => None,
    }
}

#[derive(Serialize)]
struct Call<'a> {
    id: &'a str,
    function: Function<'a>,
}

#[derive(Serialize)]
struct Function<'a> {
    name: &'a str,
    arguments: Arguments<'a>,
}

fn call(part: &Part) -> Option<Call<'_>> {
    match part {
        Part::ToolCall(call) => Some(Call {
            id: call.id.as_str(),
            function: Function {
                name: &call.name,
                arguments: Arguments(&call.arguments),
            },
        }),
        _ => None,
    }
}
