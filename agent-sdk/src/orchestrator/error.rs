//! Why a plan did not succeed.

use std::{error::Error as StdError, fmt};

use super::PlanReport;
use crate::{
    budget::BudgetError,
    journal::Question,
    operation::Outcome,
    plan::{PlanError, StepEnd},
    store::{StoreError, StoreErrorKind},
};

/// Why a plan did not succeed.
///
/// Match on [`kind`](Self::kind); the text is for people and may change. What became of every step is in its
/// [`report`](Self::report).
#[derive(Debug)]
pub struct PlanRunError {
    inner: Box<Inner>,
}

#[derive(Debug)]
struct Inner {
    plan: String,
    cause: Cause,
    report: Option<PlanReport>,
}

/// What ended a plan, before it is reported.
#[derive(Debug)]
pub(super) enum Cause {
    Invalid(PlanError),
    Failed,
    TimedOut,
    Cancelled,
    Paused(Vec<Question>),
    Journal(StoreError),
    Budget(BudgetError),
    NotAPlan,
    /// An agent inside cannot go on, in words for people.
    Changed(String),
}

/// The class of a [`PlanRunError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PlanRunErrorKind {
    /// The plan or its parameters are wrong; nothing was run.
    Invalid,
    /// A step failed that the plan needs.
    Failed,
    /// The plan's time was up.
    Timeout,
    /// The run was given up by its caller. With a store it can be resumed.
    Cancelled,
    /// The run waits to be resumed; [`PlanRunError::questions`] are to be answered first, if there are any.
    Paused,
    /// The store refused the run or did not keep an outcome; [`PlanRunError::store_error`] says why. What was kept before is kept.
    Journal,
    /// A budget that was put on the run is none.
    Budget,
    /// An agent of the plan is not what it was when the run began.
    Changed,
}

impl PlanRunErrorKind {
    /// The low-cardinality value recorded as `error.type`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "invalid_plan",
            Self::Failed => "step_failed",
            Self::Timeout => "timeout",
            Self::Cancelled => "cancelled",
            Self::Paused => "paused",
            Self::Journal => "journal",
            Self::Budget => "budget",
            Self::Changed => "changed",
        }
    }
}

impl Cause {
    pub(super) fn kind(&self) -> PlanRunErrorKind {
        match self {
            Self::Invalid(_) | Self::NotAPlan => PlanRunErrorKind::Invalid,
            Self::Failed => PlanRunErrorKind::Failed,
            Self::TimedOut => PlanRunErrorKind::Timeout,
            Self::Cancelled => PlanRunErrorKind::Cancelled,
            Self::Paused(_) => PlanRunErrorKind::Paused,
            Self::Journal(_) => PlanRunErrorKind::Journal,
            Self::Budget(_) => PlanRunErrorKind::Budget,
            Self::Changed(_) => PlanRunErrorKind::Changed,
        }
    }

    pub(super) fn outcome(&self) -> Outcome {
        match self {
            Self::TimedOut => Outcome::Timeout,
            Self::Cancelled => Outcome::Cancelled,
            Self::Paused(_) => Outcome::Paused,
            Self::Budget(_) => Outcome::Budget,
            // What was kept is kept: the run goes on when the store can be written again.
            Self::Journal(error)
                if error.kind() != StoreErrorKind::Held && error.kind().is_retryable() =>
            {
                Outcome::Paused
            }
            _ => Outcome::Error,
        }
    }
}

impl PlanRunError {
    pub(super) fn new(plan: &str, cause: Cause, report: Option<PlanReport>) -> Self {
        Self {
            inner: Box::new(Inner {
                plan: plan.to_owned(),
                cause,
                report,
            }),
        }
    }

    /// The class of the failure.
    pub fn kind(&self) -> PlanRunErrorKind {
        self.inner.cause.kind()
    }

    /// What the plan came to all the same: every step once, with what went wrong in it. `None` where nothing was begun.
    pub fn report(&self) -> Option<&PlanReport> {
        self.inner.report.as_ref()
    }

    /// What is wrong with the plan, where that is the cause.
    pub fn plan_error(&self) -> Option<&PlanError> {
        match &self.inner.cause {
            Cause::Invalid(error) => Some(error),
            _ => None,
        }
    }

    /// What a paused run waits to be told, in the order in which it was asked.
    pub fn questions(&self) -> &[Question] {
        match &self.inner.cause {
            Cause::Paused(questions) => questions,
            _ => &[],
        }
    }

    /// The store's error, if that was the cause.
    pub fn store_error(&self) -> Option<&StoreError> {
        match &self.inner.cause {
            Cause::Journal(error) => Some(error),
            _ => None,
        }
    }
}

impl fmt::Display for PlanRunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "plan `{}` ", self.inner.plan)?;
        match &self.inner.cause {
            Cause::Invalid(_) => f.write_str("cannot be run"),
            Cause::NotAPlan => f.write_str("cannot be resumed: the run is an agent's"),
            Cause::Failed => {
                f.write_str("failed")?;
                let steps = self.inner.report.iter().flat_map(|report| &report.steps);
                let bad = steps.filter(|step| {
                    matches!(step.end, StepEnd::Failed { .. } | StepEnd::TimedOut { .. })
                });
                let bad: Vec<_> = bad.collect();
                for (number, step) in bad.iter().take(SHOWN).enumerate() {
                    let before = if number == 0 { ":" } else { ";" };
                    write!(f, "{before} step `{}` {}", step.id, step.end.as_str())?;
                    if let Some(last) = step.end.causes().last() {
                        write!(f, " ({last})")?;
                    }
                }
                if bad.len() > SHOWN {
                    write!(f, "; and {} more", bad.len() - SHOWN)?;
                }
                Ok(())
            }
            Cause::TimedOut => f.write_str("took longer than its time limit"),
            Cause::Cancelled => f.write_str("was cancelled"),
            Cause::Paused(_) => f.write_str("is paused; it can be resumed"),
            Cause::Journal(error) if error.kind() == StoreErrorKind::Held => {
                f.write_str("cannot go on here: another process has it")
            }
            Cause::Journal(_) => f.write_str("stopped: what it did could not be kept"),
            Cause::Budget(_) => f.write_str("cannot be run: its budget is none"),
            Cause::Changed(what) => write!(f, "cannot go on: {what}"),
        }
    }
}

/// How many failed steps an error names.
const SHOWN: usize = 3;

impl StdError for PlanRunError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.inner.cause {
            Cause::Invalid(error) => Some(error),
            Cause::Journal(error) => Some(error),
            Cause::Budget(error) => Some(error),
            _ => None,
        }
    }
}
