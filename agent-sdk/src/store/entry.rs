//! Logs: their entries, their heads, and how they change.

use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::Value;

use super::{Holder, Lease, LogId, LogKind};

/// One entry of a log, as it was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// Its number, from 1: the version that the log had with it.
    pub version: u64,
    /// When it was kept.
    pub at: Timestamp,
    /// Where in the log's own tree it belongs; empty where there is none.
    pub path: Arc<str>,
    /// What it says.
    pub body: Bytes,
}

impl Entry {
    /// An entry, as a store reads it back.
    pub fn new(version: u64, at: Timestamp, path: impl Into<Arc<str>>, body: Bytes) -> Self {
        Self {
            version,
            at,
            path: path.into(),
            body,
        }
    }
}

/// An entry that is to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NewEntry {
    /// Where in the log's own tree it belongs; empty where there is none.
    pub path: Arc<str>,
    /// What it says.
    pub body: Bytes,
}

impl NewEntry {
    /// An entry that is to be kept.
    pub fn new(path: impl Into<Arc<str>>, body: impl Into<Bytes>) -> Self {
        Self {
            path: path.into(),
            body: body.into(),
        }
    }
}

/// A log that is to be made.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NewLog {
    /// Its name.
    pub log: LogId,
    /// The user it belongs to.
    pub owner: Option<Arc<str>>,
    /// The log that it begins with, and up to which version.
    pub origin: Option<Origin>,
    /// How it stands, in a word of the one who writes it.
    pub status: Arc<str>,
    /// What the one who writes it wants to have at hand in a list: a small JSON object.
    pub about: Value,
    /// Its first entries, after those of its origin.
    pub entries: Vec<NewEntry>,
}

impl NewLog {
    /// An empty log.
    pub fn new(log: LogId) -> Self {
        Self {
            log,
            owner: None,
            origin: None,
            status: "".into(),
            about: Value::Null,
            entries: Vec::new(),
        }
    }

    /// Sets the user it belongs to.
    #[must_use]
    pub fn owner(mut self, owner: Option<Arc<str>>) -> Self {
        self.owner = owner;
        self
    }

    /// Lets it begin with the entries of another log of its kind, up to a version.
    #[must_use]
    pub fn origin(mut self, log: LogId, version: u64) -> Self {
        self.origin = Some(Origin { log, version });
        self
    }

    /// Sets how it stands.
    #[must_use]
    pub fn status(mut self, status: impl Into<Arc<str>>) -> Self {
        self.status = status.into();
        self
    }

    /// Sets what is at hand in a list.
    #[must_use]
    pub fn about(mut self, about: Value) -> Self {
        self.about = about;
        self
    }

    /// Adds a first entry.
    #[must_use]
    pub fn entry(mut self, entry: NewEntry) -> Self {
        self.entries.push(entry);
        self
    }
}

/// Where a branch began.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Origin {
    /// The log it branched from.
    pub log: LogId,
    /// The last version they share.
    pub version: u64,
}

impl Origin {
    /// A place to branch from.
    pub fn new(log: LogId, version: u64) -> Self {
        Self { log, version }
    }
}

/// What a log is.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Head {
    /// Its name.
    pub log: LogId,
    /// The user it belongs to.
    pub owner: Option<Arc<str>>,
    /// The log that it begins with.
    pub origin: Option<Origin>,
    /// How it stands.
    pub status: Arc<str>,
    /// What its writer wants to have at hand.
    pub about: Value,
    /// How many entries it has, those of its origin included.
    pub version: u64,
    /// The bytes of its own entries' bodies.
    pub bytes: u64,
    /// When it was made.
    pub created: Timestamp,
    /// When it changed last.
    pub updated: Timestamp,
    /// Who has it now.
    pub holder: Option<Holder>,
}

impl Head {
    /// The head of a log that was just made.
    pub fn of(new: &NewLog, now: Timestamp) -> Self {
        let before = new.origin.as_ref().map_or(0, |origin| origin.version);
        Self {
            log: new.log.clone(),
            owner: new.owner.clone(),
            origin: new.origin.clone(),
            status: new.status.clone(),
            about: new.about.clone(),
            version: before + new.entries.len() as u64,
            bytes: new
                .entries
                .iter()
                .map(|entry| entry.body.len() as u64)
                .sum(),
            created: now,
            updated: now,
            holder: None,
        }
    }
}

/// What must hold for an append to happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Guard {
    /// Nothing.
    #[default]
    None,
    /// The log is still at this version.
    Version(u64),
    /// The lease with this fence is still the last that was given.
    Fence(u64),
}

/// Entries that are to be added to a log.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Append {
    /// The log.
    pub log: LogId,
    /// What must hold. Default: nothing.
    pub guard: Guard,
    /// The entries; none where only the head changes.
    pub entries: Vec<NewEntry>,
    /// How the log stands from now on, where that changes.
    pub status: Option<Arc<str>>,
    /// What is at hand in a list from now on, where that changes.
    pub about: Option<Value>,
    /// Whether it must be on disk before it is acknowledged, so that it survives a loss of power too. Default: yes. What is
    /// not durable survives the end of the process all the same.
    pub durable: bool,
}

impl Append {
    /// Entries for a log.
    pub fn new(log: LogId, entries: Vec<NewEntry>) -> Self {
        Self {
            log,
            guard: Guard::None,
            entries,
            status: None,
            about: None,
            durable: true,
        }
    }

    /// Appends only while a lease is held.
    #[must_use]
    pub fn under(mut self, lease: &Lease) -> Self {
        self.guard = Guard::Fence(lease.fence);
        self
    }

    /// Appends only to this version.
    #[must_use]
    pub fn at_version(mut self, version: u64) -> Self {
        self.guard = Guard::Version(version);
        self
    }

    /// Sets how the log stands from now on.
    #[must_use]
    pub fn status(mut self, status: impl Into<Arc<str>>) -> Self {
        self.status = Some(status.into());
        self
    }

    /// Sets what is at hand in a list from now on.
    #[must_use]
    pub fn about(mut self, about: Value) -> Self {
        self.about = Some(about);
        self
    }

    /// Lets it be acknowledged before it is on disk.
    #[must_use]
    pub fn not_durable(mut self) -> Self {
        self.durable = false;
        self
    }
}

/// Which logs are listed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Query {
    /// What they are of.
    pub kind: LogKind,
    /// Whose they are. Default: anybody's.
    pub owner: Option<Arc<str>>,
    /// How they stand. Default: however.
    pub status: Option<Arc<str>>,
    /// Only those that changed before. Default: all.
    pub before: Option<Timestamp>,
    /// The most to list. Default: 100.
    pub limit: usize,
}

impl Query {
    /// The newest logs of a kind.
    pub fn of(kind: LogKind) -> Self {
        Self {
            kind,
            owner: None,
            status: None,
            before: None,
            limit: 100,
        }
    }

    /// Only those of a user.
    #[must_use]
    pub fn owner(mut self, owner: impl Into<Arc<str>>) -> Self {
        self.owner = Some(owner.into());
        self
    }

    /// Only those that stand so.
    #[must_use]
    pub fn status(mut self, status: impl Into<Arc<str>>) -> Self {
        self.status = Some(status.into());
        self
    }

    /// Only those that changed before a time.
    #[must_use]
    pub fn before(mut self, before: Timestamp) -> Self {
        self.before = Some(before);
        self
    }

    /// Sets the most to list.
    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }
}
