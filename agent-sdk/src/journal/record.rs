//! What happened in a run and will not be done again.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Definition, Question};
use crate::{
    message::{Conversation, ToolResult},
    model::ChatResponse,
    operation::{Outcome, Totals},
    plan::{Change, Ended, Params, Plan, Task},
    run::Artifact,
    session::{SessionVersion, StateChange},
    store::{Entry, LogId, StoreError, StoreErrorKind},
};

/// The version of [`Record`]'s form.
pub const VERSION: u32 = 3;

/// Something that happened in a run and will not be done again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Record {
    /// A process took the run up: the first record of each of the run's lives, of the outermost agent only.
    LifeBegan {
        /// The agent's operation in this life, as W3C's `traceparent`.
        traceparent: String,
        /// The tools that a person is asked about in this life, beside those that always ask.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        ask_before: Vec<Arc<str>>,
    },
    /// The agent began. Its first record, once.
    Started {
        /// The version of the records' form.
        version: u32,
        /// What the agent was made of.
        definition: Definition,
        /// What was said before, the prompt included. Empty where it is kept in a session.
        #[serde(default)]
        conversation: Conversation,
        /// The version of the session that has it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        session: Option<SessionVersion>,
    },
    /// The model answered.
    Answered(Box<Answered>),
    /// A call of a tool that [writes](crate::tool::Effect::Write) is about to be made. Without a result after it, nobody knows
    /// whether it took effect.
    ToolStarted {
        /// The place of the call in its turn, from 0.
        place: usize,
    },
    /// A call waits for a person's word.
    ApprovalRequested {
        /// The place of the call in its turn, from 0.
        place: usize,
        /// What is to be decided.
        question: Question,
    },
    /// A person decided about a call.
    ApprovalGiven {
        /// The place of the call in its turn, from 0.
        place: usize,
        /// What was decided.
        verdict: Verdict,
    },
    /// A tool call gave its result.
    ToolReturned {
        /// The place of the call in its turn, from 0.
        place: usize,
        /// The result.
        result: ToolResult,
        /// How the call changed the shared state.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        changes: Vec<StateChange>,
        /// The files that were written in the workspace since the record before.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        files: Vec<Artifact>,
        /// How long the call took, in milliseconds.
        #[serde(default)]
        took_ms: f64,
    },
    /// The answer did not fit the output's schema.
    OutputRejected {
        /// What was wrong, for the model.
        reason: String,
    },
    /// A plan began. The first record of the plan at its path, once.
    PlanStarted {
        /// The version of the records' form.
        version: u32,
        /// The plan.
        plan: Box<Plan>,
        /// What it was given.
        #[serde(default)]
        params: Params,
        /// What decides about what is left to chance.
        seed: u64,
    },
    /// A try of a step ended.
    StepEnded {
        /// Which.
        task: StepTask,
        /// How.
        ended: Ended,
        /// How long it took, in milliseconds.
        #[serde(default)]
        took_ms: f64,
    },
    /// A step's time was up.
    StepTimedOut {
        /// The step.
        step: Arc<str>,
        /// How often it was begun anew before.
        #[serde(default)]
        round: u32,
    },
    /// A step, or one of its tries, waits for a person's word.
    StepAsked {
        /// The step.
        step: Arc<str>,
        /// How often it was begun anew before.
        #[serde(default, skip_serializing_if = "is_zero")]
        round: u32,
        /// The try, where it is not about the step as a whole.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        task: Option<StepTask>,
        /// Whether the try was begun and asks by itself, so that it took no effect.
        #[serde(default, skip_serializing_if = "is_false")]
        by_itself: bool,
        /// What is to be decided.
        question: Question,
    },
    /// A person decided about a step or one of its tries.
    StepDecided {
        /// The step.
        step: Arc<str>,
        /// The path of the question.
        path: Arc<str>,
        /// What was decided.
        verdict: Verdict,
    },
    /// The plan was changed while it ran.
    PlanChanged {
        /// How.
        change: Change,
        /// Who changed it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<Arc<str>>,
    },
    /// A life of the run is over, in an orderly way; of the outermost agent only. One that was killed has none.
    Stopped {
        /// How it ended.
        outcome: Outcome,
        /// The failure's class.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
}

/// Which try of which step: a [`Task`](crate::plan::Task) by the step's name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StepTask {
    /// The step.
    pub step: Arc<str>,
    /// How often the step was begun anew before.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub round: u32,
    /// The number of the element, from 0, where the step has a list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<u32>,
    /// What ran: 0 is the step's own work, others are its fallbacks.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub choice: u32,
    /// The number of the try, from 1.
    pub attempt: u32,
}

impl StepTask {
    pub(crate) fn new(step: Arc<str>, task: Task) -> Self {
        Self {
            step,
            round: task.round,
            item: task.item,
            choice: task.choice,
            attempt: task.attempt,
        }
    }

    /// The task of the step of this number.
    pub(crate) fn of(&self, step: u32) -> Task {
        Task {
            step,
            round: self.round,
            item: self.item,
            choice: self.choice,
            attempt: self.attempt,
        }
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "what `serde` calls it with"
)]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "what `serde` calls it with"
)]
fn is_false(it: &bool) -> bool {
    !*it
}

/// An answer of a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Answered {
    /// The answer.
    pub response: ChatResponse,
    /// How long it took, in milliseconds.
    #[serde(default)]
    pub took_ms: f64,
}

impl Record {
    /// A model's answer.
    pub fn answered(response: ChatResponse) -> Self {
        Self::Answered(Box::new(Answered {
            response,
            took_ms: 0.0,
        }))
    }

    /// A tool's result.
    pub fn tool_returned(place: usize, result: ToolResult) -> Self {
        Self::ToolReturned {
            place,
            result,
            changes: Vec::new(),
            files: Vec::new(),
            took_ms: 0.0,
        }
    }
}

/// What was decided about a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Verdict {
    /// Whether the call may be made; of one in doubt, whether it is to be made again.
    pub allowed: bool,
    /// What the model is told where it may not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

impl Verdict {
    /// The call may be made.
    pub fn allow() -> Self {
        Self {
            allowed: true,
            reason: None,
            by: None,
        }
    }

    /// The call may not be made, for a reason that the model is told.
    pub fn deny(reason: impl Into<String>) -> Self {
        Self {
            allowed: false,
            reason: Some(reason.into()).filter(|reason| !reason.is_empty()),
            by: None,
        }
    }

    /// Says who decided.
    #[must_use]
    pub fn by(mut self, who: impl Into<String>) -> Self {
        self.by = Some(who.into());
        self
    }
}

/// A record and what it took to come to it, as a store keeps them. The sums of a run are those of its lines, so what was done and
/// not kept is in none, and counts when it is done again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Line<R> {
    pub(crate) record: R,
    #[serde(default, skip_serializing_if = "Totals::is_empty")]
    pub(crate) spent: Totals,
    /// The number of the run's last event.
    #[serde(default)]
    pub(crate) seq: u64,
}

impl Line<Record> {
    pub(crate) fn read(log: &LogId, entry: &Entry) -> Result<Self, StoreError> {
        serde_json::from_slice(&entry.body).map_err(|error| {
            // A form that is not known yet may say so in its beginning.
            let value = serde_json::from_slice(&entry.body).unwrap_or(Value::Null);
            match value.pointer("/record/version").and_then(Value::as_u64) {
                Some(version) if version > u64::from(VERSION) => newer(log, version),
                _ => StoreError::corrupt(log, entry.version, error),
            }
        })
    }
}

/// A journal was written by a newer version of this library.
pub(crate) fn newer(log: &LogId, version: u64) -> StoreError {
    StoreError::new(
        StoreErrorKind::Newer,
        format!(
            "{log} was written in version {version} of the journal's form, and this library knows up to {VERSION}: use a newer one"
        ),
    )
}
