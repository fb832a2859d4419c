//! Why there is no plan.

use std::{error::Error as StdError, fmt};

use crate::{
    message::Content,
    model::{ModelError, ModelErrorKind},
    operation::{Failure, Outcome},
    plan::{PlanError, Problem},
    run::RunReport,
};

/// Why a goal did not become a plan.
///
/// Match on [`kind`](Self::kind); the text is for people and may change. It shows nothing of what the model wrote:
/// [`problems`](Self::problems) and [`answer`](Self::answer) do.
#[derive(Debug)]
pub struct PlannerError {
    inner: Box<Inner>,
}

#[derive(Debug)]
struct Inner {
    cause: Cause,
    answer: Option<Content>,
    rounds: u32,
    report: RunReport,
}

/// What ended the planning, before it is reported.
#[derive(Debug)]
pub(super) enum Cause {
    Model(ModelError),
    Truncated,
    Filtered,
    Refused,
    Wrong(PlanError),
    NothingRegistered,
    Timeout,
    Cancelled,
}

/// The class of a [`PlannerError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PlannerErrorKind {
    /// The model endpoint refused, failed or broke off.
    Model,
    /// The model's answer reached its longest length: it is not whole.
    Truncated,
    /// The provider withheld the answer.
    ContentFilter,
    /// The model refused to plan for this goal.
    Refused,
    /// The model's plan cannot be run, also after it was told what is wrong: [`PlannerError::problems`] has every mistake of the last
    /// one.
    InvalidPlan,
    /// Nothing is registered that a plan's steps could run; no model was asked.
    NothingRegistered,
    /// The time was up.
    Timeout,
    /// The planning was given up by its caller.
    Cancelled,
    /// A budget did not admit the next model request.
    Budget,
}

impl PlannerErrorKind {
    /// The low-cardinality value recorded as `error.type`; of a model's failure its own class is recorded.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Truncated => "truncated",
            Self::ContentFilter => "content_filter",
            Self::Refused => "refused",
            Self::InvalidPlan => "invalid_plan",
            Self::NothingRegistered => "nothing_registered",
            Self::Timeout => "timeout",
            Self::Cancelled => "cancelled",
            Self::Budget => "budget",
        }
    }
}

impl Cause {
    fn kind(&self) -> PlannerErrorKind {
        match self {
            Self::Model(error) if error.kind() == ModelErrorKind::Budget => {
                PlannerErrorKind::Budget
            }
            Self::Model(_) => PlannerErrorKind::Model,
            Self::Truncated => PlannerErrorKind::Truncated,
            Self::Filtered => PlannerErrorKind::ContentFilter,
            Self::Refused => PlannerErrorKind::Refused,
            Self::Wrong(_) => PlannerErrorKind::InvalidPlan,
            Self::NothingRegistered => PlannerErrorKind::NothingRegistered,
            Self::Timeout => PlannerErrorKind::Timeout,
            Self::Cancelled => PlannerErrorKind::Cancelled,
        }
    }

    pub(super) fn outcome(&self) -> Outcome {
        match self.kind() {
            PlannerErrorKind::Timeout => Outcome::Timeout,
            PlannerErrorKind::Cancelled => Outcome::Cancelled,
            PlannerErrorKind::Budget => Outcome::Budget,
            _ => Outcome::Error,
        }
    }

    pub(super) fn failure(&self) -> Failure {
        match self {
            Self::Model(error) => Failure::of(error),
            other => {
                let class = other.kind().as_str();
                Failure::new(class, format!("no plan was made: {class}"))
            }
        }
    }
}

impl PlannerError {
    pub(super) fn new(
        cause: Cause,
        answer: Option<Content>,
        rounds: u32,
        report: RunReport,
    ) -> Self {
        Self {
            inner: Box::new(Inner {
                cause,
                answer,
                rounds,
                report,
            }),
        }
    }

    /// The class of the failure.
    pub fn kind(&self) -> PlannerErrorKind {
        self.inner.cause.kind()
    }

    /// Every mistake in the last plan, where that is the cause: at most 64 of them, without control characters, long ones cut.
    pub fn problems(&self) -> &[Problem] {
        match &self.inner.cause {
            Cause::Wrong(wrong) => wrong.problems(),
            _ => &[],
        }
    }

    /// What the model answered last, as it came; `None` where it gave no answer.
    pub fn answer(&self) -> Option<&Content> {
        self.inner.answer.as_ref()
    }

    /// How often the model was asked.
    pub fn rounds(&self) -> u32 {
        self.inner.rounds
    }

    /// What it came to all the same: what it used, what it cost, where its time went.
    pub fn report(&self) -> &RunReport {
        &self.inner.report
    }
}

impl fmt::Display for PlannerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rounds = self.inner.rounds;
        f.write_str("no plan was made: ")?;
        match &self.inner.cause {
            Cause::Model(_) if self.kind() == PlannerErrorKind::Budget => {
                f.write_str("a budget did not admit the model request")
            }
            Cause::Model(_) => f.write_str("the model request failed"),
            Cause::Truncated => f.write_str(
                "the model's answer is not whole; allow a longer one, or plan a smaller goal",
            ),
            Cause::Filtered => f.write_str("the provider withheld the model's answer"),
            Cause::Refused => f.write_str("the model refused"),
            Cause::Wrong(wrong) => {
                let (many, what) = match wrong.problems().len() {
                    1 => (1, "thing is"),
                    many => (many, "things are"),
                };
                write!(
                    f,
                    "{many} {what} wrong with the model's plan, in round {rounds}"
                )
            }
            Cause::NothingRegistered => {
                f.write_str("no agent, tool or function is registered for its steps")
            }
            Cause::Timeout => f.write_str("the time was up"),
            Cause::Cancelled => f.write_str("cancelled"),
        }
    }
}

impl StdError for PlannerError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.inner.cause {
            Cause::Model(error) => Some(error),
            Cause::Wrong(wrong) => Some(wrong),
            _ => None,
        }
    }
}
