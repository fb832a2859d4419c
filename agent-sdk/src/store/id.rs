//! What logs are called.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{StoreError, StoreErrorKind};

/// The longest id, in bytes.
const MAX_ID_BYTES: usize = 128;

/// What a log is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LogKind {
    /// The journal of a run.
    Run,
    /// What others have to say to a run: answers to its questions, a wish that it stops.
    Inbox,
    /// The events of a run.
    Events,
    /// A session.
    Session,
    /// The files of a session's snapshots.
    Files,
    /// What was charged on a day.
    Cost,
}

impl LogKind {
    /// Every kind.
    pub const ALL: [Self; 6] = [
        Self::Run,
        Self::Inbox,
        Self::Events,
        Self::Session,
        Self::Files,
        Self::Cost,
    ];

    /// Its name, as stores keep it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Inbox => "inbox",
            Self::Events => "events",
            Self::Session => "session",
            Self::Files => "files",
            Self::Cost => "cost",
        }
    }

    /// The kind of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// The name of a log: what it is of, and an id that is safe everywhere, also as a file's name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogId {
    kind: LogKind,
    id: Arc<str>,
}

impl LogId {
    /// Names a log. An id has 1 to 128 letters, digits, `-`, `_`, `.` or `:` of ASCII, and does not begin with a dot.
    ///
    /// # Errors
    ///
    /// [`StoreErrorKind::InvalidId`].
    pub fn new(kind: LogKind, id: impl AsRef<str>) -> Result<Self, StoreError> {
        let id = id.as_ref();
        let is_safe = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
        if id.is_empty()
            || id.len() > MAX_ID_BYTES
            || id.starts_with('.')
            || !id.bytes().all(is_safe)
        {
            let shown: String = id.chars().take(40).flat_map(char::escape_debug).collect();
            return Err(StoreError::new(
                StoreErrorKind::InvalidId,
                format!(
                    "`{shown}` is no id of a {}: use 1 to {MAX_ID_BYTES} letters, digits, `-`, `_`, `.` or `:`, and no dot at the beginning",
                    kind.as_str()
                ),
            ));
        }
        Ok(Self {
            kind,
            id: id.into(),
        })
    }

    /// What it is of.
    pub fn kind(&self) -> LogKind {
        self.kind
    }

    /// Its id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The log of another kind with the same id.
    #[must_use]
    pub fn of_kind(&self, kind: LogKind) -> Self {
        Self {
            kind,
            id: self.id.clone(),
        }
    }
}

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.as_str(), self.id)
    }
}

impl fmt::Debug for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LogId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s9_ids_that_could_be_a_path_or_a_query_are_refused() {
        for bad in [
            "",
            ".",
            "..",
            ".hidden",
            "a/b",
            "a\\b",
            "../a",
            "a\0b",
            "a b",
            "a'b",
            "a\"b",
            "a;b",
            "a%2fb",
            "é",
            "a\nb",
            "a\u{202e}b",
        ] {
            let error = LogId::new(LogKind::Session, bad).unwrap_err();
            assert_eq!(error.kind(), StoreErrorKind::InvalidId, "{bad:?}");
            assert!(!error.to_string().contains('\n'), "{error}");
        }
        assert!(LogId::new(LogKind::Run, "a".repeat(129)).is_err());
        let id = LogId::new(LogKind::Run, "run-1_a.b:c").unwrap();
        assert_eq!(
            (id.id(), id.to_string()),
            ("run-1_a.b:c", "run run-1_a.b:c".to_owned())
        );
    }

    #[test]
    fn kinds_have_the_names_that_stores_keep() {
        for kind in LogKind::ALL {
            assert_eq!(LogKind::named(kind.as_str()), Some(kind));
        }
        assert_eq!(LogKind::named("other"), None);
    }
}
