//! What a session was: its versions, their names, and branches of it.

use std::sync::Arc;

use jiff::Timestamp;

use super::{
    Diff, Session, SessionError, SessionErrorKind, View,
    error::Fault,
    record::{Branched, Imported, Record, RunChange, Snapshot},
    sessions::{Earlier, random_id},
};
use crate::{operation::RunId, store::NewLog};

/// The longest name of a snapshot, in bytes.
const MAX_NAME_BYTES: usize = 128;

/// A place in a session's history.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum At {
    /// A version, from 1.
    Version(u64),
    /// The version that a snapshot named.
    Snapshot(Arc<str>),
}

impl From<u64> for At {
    fn from(version: u64) -> Self {
        Self::Version(version)
    }
}

impl From<&str> for At {
    fn from(name: &str) -> Self {
        Self::Snapshot(name.into())
    }
}

impl From<String> for At {
    fn from(name: String) -> Self {
        Self::Snapshot(name.into())
    }
}

/// A version of a session, and what is different in it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct VersionSummary {
    /// Its number.
    pub version: u64,
    /// When it was kept; of one that was imported, when it was kept there.
    pub at: Timestamp,
    /// What happened: `created`, `updated`, `snapshot`, `compressed`, `branched`, `imported`; `unknown` where a newer library did it.
    pub what: &'static str,
    /// The name that a snapshot gave it.
    pub name: Option<Arc<str>>,
    /// The run that began, finished or was abandoned with it.
    pub run: Option<RunId>,
    /// How many messages were said.
    pub messages: usize,
    /// The keys of the shared state that were set or removed.
    pub keys: Vec<Arc<str>>,
    /// The files that were written or removed.
    pub files: Vec<Arc<str>>,
}

impl VersionSummary {
    fn of(version: u64, at: Timestamp, record: Option<&Record>) -> Self {
        let mut summary = Self {
            version,
            at,
            what: record.map_or("unknown", Record::name),
            name: None,
            run: None,
            messages: 0,
            keys: Vec::new(),
            files: Vec::new(),
        };
        match record {
            Some(Record::Updated(updated)) => {
                summary.messages = updated.messages.len();
                let keys = updated.changes.iter().map(|change| change.key().clone());
                summary.keys = keys.collect();
                summary.run = updated.run.as_ref().map(RunChange::id).cloned();
            }
            Some(Record::Snapshot(snapshot)) => {
                summary.name.clone_from(&snapshot.name);
                if let Some(files) = &snapshot.files {
                    let files = files.written.keys().chain(&files.removed);
                    summary.files = files.cloned().collect();
                }
            }
            Some(Record::Compressed(compressed)) => {
                summary.keys.clone_from(&compressed.removed_keys);
            }
            _ => {}
        }
        summary
    }
}

impl Session {
    /// Names the session as it is now, and answers with the version of that name.
    ///
    /// # Errors
    ///
    /// [`Exists`](SessionErrorKind::Exists) where a snapshot has the name. [`Invalid`](SessionErrorKind::Invalid): a name has 1 to 128 bytes,
    /// no control characters, and is no number.
    pub async fn snapshot(&mut self, name: &str) -> Result<u64, SessionError> {
        let name = Some(self.free_name(name)?);
        let snapshot = Snapshot { name, files: None };
        self.commit(Record::Snapshot(snapshot)).await
    }

    /// A name that a snapshot can be given.
    pub(super) fn free_name(&self, name: &str) -> Result<Arc<str>, SessionError> {
        let is_number = name.bytes().all(|byte| byte.is_ascii_digit());
        if is_number || name.len() > MAX_NAME_BYTES || name.contains(char::is_control) {
            let what = format!(
                "a snapshot's name has 1 to {MAX_NAME_BYTES} bytes, no control characters, and is no number"
            );
            return Err(Fault::new("name", what).into());
        }
        match self.view.names.get(name) {
            None => Ok(name.into()),
            Some(version) => Err(SessionError::new(
                SessionErrorKind::Exists,
                format!("version {version} is the snapshot `{name}` already; choose another name"),
            )),
        }
    }

    /// All versions, oldest first, each with what is different in it. It reads the whole log.
    ///
    /// # Errors
    ///
    /// The store cannot be read.
    pub async fn versions(&self) -> Result<Vec<VersionSummary>, SessionError> {
        let mut versions: Vec<VersionSummary> = Vec::new();
        let log = &self.log;
        let taken = log.each(&log.id, 0, self.version(), |entry| {
            let record = Record::read(&entry.body);
            let record = record.map_err(|fault| fault.in_log(&log.id, entry.version))?;
            if let Some(Record::Imported(Imported { at, .. })) = &record {
                for (version, at) in versions.iter_mut().zip(at) {
                    version.at = *at;
                }
            }
            versions.push(VersionSummary::of(entry.version, entry.at, record.as_ref()));
            Ok(())
        });
        taken.await?;
        Ok(versions)
    }

    /// The session as it was. It reads the log up to there.
    ///
    /// # Errors
    ///
    /// [`NotFound`](SessionErrorKind::NotFound) where there is no such version or snapshot.
    pub async fn at(&self, at: impl Into<At>) -> Result<View, SessionError> {
        let newest = self.version();
        let missing = |what: String| SessionError::new(SessionErrorKind::NotFound, what);
        let version = match at.into() {
            At::Version(version) if (1..=newest).contains(&version) => version,
            At::Version(version) => {
                return Err(missing(format!(
                    "session `{}` has the versions 1 to {newest}, and no version {version}",
                    self.id()
                )));
            }
            At::Snapshot(name) => *self.view.names.get(&name).ok_or_else(|| {
                missing(format!(
                    "session `{}` has no snapshot of this name; `versions` lists them",
                    self.id()
                ))
            })?,
        };
        if version == newest {
            return Ok(self.view.clone());
        }
        let mut view = View::new(self.id());
        self.log.read_into(&mut view, version).await?;
        Ok(view)
    }

    /// What is different between two versions or snapshots, also across a compression.
    ///
    /// # Errors
    ///
    /// As those of [`at`](Self::at).
    pub async fn diff(&self, from: impl Into<At>, to: impl Into<At>) -> Result<Diff, SessionError> {
        let (from, to) = (from.into(), to.into());
        Ok(Diff::between(&self.at(from).await?, &self.at(to).await?))
    }

    /// Makes a session of the same user, under a new id, that begins as this one was, and goes its own way. What was is shared, and kept also
    /// if this session is deleted. A run that was under way stays this session's.
    ///
    /// # Errors
    ///
    /// As those of [`at`](Self::at).
    pub async fn branch(&self, at: impl Into<At>) -> Result<Self, SessionError> {
        let view = self.at(at).await?;
        let log = self.sessions.log(&random_id())?;
        if view.files_version > 0 {
            // First the files, because the session's records refer to them.
            let files = NewLog::new(log.files.clone())
                .owner(Some(self.sessions.user.clone()))
                .origin(self.log.files.clone(), view.files_version);
            let created = log.store.create(files).await;
            created.map_err(|error| self.log.refused(error))?;
        }
        let record = Record::Branched(Branched {
            from: self.id().into(),
            version: view.version,
        });
        let earlier = Earlier::Shared(self.log.id.clone(), view.version);
        self.sessions.begin(log, earlier, view, record).await
    }
}
