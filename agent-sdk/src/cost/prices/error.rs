//! Why a price table cannot be used.

use std::{error::Error as StdError, fmt, sync::Arc};

/// The class of a [`PriceError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PriceErrorKind {
    /// What it says is not a price table; [`PriceError::place`] names the place.
    Invalid,
    /// The file cannot be read.
    Unreadable,
    /// No table came from the address.
    Unreachable,
    /// It is larger than any price table needs to be.
    TooLarge,
    /// It was collected before the table that is in use.
    Older,
}

/// A price table that cannot be used, and why. What is in use stays in use.
#[derive(Clone, Debug)]
pub struct PriceError {
    kind: PriceErrorKind,
    /// The file or the address, where it is one.
    origin: Option<String>,
    place: String,
    reason: String,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl PriceError {
    /// What is said at `place` is wrong.
    pub(super) fn new(place: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            place: place.into(),
            ..Self::of(PriceErrorKind::Invalid, reason)
        }
    }

    pub(super) fn of(kind: PriceErrorKind, reason: impl Into<String>) -> Self {
        Self {
            kind,
            origin: None,
            place: String::new(),
            reason: reason.into(),
            source: None,
        }
    }

    /// Names the file or the address.
    pub(super) fn from(mut self, origin: impl Into<String>) -> Self {
        self.origin = Some(origin.into());
        self
    }

    pub(super) fn with_source(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(source));
        self
    }

    /// The class of the failure.
    pub fn kind(&self) -> PriceErrorKind {
        self.kind
    }

    /// Where the table is wrong: a path such as `providers[0].models[2].prices[0].input`, or `provider/model`. Empty where
    /// it is not the table that is wrong.
    pub fn place(&self) -> &str {
        &self.place
    }
}

impl fmt::Display for PriceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("price table ")?;
        if let Some(origin) = &self.origin {
            write!(f, "{origin} ")?;
        }
        match self.kind {
            PriceErrorKind::Invalid => write!(f, "is invalid at `{}`: ", self.place)?,
            PriceErrorKind::Unreadable => f.write_str("cannot be read: ")?,
            PriceErrorKind::Unreachable => f.write_str("cannot be fetched: ")?,
            PriceErrorKind::TooLarge => f.write_str("is too large: ")?,
            PriceErrorKind::Older => f.write_str("is older than what is in use: ")?,
        }
        f.write_str(&self.reason)
    }
}

impl StdError for PriceError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source
            .as_deref()
            .map(|source| source as &(dyn StdError + 'static))
    }
}
