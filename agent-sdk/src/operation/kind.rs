//! What an operation is, and how it ended.

use serde::{Deserialize, Serialize};

/// What an operation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Kind {
    /// A plan that runs: span `invoke_workflow`.
    Workflow,
    /// A step of a plan.
    Step,
    /// The making of a plan.
    Plan,
    /// An agent's run: span `invoke_agent`.
    Agent,
    /// A model request, with all its attempts.
    Chat,
    /// One try of a model request: an HTTP client span.
    Attempt,
    /// An embeddings request.
    Embeddings,
    /// A search in a data source.
    Retrieval,
    /// A memory operation.
    Memory,
    /// A tool call: span `execute_tool`.
    Tool,
}

impl Kind {
    /// The kind's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Workflow => "workflow",
            Self::Step => "step",
            Self::Plan => "plan",
            Self::Agent => "agent",
            Self::Chat => "chat",
            Self::Attempt => "attempt",
            Self::Embeddings => "embeddings",
            Self::Retrieval => "retrieval",
            Self::Memory => "memory",
            Self::Tool => "tool",
        }
    }

    /// The first word of the span's name; for those that the conventions know, also `gen_ai.operation.name`. Of memory, the
    /// [details](super::Details::operation_name) know better.
    pub const fn span_name(self) -> &'static str {
        match self {
            Self::Workflow => "invoke_workflow",
            Self::Agent => "invoke_agent",
            Self::Tool => "execute_tool",
            Self::Attempt => "POST",
            other => other.as_str(),
        }
    }

    /// Whether its span is that of a client: somebody outside of this process does the work.
    pub const fn is_client(self) -> bool {
        matches!(
            self,
            Self::Chat | Self::Embeddings | Self::Attempt | Self::Retrieval
        )
    }

    /// Whether usage and cost stand on operations of this kind.
    pub const fn is_priced(self) -> bool {
        matches!(self, Self::Chat | Self::Embeddings)
    }
}

/// How an operation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// As it should.
    Ok,
    /// It failed.
    Error,
    /// Its caller gave it up.
    Cancelled,
    /// It took too long.
    Timeout,
    /// A budget refused it.
    Budget,
    /// A limit was reached.
    Limit,
    /// It waits to be resumed.
    Paused,
    /// It was not needed.
    Skipped,
}

impl Outcome {
    /// The value recorded as `agent_sdk.outcome`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Error => "error",
            Self::Cancelled => "cancelled",
            Self::Timeout => "timeout",
            Self::Budget => "budget",
            Self::Limit => "limit",
            Self::Paused => "paused",
            Self::Skipped => "skipped",
        }
    }

    /// Whether the operation did not do what it should have done: its span has the status `Error`.
    pub const fn is_failure(self) -> bool {
        !matches!(self, Self::Ok | Self::Paused | Self::Skipped)
    }
}
