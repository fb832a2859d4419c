//! A run as a turn of a session.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{AutoCompress, Session, SessionError, SharedState, View, log::SessionLog};
use crate::{
    message::Conversation,
    operation::{RunContext, RunId},
    run::{RunError, RunErrorKind, RunReport},
    store::{Store, StoreError, StoreErrorKind},
};

/// A session at a version, as the journal of a run names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SessionVersion {
    /// The session.
    pub id: Arc<str>,
    /// Its version.
    pub version: u64,
}

impl SessionVersion {
    /// What was said up to there.
    pub(crate) async fn conversation(
        &self,
        store: &Arc<dyn Store>,
    ) -> Result<Conversation, StoreError> {
        let mut view = View::new(&self.id);
        let read = async {
            let log = SessionLog::new(store.clone(), &self.id)?;
            log.read_into(&mut view, self.version).await
        };
        read.await.map_err(|error| {
            StoreError::new(
                StoreErrorKind::NotFound,
                format!(
                    "what the run was asked stands in session `{}` at version {}, which cannot be read",
                    self.id, self.version
                ),
            )
            .because(error)
        })?;
        Ok(view.conversation)
    }
}

/// A run that takes place in a session.
pub(crate) struct Turn<'a> {
    session: &'a mut Session,
    shared: Arc<SharedState>,
}

impl<'a> Turn<'a> {
    pub(crate) fn of(session: &'a mut Session) -> Self {
        let shared = Arc::new(session.shared_state());
        Self { session, shared }
    }

    /// Where the session is kept, and so the run.
    pub(crate) fn store(&self) -> Arc<dyn Store> {
        self.session.log.store.clone()
    }

    /// The state that the run's tools share, and that is the session's when the run has answered.
    pub(crate) fn shared(&self) -> Arc<SharedState> {
        self.shared.clone()
    }

    /// The version that has what was asked, where the run is kept in the same store.
    pub(crate) fn version(&self, store: &Arc<dyn Store>) -> Option<SessionVersion> {
        Arc::ptr_eq(store, &self.session.log.store).then(|| SessionVersion {
            id: self.session.id().into(),
            version: self.session.version(),
        })
    }

    pub(crate) fn id(&self) -> &str {
        self.session.id()
    }

    pub(crate) fn user(&self) -> &str {
        self.session.sessions.user()
    }

    /// Whether older messages gave way to a summary or a note.
    pub(crate) fn is_compacted(&self) -> bool {
        self.session.view.left_out > 0
    }

    /// Compresses the context where it is due.
    pub(crate) async fn make_short(
        &mut self,
        context: &RunContext,
        policy: Option<AutoCompress>,
    ) -> Result<(), SessionError> {
        let Some(policy) = policy else {
            return Ok(());
        };
        let done = self.session.compress_if_needed(context, &policy).await;
        // What it left out of the state is not the run's either.
        self.shared.become_as(&self.session.view.state);
        done.map(drop)
    }

    /// Keeps what the run is asked, and gives the conversation that it is to answer.
    pub(crate) async fn begin(
        &mut self,
        run: &RunId,
        asked: Conversation,
    ) -> Result<Conversation, SessionError> {
        let mut asked = asked.messages().to_vec();
        let Some(prompt) = asked.pop() else {
            return Err(SessionError::conflict(format!(
                "a run in session `{}` has to be asked something",
                self.session.id()
            )));
        };
        if !asked.is_empty() {
            self.session.extend(asked).await?;
        }
        self.session.begin_run(run.clone(), prompt).await?;
        Ok(self.session.conversation().clone())
    }

    /// Makes sure that a run which is resumed is the one that is under way here.
    pub(crate) fn go_on(&self, run: &RunId) -> Result<(), SessionError> {
        match self.session.open_run() {
            Some(open) if open == run => Ok(()),
            Some(open) => Err(SessionError::conflict(format!(
                "run `{open}` of session `{}` is under way, and not `{run}`",
                self.session.id()
            ))),
            None => Err(SessionError::conflict(format!(
                "run `{run}` is not under way in session `{}`: resume it without the session",
                self.session.id()
            ))),
        }
    }

    /// Keeps what came of the run, unless it is to be resumed.
    pub(crate) async fn end(
        self,
        conversation: Conversation,
        result: &Result<RunReport, RunError>,
    ) -> Result<(), SessionError> {
        if let Err(error) = result
            && matches!(
                error.kind(),
                RunErrorKind::Paused
                    | RunErrorKind::Cancelled
                    | RunErrorKind::Timeout
                    | RunErrorKind::Journal
                    | RunErrorKind::Changed
            )
        {
            return Ok(());
        }
        let changes = self.shared.take_changes();
        let update = self.session.finish_run(conversation).changes(changes);
        update.commit().await.map(drop)
    }
}
