//! What a run waits to be told.

use std::{fmt, sync::Arc};

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

use super::Verdict;
use crate::message::{CallId, Content};

/// What a run waits to be told about one tool call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Question {
    /// The call's place in the run: `TURN/CALL`, after those of the calls around it. No two calls of a run share it.
    pub path: Arc<str>,
    /// Which question about this call it is, from 1: one that was allowed may be in doubt later.
    #[serde(default = "first")]
    pub number: u32,
    /// The model's id for the call.
    pub call_id: CallId,
    /// The tool.
    pub tool: Arc<str>,
    /// The arguments: JSON text.
    pub arguments: Content,
    /// Why it is asked.
    pub kind: QuestionKind,
    /// What is asked, for people.
    pub text: Content,
}

pub(super) fn first() -> u32 {
    1
}

/// Why a question is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum QuestionKind {
    /// May the call be made?
    Approval,
    /// The call was under way when the run stopped, and its tool [writes](crate::tool::Effect::Write): may it be made again?
    InDoubt,
}

impl QuestionKind {
    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approval => "approval",
            Self::InDoubt => "in_doubt",
        }
    }
}

/// Somebody who is there to be asked while a run goes on; given to [`RunRequest::approver`](crate::run::RunRequest::approver).
///
/// Several questions may be open at once. A run that is dropped or cancelled drops the future.
pub trait Approver: Send + Sync + 'static {
    /// Decides about a call.
    fn decide<'a>(&'a self, question: &'a Question) -> BoxFuture<'a, Verdict>;
}

impl<F, R> Approver for F
where
    F: Fn(Question) -> R + Send + Sync + 'static,
    R: Future<Output = Verdict> + Send + 'static,
{
    fn decide<'a>(&'a self, question: &'a Question) -> BoxFuture<'a, Verdict> {
        Box::pin(self(question.clone()))
    }
}

impl fmt::Debug for dyn Approver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Approver")
    }
}
