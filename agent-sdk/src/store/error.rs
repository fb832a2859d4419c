//! Why a store refused or failed.

use std::{error::Error as StdError, fmt};

use super::{Holder, LogId};

/// Why a store refused or failed.
///
/// Match on [`kind`](Self::kind); the text is for people and may change.
#[derive(Debug)]
pub struct StoreError {
    kind: StoreErrorKind,
    message: String,
    holder: Option<Holder>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// The class of a [`StoreError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// There is no such log.
    NotFound,
    /// There is such a log already.
    Exists,
    /// The log went on since the version that was named.
    Conflict,
    /// Somebody else has the log; [`StoreError::holder`] says who and until when.
    Held,
    /// The lease was lost: somebody else has the log since.
    Fenced,
    /// What was read is not what was written. Other logs can be used.
    Corrupt,
    /// The store was made by a newer version of this library.
    Newer,
    /// No room is left.
    Full,
    /// The store may not be written or opened.
    Permission,
    /// Another process is using the store for longer than can be waited.
    Busy,
    /// An id cannot be used.
    InvalidId,
    /// Anything else that went wrong while reading or writing.
    Io,
}

impl StoreErrorKind {
    /// The low-cardinality value recorded as `error.type`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::Exists => "exists",
            Self::Conflict => "conflict",
            Self::Held => "held",
            Self::Fenced => "fenced",
            Self::Corrupt => "corrupt",
            Self::Newer => "newer",
            Self::Full => "full",
            Self::Permission => "permission",
            Self::Busy => "busy",
            Self::InvalidId => "invalid_id",
            Self::Io => "io",
        }
    }

    /// Whether the same call may work later.
    pub const fn is_retryable(self) -> bool {
        matches!(self, Self::Held | Self::Full | Self::Busy | Self::Io)
    }
}

impl StoreError {
    /// An error of a class, with words for people: what went wrong, where, and what to do.
    pub fn new(kind: StoreErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            holder: None,
            source: None,
        }
    }

    /// Adds what is behind it.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// There is no such log.
    pub fn not_found(log: &LogId) -> Self {
        Self::new(StoreErrorKind::NotFound, format!("there is no {log} here"))
    }

    /// There is such a log already.
    pub fn exists(log: &LogId) -> Self {
        Self::new(
            StoreErrorKind::Exists,
            format!("there is a {log} already; choose another id"),
        )
    }

    /// The log is not at the version that the caller took it to be at.
    pub fn conflict(log: &LogId, expected: u64, found: u64) -> Self {
        Self::new(
            StoreErrorKind::Conflict,
            format!(
                "{log} is at version {found} and not at {expected}: somebody else wrote to it; read it again"
            ),
        )
    }

    /// Somebody else has the log.
    pub fn held(log: &LogId, holder: &Holder) -> Self {
        Self {
            holder: Some(holder.clone()),
            ..Self::new(
                StoreErrorKind::Held,
                format!("{log} is in the hands of {holder}; wait, or stop it there"),
            )
        }
    }

    /// The lease was lost.
    pub fn fenced(log: &LogId) -> Self {
        Self::new(
            StoreErrorKind::Fenced,
            format!("{log} went over to another process; nothing more is written to it from here"),
        )
    }

    /// An entry is not what was written.
    pub fn corrupt(log: &LogId, version: u64, what: impl fmt::Display) -> Self {
        Self::new(
            StoreErrorKind::Corrupt,
            format!("{log} is damaged at version {version}: {what}; other logs can be used"),
        )
    }

    /// The class of the failure.
    pub fn kind(&self) -> StoreErrorKind {
        self.kind
    }

    /// Who has the log, if that is why.
    pub fn holder(&self) -> Option<&Holder> {
        self.holder.as_ref()
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for StoreError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source
            .as_ref()
            .map(|source| &**source as &(dyn StdError + 'static))
    }
}
