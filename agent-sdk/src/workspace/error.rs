//! Why a workspace did not do as it was asked.

use std::{error::Error as StdError, fmt, io};

/// Why a workspace did not do as it was asked.
///
/// Match on [`kind`](Self::kind); the text is for people, and for the model that called a tool. It names paths as they were given,
/// cut and escaped, and no content.
#[derive(Debug)]
pub struct WorkspaceError {
    kind: WorkspaceErrorKind,
    message: String,
    source: Option<io::Error>,
}

/// The class of a [`WorkspaceError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WorkspaceErrorKind {
    /// The path leads out of the workspace, over a link, to something that is no file, or has a name that may not be made.
    Refused,
    /// There is nothing at the path.
    NotFound,
    /// There is something at the path already.
    AlreadyExists,
    /// A file would be too large, or there would be too many of them.
    Limit,
    /// What was asked makes no sense: a template with an unknown placeholder, a folder where a file is needed, a wrong pattern.
    Invalid,
    /// The system refused.
    Io,
}

impl WorkspaceErrorKind {
    /// The class in a word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::NotFound => "not_found",
            Self::AlreadyExists => "already_exists",
            Self::Limit => "limit",
            Self::Invalid => "invalid",
            Self::Io => "io",
        }
    }
}

impl WorkspaceError {
    pub(super) fn new(kind: WorkspaceErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            source: None,
        }
    }

    pub(super) fn refused(message: impl Into<String>) -> Self {
        Self::new(WorkspaceErrorKind::Refused, message)
    }

    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(WorkspaceErrorKind::Invalid, message)
    }

    pub(super) fn limit(message: impl Into<String>) -> Self {
        Self::new(WorkspaceErrorKind::Limit, message)
    }

    /// What the system said of a path.
    pub(super) fn io(shown: impl fmt::Display, doing: &str, error: io::Error) -> Self {
        let (kind, why) = match error.kind() {
            io::ErrorKind::NotFound => (WorkspaceErrorKind::NotFound, "does not exist".to_owned()),
            io::ErrorKind::NotADirectory => (
                WorkspaceErrorKind::Invalid,
                "leads through something that is no folder".to_owned(),
            ),
            io::ErrorKind::PermissionDenied => {
                (WorkspaceErrorKind::Io, format!("may not be {doing}"))
            }
            _ => (
                WorkspaceErrorKind::Io,
                format!("cannot be {doing}: {error}"),
            ),
        };
        Self {
            kind,
            message: format!("{shown} {why}"),
            source: Some(error),
        }
    }

    /// The class of the failure.
    pub fn kind(&self) -> WorkspaceErrorKind {
        self.kind
    }
}

impl fmt::Display for WorkspaceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for WorkspaceError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_ref().map(|source| source as _)
    }
}
