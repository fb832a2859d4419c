//! What waits to be written: of each run in order, bounded over all of them.

use std::{
    collections::{BTreeMap, VecDeque},
    time::SystemTime,
};

use bytes::Bytes;
use serde_json::json;

use crate::operation::{Event, RunId};

/// Something that is to be kept.
pub(super) enum Kept {
    /// An event, as it goes over the wire.
    Event(Bytes),
    /// The place of events that did not fit.
    Gap(Gap),
}

/// The place of events that did not fit.
pub(super) struct Gap {
    missed: u64,
    /// The number of the last of them, and its time.
    seq: u64,
    time: SystemTime,
}

pub(super) struct Queue {
    /// A run is here while something of it waits.
    runs: BTreeMap<RunId, VecDeque<Kept>>,
    events: usize,
    bytes: usize,
    max_events: usize,
    max_bytes: usize,
    missed: u64,
}

impl Queue {
    pub(super) fn new(max_events: usize, max_bytes: usize) -> Self {
        Self {
            runs: BTreeMap::new(),
            events: 0,
            bytes: 0,
            max_events,
            max_bytes,
            missed: 0,
        }
    }

    pub(super) fn add(&mut self, event: &Event) {
        let json = serde_json::to_vec(event).ok();
        let fits = |json: &Vec<u8>| {
            self.events < self.max_events && self.bytes.saturating_add(json.len()) <= self.max_bytes
        };
        match json.filter(fits) {
            Some(json) => {
                self.events += 1;
                self.bytes += json.len();
                let run = self.runs.entry(event.run_id.clone()).or_default();
                run.push_back(Kept::Event(json.into()));
            }
            None => self.miss(event),
        }
    }

    /// Events that are missed one after the other are one gap. Where more runs than events wait, even that is too much to keep.
    fn miss(&mut self, event: &Event) {
        self.missed += 1;
        if !self.runs.contains_key(&event.run_id) && self.runs.len() > self.max_events {
            return;
        }
        let run = self.runs.entry(event.run_id.clone()).or_default();
        let missed = match run.pop_back() {
            Some(Kept::Gap(gap)) => gap.missed + 1,
            other => {
                run.extend(other);
                1
            }
        };
        run.push_back(Kept::Gap(Gap {
            missed,
            seq: event.seq,
            time: event.time,
        }));
    }

    pub(super) fn runs(&self) -> Vec<RunId> {
        self.runs.keys().cloned().collect()
    }

    /// Takes the first of what waits of a run.
    pub(super) fn take(&mut self, run: &RunId, most: usize) -> Vec<Kept> {
        let Some(waiting) = self.runs.get_mut(run) else {
            return Vec::new();
        };
        let batch: Vec<Kept> = waiting.drain(..most.min(waiting.len())).collect();
        if waiting.is_empty() {
            self.runs.remove(run);
        }
        for kept in &batch {
            let (events, bytes) = kept.size();
            self.events -= events;
            self.bytes -= bytes;
        }
        batch
    }

    /// Puts back what could not be written; for that moment more may wait than should.
    pub(super) fn put_back(&mut self, run: &RunId, batch: Vec<Kept>) {
        for kept in &batch {
            let (events, bytes) = kept.size();
            self.events += events;
            self.bytes += bytes;
        }
        let mut batch = VecDeque::from(batch);
        let waiting = self.runs.entry(run.clone()).or_default();
        batch.append(waiting);
        *waiting = batch;
    }

    /// Forgets what waits of a run.
    pub(super) fn give_up(&mut self, run: &RunId) {
        let lost = self.take(run, usize::MAX);
        let lost = lost.iter().filter(|kept| matches!(kept, Kept::Event(_)));
        self.missed += lost.count() as u64;
    }

    pub(super) fn waiting(&self) -> usize {
        self.events
    }

    pub(super) fn missed(&self) -> u64 {
        self.missed
    }
}

impl Kept {
    fn size(&self) -> (usize, usize) {
        match self {
            Self::Event(json) => (1, json.len()),
            Self::Gap(_) => (0, 0),
        }
    }

    pub(super) fn to_bytes(&self, run: &RunId) -> Bytes {
        match self {
            Self::Event(json) => json.clone(),
            Self::Gap(gap) => {
                let time = jiff::Timestamp::try_from(gap.time).unwrap_or_default();
                let gap = json!({
                    "type": "gap",
                    "missed": gap.missed,
                    "seq": gap.seq,
                    "time": format!("{time:.6}"),
                    "run_id": run,
                });
                gap.to_string().into()
            }
        }
    }
}
