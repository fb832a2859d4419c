//! How far a run may go.

use std::{
    fmt,
    num::{NonZeroU32, NonZeroUsize},
    time::Duration,
};

use serde::Serialize;

/// How far a run may go. Nothing is unlimited by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Model calls of one agent. Default: 16.
    pub max_turns: NonZeroU32,
    /// Tool calls of one agent. Default: 64. A turn that would pass it runs none of its calls.
    pub max_tool_calls: u32,
    /// Wall time of one agent's run. Default: 10 minutes; always cut to the deadline of the run around it.
    pub timeout: Duration,
    /// Tool calls at once. Default: 16.
    pub parallel_tools: NonZeroUsize,
    /// Agents inside each other, the outermost included. Default: 4.
    pub max_depth: u8,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_turns: NonZeroU32::new(16).unwrap_or(NonZeroU32::MIN),
            max_tool_calls: 64,
            timeout: Duration::from_mins(10),
            parallel_tools: NonZeroUsize::new(16).unwrap_or(NonZeroUsize::MIN),
            max_depth: 4,
        }
    }
}

/// Which limit a run reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "limit", content = "value", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Limit {
    /// [`Limits::max_turns`].
    MaxTurns(u32),
    /// [`Limits::max_tool_calls`].
    MaxToolCalls(u32),
    /// [`Limits::max_depth`].
    MaxDepth(u8),
}

impl Limit {
    pub(crate) fn name_and_value(self) -> (&'static str, i64) {
        match self {
            Self::MaxTurns(value) => ("max_turns", value.into()),
            Self::MaxToolCalls(value) => ("max_tool_calls", value.into()),
            Self::MaxDepth(value) => ("max_depth", value.into()),
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, value) = self.name_and_value();
        write!(f, "{name} = {value}")
    }
}
