//! A chat request as the body of an HTTP request.

use serde::{Serialize, Serializer};

use super::{
    content::{Block, Turns, text},
    fields::{ADDITIONAL, additional},
    tools::ToolConfig,
};
use crate::model::{
    ChatRequest, ChatSettings, ModelError, OutputFormat,
    http::body::{Fields, write},
};

/// The fields that [`ChatSettings::extra`] cannot replace; what it has under the second is added to ours instead.
const RESERVED: [&str; 2] = ["messages", ADDITIONAL];

/// Asks for JSON of any shape, for which the API has no setting.
const JSON_OBJECT: &str = "Answer with one JSON object and nothing else, without a code fence.";

/// Writes the body.
///
/// # Errors
///
/// `BadRequest` where the API has no place for something.
pub(super) fn body(model: &str, request: &ChatRequest) -> Result<Vec<u8>, ModelError> {
    let mut turns = Turns::of(request)?;
    if matches!(request.output, OutputFormat::JsonObject) {
        turns.system.extend(text(JSON_OBJECT));
    }
    let tools = ToolConfig::of(request, turns.has_calls)?;
    write(&Body {
        model,
        request,
        turns,
        tools,
    })
}

struct Body<'a> {
    model: &'a str,
    request: &'a ChatRequest,
    turns: Turns<'a>,
    tools: Option<ToolConfig<'a>>,
}

impl Serialize for Body<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let settings = &*self.request.settings;
        let map = serializer.serialize_map(None)?;
        let mut body = Fields::new(map, &settings.extra, &RESERVED);
        let system: Option<&Vec<Block<'_>>> = Some(&self.turns.system);
        body.put_some("system", system.filter(|texts| !texts.is_empty()))?;
        body.put("messages", &self.turns.list)?;
        body.put_some("toolConfig", self.tools.as_ref())?;
        let inference = Inference::of(settings);
        body.put_some("inferenceConfig", inference.as_ref())?;
        body.put_some(ADDITIONAL, additional(self.model, settings).as_ref())?;
        if let OutputFormat::JsonSchema { name, schema, .. } = &self.request.output {
            let json_schema = Schema {
                name,
                schema: schema.get(),
            };
            let text_format = TextFormat {
                kind: "json_schema",
                structure: Structure { json_schema },
            };
            body.put("outputConfig", &OutputConfig { text_format })?;
        }
        let tier = settings.service_tier.as_deref().map(|kind| Tier { kind });
        body.put_some("serviceTier", tier.as_ref())?;
        body.end()
    }
}

/// Sampling and lengths.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Inference<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    stop_sequences: &'a [String],
}

impl<'a> Inference<'a> {
    fn of(settings: &'a ChatSettings) -> Option<Self> {
        let inference = Self {
            max_tokens: settings.max_output_tokens,
            temperature: settings.temperature,
            top_p: settings.top_p,
            stop_sequences: &settings.stop,
        };
        let is_set = inference.max_tokens.is_some()
            || inference.temperature.is_some()
            || inference.top_p.is_some()
            || !inference.stop_sequences.is_empty();
        is_set.then_some(inference)
    }
}

#[derive(Serialize)]
struct Tier<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OutputConfig<'a> {
    text_format: TextFormat<'a>,
}

#[derive(Serialize)]
struct TextFormat<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    structure: Structure<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Structure<'a> {
    json_schema: Schema<'a>,
}

/// The schema stands in it as text.
#[derive(Serialize)]
struct Schema<'a> {
    name: &'a str,
    schema: &'a str,
}
