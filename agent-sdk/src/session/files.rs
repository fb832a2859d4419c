//! The files of a folder, kept with a session.
//!
//! Contents are entries of a log of their own, one for each content that is new; the session's record says which entry a path stands
//! for, how large it is, and its hash. What did not change since is not written again.

use std::{collections::BTreeMap, fmt, sync::Arc};

use bytes::Bytes;
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{
    At, Session, SessionError, SessionErrorKind,
    error::Fault,
    record::{FileChanges, Record, Snapshot},
};
use crate::store::{Append, NewEntry, extend};

/// The longest path, in bytes.
const MAX_PATH_BYTES: usize = 1024;

/// How many bytes of contents are collected before they are written.
const BATCH_BYTES: usize = 4 << 20;

/// A file as it was kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FileInfo {
    /// The entry of the files' log that has its content.
    pub version: u64,
    /// Its size in bytes.
    pub size: u64,
    /// The SHA-256 of its content, in hexadecimal.
    pub sha256: Arc<str>,
}

impl FileInfo {
    /// Whether this is its content.
    pub(super) fn is_of(&self, content: &[u8]) -> bool {
        self.size == content.len() as u64 && *self.sha256 == *hash(content)
    }
}

/// A file that was in the folder and was not kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NotKept {
    /// Its path.
    pub path: Arc<str>,
    /// Its size in bytes.
    pub size: u64,
    /// Why not.
    pub reason: NotKeptReason,
}

/// Why a file was not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum NotKeptReason {
    /// It is larger than one file may be.
    FileSize,
    /// The files before it took what all may have together.
    TotalSize,
    /// There were as many files as there may be.
    Count,
    /// Its path does not stay inside the folder, or is not the same everywhere.
    Path,
}

impl NotKeptReason {
    /// The reason in words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FileSize => "larger than one file may be",
            Self::TotalSize => "no room is left for all files together",
            Self::Count => "there are too many files",
            Self::Path => "its path cannot be used everywhere",
        }
    }
}

impl fmt::Display for NotKeptReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How much of a folder is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileLimits {
    /// The largest file, in bytes. Default: 8 MiB.
    pub file_bytes: u64,
    /// All files together, in bytes. Default: 64 MiB.
    pub total_bytes: u64,
    /// How many files. Default: 10,000.
    pub count: usize,
}

impl Default for FileLimits {
    fn default() -> Self {
        Self {
            file_bytes: 8 << 20,
            total_bytes: 64 << 20,
            count: 10_000,
        }
    }
}

impl FileLimits {
    /// Sets the size of the largest file, in bytes.
    #[must_use]
    pub fn file_bytes(mut self, bytes: u64) -> Self {
        self.file_bytes = bytes;
        self
    }

    /// Sets the size of all files together, in bytes.
    #[must_use]
    pub fn total_bytes(mut self, bytes: u64) -> Self {
        self.total_bytes = bytes;
        self
    }

    /// Sets how many files there may be.
    #[must_use]
    pub fn count(mut self, count: usize) -> Self {
        self.count = count;
        self
    }
}

/// What keeping a folder's files came to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FilesReport {
    /// The session's version with them.
    pub version: u64,
    /// How many were new or had changed, and were written.
    pub written: usize,
    /// How many were as before.
    pub unchanged: usize,
    /// How many are no longer there.
    pub removed: usize,
    /// Those that were not kept.
    pub not_kept: Vec<NotKept>,
}

impl Session {
    /// Keeps the files of a folder, all that there are: relative paths with `/`, and contents. What is not among them any more is gone
    /// from this version on. With a name it is a [snapshot](Self::snapshot) too.
    ///
    /// Files are taken one after the other, so that an iterator can read them as it goes; contents are written 4 MiB at a time.
    ///
    /// # Errors
    ///
    /// [`Exists`](SessionErrorKind::Exists) where a snapshot has the name, [`Invalid`](SessionErrorKind::Invalid) for a path that comes
    /// twice, and those of [`Update::commit`](super::Update::commit).
    pub async fn keep_files<P: Into<Arc<str>>, B: Into<Bytes>>(
        &mut self,
        name: Option<&str>,
        files: impl IntoIterator<Item = (P, B), IntoIter: Send> + Send,
        limits: FileLimits,
    ) -> Result<FilesReport, SessionError> {
        let name = name.map(|name| self.free_name(name)).transpose()?;
        let before = self.view.files.clone();
        let mut folder = Folder::default();
        for (path, content) in files {
            let (path, content) = (path.into(), content.into());
            folder.take(path, content, &before, limits)?;
            if folder.waiting_bytes >= BATCH_BYTES {
                self.write_files(&mut folder).await?;
            }
        }
        self.write_files(&mut folder).await?;
        let removed: Vec<Arc<str>> = before
            .keys()
            .filter(|path| !folder.kept.contains(*path))
            .cloned()
            .collect();
        let report = FilesReport {
            version: 0,
            written: folder.written.len(),
            unchanged: folder.kept.len() - folder.written.len(),
            removed: removed.len(),
            not_kept: folder.not_kept.clone(),
        };
        let files = FileChanges {
            written: folder.written,
            removed,
            not_kept: folder.not_kept,
        };
        let snapshot = Snapshot {
            name,
            files: Some(files),
        };
        let version = self.commit(Record::Snapshot(snapshot)).await?;
        Ok(FilesReport { version, ..report })
    }

    /// Writes the contents that wait. Until a record refers to them, they are nobody's.
    async fn write_files(&self, folder: &mut Folder) -> Result<(), SessionError> {
        let waiting = std::mem::take(&mut folder.waiting);
        folder.waiting_bytes = 0;
        if waiting.is_empty() {
            return Ok(());
        }
        let log = &self.log;
        let entries = waiting
            .iter()
            .map(|(path, _, content)| NewEntry::new(path.clone(), content.clone()));
        let entries: Vec<NewEntry> = entries.collect();
        let append = Append::new(log.files.clone(), entries);
        let owner = Some(self.sessions.user.clone());
        let appended = extend(&*log.store, append, owner).await;
        let last = appended.map_err(|error| log.refused(error))?;
        let first = (last + 1).saturating_sub(waiting.len() as u64);
        for (version, (path, sha256, content)) in (first..).zip(waiting) {
            let info = FileInfo {
                version,
                size: content.len() as u64,
                sha256,
            };
            folder.written.insert(path, info);
        }
        Ok(())
    }

    /// The content of a file as it was at a version or a snapshot.
    ///
    /// # Errors
    ///
    /// [`NotFound`](SessionErrorKind::NotFound) where there was none.
    pub async fn file(&self, path: &str, at: impl Into<At>) -> Result<Bytes, SessionError> {
        let view = self.at(at).await?;
        let info = view.files.get(path).ok_or_else(|| {
            SessionError::new(
                SessionErrorKind::NotFound,
                format!(
                    "session `{}` has no file of this path at version {}",
                    self.id(),
                    view.version
                ),
            )
        })?;
        self.log.content(path, info).await
    }

    /// The content of a file that a view of this session [lists](super::View::files): what a folder is restored from.
    ///
    /// # Errors
    ///
    /// [`Store`](SessionErrorKind::Store) where it is not what was kept.
    pub async fn content(&self, path: &str, info: &FileInfo) -> Result<Bytes, SessionError> {
        self.log.content(path, info).await
    }
}

/// What a folder's files come to, while they are taken.
#[derive(Default)]
struct Folder {
    total_bytes: u64,
    /// Those that this version has.
    kept: std::collections::BTreeSet<Arc<str>>,
    /// Path, hash and content of those that are yet to be written.
    waiting: Vec<(Arc<str>, Arc<str>, Bytes)>,
    waiting_bytes: usize,
    written: BTreeMap<Arc<str>, FileInfo>,
    not_kept: Vec<NotKept>,
}

impl Folder {
    fn take(
        &mut self,
        path: Arc<str>,
        content: Bytes,
        before: &BTreeMap<Arc<str>, FileInfo>,
        limits: FileLimits,
    ) -> Result<(), SessionError> {
        let size = content.len() as u64;
        let total = self.total_bytes.saturating_add(size);
        let reason = if !check_path(&path) {
            Some(NotKeptReason::Path)
        } else if size > limits.file_bytes {
            Some(NotKeptReason::FileSize)
        } else if total > limits.total_bytes {
            Some(NotKeptReason::TotalSize)
        } else if self.kept.len() >= limits.count {
            Some(NotKeptReason::Count)
        } else {
            None
        };
        if let Some(reason) = reason {
            self.not_kept.push(NotKept { path, size, reason });
            return Ok(());
        }
        if !self.kept.insert(path.clone()) {
            let what = "the path comes twice; give each file once";
            return Err(Fault::new(format!("files.{path}"), what).into());
        }
        self.total_bytes = total;
        let sha256 = hash(&content);
        let known = before.get(&path);
        if known.is_some_and(|info| info.size == size && info.sha256 == sha256) {
            return Ok(());
        }
        self.waiting_bytes += content.len();
        self.waiting.push((path, sha256, content));
        Ok(())
    }
}

fn hash(content: &[u8]) -> Arc<str> {
    HEXLOWER.encode(&Sha256::digest(content)).into()
}

/// Whether a path is relative, stays inside its folder, and means the same on every system.
pub(super) fn check_path(path: &str) -> bool {
    path.len() <= MAX_PATH_BYTES
        && !path.contains(|c: char| c.is_control() || c == '\\' || c == ':')
        && path
            .split('/')
            .all(|name| !name.is_empty() && name != "." && name != "..")
}
