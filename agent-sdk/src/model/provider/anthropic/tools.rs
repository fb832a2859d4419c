//! The tools of a request, and which of them the model must call.

use serde::{
    Serialize, Serializer,
    ser::{SerializeMap, SerializeSeq},
};
use serde_json::{Value, value::RawValue};

use super::request::CacheControl;
use crate::model::{ChatRequest, PromptCache, ServerTool, ToolChoice, ToolSpec, WebSearch};

/// All tools: the provider's and the user's.
pub(super) struct Tools<'a> {
    pub(super) server: &'a [ServerTool],
    pub(super) own: &'a [ToolSpec],
    pub(super) cache: Option<PromptCache>,
}

impl Tools<'_> {
    pub(super) fn is_empty(&self) -> bool {
        self.server.is_empty() && self.own.is_empty()
    }
}

impl Serialize for Tools<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let count = self.server.len() + self.own.len();
        let mut left = count;
        let mut last = || {
            left = left.saturating_sub(1);
            let cache = self.cache.filter(|_| left == 0);
            cache.map(CacheControl::from)
        };
        let mut tools = serializer.serialize_seq(Some(count))?;
        for tool in self.server {
            match tool {
                ServerTool::WebSearch(search) => {
                    tools.serialize_element(&Search::of(search, last()))
                }
                ServerTool::Native(tool) => tools.serialize_element(&Native(tool, last())),
            }?;
        }
        for tool in self.own {
            tools.serialize_element(&Tool {
                name: &tool.name,
                description: Some(&*tool.description).filter(|text| !text.is_empty()),
                input_schema: &tool.parameters,
                cache_control: last(),
            })?;
        }
        tools.end()
    }
}

#[derive(Serialize)]
struct Tool<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    input_schema: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_control: Option<CacheControl>,
}

#[derive(Serialize)]
struct Search<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    name: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_uses: Option<u32>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    allowed_domains: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    blocked_domains: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_control: Option<CacheControl>,
}

impl<'a> Search<'a> {
    fn of(search: &'a WebSearch, cache_control: Option<CacheControl>) -> Self {
        Self {
            kind: "web_search_20250305",
            name: "web_search",
            max_uses: search.max_uses,
            allowed_domains: &search.allowed_domains,
            blocked_domains: &search.blocked_domains,
            cache_control,
        }
    }
}

/// A tool as the user wrote it.
struct Native<'a>(&'a Value, Option<CacheControl>);

impl Serialize for Native<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (Some(tool), Some(cache)) = (self.0.as_object(), self.1) else {
            return self.0.serialize(serializer);
        };
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in tool {
            if name != "cache_control" {
                map.serialize_entry(name, value)?;
            }
        }
        map.serialize_entry("cache_control", &cache)?;
        map.end()
    }
}

/// Which tools the model must call, and whether only one at a time.
#[derive(Serialize)]
pub(super) struct Choice<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    disable_parallel_tool_use: bool,
}

impl<'a> Choice<'a> {
    /// The choice, unless it is the API's own.
    pub(super) fn of(request: &'a ChatRequest) -> Option<Self> {
        let (kind, name) = match &request.tool_choice {
            ToolChoice::Auto => ("auto", None),
            ToolChoice::Required => ("any", None),
            ToolChoice::None => ("none", None),
            ToolChoice::Tool(name) => ("tool", Some(&**name)),
        };
        let one_at_a_time = request.settings.parallel_tool_calls == Some(false) && kind != "none";
        (kind != "auto" || one_at_a_time).then_some(Self {
            kind,
            name,
            disable_parallel_tool_use: one_at_a_time,
        })
    }
}
