//! The tools of a request, and which of them the model must call.

use serde::{
    Serialize, Serializer,
    ser::{SerializeMap, SerializeSeq},
};
use serde_json::{Value, value::RawValue};

use super::request::{ANSWER_TOOL, CacheControl};
use crate::model::{ChatRequest, PromptCache, ServerTool, ToolChoice, ToolSpec, WebSearch};

/// What the model is told of the tool whose arguments are the answer.
const ANSWER: &str = "Gives the final answer. Call it once, when the answer is known, in place of writing the answer as text.";

/// All tools: the provider's, the user's, and the one whose arguments are the answer.
pub(super) struct Tools<'a> {
    pub(super) server: &'a [ServerTool],
    pub(super) own: &'a [ToolSpec],
    pub(super) answer: Option<&'a RawValue>,
    pub(super) cache: Option<PromptCache>,
}

impl Tools<'_> {
    pub(super) fn is_empty(&self) -> bool {
        self.server.is_empty() && self.own.is_empty() && self.answer.is_none()
    }
}

impl Serialize for Tools<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let count = self.server.len() + self.own.len() + usize::from(self.answer.is_some());
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
        if let Some(schema) = self.answer {
            tools.serialize_element(&Tool {
                name: ANSWER_TOOL,
                description: Some(ANSWER),
                input_schema: schema,
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
    /// The choice, unless it is the API's own. Where a tool gives the answer, some tool must be called, unless `forced` says
    /// that the API does not allow it.
    pub(super) fn of(request: &'a ChatRequest, answer: bool, forced: bool) -> Option<Self> {
        let only_answer = request.tools.is_empty() && request.settings.server_tools.is_empty();
        let (kind, name) = match &request.tool_choice {
            ToolChoice::Tool(name) => ("tool", Some(&**name)),
            ToolChoice::Auto | ToolChoice::None if answer && !forced => ("auto", None),
            ToolChoice::None if answer => ("tool", Some(ANSWER_TOOL)),
            ToolChoice::Auto | ToolChoice::Required if answer && only_answer => {
                ("tool", Some(ANSWER_TOOL))
            }
            ToolChoice::Auto if answer => ("any", None),
            ToolChoice::Auto => ("auto", None),
            ToolChoice::Required => ("any", None),
            ToolChoice::None => ("none", None),
        };
        let one_at_a_time = request.settings.parallel_tool_calls == Some(false) && kind != "none";
        (kind != "auto" || one_at_a_time).then_some(Self {
            kind,
            name,
            disable_parallel_tool_use: one_at_a_time,
        })
    }
}
