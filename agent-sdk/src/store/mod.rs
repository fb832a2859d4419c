//! What outlives the process: append-only logs under ids.
//!
//! A run's journal, its events, a session, each is a [`LogId`]: a row of [`Entry`]s that only grows, and a [`Head`] that says what it
//! is. What something *is* comes from folding its entries, so a version is a number of entries, a branch is a log that begins with
//! another's entries, and appending costs the same however long the log is.
//!
//! [`MemoryStore`] is gone with the process. With the feature `sqlite`, `SqliteStore` is one file on disk. Whoever implements
//! [`Store`] keeps these promises:
//!
//! - An append is all or nothing, and what is acknowledged as [durable](Append::durable) survives a crash of the process and of
//!   the machine.
//! - Entries are numbered from 1 without gaps; two appends that are guarded by the same version cannot both succeed.
//! - A log is leased to one holder at a time. Whoever lost the lease cannot append any more, because each lease has a higher
//!   [fence](Lease::fence) than the one before.

#[cfg(any(test, feature = "testing"))]
pub mod conformance;
mod entry;
mod error;
mod extend;
mod id;
mod lease;
mod memory;
#[cfg(feature = "sqlite")]
mod sqlite;

use std::{fmt, time::Duration};

use futures_util::future::BoxFuture;
use jiff::Timestamp;

pub use entry::{Append, Entry, Guard, Head, NewEntry, NewLog, Origin, Query};
pub use error::{StoreError, StoreErrorKind};
pub(crate) use extend::extend;
pub use id::{LogId, LogKind};
pub use lease::{Holder, Lease};
pub use memory::MemoryStore;
#[cfg(feature = "sqlite")]
pub use sqlite::{SqliteStore, home};

/// Where logs are kept. Cheap to share; each call may be made from any task, and dropping its future does not undo it.
pub trait Store: fmt::Debug + Send + Sync + 'static {
    /// Makes a log, empty or with its first entries.
    ///
    /// # Errors
    ///
    /// [`StoreErrorKind::Exists`] where there is one of that id.
    fn create(&self, log: NewLog) -> BoxFuture<'_, Result<Head, StoreError>>;

    /// Adds entries to a log, or changes its head, or both: all of it or nothing. Answers with the new version.
    ///
    /// # Errors
    ///
    /// [`StoreErrorKind::NotFound`], and where the [guard](Guard) does not hold [`StoreErrorKind::Conflict`] or
    /// [`StoreErrorKind::Fenced`].
    fn append(&self, append: Append) -> BoxFuture<'_, Result<u64, StoreError>>;

    /// The entries after a version, oldest first, at most so many. Those of a branch begin with its origin's.
    ///
    /// # Errors
    ///
    /// [`StoreErrorKind::NotFound`]; [`StoreErrorKind::Corrupt`] where an entry is not what was written.
    fn read<'a>(
        &'a self,
        log: &'a LogId,
        after: u64,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<Entry>, StoreError>>;

    /// What a log is, if there is one.
    ///
    /// # Errors
    ///
    /// The store cannot be read.
    fn head<'a>(&'a self, log: &'a LogId) -> BoxFuture<'a, Result<Option<Head>, StoreError>>;

    /// The heads of logs, those that changed last first.
    ///
    /// # Errors
    ///
    /// The store cannot be read.
    fn list(&self, query: Query) -> BoxFuture<'_, Result<Vec<Head>, StoreError>>;

    /// Takes a log for one holder: `name` says who, for people. It is free if nobody has it, if its time ran out, or if the holder is
    /// known to be gone.
    ///
    /// # Errors
    ///
    /// [`StoreErrorKind::Held`] says who has it, and until when.
    fn lease<'a>(
        &'a self,
        log: &'a LogId,
        name: &'a str,
        time: Duration,
    ) -> BoxFuture<'a, Result<Lease, StoreError>>;

    /// Keeps a lease for longer: for this time from now.
    ///
    /// # Errors
    ///
    /// [`StoreErrorKind::Fenced`]: somebody else has it since.
    fn renew<'a>(
        &'a self,
        lease: &'a Lease,
        time: Duration,
    ) -> BoxFuture<'a, Result<Lease, StoreError>>;

    /// Gives a lease back. One that was lost already is no error.
    ///
    /// # Errors
    ///
    /// The store cannot be written.
    fn release<'a>(&'a self, lease: &'a Lease) -> BoxFuture<'a, Result<(), StoreError>>;

    /// Removes a log and its entries; one that is not there is no error. What branched from it keeps what it had.
    ///
    /// # Errors
    ///
    /// [`StoreErrorKind::Held`] where it is leased.
    fn delete<'a>(&'a self, log: &'a LogId) -> BoxFuture<'a, Result<(), StoreError>>;

    /// Removes the logs of a kind that did not change since a time and are not leased; answers with their ids.
    ///
    /// # Errors
    ///
    /// The store cannot be written.
    fn cleanup(
        &self,
        kind: LogKind,
        before: Timestamp,
    ) -> BoxFuture<'_, Result<Vec<LogId>, StoreError>>;
}
