//! What others have to say to a run.
//!
//! A run is written by the one process that leases it. Whoever wants it to stop, or answers its question, leaves a notice in
//! its inbox, a log of its own that anybody may append to; the run takes it from there, at once if it is under way and when it
//! is resumed if it is not.

use serde::{Deserialize, Serialize};

use super::{Question, Verdict, question};
use crate::store::{Append, LogId, LogKind, NewEntry, Store, StoreError, StoreErrorKind, extend};

/// A word to a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Notice {
    /// It is to pause as soon as what is under way is over.
    Interrupt,
    /// The answer to a question.
    Answer {
        /// The call's path.
        path: String,
        /// Which question about the call is meant.
        #[serde(default = "question::first")]
        number: u32,
        verdict: Verdict,
    },
}

impl Notice {
    /// Whether it answers this question, and no other about the same call.
    pub(super) fn answers(&self, question: &Question) -> bool {
        matches!(self, Self::Answer { path, number, .. } if **path == *question.path && *number == question.number)
    }
}

/// Leaves a notice.
pub(crate) async fn leave(
    store: &dyn Store,
    run: &LogId,
    notice: &Notice,
) -> Result<(), StoreError> {
    let inbox = run.of_kind(LogKind::Inbox);
    let body = serde_json::to_vec(notice).map_err(|error| {
        StoreError::new(StoreErrorKind::Io, "a notice cannot be written").because(error)
    })?;
    let entry = NewEntry::new("", body);
    extend(store, Append::new(inbox, vec![entry]), None)
        .await
        .map(drop)
}

/// The notices after a version, and the version that they lead to. One that cannot be read is left out.
pub(crate) async fn read(
    store: &dyn Store,
    run: &LogId,
    after: u64,
) -> Result<(u64, Vec<Notice>), StoreError> {
    let inbox = run.of_kind(LogKind::Inbox);
    let version = match store.head(&inbox).await? {
        Some(head) if head.version > after => head.version,
        _ => return Ok((after, Vec::new())),
    };
    let entries = store.read(&inbox, after, usize::MAX).await?;
    let notices = entries
        .iter()
        .filter_map(|entry| serde_json::from_slice(&entry.body).ok());
    Ok((version, notices.collect()))
}
