//! Reading the events of a run.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::store::{Entry, LogId, Store, StoreError};

/// An event of a run, as it was kept. Its JSON form is the event's own.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
#[non_exhaustive]
pub struct StoredEvent {
    /// Its number within the run, over all lives; of a gap the number of the last event that is missing.
    #[serde(skip)]
    pub seq: u64,
    /// When it was kept.
    #[serde(skip)]
    pub at: Timestamp,
    /// For a gap, how many events are missing here because they could not be kept. They are beside the pieces of text, which are never
    /// kept.
    #[serde(skip)]
    pub missed: Option<u64>,
    /// The event, as it went over the wire; it holds what was said.
    pub json: Box<RawValue>,
}

/// What is looked at of an event.
#[derive(Deserialize)]
struct Number {
    seq: u64,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    missed: Option<u64>,
}

impl StoredEvent {
    fn of(log: &LogId, entry: &Entry) -> Result<Self, StoreError> {
        let corrupt = |error| StoreError::corrupt(log, entry.version, error);
        let number: Number = serde_json::from_slice(&entry.body).map_err(corrupt)?;
        Ok(Self {
            seq: number.seq,
            at: entry.at,
            missed: number.missed.filter(|_| number.kind == "gap"),
            json: serde_json::from_slice(&entry.body).map_err(corrupt)?,
        })
    }
}

/// The events after a number, at most so many; none where none were kept.
pub(in super::super) async fn read(
    store: &dyn Store,
    log: &LogId,
    after: u64,
    limit: usize,
) -> Result<Vec<StoredEvent>, StoreError> {
    let Some(head) = store.head(log).await? else {
        return Ok(Vec::new());
    };
    // Numbers rise with versions and are never below them, so the first that is wanted is found by halving.
    let (mut low, mut high) = (0, head.version.min(after));
    while low < high {
        let middle = low + (high - low) / 2;
        match at(store, log, middle + 1).await? {
            Some(event) if event.seq <= after => low = middle + 1,
            _ => high = middle,
        }
    }
    let entries = store.read(log, low, limit).await?;
    entries.iter().map(|it| StoredEvent::of(log, it)).collect()
}

/// The number of the last event that was kept, if any was and it can be read.
pub(in super::super) async fn last_seq(store: &dyn Store, log: &LogId) -> Option<u64> {
    let head = store.head(log).await.ok()??;
    let last = at(store, log, head.version).await.ok()??;
    Some(last.seq)
}

async fn at(
    store: &dyn Store,
    log: &LogId,
    version: u64,
) -> Result<Option<StoredEvent>, StoreError> {
    let Some(before) = version.checked_sub(1) else {
        return Ok(None);
    };
    let entries = store.read(log, before, 1).await?;
    entries
        .first()
        .map(|it| StoredEvent::of(log, it))
        .transpose()
}
