//! Real exchanges with a provider, kept in a file and served again without a network.
//!
//! A [`Recorder`] writes every exchange of the clients that it is given to; a [`Replay`] answers the same clients from what was
//! written. Both are handed to a client's builder (`recorder`, `replay`), and nothing is shared behind its back. A client that has
//! neither pays nothing for them.
//!
//! # The file
//!
//! One line of JSON for each exchange, in the order in which they ended, written as soon as it ends; the file's mode is 0600, for
//! it holds what was said. Fields that are not known are ignored, and a line of a newer version is refused.
//!
//! | Field | Holds |
//! |---|---|
//! | `cassette` | the version of the line: 1 |
//! | `recorded_at` | when the request was sent |
//! | `request` | `method`, `server`, `path`, `query` (values only of parameters that are known to be harmless), `headers` (harmless ones), `body` |
//! | `response` | `status`, `headers` (those that a client reads), `after_us`: when its head came, `chunks`: each with `after_us` and its bytes as `text` or else `hex`, `broken`: how the connection failed; absent where no answer began |
//! | `ended` | `complete`, `broken`, `timed_out`, `cancelled` or `unreachable` |
//! | `failure` | `kind` and `message` of the error that the caller saw |
//! | `usage` | what was used, where the answer said so |
//!
//! Times are in microseconds since the request was sent.
//!
//! # Secrets
//!
//! Keys and the values of configured headers are never written: no header that carries one, and where a body or an address repeats
//! one, it is replaced: by `[redacted]` in a request, by as many `*` in an answer, so that the cuts between its pieces stay where
//! they were. What people and models said stands in the file as it was.

mod difference;
mod error;
mod format;
mod recorder;
mod replay;
mod scrub;
mod tape;
#[cfg(test)]
mod tests;

pub use error::{CassetteError, CassetteErrorKind};
pub use recorder::Recorder;
pub use replay::Replay;
pub(in crate::model) use replay::Stalled;
pub(in crate::model) use tape::{Recording, Tape};
