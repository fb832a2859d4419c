//! Who may write a log.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::LogId;

/// The right to write a log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lease {
    /// The log.
    pub log: LogId,
    /// Higher with each lease of the log: what carries an older one is refused.
    pub fence: u64,
    /// Until when it holds, unless it is renewed.
    pub until: Timestamp,
}

impl Lease {
    /// A lease, as a store gives it.
    pub fn new(log: LogId, fence: u64, until: Timestamp) -> Self {
        Self { log, fence, until }
    }
}

/// Who has a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Holder {
    /// Who, for people.
    pub name: String,
    /// The process.
    pub pid: u32,
    /// Until when, unless the lease is renewed.
    pub until: Timestamp,
}

impl Holder {
    /// Who has a log.
    pub fn new(name: impl Into<String>, pid: u32, until: Timestamp) -> Self {
        Self {
            name: name.into(),
            pid,
            until,
        }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} (process {}) until {:.0}",
            self.name, self.pid, self.until
        )
    }
}
