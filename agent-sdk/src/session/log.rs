//! The two logs of a session: its records, and the contents of its files.

use std::sync::Arc;

use bytes::Bytes;

use super::{FileInfo, SessionError, SessionErrorKind, View, record::Record};
use crate::store::{Entry, LogId, LogKind, Store, StoreError, StoreErrorKind};

/// How many entries are read at once.
const PAGE: usize = 512;

/// The two logs of a session: its records, and the contents of its files.
#[derive(Clone, Debug)]
pub(super) struct SessionLog {
    pub(super) store: Arc<dyn Store>,
    pub(super) id: LogId,
    pub(super) files: LogId,
}

impl SessionLog {
    pub(super) fn new(store: Arc<dyn Store>, id: &str) -> Result<Self, SessionError> {
        let id = LogId::new(LogKind::Session, id)
            .map_err(|error| super::error::Fault::new("id", error.to_string()))?;
        Ok(Self {
            store,
            files: id.of_kind(LogKind::Files),
            id,
        })
    }

    pub(super) fn refused(&self, error: StoreError) -> SessionError {
        SessionError::of_store(&self.id, error)
    }

    /// Hands over the entries after a version, up to one, oldest first.
    pub(super) async fn each(
        &self,
        log: &LogId,
        mut after: u64,
        through: u64,
        mut take: impl FnMut(Entry) -> Result<(), SessionError> + Send,
    ) -> Result<(), SessionError> {
        while after < through {
            let left = usize::try_from(through - after).unwrap_or(usize::MAX);
            let page = left.min(PAGE);
            let entries = self.store.read(log, after, page).await;
            let entries = entries.map_err(|error| self.refused(error))?;
            let is_last = entries.len() < page;
            for entry in entries {
                after = entry.version;
                take(entry)?;
            }
            if is_last {
                break;
            }
        }
        Ok(())
    }

    /// Folds what a view does not have yet into it, up to a version. After an error the view is not to be used any more.
    pub(super) async fn read_into(
        &self,
        view: &mut View,
        through: u64,
    ) -> Result<(), SessionError> {
        self.each(&self.id, view.version, through, |entry| {
            let taken = Record::read(&entry.body).and_then(|it| view.apply(entry.version, it));
            taken.map_err(|fault| fault.in_log(&self.id, entry.version))
        })
        .await
    }

    /// The content of a file, checked against its hash.
    pub(super) async fn content(&self, path: &str, info: &FileInfo) -> Result<Bytes, SessionError> {
        let before = info.version.saturating_sub(1);
        let read = self.store.read(&self.files, before, 1).await;
        let entry = match read {
            Ok(entries) => entries.into_iter().next(),
            Err(error) if error.kind() == StoreErrorKind::NotFound => None,
            Err(error) => return Err(self.refused(error)),
        };
        let entry = entry.ok_or_else(|| {
            SessionError::new(
                SessionErrorKind::NotFound,
                format!("the content of the file `{path}` is not in the store any more"),
            )
        })?;
        if entry.version == info.version && info.is_of(&entry.body) {
            return Ok(entry.body);
        }
        let what = "the content of a file is not what was kept";
        Err(self.refused(StoreError::corrupt(&self.files, info.version, what)))
    }
}
