//! Why a tool call failed.

use std::fmt;

/// A tool call that failed. The model sees the text, so it should say what to do differently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolError {
    kind: ToolErrorKind,
    message: String,
}

/// The class of a [`ToolError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ToolErrorKind {
    /// The model's arguments do not fit the tool's schema.
    InvalidArguments,
    /// There is no such tool, or it may not be used in this run.
    UnknownTool,
    /// The tool says that it failed.
    Failed,
    /// The call's time was up.
    Timeout,
    /// The tool's code panicked.
    Panic,
    /// The run was given up before the call was over.
    Cancelled,
    /// A limit of the run does not allow the call.
    Limit,
    /// A budget did not admit what it wanted to pay for, or what an agent inside it asked for.
    Budget,
    /// The tool kept failing, and is not called for a while.
    CircuitOpen,
    /// The tool is called as often as it may be, and the call's turn would come too late.
    RateLimited,
    /// A person has to allow the call first.
    NeedsApproval,
    /// A person did not allow the call.
    Rejected,
    /// The call was under way when the run stopped; nobody knows whether it took effect.
    Interrupted,
    /// The run pauses, and an agent inside the call with it: the call gives its result when the run goes on.
    Paused,
}

impl ToolErrorKind {
    const ALL: [Self; 14] = [
        Self::InvalidArguments,
        Self::UnknownTool,
        Self::Failed,
        Self::Timeout,
        Self::Panic,
        Self::Cancelled,
        Self::Limit,
        Self::Budget,
        Self::CircuitOpen,
        Self::RateLimited,
        Self::NeedsApproval,
        Self::Rejected,
        Self::Interrupted,
        Self::Paused,
    ];

    /// The class of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// The low-cardinality value recorded as `error.type`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidArguments => "invalid_arguments",
            Self::UnknownTool => "unknown_tool",
            Self::Failed => "tool_error",
            Self::Timeout => "timeout",
            Self::Panic => "panic",
            Self::Cancelled => "cancelled",
            Self::Limit => "limit",
            Self::Budget => "budget",
            Self::CircuitOpen => "circuit_open",
            Self::RateLimited => "rate_limited",
            Self::NeedsApproval => "needs_approval",
            Self::Rejected => "rejected",
            Self::Interrupted => "interrupted",
            Self::Paused => "paused",
        }
    }
}

impl ToolError {
    /// An error of a class, with words for the model.
    pub fn new(kind: ToolErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }

    /// The tool failed.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(ToolErrorKind::Failed, message)
    }

    /// A person has to allow this call first: they are asked `question`, and if they do, the tool is called again with
    /// [`is_approved`](super::ToolContext::is_approved). Nothing may have been done yet.
    pub fn needs_approval(question: impl Into<String>) -> Self {
        Self::new(ToolErrorKind::NeedsApproval, question)
    }

    /// The arguments do not fit. The model is told 2 KB of it at most: a longer text loses its middle.
    pub fn invalid_arguments(message: impl Into<String>) -> Self {
        Self::new(ToolErrorKind::InvalidArguments, message)
    }

    /// The class of the failure.
    pub fn kind(&self) -> ToolErrorKind {
        self.kind
    }

    /// What the model is told.
    pub fn message(&self) -> &str {
        &self.message
    }
}

/// The model is told what is left.
impl From<crate::budget::BudgetError> for ToolError {
    fn from(error: crate::budget::BudgetError) -> Self {
        Self::new(ToolErrorKind::Budget, error.to_string())
    }
}

impl fmt::Display for ToolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.as_str(), self.message)
    }
}

impl std::error::Error for ToolError {}
