//! Changes of a plan that runs.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Step;

/// A change of a plan that runs. It is checked as a whole plan is, applied between steps, and kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Change {
    /// Adds a step; it may wait for any that is there.
    Add {
        /// The step.
        step: Box<Step>,
    },
    /// Takes a step out that has not begun and that no other waits for.
    Remove {
        /// Its id.
        id: Arc<str>,
    },
    /// Puts another step in the place of one of the same id that has not begun.
    Modify {
        /// The step as it is to be.
        step: Box<Step>,
    },
    /// Begins no more steps; what runs goes on.
    Pause,
    /// Begins steps again.
    Resume,
    /// Gives a step up that has not ended: cancels it where it runs. What waits for it is skipped too, unless its join can do without.
    Skip {
        /// Its id.
        id: Arc<str>,
    },
    /// Begins a step anew that failed, was skipped or waits for its next try; those that were skipped because of it wait for it
    /// again. In a plan that was stopped, what the stop cancelled or kept from beginning has its turn again too.
    Retry {
        /// Its id.
        id: Arc<str>,
    },
    /// Begins a step anew that has ended, whatever it gave, and all that come after it. In a plan that was stopped, what the stop
    /// cancelled or kept from beginning has its turn again too.
    Restart {
        /// Its id.
        id: Arc<str>,
    },
}

impl Change {
    /// Its name.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Add { .. } => "add",
            Self::Remove { .. } => "remove",
            Self::Modify { .. } => "modify",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Skip { .. } => "skip",
            Self::Retry { .. } => "retry",
            Self::Restart { .. } => "restart",
        }
    }

    /// The step that it is about.
    pub fn step(&self) -> Option<&Arc<str>> {
        match self {
            Self::Add { step } | Self::Modify { step } => Some(&step.id),
            Self::Remove { id } | Self::Skip { id } | Self::Retry { id } | Self::Restart { id } => {
                Some(id)
            }
            Self::Pause | Self::Resume => None,
        }
    }
}
