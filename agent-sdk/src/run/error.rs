//! Why a run ended without an answer.

use std::{error::Error as StdError, fmt};

use super::{Limit, RunReport};
use crate::{
    budget::BudgetError,
    journal::Question,
    model::{ModelError, ModelErrorKind},
    operation::Outcome,
    session::SessionError,
    store::{StoreError, StoreErrorKind},
};

/// Why a run ended without an answer.
///
/// Match on [`kind`](Self::kind); the text is for people and may change. What the run spent is in its
/// [`report`](Self::report).
#[derive(Debug)]
pub struct RunError {
    inner: Box<Inner>,
}

#[derive(Debug)]
struct Inner {
    agent: String,
    cause: Cause,
    report: RunReport,
}

/// What ended a run, before it is reported.
#[derive(Debug)]
pub(crate) enum Cause {
    Model(ModelError),
    Truncated,
    Filtered,
    Limit(Limit),
    InvalidOutput,
    Timeout,
    Cancelled,
    Journal(StoreError),
    Session(SessionError),
    Changed(Vec<String>),
    Paused,
    Budget(BudgetError),
    Output(std::io::Error),
    Panic,
}

/// The class of a [`RunError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RunErrorKind {
    /// The model endpoint refused, failed or broke off.
    Model,
    /// The model's answer reached its longest length: it is not whole.
    Truncated,
    /// The provider withheld the answer.
    ContentFilter,
    /// A limit on turns, tool calls or depth was reached; [`RunError::limit`] names it.
    LimitExceeded,
    /// The answer does not fit the output's schema.
    InvalidOutput,
    /// The run's time was up.
    Timeout,
    /// The run was given up by its caller.
    Cancelled,
    /// The store refused the run or did not keep an outcome; [`RunError::store_error`] says why. What was kept before is kept,
    /// and nothing was done that is not: the run can be resumed.
    Journal,
    /// The session refused the run or what came of it; the run's own outcomes are kept.
    Session,
    /// The run that was to be resumed is of another agent: [`RunError::changes`] says what changed.
    Changed,
    /// The run waits to be resumed; [`RunError::questions`] are to be answered first, if there are any.
    Paused,
    /// A budget did not admit the next model request or tool call; [`RunError::budget_error`] says which. What was done before is
    /// done: a run with a [store](super::RunRequest::store) can be resumed when there is budget again.
    Budget,
    /// The output file could not be written.
    OutputFile,
    /// The code of a model, a store or an observer of the run panicked, beside [others](crate::agent::parallel()) that went on.
    Panic,
}

impl RunErrorKind {
    /// The low-cardinality value recorded as `error.type`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Truncated => "truncated",
            Self::ContentFilter => "content_filter",
            Self::LimitExceeded => "limit_exceeded",
            Self::InvalidOutput => "invalid_output",
            Self::Timeout => "timeout",
            Self::Cancelled => "cancelled",
            Self::Journal => "journal",
            Self::Session => "session",
            Self::Changed => "changed",
            Self::Paused => "paused",
            Self::Budget => "budget",
            Self::OutputFile => "output_file",
            Self::Panic => "panic",
        }
    }
}

impl Cause {
    pub(crate) fn kind(&self) -> RunErrorKind {
        match self {
            Self::Model(error) if error.kind() == ModelErrorKind::Budget => RunErrorKind::Budget,
            Self::Budget(_) => RunErrorKind::Budget,
            Self::Model(_) => RunErrorKind::Model,
            Self::Truncated => RunErrorKind::Truncated,
            Self::Filtered => RunErrorKind::ContentFilter,
            Self::Limit(_) => RunErrorKind::LimitExceeded,
            Self::InvalidOutput => RunErrorKind::InvalidOutput,
            Self::Timeout => RunErrorKind::Timeout,
            Self::Cancelled => RunErrorKind::Cancelled,
            Self::Journal(_) => RunErrorKind::Journal,
            Self::Session(_) => RunErrorKind::Session,
            Self::Changed(_) => RunErrorKind::Changed,
            Self::Paused => RunErrorKind::Paused,
            Self::Output(_) => RunErrorKind::OutputFile,
            Self::Panic => RunErrorKind::Panic,
        }
    }

    pub(crate) fn outcome(&self) -> Outcome {
        match self {
            Self::Limit(_) => Outcome::Limit,
            Self::Budget(_) => Outcome::Budget,
            Self::Model(error) if error.kind() == ModelErrorKind::Budget => Outcome::Budget,
            Self::Timeout => Outcome::Timeout,
            Self::Cancelled => Outcome::Cancelled,
            Self::Paused => Outcome::Paused,
            // What was kept is kept: the run goes on when the store can be written again.
            Self::Journal(error)
                if error.kind() != StoreErrorKind::Held && error.kind().is_retryable() =>
            {
                Outcome::Paused
            }
            _ => Outcome::Error,
        }
    }

    /// What is recorded as `error.type`: for a model's failure its own class.
    pub(crate) fn class(&self) -> &'static str {
        match self {
            Self::Model(error) => error.kind().as_str(),
            other => other.kind().as_str(),
        }
    }
}

impl RunError {
    pub(crate) fn new(agent: &str, cause: Cause, report: RunReport) -> Self {
        Self {
            inner: Box::new(Inner {
                agent: agent.to_owned(),
                cause,
                report,
            }),
        }
    }

    /// What is behind it.
    pub(crate) fn into_cause(self) -> Cause {
        self.inner.cause
    }

    /// The class of the failure.
    pub fn kind(&self) -> RunErrorKind {
        self.inner.cause.kind()
    }

    /// What the run came to all the same: what it used, what it cost, where its time went, and the text there was.
    pub fn report(&self) -> &RunReport {
        &self.inner.report
    }

    /// The limit that was reached, if one was.
    pub fn limit(&self) -> Option<Limit> {
        match self.inner.cause {
            Cause::Limit(limit) => Some(limit),
            _ => None,
        }
    }

    /// What a paused run waits to be told, in the order in which it was asked.
    pub fn questions(&self) -> &[Question] {
        &self.inner.report.questions
    }

    /// What is not as it was when the run began, in words for people.
    pub fn changes(&self) -> &[String] {
        match &self.inner.cause {
            Cause::Changed(changes) => changes,
            _ => &[],
        }
    }

    /// Why a budget did not admit something, if that was the cause.
    pub fn budget_error(&self) -> Option<&BudgetError> {
        match &self.inner.cause {
            Cause::Budget(error) => Some(error),
            Cause::Model(error) => error.budget_error(),
            _ => None,
        }
    }

    /// The store's error, if that was the cause.
    pub fn store_error(&self) -> Option<&StoreError> {
        match &self.inner.cause {
            Cause::Journal(error) => Some(error),
            _ => None,
        }
    }

    /// The model's error, if that was the cause.
    pub fn model_error(&self) -> Option<&ModelError> {
        match &self.inner.cause {
            Cause::Model(error) => Some(error),
            _ => None,
        }
    }
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the run of agent `{}` ", self.inner.agent)?;
        match &self.inner.cause {
            Cause::Model(error) if error.kind() == ModelErrorKind::Budget => {
                f.write_str("stopped: its budget does not admit more")
            }
            Cause::Model(_) => f.write_str("failed: the model request failed"),
            Cause::Truncated => f.write_str(
                "failed: the model's answer was cut at its longest length; allow more output tokens or ask for less",
            ),
            Cause::Filtered => f.write_str("failed: the provider withheld the answer"),
            Cause::Limit(limit) => write!(f, "reached its limit {limit}"),
            Cause::InvalidOutput => f.write_str("failed: the answer does not fit the output's schema"),
            Cause::Timeout => f.write_str("took longer than its time limit"),
            Cause::Cancelled => f.write_str("was cancelled"),
            Cause::Journal(error) if error.kind() == StoreErrorKind::Held => {
                f.write_str("cannot go on here: another process has it")
            }
            Cause::Journal(_) => f.write_str("stopped: what it did could not be kept"),
            Cause::Session(_) => f.write_str("could not be made a turn of its session"),
            Cause::Changed(changes) => write!(
                f,
                "cannot go on: {}; resume it with the agent as it was, or accept the changes",
                changes.join(", ")
            ),
            Cause::Paused => f.write_str("is paused; it can be resumed"),
            Cause::Budget(_) => f.write_str("stopped: its budget does not admit more"),
            Cause::Panic => f.write_str("failed: its code panicked"),
            Cause::Output(_) => f.write_str("gave an answer, but the output file could not be written"),
        }
    }
}

impl StdError for RunError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.inner.cause {
            Cause::Model(error) => Some(error),
            Cause::Budget(error) => Some(error),
            Cause::Journal(error) => Some(error),
            Cause::Session(error) => Some(error),
            Cause::Output(error) => Some(error),
            _ => None,
        }
    }
}
