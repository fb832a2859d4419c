//! What an operation is told at its start, by its kind; and what its span is called for it.

use std::{borrow::Cow, path::Path, sync::Arc};

use super::Kind;
use crate::{
    message::CallId,
    model::{ChatSettings, ModelInfo, Prompt},
};

/// What only one kind of operation has.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Details {
    /// Nothing more.
    #[default]
    None,
    /// A plan that runs.
    Workflow(WorkflowDetails),
    /// A step of a plan.
    Step(StepDetails),
    /// An agent's run.
    Agent(AgentDetails),
    /// A model request.
    Chat(ChatDetails),
    /// A request for vectors.
    Embeddings(EmbeddingDetails),
    /// One try of a model request.
    Attempt(AttemptDetails),
    /// A search in a data source, which the operation is named after.
    Retrieval(RetrievalDetails),
    /// Work on what is remembered.
    Memory(MemoryDetails),
    /// A tool call.
    Tool(ToolDetails),
}

impl Details {
    /// The value of `gen_ai.operation.name` for an operation of this kind; `None` for steps and attempts, of which the conventions
    /// know nothing.
    pub const fn operation_name(&self, kind: Kind) -> Option<&'static str> {
        match (kind, self) {
            (Kind::Step | Kind::Attempt, _) => None,
            (Kind::Memory, Self::Memory(memory)) => Some(memory.operation.as_str()),
            (kind, _) => Some(kind.span_name()),
        }
    }

    /// The name of a span by the conventions, for example `chat gpt-5`, `execute_tool search` or `search_memory`.
    pub fn span_name(&self, kind: Kind, name: &str) -> Cow<'static, str> {
        match self.name_parts(kind, name) {
            (first, "") => Cow::Borrowed(first),
            (first, second) => Cow::Owned(format!("{first} {second}")),
        }
    }

    /// The name of a span in two parts, the second one empty where the first is all.
    pub const fn name_parts<'a>(&self, kind: Kind, name: &'a str) -> (&'static str, &'a str) {
        match (kind, self.operation_name(kind)) {
            (Kind::Attempt, _) => (kind.span_name(), ""),
            (Kind::Memory, Some(operation)) => (operation, ""),
            _ => (kind.span_name(), name),
        }
    }

    /// The model that is asked.
    pub fn model(&self) -> Option<&Arc<ModelInfo>> {
        match self {
            Self::Chat(ChatDetails { model, .. })
            | Self::Embeddings(EmbeddingDetails { model, .. })
            | Self::Attempt(AttemptDetails { model, .. }) => Some(model),
            _ => None,
        }
    }

    /// The value of `gen_ai.tool.type`: `function`, unless the call says otherwise.
    pub fn tool_type(&self) -> &str {
        match self {
            Self::Tool(ToolDetails {
                tool_type: Some(other),
                ..
            }) => other,
            _ => "function",
        }
    }
}

/// What a `workflow` operation is told at its start; the operation's name is the plan's.
#[derive(Clone, Debug, Default)]
#[allow(
    clippy::exhaustive_structs,
    reason = "written out by whoever opens the operation"
)]
pub struct WorkflowDetails {
    /// How many steps the plan has.
    pub total_steps: Option<u32>,
    /// The directory that it works in.
    pub workspace: Option<Arc<Path>>,
}

/// What a `step` operation is told at its start; the operation's name is the step's.
#[derive(Clone, Debug, Default)]
#[allow(
    clippy::exhaustive_structs,
    reason = "written out by whoever opens the operation"
)]
pub struct StepDetails {
    /// The step's id in its plan.
    pub id: Option<Arc<str>>,
    /// What kind of step it is, for example `agent` or `tool`.
    pub step_kind: Option<Arc<str>>,
    /// The number of the try, from 1.
    pub attempt: Option<u32>,
    /// Its number in the plan, from 1.
    pub number: Option<u32>,
    /// How many steps the plan has.
    pub total_steps: Option<u32>,
    /// What it is for.
    pub description: Option<Arc<str>>,
    /// The kind of agent that runs in it.
    pub agent_type: Option<Arc<str>>,
}

/// What an `agent` operation is told at its start.
#[derive(Clone, Debug, Default)]
#[allow(
    clippy::exhaustive_structs,
    reason = "written out by whoever opens the operation"
)]
pub struct AgentDetails {
    /// The kind of agent, for example `researcher`.
    pub agent_type: Option<Arc<str>>,
    /// What it does.
    pub description: Option<Arc<str>>,
    /// Whether its answer is JSON of a schema.
    pub json_output: bool,
    /// Where its answer will be written.
    pub output_file: Option<Arc<Path>>,
    /// The model that it asks.
    pub model: Option<Arc<ModelInfo>>,
}

/// What a `chat` operation is told at its start.
#[derive(Clone, Debug)]
#[allow(
    clippy::exhaustive_structs,
    reason = "written out by whoever opens the operation"
)]
pub struct ChatDetails {
    /// Which model, of whom, where.
    pub model: Arc<ModelInfo>,
    /// Sampling and lengths.
    pub settings: Arc<ChatSettings>,
    /// Whether the answer is streamed.
    pub stream: bool,
    /// Whether the answer is JSON.
    pub json_output: bool,
    /// The prompt that the request was made of, where it has a name.
    pub prompt: Option<Arc<Prompt>>,
}

impl ChatDetails {
    /// A request to a model, for a whole answer of text.
    pub fn new(model: impl Into<Arc<ModelInfo>>) -> Self {
        Self {
            model: model.into(),
            settings: Arc::default(),
            stream: false,
            json_output: false,
            prompt: None,
        }
    }
}

/// What an `embeddings` operation is told at its start.
#[derive(Clone, Debug)]
#[allow(
    clippy::exhaustive_structs,
    reason = "written out by whoever opens the operation"
)]
pub struct EmbeddingDetails {
    /// Which model, of whom, where.
    pub model: Arc<ModelInfo>,
    /// How long the vectors shall be, where that was asked for.
    pub dimensions: Option<u32>,
    /// How the vectors are sent, where that was asked for: `float` or `base64`.
    pub encoding: Option<&'static str>,
}

/// What an `attempt` operation is told at its start.
#[derive(Clone, Debug)]
#[allow(
    clippy::exhaustive_structs,
    reason = "written out by whoever opens the operation"
)]
pub struct AttemptDetails {
    /// Which model, of whom, where.
    pub model: Arc<ModelInfo>,
    /// The number of the try, from 1.
    pub number: u32,
}

/// What a `retrieval` operation is told at its start.
#[derive(Clone, Debug, Default)]
#[allow(
    clippy::exhaustive_structs,
    reason = "written out by whoever opens the operation"
)]
pub struct RetrievalDetails {
    /// Who runs the data source.
    pub provider: Option<Arc<str>>,
    /// How many documents are asked for.
    pub top_k: Option<u32>,
}

/// What a `memory` operation is told at its start.
#[derive(Clone, Debug)]
#[allow(
    clippy::exhaustive_structs,
    reason = "written out by whoever opens the operation"
)]
pub struct MemoryDetails {
    /// What is done.
    pub operation: MemoryOperation,
    /// Who runs the store.
    pub provider: Option<Arc<str>>,
    /// The store's id.
    pub store: Option<Arc<str>>,
    /// The id of the record, where it is one.
    pub record: Option<Arc<str>>,
}

impl MemoryDetails {
    /// Work on a store that has no name.
    pub const fn new(operation: MemoryOperation) -> Self {
        Self {
            operation,
            provider: None,
            store: None,
            record: None,
        }
    }
}

/// What is done to what is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MemoryOperation {
    /// Records are looked for.
    Search,
    /// A record is made.
    Create,
    /// A record is changed.
    Update,
    /// A record is made, or changed where there is one.
    Upsert,
    /// A record is removed.
    Delete,
    /// A store is made.
    CreateStore,
    /// A store is removed.
    DeleteStore,
}

impl MemoryOperation {
    /// The value recorded as `gen_ai.operation.name`, which is also the span's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Search => "search_memory",
            Self::Create => "create_memory",
            Self::Update => "update_memory",
            Self::Upsert => "upsert_memory",
            Self::Delete => "delete_memory",
            Self::CreateStore => "create_memory_store",
            Self::DeleteStore => "delete_memory_store",
        }
    }
}

/// What a `tool` operation is told at its start.
#[derive(Clone, Debug, Default)]
#[allow(
    clippy::exhaustive_structs,
    reason = "written out by whoever opens the operation"
)]
pub struct ToolDetails {
    /// The model's id for the call.
    pub call_id: Option<CallId>,
    /// What the tool does.
    pub description: Option<Arc<str>>,
    /// What kind of tool it is: `extension`, `datastore`; `None` for a function.
    pub tool_type: Option<Arc<str>>,
}
