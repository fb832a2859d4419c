//! In what a replay is not as it was.

use std::{fmt, sync::Arc};

use serde::Serialize;

/// Something in which a replay is not as the run was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Difference {
    /// Where: the path of an agent, empty for the outermost, or of a call, as [`Question::path`](crate::journal::Question::path).
    pub path: Arc<str>,
    /// The number of the run's record that it is about, where it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// What is different.
    pub kind: DifferenceKind,
    /// What was and what is, for people. It quotes neither answers nor arguments nor results.
    pub text: String,
}

/// What is different.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DifferenceKind {
    /// Instructions, tools or the form of the answer are not what they were.
    Definition,
    /// A tool call gives something else: its tool is gone, refuses the arguments, or has less time.
    ToolResult,
    /// The check of an answer decides otherwise.
    OutputCheck,
    /// A person is asked who was not asked.
    Asked,
    /// A person was asked who is not asked.
    NotAsked,
    /// The run wants something that was not recorded: the recording ends here.
    RecordingEnds,
    /// Something was recorded that the run did not ask for.
    LeftOver,
    /// The run ends in another way.
    Ending,
    /// The final answer is another.
    Answer,
    /// The answers used another number of tokens, all together.
    Usage,
    /// The same answers cost something else.
    Cost,
}

impl DifferenceKind {
    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Definition => "definition",
            Self::ToolResult => "tool_result",
            Self::OutputCheck => "output_check",
            Self::Asked => "asked",
            Self::NotAsked => "not_asked",
            Self::RecordingEnds => "recording_ends",
            Self::LeftOver => "left_over",
            Self::Ending => "ending",
            Self::Answer => "answer",
            Self::Usage => "usage",
            Self::Cost => "cost",
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(version) = self.version {
            write!(f, "record {version}")?;
            if self.path.is_empty() {
                f.write_str(": ")?;
            } else {
                write!(f, " at {}: ", self.path)?;
            }
        } else if !self.path.is_empty() {
            write!(f, "at {}: ", self.path)?;
        }
        f.write_str(&self.text)
    }
}
