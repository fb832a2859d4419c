//! What went wrong in SQLite or the file system, in the words of the store.

use std::{fmt, io, path::Path};

use rusqlite::ErrorCode;

use crate::store::{LogId, StoreError, StoreErrorKind};

/// Why a command was not done.
#[derive(Debug)]
pub(super) enum Fault {
    /// The store's own answer.
    Refused(StoreError),
    /// SQLite's.
    Sqlite(rusqlite::Error),
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Refused(error)
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl Fault {
    /// The error that the caller sees. `log` is what the command was about.
    pub(super) fn explain(self, db: &Path, log: Option<&LogId>) -> StoreError {
        match (self, log) {
            (Self::Refused(error), _) => error,
            (Self::Sqlite(error), Some(log)) if is_damage(&error) => damaged(log, &error),
            (Self::Sqlite(error), _) => explain(db, &error),
        }
    }
}

/// The log cannot be read, and it is not known from which version on.
pub(super) fn damaged(log: &LogId, what: impl fmt::Display) -> StoreError {
    StoreError::new(
        StoreErrorKind::Corrupt,
        format!("{log} is damaged: {what}; other logs can be used"),
    )
}

/// Whether what was read cannot be what was written.
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::Error;
    match error {
        Error::SqliteFailure(error, _) => matches!(
            error.code,
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase
        ),
        Error::FromSqlConversionFailure(..)
        | Error::IntegralValueOutOfRange(..)
        | Error::InvalidColumnType(..)
        | Error::Utf8Error(..) => true,
        _ => false,
    }
}

/// An error of SQLite about the file as a whole.
pub(super) fn explain(db: &Path, error: &rusqlite::Error) -> StoreError {
    let at = db.display();
    let (kind, advice) = match error.sqlite_error_code() {
        _ if is_damage(error) => (
            StoreErrorKind::Corrupt,
            "the file is damaged or no store: put it aside, or back from a copy".to_owned(),
        ),
        Some(ErrorCode::DiskFull) => (StoreErrorKind::Full, room(db)),
        Some(
            ErrorCode::ReadOnly
            | ErrorCode::CannotOpen
            | ErrorCode::PermissionDenied
            | ErrorCode::AuthorizationForStatementDenied,
        ) => (
            StoreErrorKind::Permission,
            "it must be a file in a folder that this user may read and write, and no symbolic link"
                .to_owned(),
        ),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => (
            StoreErrorKind::Busy,
            "another process is writing to it for too long: try again, or stop that".to_owned(),
        ),
        Some(ErrorCode::SystemIoFailure) => (
            StoreErrorKind::Io,
            format!("the disk, or a limit on the size of files: {}", room(db)),
        ),
        _ => (StoreErrorKind::Io, "nothing of it was kept".to_owned()),
    };
    StoreError::new(kind, format!("the store {at} failed: {error} ({advice})"))
}

/// An error of the file system.
pub(super) fn io(path: &Path, doing: &str, error: io::Error) -> StoreError {
    let kind = match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            StoreErrorKind::Permission
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            StoreErrorKind::Full
        }
        _ => StoreErrorKind::Io,
    };
    let message = format!("{} cannot be {doing}: {error}", path.display());
    StoreError::new(kind, message).because(error)
}

/// What the place is called, and how much room there is.
fn room(db: &Path) -> String {
    match free_bytes(db) {
        Some(free) => format!("{free} bytes are free there: make room, and try again"),
        None => "make room, and try again".to_owned(),
    }
}

#[cfg(unix)]
fn free_bytes(db: &Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(db.parent()?).ok()?;
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}

#[cfg(not(unix))]
fn free_bytes(_: &Path) -> Option<u64> {
    None
}
