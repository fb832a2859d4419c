//! Why something could not be done with a session.

use std::{error::Error as StdError, fmt};

use serde_json::error::Category;

use crate::{
    model::ModelError,
    store::{LogId, StoreError, StoreErrorKind},
};

/// How much of a path inside a document an error shows, in characters.
const MAX_PATH_CHARS: usize = 120;

/// Why something could not be done with a session.
///
/// Match on [`kind`](Self::kind); the text is for people and may change. It never quotes what was said in a session.
#[derive(Debug)]
pub struct SessionError {
    kind: SessionErrorKind,
    message: String,
    path: Option<String>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// The class of a [`SessionError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SessionErrorKind {
    /// The user has no such session, or the session no such version, snapshot or file.
    NotFound,
    /// The id, or the name of a snapshot, is taken.
    Exists,
    /// Somebody else wrote to the session since it was read, or a run of it is under way.
    Conflict,
    /// What was given cannot be used; [`SessionError::path`] says where.
    Invalid,
    /// It was written by a newer version of this library.
    Newer,
    /// It is larger than allowed.
    TooLarge,
    /// The model gave no summary.
    Model,
    /// The store refused or failed.
    Store,
}

impl SessionErrorKind {
    /// The low-cardinality value recorded as `error.type`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::Exists => "exists",
            Self::Conflict => "conflict",
            Self::Invalid => "invalid",
            Self::Newer => "newer",
            Self::TooLarge => "too_large",
            Self::Model => "model",
            Self::Store => "store",
        }
    }
}

impl SessionError {
    pub(super) fn new(kind: SessionErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            path: None,
            source: None,
        }
    }

    pub(super) fn because(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// One text for what does not exist and for what is somebody else's, so that nobody can tell them apart.
    pub(super) fn not_found(id: &str) -> Self {
        Self::new(
            SessionErrorKind::NotFound,
            format!("this user has no session `{id}`; `list` names those there are"),
        )
    }

    pub(super) fn conflict(message: impl Into<String>) -> Self {
        Self::new(SessionErrorKind::Conflict, message)
    }

    pub(super) fn too_large(message: impl Into<String>) -> Self {
        Self::new(SessionErrorKind::TooLarge, message)
    }

    pub(super) fn model(message: impl Into<String>, source: ModelError) -> Self {
        Self::new(SessionErrorKind::Model, message).because(source)
    }

    /// What the store said of a session.
    pub(super) fn of_store(log: &LogId, error: StoreError) -> Self {
        let id = log.id();
        let (kind, message) = match error.kind() {
            StoreErrorKind::NotFound => return Self::not_found(id),
            StoreErrorKind::InvalidId => return Fault::new("id", error.to_string()).into(),
            StoreErrorKind::Exists => (
                SessionErrorKind::Exists,
                format!("the id `{id}` is taken; choose another, or let one be made"),
            ),
            StoreErrorKind::Conflict => (
                SessionErrorKind::Conflict,
                format!(
                    "session `{id}` was written to by somebody else: nothing was kept; `reload` it and do it again"
                ),
            ),
            StoreErrorKind::Held => (
                SessionErrorKind::Conflict,
                format!("session `{id}` is in use elsewhere; wait until it is free"),
            ),
            StoreErrorKind::Newer => (
                SessionErrorKind::Newer,
                "the store was made by a newer version of this library; use that".to_owned(),
            ),
            kind => (
                SessionErrorKind::Store,
                format!("the store failed on session `{id}`: {}", kind.as_str()),
            ),
        };
        Self::new(kind, message).because(error)
    }

    /// The class of the failure.
    pub fn kind(&self) -> SessionErrorKind {
        self.kind
    }

    /// Where in what was given the fault is, for example `records[3].record.messages[0].role`.
    pub fn path(&self) -> Option<&str> {
        self.path.as_deref()
    }
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.path {
            Some(path) => write!(f, "at `{path}`: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl StdError for SessionError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// What is wrong with something that was read, and where in it.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) kind: SessionErrorKind,
    pub(super) path: String,
    pub(super) what: String,
}

impl Fault {
    pub(super) fn new(path: impl Into<String>, what: impl Into<String>) -> Self {
        Self {
            kind: SessionErrorKind::Invalid,
            path: path.into(),
            what: what.into(),
        }
    }

    /// A form that only a newer library knows.
    pub(super) fn newer(path: &str, found: u64, known: u64) -> Self {
        Self {
            kind: SessionErrorKind::Newer,
            ..Self::new(
                path,
                format!(
                    "it is of version {found}, and this library reads up to version {known}; use a newer one"
                ),
            )
        }
    }

    /// What is wrong with a piece of JSON, without a word of what stands in it.
    pub(super) fn of_json(error: &serde_path_to_error::Error<serde_json::Error>) -> Self {
        let path = match error.path().to_string() {
            root if root == "." => String::new(),
            // Its keys are somebody else's, and as many and as long as they like.
            path => shorten(&path),
        };
        Self::new(path, say(error.inner()))
    }

    /// The same fault, seen from further out.
    pub(super) fn within(mut self, place: &str) -> Self {
        self.path = match (place, self.path.as_str()) {
            (place, "") => place.to_owned(),
            ("", path) => path.to_owned(),
            (place, path) => format!("{place}.{path}"),
        };
        self
    }

    /// The fault in an entry that this library once kept: the log is damaged, unless a newer one wrote it.
    pub(super) fn in_log(self, log: &LogId, version: u64) -> SessionError {
        if self.kind == SessionErrorKind::Newer {
            return self.into();
        }
        SessionError::of_store(log, StoreError::corrupt(log, version, self))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at `{}`: {}", self.path, self.what)
    }
}

impl From<Fault> for SessionError {
    fn from(fault: Fault) -> Self {
        Self {
            path: (!fault.path.is_empty()).then_some(fault.path),
            ..Self::new(fault.kind, fault.what)
        }
    }
}

fn shorten(path: &str) -> String {
    let clean = path.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut short: String = clean.take(MAX_PATH_CHARS).collect();
    if path.chars().nth(MAX_PATH_CHARS).is_some() {
        short.push('…');
    }
    short
}

/// `serde` quotes values that do not fit, and values are content: what is kept says only what should have stood there.
fn say(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let text = text.strip_suffix(&place).unwrap_or(&text);
    let said = match error.classify() {
        Category::Data if text.starts_with("missing field") => text.to_owned(),
        Category::Data => match text.rsplit_once(", expected ") {
            Some((_, expected)) => format!("expected {expected}"),
            None => "the value does not fit".to_owned(),
        },
        Category::Syntax | Category::Eof => format!("it is no valid JSON: {text}"),
        Category::Io => "it could not be read".to_owned(),
    };
    match error.line() {
        0 => said,
        _ => format!("{said}{place}"),
    }
}
