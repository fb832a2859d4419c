//! The sessions of one user.

use std::{collections::BTreeMap, fmt, sync::Arc};

use jiff::Timestamp;

use super::{
    At, Session, SessionError, View,
    log::SessionLog,
    outline::Outline,
    record::{Created, FORMAT, Record},
};
use crate::{
    operation::RunId,
    store::{Head, LogId, LogKind, NewEntry, NewLog, Query, Store},
};

/// How large a document that is imported may be, unless it is set.
const MAX_IMPORT_BYTES: usize = 64 << 20;

/// The sessions of one user. Cheap to clone.
///
/// Whatever is somebody else's is not there: the same error, in the same words, as for an id that nobody has. Ids stand for the whole
/// store, however: to choose one that is taken is refused, whoever has it. Those that are made are 128 bits that nobody guesses.
///
/// # Example
///
/// ```
/// use std::sync::Arc;
/// use agent_sdk::{message::Message, session::{NewSession, Sessions}, store::MemoryStore};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let sessions = Sessions::new(Arc::new(MemoryStore::new()), "ann");
/// let mut session = sessions.create(NewSession::titled("A trip")).await?;
/// session.say(Message::user("Where to?")).await?;
/// session.set("city", "Oslo").await?;
///
/// let session = sessions.open(session.id()).await?;
/// assert_eq!((session.version(), session.conversation().len()), (3, 1));
/// assert_eq!(session.state()["city"], "Oslo");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Sessions {
    pub(super) store: Arc<dyn Store>,
    pub(super) user: Arc<str>,
    pub(super) max_import_bytes: usize,
}

/// A session that is to be made.
#[derive(Clone, Debug, Default)]
#[must_use = "nothing is made until `Sessions::create` is given it"]
pub struct NewSession {
    id: Option<Arc<str>>,
    title: Option<Arc<str>>,
    tags: BTreeMap<Arc<str>, Arc<str>>,
}

impl NewSession {
    /// A session without a title, under an id that is made for it.
    pub fn new() -> Self {
        Self::default()
    }

    /// A session with a title.
    pub fn titled(title: impl Into<Arc<str>>) -> Self {
        Self {
            title: Some(title.into()),
            ..Self::default()
        }
    }

    /// Sets its id: 1 to 128 letters, digits, `-`, `_`, `.` or `:` of ASCII, not beginning with a dot. Default: a random one, sortable
    /// by time.
    pub fn id(mut self, id: impl Into<Arc<str>>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Adds something that it is found by.
    pub fn tag(mut self, key: impl Into<Arc<str>>, value: impl Into<Arc<str>>) -> Self {
        self.tags.insert(key.into(), value.into());
        self
    }
}

/// What a new log has before its own first record.
pub(super) enum Earlier {
    Nothing,
    /// What another log has, up to a version.
    Shared(LogId, u64),
    Entries(Vec<NewEntry>),
}

/// What a list shows of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionSummary {
    /// Its id.
    pub id: Arc<str>,
    /// What people call it.
    pub title: Option<Arc<str>>,
    /// What it is found by.
    pub tags: BTreeMap<Arc<str>, Arc<str>>,
    /// Its newest version.
    pub version: u64,
    /// How many messages its conversation has.
    pub messages: usize,
    /// The run that is under way.
    pub open_run: Option<RunId>,
    /// When it was made.
    pub created: Timestamp,
    /// When it changed last.
    pub updated: Timestamp,
}

impl SessionSummary {
    fn of(head: Head) -> Self {
        // A list is not refused because one head was written by a newer library.
        let outline: Outline = serde_json::from_value(head.about).unwrap_or_default();
        Self {
            id: head.log.id().into(),
            title: outline.title,
            tags: outline.tags,
            version: head.version,
            messages: outline.messages,
            open_run: outline.run,
            created: head.created,
            updated: head.updated,
        }
    }
}

impl Sessions {
    /// The sessions that a user has in a store.
    pub fn new(store: Arc<dyn Store>, user: impl Into<Arc<str>>) -> Self {
        Self {
            store,
            user: user.into(),
            max_import_bytes: MAX_IMPORT_BYTES,
        }
    }

    /// Sets how large a document that is imported may be, in bytes. Default: 64 MiB. Reading it may take several times as much memory.
    #[must_use]
    pub fn max_import_bytes(mut self, bytes: usize) -> Self {
        self.max_import_bytes = bytes;
        self
    }

    /// Whose sessions they are.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// Makes a session.
    ///
    /// # Errors
    ///
    /// [`Exists`](super::SessionErrorKind::Exists) where the id is taken, [`Invalid`](super::SessionErrorKind::Invalid) where it is none.
    pub async fn create(&self, new: NewSession) -> Result<Session, SessionError> {
        let id = new.id.unwrap_or_else(random_id);
        let log = self.log(&id)?;
        let record = Record::Created(Created {
            format: FORMAT,
            title: new.title,
            tags: new.tags,
        });
        self.begin(log, Earlier::Nothing, View::new(&id), record)
            .await
    }

    /// Begins a log with a record on top of what a view has.
    pub(super) async fn begin(
        &self,
        log: SessionLog,
        earlier: Earlier,
        mut view: View,
        record: Record,
    ) -> Result<Session, SessionError> {
        let outline = view.outline.after(&record);
        let mut new = NewLog::new(log.id.clone())
            .owner(Some(self.user.clone()))
            .about(outline.about()?)
            .status(outline.status());
        match earlier {
            Earlier::Nothing => {}
            Earlier::Shared(origin, version) => new = new.origin(origin, version),
            Earlier::Entries(entries) => new.entries = entries,
        }
        new = new.entry(NewEntry::new("", record.write()?));
        let created = self.store.create(new).await;
        let head = created.map_err(|error| SessionError::of_store(&log.id, error))?;
        view.id = log.id.id().into();
        view.conversation = std::mem::take(&mut view.conversation).with_id(log.id.id());
        view.apply(head.version, Some(record))?;
        Ok(Session::new(self.clone(), log, view))
    }

    /// Opens a session at its newest version.
    ///
    /// # Errors
    ///
    /// [`NotFound`](super::SessionErrorKind::NotFound).
    pub async fn open(&self, id: &str) -> Result<Session, SessionError> {
        let log = self.find(id).await?;
        let mut view = View::new(id);
        log.read_into(&mut view, u64::MAX).await?;
        Ok(Session::new(self.clone(), log, view))
    }

    /// Looks at a session as it was: at a version, or at the name of a snapshot. To go on from there, [branch](Session::branch).
    ///
    /// # Errors
    ///
    /// [`NotFound`](super::SessionErrorKind::NotFound).
    pub async fn open_at(&self, id: &str, at: impl Into<At>) -> Result<View, SessionError> {
        self.open(id).await?.at(at).await
    }

    /// The sessions, those that changed last first, at most so many. It reads heads alone.
    ///
    /// # Errors
    ///
    /// The store cannot be read.
    pub async fn list(&self, limit: usize) -> Result<Vec<SessionSummary>, SessionError> {
        let query = Query::of(LogKind::Session)
            .owner(self.user.clone())
            .limit(limit);
        let heads = self.store.list(query).await;
        let heads = heads.map_err(|error| {
            SessionError::new(
                super::SessionErrorKind::Store,
                "the store could not list sessions",
            )
            .because(error)
        })?;
        Ok(heads.into_iter().map(SessionSummary::of).collect())
    }

    /// Removes a session and the files of its snapshots. What branched from it keeps what it had.
    ///
    /// # Errors
    ///
    /// [`NotFound`](super::SessionErrorKind::NotFound), [`Conflict`](super::SessionErrorKind::Conflict) where it is in use.
    pub async fn delete(&self, id: &str) -> Result<(), SessionError> {
        let log = self.find(id).await?;
        // The session first: without it nobody asks for its files.
        for id in [&log.id, &log.files] {
            let deleted = self.store.delete(id).await;
            deleted.map_err(|error| SessionError::of_store(id, error))?;
        }
        Ok(())
    }

    pub(super) fn log(&self, id: &str) -> Result<SessionLog, SessionError> {
        SessionLog::new(self.store.clone(), id)
    }

    /// The log of a session that is this user's.
    async fn find(&self, id: &str) -> Result<SessionLog, SessionError> {
        let log = self.log(id)?;
        let head = self.store.head(&log.id).await;
        let head = head.map_err(|error| SessionError::of_store(&log.id, error))?;
        match head {
            Some(head) if head.owner.as_ref() == Some(&self.user) => Ok(log),
            _ => Err(SessionError::not_found(id)),
        }
    }
}

/// An id that is nobody's: 128 bits, sortable by time.
pub(super) fn random_id() -> Arc<str> {
    uuid::Uuid::now_v7().simple().to_string().into()
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}
