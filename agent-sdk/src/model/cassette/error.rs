//! Why a cassette cannot be written or played.

use std::{error::Error as StdError, fmt, io, path::Path};

use crate::model::{ModelError, ModelErrorKind};

/// A cassette that cannot be written or read, or that does not hold what is asked of it.
///
/// It is the [`source`](StdError::source) of the [`ModelError`] of a request that was not recorded. The text never repeats what
/// was said.
#[derive(Debug)]
pub struct CassetteError {
    kind: CassetteErrorKind,
    message: String,
    pointer: Option<String>,
    source: Option<io::Error>,
}

/// The class of a [`CassetteError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CassetteErrorKind {
    /// The file cannot be read or written.
    Io,
    /// The file is no cassette, or a line of it is not what it should be.
    Malformed,
    /// A line was written by a newer version.
    NewerVersion,
    /// No recorded request is like this one.
    NotRecorded,
    /// Requests like this one were recorded, and each of them was served already.
    Exhausted,
}

impl CassetteError {
    pub(super) fn new(kind: CassetteErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            pointer: None,
            source: None,
        }
    }

    pub(super) fn io(path: &Path, error: io::Error) -> Self {
        let mut this = Self::new(
            CassetteErrorKind::Io,
            format!("the cassette {} cannot be used", path.display()),
        );
        this.source = Some(error);
        this
    }

    pub(super) fn at(mut self, pointer: impl Into<String>) -> Self {
        self.pointer = Some(pointer.into());
        self
    }

    /// The class of the failure.
    pub fn kind(&self) -> CassetteErrorKind {
        self.kind
    }

    /// Where a request differs from the recorded one that is most like it: a JSON pointer into its body, or `method`, `path`
    /// or `query`.
    pub fn pointer(&self) -> Option<&str> {
        self.pointer.as_deref()
    }
}

impl fmt::Display for CassetteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for CassetteError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_ref().map(|error| error as _)
    }
}

impl From<CassetteError> for ModelError {
    /// Trying again does not help.
    fn from(error: CassetteError) -> Self {
        Self::new(ModelErrorKind::Configuration, error.to_string()).with_source(error)
    }
}
