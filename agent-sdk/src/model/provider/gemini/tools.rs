//! The tools of a request, the model's and the provider's, and whether they must be called.

use serde::{Serialize, Serializer, ser::SerializeMap, ser::SerializeSeq};
use serde_json::{Map, Value, value::RawValue};

use super::Place;
use crate::model::{
    ModelError, ServerTool, ToolChoice, ToolSpec, WebSearch,
    http::body::{Fields, refuse},
};

/// Refuses what the API has no place for.
pub(super) fn check(tools: &[ServerTool], place: Place) -> Result<(), ModelError> {
    for tool in tools {
        match tool {
            ServerTool::WebSearch(search) => {
                if search.max_uses.is_some() {
                    return refuse("the Gemini API cannot limit how often it searches");
                }
                if !search.allowed_domains.is_empty() {
                    return refuse("the Gemini API cannot search some domains only");
                }
                if !search.blocked_domains.is_empty() && place == Place::Gemini {
                    return refuse("the Gemini API leaves out no domains; Vertex AI does");
                }
            }
            ServerTool::Native(Value::Object(_)) => {}
            ServerTool::Native(_) => return refuse("a tool of the Gemini API is a JSON object"),
        }
    }
    Ok(())
}

/// All tools, in one object as the API's examples have them. Two of the provider's own under one name stand in two.
pub(super) struct Tools<'a> {
    pub(super) specs: &'a [ToolSpec],
    pub(super) server: &'a [ServerTool],
}

impl Serialize for Tools<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut names: Vec<&str> = Vec::new();
        let (mut together, mut apart) = (Vec::new(), Vec::new());
        for tool in self.server {
            if let ServerTool::Native(Value::Object(fields)) = tool {
                let is_new = |name: &String| {
                    !names.contains(&name.as_str())
                        && name != "functionDeclarations"
                        && name != "googleSearch"
                };
                if fields.keys().all(is_new) {
                    names.extend(fields.keys().map(String::as_str));
                    together.push(fields);
                } else {
                    apart.push(fields);
                }
            }
        }
        let search = self.server.iter().find_map(|tool| match tool {
            ServerTool::WebSearch(search) => Some(search),
            ServerTool::Native(_) => None,
        });
        let mut list = serializer.serialize_seq(None)?;
        let first = First {
            specs: self.specs,
            search,
            native: &together,
        };
        if !(first.specs.is_empty() && search.is_none() && together.is_empty()) {
            list.serialize_element(&first)?;
        }
        for fields in apart {
            list.serialize_element(fields)?;
        }
        list.end()
    }
}

struct First<'a> {
    specs: &'a [ToolSpec],
    search: Option<&'a WebSearch>,
    native: &'a [&'a Map<String, Value>],
}

impl Serialize for First<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if !self.specs.is_empty() {
            map.serialize_entry("functionDeclarations", &Declarations(self.specs))?;
        }
        if let Some(search) = self.search {
            let exclude_domains = Some(&*search.blocked_domains).filter(|list| !list.is_empty());
            map.serialize_entry("googleSearch", &Search { exclude_domains })?;
        }
        for (name, value) in self.native.iter().copied().flatten() {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Search<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    exclude_domains: Option<&'a [String]>,
}

struct Declarations<'a>(&'a [ToolSpec]);

impl Serialize for Declarations<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|tool| Declaration {
            name: &tool.name,
            description: Some(&*tool.description).filter(|text| !text.is_empty()),
            parameters_json_schema: &tool.parameters,
        }))
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Declaration<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    parameters_json_schema: &'a RawValue,
}

/// How tools are used; fields of the user's replace those of the same name.
pub(super) struct ToolConfig<'a> {
    pub(super) choice: Option<&'a ToolChoice>,
    /// Whether the model's tools and the provider's are used together, which models want told.
    pub(super) mixed: bool,
    pub(super) extra: &'a Map<String, Value>,
}

impl ToolConfig<'_> {
    pub(super) fn is_empty(&self) -> bool {
        self.choice.is_none() && !self.mixed && self.extra.is_empty()
    }
}

impl Serialize for ToolConfig<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut config = Fields::new(serializer.serialize_map(None)?, self.extra, &[]);
        if let Some(choice) = self.choice {
            let (mode, only) = match choice {
                ToolChoice::Auto => ("AUTO", None),
                ToolChoice::None => ("NONE", None),
                ToolChoice::Required => ("ANY", None),
                ToolChoice::Tool(name) => ("ANY", Some([&**name])),
            };
            let calling = Calling {
                mode,
                allowed_function_names: only,
            };
            config.put("functionCallingConfig", &calling)?;
        }
        if self.mixed {
            config.put("includeServerSideToolInvocations", &true)?;
        }
        config.end()
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Calling<'a> {
    mode: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed_function_names: Option<[&'a str; 1]>,
}
