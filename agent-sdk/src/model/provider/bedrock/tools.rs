//! Tools, and which of them must be called.

use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::{Value, value::RawValue};

use super::{NAME, content::CachePoint};
use crate::model::{ChatRequest, ModelError, ServerTool, ToolChoice, ToolSpec, http::body::refuse};

/// The tools of a request, and which of them must be called.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ToolConfig<'a> {
    tools: Vec<Tool<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<Choice<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum Tool<'a> {
    #[serde(rename = "toolSpec")]
    Declared(Declared<'a>),
    CachePoint(CachePoint),
    #[serde(untagged)]
    Native(&'a Value),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Declared<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    description: &'a str,
    input_schema: Schema<'a>,
}

#[derive(Serialize)]
struct Schema<'a> {
    json: &'a RawValue,
}

struct Choice<'a>(&'a ToolChoice);

impl<'a> ToolConfig<'a> {
    /// The tools of a request; `None` where none may be called.
    ///
    /// # Errors
    ///
    /// `BadRequest` where the API has no place for what is asked.
    pub(super) fn of(
        request: &'a ChatRequest,
        has_calls: bool,
    ) -> Result<Option<Self>, ModelError> {
        let settings = &*request.settings;
        let mut tools: Vec<_> = request.tools.iter().map(declared).collect();
        for tool in &settings.server_tools {
            match tool {
                ServerTool::Native(tool) => tools.push(Tool::Native(tool)),
                ServerTool::WebSearch(_) => {
                    return refuse(format!("{NAME} has no place for a search of the web"));
                }
            }
        }
        if tools.is_empty() {
            return Ok(None);
        }
        let tool_choice = match &request.tool_choice {
            ToolChoice::Auto => None,
            // The history of a call is only taken together with tools.
            ToolChoice::None if has_calls => {
                return refuse(format!(
                    "{NAME} cannot keep a model from calling tools once some were called"
                ));
            }
            ToolChoice::None => return Ok(None),
            choice => Some(Choice(choice)),
        };
        if let Some(cache) = settings.prompt_cache.filter(|cache| cache.tools) {
            tools.push(Tool::CachePoint(CachePoint::of(cache.lifetime)));
        }
        Ok(Some(Self { tools, tool_choice }))
    }
}

fn declared(tool: &ToolSpec) -> Tool<'_> {
    Tool::Declared(Declared {
        name: &tool.name,
        description: &tool.description,
        input_schema: Schema {
            json: &tool.parameters,
        },
    })
}

impl Serialize for Choice<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Any {}
        #[derive(Serialize)]
        struct This<'a> {
            name: &'a str,
        }
        let mut choice = serializer.serialize_map(Some(1))?;
        match self.0 {
            ToolChoice::Tool(name) => choice.serialize_entry("tool", &This { name })?,
            ToolChoice::Required => choice.serialize_entry("any", &Any {})?,
            ToolChoice::Auto | ToolChoice::None => choice.serialize_entry("auto", &Any {})?,
        }
        choice.end()
    }
}
