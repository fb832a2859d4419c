//! What a registry holds.

use std::{
    fmt,
    sync::{Arc, LazyLock},
};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::FunctionHandle;
use crate::{agent::Agent, model::OutputFormat, tool::ToolHandle};

/// Something that a [`Registry`](super::Registry) holds. Cheap to clone.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Entry {
    /// An agent.
    Agent(Agent),
    /// A tool.
    Tool(ToolHandle),
    /// A function.
    Function(FunctionHandle),
}

/// What kind of thing an [`Entry`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EntryKind {
    /// An agent.
    Agent,
    /// A tool.
    Tool,
    /// A function.
    Function,
}

impl EntryKind {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Agent, Self::Tool, Self::Function];

    /// The kind as a word: `agent`, `tool` or `function`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Tool => "tool",
            Self::Function => "function",
        }
    }
}

impl fmt::Display for EntryKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Entry {
    /// What kind of thing it is.
    pub fn kind(&self) -> EntryKind {
        match self {
            Self::Agent(_) => EntryKind::Agent,
            Self::Tool(_) => EntryKind::Tool,
            Self::Function(_) => EntryKind::Function,
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Self::Agent(agent) => agent.name(),
            Self::Tool(tool) => &tool.spec().name,
            Self::Function(function) => function.name(),
        }
    }

    pub(super) fn shared_name(&self) -> Arc<str> {
        match self {
            Self::Agent(agent) => agent.settings().name.clone(),
            Self::Tool(tool) => tool.spec().name.clone(),
            Self::Function(function) => function.shared_name(),
        }
    }

    /// What it is for, where it says so.
    pub fn description(&self) -> Option<&str> {
        match self {
            Self::Agent(agent) => agent.description(),
            Self::Tool(tool) => Some(&*tool.spec().description).filter(|text| !text.is_empty()),
            Self::Function(function) => function.description(),
        }
    }

    /// The JSON schema of what it takes; `None` where it takes anything: an agent takes a prompt, whatever is in it.
    pub fn input_schema(&self) -> Option<&RawValue> {
        match self {
            Self::Agent(_) => None,
            Self::Tool(tool) => Some(&tool.spec().parameters),
            Self::Function(function) => function.input_schema(),
        }
    }

    /// The JSON schema of what it gives, where that is known: an agent without an output type gives text. What a tool gives is not
    /// known.
    pub fn output_schema(&self) -> Option<&RawValue> {
        static TEXT: LazyLock<Option<Box<RawValue>>> =
            LazyLock::new(|| RawValue::from_string(r#"{"type":"string"}"#.to_owned()).ok());
        match self {
            Self::Agent(agent) => match agent.settings().output.format() {
                OutputFormat::Text => TEXT.as_deref(),
                OutputFormat::JsonObject => None,
                OutputFormat::JsonSchema { schema, .. } => Some(schema),
            },
            Self::Tool(_) => None,
            Self::Function(function) => function.output_schema(),
        }
    }

    /// It in words.
    pub fn listing(&self) -> Listing {
        let mut listing = Listing {
            kind: self.kind(),
            name: self.shared_name(),
            description: self.description().map(Into::into),
            agent_type: None,
            capabilities: Vec::new(),
            model: None,
            tools: Vec::new(),
        };
        if let Self::Agent(agent) = self {
            let settings = agent.settings();
            listing.agent_type.clone_from(&settings.agent_type);
            listing.capabilities.clone_from(&settings.capabilities);
            listing.model = Some(settings.model.info().model.clone());
            let tools = settings.tools.specs().iter();
            listing.tools = tools.map(|tool| tool.name.clone()).collect();
        }
        listing
    }
}

impl From<Agent> for Entry {
    fn from(agent: Agent) -> Self {
        Self::Agent(agent)
    }
}

impl From<ToolHandle> for Entry {
    fn from(tool: ToolHandle) -> Self {
        Self::Tool(tool)
    }
}

impl From<FunctionHandle> for Entry {
    fn from(function: FunctionHandle) -> Self {
        Self::Function(function)
    }
}

/// An [`Entry`] in words; JSON of the same names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Listing {
    /// What kind of thing it is.
    pub kind: EntryKind,
    /// Its name.
    pub name: Arc<str>,
    /// What it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<Arc<str>>,
    /// The kind of agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_type: Option<Arc<str>>,
    /// What the agent says that it can do.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub capabilities: Vec<Arc<str>>,
    /// The model that the agent asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<Arc<str>>,
    /// The agent's tools.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<Arc<str>>,
}
