//! Conversations, shared state and files under an id, that outlive the process.
//!
//! A [`Session`] is a log of small records in a [`Store`](crate::store::Store), and what it *is* comes from folding them. Each change
//! is one record, appended in one step, however long the session is; the number of records is its version. Nothing is ever rewritten:
//!
//! - a [`View`] is the session at a version, or at the name of a [snapshot](Session::snapshot); [`Session::diff`] tells two apart;
//! - a [branch](Session::branch) shares what was, and goes its own way;
//! - [compression](Session::compress) makes the context short again, and what it left out is still there in the versions before.
//!
//! Two writers of one session do not overwrite each other: the second is told of a [conflict](SessionErrorKind::Conflict).
//! [`Sessions`] are those of one user; those of others are not there.
//!
//! # With runs
//!
//! [`RunRequest::session`](crate::run::RunRequest::session) makes a run a turn of a session: it goes on with the conversation, its tools share the
//! state, and what it said and changed is kept when it has answered. The run itself is kept in the same store while it goes on, so after a
//! crash [`Session::open_run`] names the run to resume. (The parts are there too: [`Session::begin_run`], [`Session::finish_run`].)
//!
//! ```
//! use std::sync::Arc;
//! use agent_sdk::{agent::Agent, testing::ScriptedModel};
//! use agent_sdk::{session::{NewSession, Sessions}, store::MemoryStore};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let sessions = Sessions::new(Arc::new(MemoryStore::new()), "ann");
//! let mut session = sessions.create(NewSession::titled("A trip")).await?;
//!
//! let agent = Agent::builder("guide", ScriptedModel::new(["To Oslo."])).build()?;
//! agent.run("Where to?").session(&mut session).await?;
//! assert_eq!(session.conversation().last().unwrap().text(), "To Oslo.");
//! # Ok(())
//! # }
//! ```

mod compress;
mod diff;
mod error;
mod export;
mod files;
mod history;
mod import;
mod log;
mod outline;
mod record;
mod run;
mod sessions;
mod state;
mod summary;
#[cfg(test)]
mod tests;
mod update;
mod view;

use std::{collections::BTreeMap, fmt};

use serde_json::Value;

pub use compress::{AutoCompress, Compression, CompressionReport};
pub use diff::{Change, Diff, Difference};
pub use error::{SessionError, SessionErrorKind};
pub use files::{FileInfo, FileLimits, FilesReport, NotKept, NotKeptReason};
pub use history::{At, VersionSummary};
pub use run::SessionVersion;
pub(crate) use run::Turn;
pub use sessions::{NewSession, SessionSummary, Sessions};
pub use state::{SharedState, StateChange};
pub use update::Update;
pub use view::View;

use self::{log::SessionLog, record::Record};
use crate::{
    message::Conversation,
    operation::RunId,
    store::{Append, NewEntry},
};

/// A session at its newest version, as far as this one knows: it reads the log once, and then what it writes itself.
///
/// Each method that changes it is one append to the store, which is kept whole or not at all. Dropping its future does not undo it:
/// the change may have been kept, and the next one then meets a [conflict](SessionErrorKind::Conflict), which
/// [`reload`](Self::reload) resolves.
pub struct Session {
    sessions: Sessions,
    log: SessionLog,
    view: View,
}

impl Session {
    fn new(sessions: Sessions, log: SessionLog, view: View) -> Self {
        Self {
            sessions,
            log,
            view,
        }
    }

    /// Its id.
    pub fn id(&self) -> &str {
        self.log.id.id()
    }

    /// Its newest version.
    pub fn version(&self) -> u64 {
        self.view.version
    }

    /// All that it holds at its newest version.
    pub fn view(&self) -> &View {
        &self.view
    }

    /// What was said, as a model is to see it. Its id is the session's.
    pub fn conversation(&self) -> &Conversation {
        &self.view.conversation
    }

    /// The shared state.
    pub fn state(&self) -> &BTreeMap<std::sync::Arc<str>, Value> {
        &self.view.state
    }

    /// The shared state as a tool is given it. What it changes is the session's once an update [takes it](Update::changes).
    pub fn shared_state(&self) -> SharedState {
        SharedState::over(self.view.state.clone())
    }

    /// The run that is under way: it began here, and did not finish.
    pub fn open_run(&self) -> Option<&RunId> {
        self.view.open_run()
    }

    /// Reads what others wrote since.
    ///
    /// # Errors
    ///
    /// [`NotFound`](SessionErrorKind::NotFound): it was deleted.
    pub async fn reload(&mut self) -> Result<(), SessionError> {
        // A fold that fails half way must not be left behind, nor one whose future is dropped.
        let mut view = self.view.clone();
        self.log.read_into(&mut view, u64::MAX).await?;
        self.view = view;
        Ok(())
    }

    /// Keeps a record on top of the version that is known here.
    async fn commit(&mut self, record: Record) -> Result<u64, SessionError> {
        let outline = self.view.outline.after(&record);
        let entry = NewEntry::new("", record.write()?);
        let append = Append::new(self.log.id.clone(), vec![entry])
            .at_version(self.view.version)
            .about(outline.about()?)
            .status(outline.status());
        let version = self.log.store.append(append).await;
        let version = version.map_err(|error| self.log.refused(error))?;
        self.view.apply(version, Some(record))?;
        Ok(version)
    }

    /// Refuses what a run that is under way would not know of.
    fn between_runs(&self) -> Result<(), SessionError> {
        match self.open_run() {
            None => Ok(()),
            Some(run) => Err(SessionError::conflict(format!(
                "run `{run}` of session `{}` is under way: resume it, finish it or abandon it first",
                self.id()
            ))),
        }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("view", &self.view)
            .finish_non_exhaustive()
    }
}
