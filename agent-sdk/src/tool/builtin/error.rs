//! Why a built-in tool cannot be made.

use std::fmt;

/// Why a built-in tool cannot be made as it was described.
///
/// Match on [`kind`](Self::kind); the text is for people and may change. It names no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuiltinError {
    kind: BuiltinErrorKind,
    message: String,
}

/// The class of a [`BuiltinError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BuiltinErrorKind {
    /// Nothing is allowed, so the tool could do nothing.
    NothingAllowed,
    /// A host, a network, a header, a program or a variable is not one, or is named twice.
    Invalid,
    /// A host is an address that is not public, and nobody said that it may be.
    NotPublic,
    /// A program is not on this machine.
    NotFound,
    /// A variable whose name is that of a secret would be handed on.
    Secret,
}

impl BuiltinErrorKind {
    /// The class in a word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NothingAllowed => "nothing_allowed",
            Self::Invalid => "invalid",
            Self::NotPublic => "not_public",
            Self::NotFound => "not_found",
            Self::Secret => "secret",
        }
    }
}

impl BuiltinError {
    pub(super) fn new(kind: BuiltinErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }

    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(BuiltinErrorKind::Invalid, message)
    }

    /// The class of the failure.
    pub fn kind(&self) -> BuiltinErrorKind {
        self.kind
    }
}

impl fmt::Display for BuiltinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for BuiltinError {}
