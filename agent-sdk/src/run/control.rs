//! What the agents of one run share beyond being watched: where their outcomes are kept, when to pause, whom to ask.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use tokio_util::sync::CancellationToken;

use crate::{
    journal::{Approver, Journal, Question, Verdict},
    operation::RunId,
};

/// Where an agent stands in its run, and what it shares with the run's other agents.
#[derive(Clone, Debug)]
pub(crate) struct Within {
    pub(crate) journal: Option<Arc<Journal>>,
    pub(crate) control: Arc<Control>,
    /// `TURN/CALL` for each call around the agent; empty for the outermost.
    pub(crate) path: Arc<str>,
}

/// What steers a run.
#[derive(Default)]
pub(crate) struct Control {
    /// Cancelled when the run is to pause.
    pub(crate) pausing: CancellationToken,
    pub(crate) approver: Option<Arc<dyn Approver>>,
    /// Tools that ask before each call, beside those that always do.
    pub(crate) ask_before: Vec<Arc<str>>,
    /// Whether a journal may go on with an agent that is not what it was.
    pub(crate) accept_changes: bool,
    /// What nobody has answered yet.
    questions: Mutex<Vec<Question>>,
}

impl Control {
    /// Whether there is a way to have a question answered: now, or after a pause.
    pub(crate) fn can_ask(&self, journal: Option<&Arc<Journal>>) -> bool {
        self.approver.is_some() || journal.is_some()
    }

    pub(crate) fn asked(&self, question: Question) {
        let mut questions = self
            .questions
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        questions.push(question);
    }

    pub(crate) fn answered(&self, path: &str) {
        let mut questions = self
            .questions
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        questions.retain(|question| *question.path != *path);
    }

    /// The questions that are still open.
    pub(crate) fn questions(&self) -> Vec<Question> {
        let questions = self
            .questions
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        questions.clone()
    }

    /// Asks whoever is there: the approver, or whoever writes to the journal's inbox, whichever answers first.
    pub(crate) async fn ask(&self, journal: Option<&Journal>, question: &Question) -> Verdict {
        let approver = async {
            match &self.approver {
                Some(approver) => approver.decide(question).await,
                None => std::future::pending().await,
            }
        };
        let inbox = async {
            match journal {
                Some(journal) => journal.answer(&question.path).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            verdict = inbox => verdict,
            verdict = approver => verdict,
        }
    }
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control")
            .field("is_pausing", &self.pausing.is_cancelled())
            .field("has_approver", &self.approver.is_some())
            .finish_non_exhaustive()
    }
}

impl Within {
    /// The place of an agent inside a call.
    pub(crate) fn inside(&self, call_path: &str) -> Self {
        Self {
            path: call_path.into(),
            ..self.clone()
        }
    }

    /// The place of a call in a turn.
    pub(crate) fn call_path(&self, turn: u32, call: &str) -> String {
        if self.path.is_empty() {
            format!("{turn}/{call}")
        } else {
            format!("{}/{turn}/{call}", self.path)
        }
    }

    /// What is sent along with a model request, so that it is answered once although it is sent again by another process.
    pub(crate) fn request_key(&self, run: &RunId, turn: u32) -> String {
        if self.path.is_empty() {
            format!("{run}/{turn}")
        } else {
            format!("{run}/{}/{turn}", self.path)
        }
    }
}
