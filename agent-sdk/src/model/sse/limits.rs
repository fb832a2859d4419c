//! How much a stream may make the decoder hold, and the error when it wants more.

use std::{error::Error, fmt};

const MEBIBYTE: usize = 1024 * 1024;

/// Caps on what [`SseDecoder`](super::SseDecoder) holds.
///
/// # Example
///
/// ```
/// use agent_sdk::model::sse::{SseDecoder, SseLimits};
///
/// let limits = SseLimits::default().max_event_bytes(64 * 1024);
/// let decoder = SseDecoder::with_limits(limits);
/// # let _ = decoder;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SseLimits {
    pub(super) max_line_bytes: usize,
    pub(super) max_event_bytes: usize,
}

impl Default for SseLimits {
    fn default() -> Self {
        Self {
            max_line_bytes: 8 * MEBIBYTE,
            max_event_bytes: 8 * MEBIBYTE,
        }
    }
}

impl SseLimits {
    /// The longest line, as sent, without its end. Default: 8 MiB.
    ///
    /// It holds for comments too, since a line is not known to end.
    #[must_use]
    pub fn max_line_bytes(mut self, max_line_bytes: usize) -> Self {
        self.max_line_bytes = max_line_bytes;
        self
    }

    /// The longest event: its data, name and id together, as UTF-8. Default: 8 MiB.
    ///
    /// It is counted after bad bytes have become U+FFFD, which is three bytes long.
    #[must_use]
    pub fn max_event_bytes(mut self, max_event_bytes: usize) -> Self {
        self.max_event_bytes = max_event_bytes;
        self
    }
}

/// Why a stream was given up.
///
/// Match on [`kind`](Self::kind); the text is for people and may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SseError {
    kind: SseErrorKind,
    limit: usize,
}

/// The class of a [`SseError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SseErrorKind {
    /// A line is longer than [`SseLimits::max_line_bytes`].
    LineTooLong,
    /// An event is longer than [`SseLimits::max_event_bytes`].
    EventTooLong,
}

impl SseErrorKind {
    /// The low-cardinality value recorded as the `error.type` attribute.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LineTooLong => "sse_line_too_long",
            Self::EventTooLong => "sse_event_too_long",
        }
    }

    /// Whether the same request may fare better a second time: never, the server sent too much.
    pub const fn is_retryable(self) -> bool {
        match self {
            Self::LineTooLong | Self::EventTooLong => false,
        }
    }
}

impl SseError {
    pub(super) const fn new(kind: SseErrorKind, limit: usize) -> Self {
        Self { kind, limit }
    }

    /// The class of the error.
    pub const fn kind(&self) -> SseErrorKind {
        self.kind
    }

    /// The limit that was passed, in bytes.
    pub const fn limit(&self) -> usize {
        self.limit
    }
}

impl fmt::Display for SseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, setting) = match self.kind {
            SseErrorKind::LineTooLong => ("line", "max_line_bytes"),
            SseErrorKind::EventTooLong => ("event", "max_event_bytes"),
        };
        write!(
            f,
            "event stream refused: a {what} passed the {} bytes of `{setting}`",
            self.limit
        )
    }
}

impl Error for SseError {}
