//! What the agents of one run share beyond being watched: where their outcomes are kept, when to pause, whom to ask.

use std::{
    borrow::Cow,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use tokio_util::sync::CancellationToken;

use super::{error::Cause, replay::Source};
use crate::{
    agent::Settings,
    journal::{Approver, Journal, Question, Verdict},
    operation::{RunId, SpanId},
};

/// Where an agent stands in its run, and what it shares with the run's other agents.
#[derive(Clone, Debug, Default)]
pub(crate) struct Within {
    /// Where the agent's outcomes are kept, if they are.
    pub(crate) journal: Option<Arc<Journal>>,
    pub(crate) control: Arc<Control>,
    /// `TURN/CALL` for each call around the agent; empty for the outermost.
    pub(crate) path: Arc<str>,
    scope: Scope,
}

/// Whose code a context was given to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Scope {
    /// An agent's that can be found again by its path.
    #[default]
    Agent,
    /// A tool's.
    Tool,
    /// An agent's that a tool's own code began. How many there are and in which order is the tool's affair, so none of them
    /// is found again: they are neither kept nor paused, and begin anew when the call is repeated.
    Loose,
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
    /// Where outcomes come from that happened before, in a replay.
    pub(crate) source: Option<Arc<Source>>,
    /// What nobody has answered yet.
    pub(super) questions: Mutex<Vec<Question>>,
    /// Why an agent inside a call cannot go on, and the whole run with it.
    pub(super) halt: Mutex<Option<Cause>>,
}

impl Control {
    /// Ends the run for what stopped an agent inside a call.
    pub(crate) fn halt(&self, cause: Cause) {
        *self.halt.lock().unwrap_or_else(PoisonError::into_inner) = Some(cause);
    }

    /// What stopped an agent inside a call, if anything did that ends the run.
    pub(crate) fn take_halt(&self) -> Option<Cause> {
        let mut halt = self.halt.lock().unwrap_or_else(PoisonError::into_inner);
        halt.take()
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
                Some(journal) => journal.answer(question).await,
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
    /// What the agent here acts with: its own model and tools, or in a replay those that repeat what happened.
    pub(crate) fn settings<'a>(&self, own: &'a Settings) -> Cow<'a, Settings> {
        match &self.control.source {
            Some(source) => Cow::Owned(source.in_place_of(own, &self.path)),
            None => Cow::Borrowed(own),
        }
    }

    /// The place of the outermost agent of a run that is kept.
    pub(crate) fn outermost(control: Arc<Control>, journal: Arc<Journal>) -> Self {
        Self {
            journal: Some(journal),
            control,
            ..Self::default()
        }
    }

    /// The place of an agent inside a call.
    pub(crate) fn inside(&self, call_path: &str) -> Self {
        let scope = match self.scope {
            Scope::Loose => Scope::Loose,
            Scope::Agent | Scope::Tool => Scope::Agent,
        };
        Self {
            path: call_path.into(),
            scope,
            ..self.clone()
        }
    }

    /// The place of a tool's own code.
    pub(crate) fn inside_tool(&self, call_path: &str) -> Self {
        Self {
            path: call_path.into(),
            scope: match self.scope {
                Scope::Loose => Scope::Loose,
                Scope::Agent | Scope::Tool => Scope::Tool,
            },
            ..self.clone()
        }
    }

    /// The place of an agent that begins here.
    pub(crate) fn begin(&self, span: SpanId) -> Self {
        if self.scope == Scope::Agent {
            return self.clone();
        }
        Self {
            journal: None,
            // Unlike any other call's, so that no two calls share an idempotency key.
            path: format!("{}/{span}", self.path).into(),
            scope: Scope::Loose,
            control: self.control.clone(),
        }
    }

    /// The same place, under another control and without a journal.
    pub(crate) fn under(&self, control: Control) -> Self {
        Self {
            journal: None,
            control: Arc::new(control),
            ..self.clone()
        }
    }

    /// Is cancelled when the agent is to pause, if it can.
    pub(crate) fn pausing(&self) -> Option<&CancellationToken> {
        (self.scope != Scope::Loose).then_some(&self.control.pausing)
    }

    /// Whether there is a way to have a question answered: now, or after a pause.
    pub(crate) fn can_ask(&self) -> bool {
        self.control.approver.is_some() || self.journal.is_some()
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
