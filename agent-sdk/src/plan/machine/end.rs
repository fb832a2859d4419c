//! How tasks, steps and plans end.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How a task ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Ended {
    /// It gave this.
    Ok {
        /// What it gave.
        output: Value,
    },
    /// It failed.
    Failed {
        /// Why.
        fault: Fault,
    },
    /// It was told to stop, and did.
    Cancelled,
}

/// Why a try failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Fault {
    /// The failure's class, as in `error.type`.
    pub class: Arc<str>,
    /// What went wrong, for people.
    pub message: Arc<str>,
    /// Whether it may pass, so that another try makes sense.
    #[serde(default)]
    pub may_pass: bool,
    /// The number of the element, from 0, where the step has a list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<u32>,
    /// What failed: 0 is the step's own work, others are its fallbacks in their order.
    #[serde(default)]
    pub choice: u32,
    /// The number of the try, from 1.
    #[serde(default)]
    pub attempt: u32,
}

impl Fault {
    /// A failure of a class, which does not pass by itself.
    pub fn new(class: impl Into<Arc<str>>, message: impl Into<Arc<str>>) -> Self {
        Self {
            class: class.into(),
            message: message.into(),
            may_pass: false,
            item: None,
            choice: 0,
            attempt: 1,
        }
    }

    /// Says that it may pass.
    #[must_use]
    pub fn passing(mut self) -> Self {
        self.may_pass = true;
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(item) = self.item {
            write!(f, "element {item}, ")?;
        }
        match self.choice {
            0 => write!(f, "try {}: ", self.attempt)?,
            choice => write!(f, "fallback {choice}: ")?,
        }
        write!(f, "{}: {}", self.class, self.message)
    }
}

/// How a step ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
#[non_exhaustive]
pub enum StepEnd {
    /// It succeeded.
    Ok {
        /// What it gave.
        output: Value,
        /// The number of the fallback that gave it, from 1; 0 where its own work did. Of a list, the highest of its elements'.
        fallback: u32,
        /// What went wrong before.
        causes: Vec<Fault>,
    },
    /// It failed.
    Failed {
        /// What went wrong, in order.
        causes: Vec<Fault>,
    },
    /// Its time was up.
    TimedOut {
        /// What went wrong before.
        causes: Vec<Fault>,
    },
    /// It was under way when the plan stopped.
    Cancelled {
        /// What went wrong before.
        causes: Vec<Fault>,
    },
    /// It was not begun, or given up by a person.
    Skipped {
        /// Why.
        because: SkipReason,
        /// Whether nothing had failed for it.
        is_harmless: bool,
    },
}

/// Why a step was skipped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SkipReason {
    /// Its condition is false.
    Condition,
    /// A person said so.
    Person,
    /// This step, which it waits for, did not succeed.
    Step(Arc<str>),
    /// The plan stopped before its turn.
    Stopped,
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Condition => f.write_str("its condition is false"),
            Self::Person => f.write_str("somebody skipped it"),
            Self::Step(id) => write!(f, "step `{id}` did not succeed"),
            Self::Stopped => f.write_str("the plan stopped before its turn"),
        }
    }
}

impl StepEnd {
    /// Its name: `ok`, `failed`, `timed_out`, `cancelled` or `skipped`.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Ok { .. } => "ok",
            Self::Failed { .. } => "failed",
            Self::TimedOut { .. } => "timed_out",
            Self::Cancelled { .. } => "cancelled",
            Self::Skipped { .. } => "skipped",
        }
    }

    /// Whether it succeeded.
    pub const fn is_ok(&self) -> bool {
        matches!(self, Self::Ok { .. })
    }

    /// Whether it succeeded, or did not have to.
    pub const fn is_harmless(&self) -> bool {
        matches!(
            self,
            Self::Ok { .. }
                | Self::Skipped {
                    is_harmless: true,
                    ..
                }
        )
    }

    /// Whether the plan's stop is all that was in its way.
    pub(super) const fn is_of_stop(&self) -> bool {
        matches!(
            self,
            Self::Cancelled { .. }
                | Self::Skipped {
                    because: SkipReason::Stopped,
                    ..
                }
        )
    }

    /// What went wrong on the way, in order.
    pub fn causes(&self) -> &[Fault] {
        match self {
            Self::Ok { causes, .. }
            | Self::Failed { causes }
            | Self::TimedOut { causes }
            | Self::Cancelled { causes } => causes,
            Self::Skipped { .. } => &[],
        }
    }
}

/// How a plan ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum End {
    /// Every step that nothing waits for succeeded, or did not have to.
    Ok,
    /// One of those failed, or was skipped because of a failure.
    Failed,
    /// It was told to stop.
    Cancelled,
    /// Its time was up.
    TimedOut,
}

impl End {
    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::TimedOut => "timed_out",
        }
    }
}
