//! A chat request as the body of an HTTP request.
//!
//! The body is written straight from the borrowed request: neither the history nor a schema is cloned, and only what is set
//! is sent.

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use super::{
    GenerateContent, Place, contents,
    contents::Contents,
    generation::{Generation, Thinking},
    tools::{self, ToolConfig, Tools},
    usage::generation,
};
use crate::{
    message::{Part, Role},
    model::{
        ChatRequest, ModelError, OutputFormat, ToolChoice,
        http::body::{self, Fields},
    },
};

/// The fields that [`ChatSettings::extra`](crate::model::ChatSettings::extra) cannot replace; into the last two its own are added.
const RESERVED: [&str; 3] = ["contents", "generationConfig", "toolConfig"];

/// What asks for JSON of any shape where no field may.
const AS_JSON: &str = "Answer with one JSON object and nothing else, without a code fence.";

/// Writes the body.
///
/// # Errors
///
/// [`ModelErrorKind::BadRequest`](crate::model::ModelErrorKind::BadRequest) where the API has no place for a part of the history
/// or for what a server tool shall do.
pub(super) fn body(
    api: &GenerateContent,
    model: &str,
    request: &ChatRequest,
) -> Result<Vec<u8>, ModelError> {
    for message in request.conversation.messages() {
        for part in &message.parts {
            contents::check(message.role, part)?;
        }
    }
    tools::check(&request.settings.server_tools, api.place())?;
    let none = Map::new();
    let inner = |name: &str| match request.settings.extra.get(name) {
        Some(Value::Object(fields)) => fields,
        _ => &none,
    };
    body::write(&Body {
        api,
        model,
        request,
        generation_extra: inner("generationConfig"),
        tool_extra: inner("toolConfig"),
    })
}

struct Body<'a> {
    api: &'a GenerateContent,
    model: &'a str,
    request: &'a ChatRequest,
    generation_extra: &'a Map<String, Value>,
    tool_extra: &'a Map<String, Value>,
}

impl Serialize for Body<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (request, settings) = (self.request, &*self.request.settings);
        let is_old = matches!(generation(self.model), Some(1 | 2));
        let has_tools = !request.tools.is_empty() || !settings.server_tools.is_empty();
        // Up to their second generation models take no form beside tools. Of a schema it is asked for otherwise before this.
        let in_words = is_old && has_tools && matches!(request.output, OutputFormat::JsonObject);
        let output = if in_words {
            &OutputFormat::Text
        } else {
            &request.output
        };
        let mut body = Fields::new(serializer.serialize_map(None)?, &settings.extra, &RESERVED);
        let instructions = instructions(request, in_words);
        if !instructions.is_empty() {
            body.put(
                "systemInstruction",
                &Instructions {
                    parts: instructions,
                },
            )?;
        }
        body.put(
            "contents",
            &Contents {
                messages: request.conversation.messages(),
                wants_signatures: !is_old && generation(self.model).is_some(),
            },
        )?;
        if has_tools {
            body.put(
                "tools",
                &Tools {
                    specs: &request.tools,
                    server: &settings.server_tools,
                },
            )?;
        }
        let is_mixed = !request.tools.is_empty() && !settings.server_tools.is_empty();
        let choice = Some(&request.tool_choice).filter(|choice| **choice != ToolChoice::Auto);
        let config = ToolConfig {
            choice: choice.filter(|_| !request.tools.is_empty()),
            mixed: is_mixed && !is_old && self.api.place() == Place::Gemini,
            extra: self.tool_extra,
        };
        if !config.is_empty() {
            body.put("toolConfig", &config)?;
        }
        let generation = Generation {
            settings,
            output,
            thinking: Thinking::of(self.model, settings, self.api.show_thoughts),
            extra: self.generation_extra,
        };
        if !generation.is_empty() {
            body.put("generationConfig", &generation)?;
        }
        if self.api.place() == Place::Gemini {
            body.put_some("serviceTier", settings.service_tier.as_ref())?;
        }
        body.end()
    }
}

#[derive(Serialize)]
struct Instructions<'a> {
    parts: Vec<Said<'a>>,
}

#[derive(Serialize)]
struct Said<'a> {
    text: &'a str,
}

/// All instructions: the request's, those in the history, which the API has no other place for, and what form the answer has.
fn instructions(request: &ChatRequest, as_json: bool) -> Vec<Said<'_>> {
    let own = request.instructions.as_deref();
    let messages = request.conversation.messages().iter();
    let later = messages
        .filter(|message| message.role == Role::System)
        .flat_map(|message| message.parts.iter().filter_map(Part::as_text));
    let given = own.into_iter().chain(later).filter(|text| !text.is_empty());
    given
        .chain(as_json.then_some(AS_JSON))
        .map(|text| Said { text })
        .collect()
}
