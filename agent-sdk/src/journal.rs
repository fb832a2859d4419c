//! What must survive: the outcomes of a run, in order.
//!
//! The driver commits each outcome here before the machine applies it. Folding a journal's records into a new machine gives the
//! machine as it was, without asking a model or running a tool again.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
};

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

use crate::{
    message::{Conversation, ToolResult},
    model::ChatResponse,
};

/// The version of [`Record`]'s form.
pub const VERSION: u32 = 1;

/// Something that happened and will not be done again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Record {
    /// The run began. The first record.
    Started {
        /// The version of the records' form.
        version: u32,
        /// What was said before, the prompt included.
        conversation: Conversation,
    },
    /// The model answered.
    Answered(Box<ChatResponse>),
    /// A tool call gave its result.
    ToolReturned {
        /// The place of the call in its turn, from 0.
        place: usize,
        /// The result.
        result: ToolResult,
    },
    /// The answer did not fit the output's schema.
    OutputRejected {
        /// What was wrong, for the model.
        reason: String,
    },
}

/// Where the outcomes of runs are kept; a port of the driver, which waits for it.
pub trait Journal: fmt::Debug + Send + Sync + 'static {
    /// Keeps a record of a run, or of an agent inside it: `path` is the run's id, then the ids of the calls on the way in.
    ///
    /// # Errors
    ///
    /// A record that was not kept; the run then ends without acting on it.
    fn commit<'a>(
        &'a self,
        path: &'a str,
        record: &'a Record,
    ) -> BoxFuture<'a, Result<(), JournalError>>;
}

/// A record that was not kept.
#[derive(Debug)]
pub struct JournalError {
    message: String,
}

impl JournalError {
    /// An error with words for people.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
        }
    }
}

impl fmt::Display for JournalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the journal did not keep a record: {}", self.message)
    }
}

impl std::error::Error for JournalError {}

/// A journal in memory: gone with the process, good for tests and for looking at a run afterwards.
#[derive(Debug, Default)]
pub struct MemoryJournal {
    records: Mutex<Vec<(String, Record)>>,
}

impl MemoryJournal {
    /// An empty journal.
    pub fn new() -> Self {
        Self::default()
    }

    /// The records under a path, in order.
    pub fn records(&self, path: &str) -> Vec<Record> {
        let records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        records
            .iter()
            .filter(|(at, _)| at == path)
            .map(|(_, record)| record.clone())
            .collect()
    }

    /// The paths that have records, in the order of their first.
    pub fn paths(&self) -> Vec<String> {
        let records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        let mut paths: Vec<String> = Vec::new();
        for (path, _) in records.iter() {
            if !paths.contains(path) {
                paths.push(path.clone());
            }
        }
        paths
    }
}

impl Journal for MemoryJournal {
    fn commit<'a>(
        &'a self,
        path: &'a str,
        record: &'a Record,
    ) -> BoxFuture<'a, Result<(), JournalError>> {
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        records.push((path.to_owned(), record.clone()));
        Box::pin(std::future::ready(Ok(())))
    }
}
