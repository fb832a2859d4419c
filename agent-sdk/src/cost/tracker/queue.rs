//! What waits to be written: lines by day and in order, bounded; what does not fit becomes sums.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use jiff::civil::Date;

use super::{
    CostLine, FoldedLines, KeptCost,
    fold::{Folds, day},
};

/// How many sums wait, before there is only one for each day.
const FOLDS: usize = 1_000;

pub(super) struct Queue {
    /// A day is here while lines of it wait.
    days: BTreeMap<Date, VecDeque<Bytes>>,
    lines: usize,
    bytes: usize,
    max_lines: usize,
    max_bytes: usize,
    folds: Folds,
    folded: u64,
}

impl Queue {
    pub(super) fn new(max_lines: usize, max_bytes: usize) -> Self {
        Self {
            days: BTreeMap::new(),
            lines: 0,
            bytes: 0,
            max_lines,
            max_bytes,
            folds: Folds::default(),
            folded: 0,
        }
    }

    pub(super) fn add(&mut self, line: CostLine) {
        let day = day(line.time);
        let kept = KeptCost::Line(line);
        let json = serde_json::to_vec(&kept).ok();
        let fits = |json: &Vec<u8>| {
            self.lines < self.max_lines && self.bytes.saturating_add(json.len()) <= self.max_bytes
        };
        match (json.filter(fits), kept) {
            (Some(json), _) => {
                self.lines += 1;
                self.bytes += json.len();
                self.days.entry(day).or_default().push_back(json.into());
            }
            (None, KeptCost::Line(line)) => {
                self.folded += 1;
                self.folds.add(&line, FOLDS);
            }
            (None, KeptCost::Folded(_)) => {}
        }
    }

    pub(super) fn days(&self) -> Vec<Date> {
        self.days.keys().copied().collect()
    }

    /// Takes the first of what waits of a day.
    pub(super) fn take(&mut self, day: Date, most: usize) -> Vec<Bytes> {
        let Some(waiting) = self.days.get_mut(&day) else {
            return Vec::new();
        };
        let batch: Vec<Bytes> = waiting.drain(..most.min(waiting.len())).collect();
        if waiting.is_empty() {
            self.days.remove(&day);
        }
        self.lines -= batch.len();
        self.bytes -= batch.iter().map(Bytes::len).sum::<usize>();
        batch
    }

    /// Puts back what could not be written; for that moment more may wait than should.
    pub(super) fn put_back(&mut self, day: Date, batch: Vec<Bytes>) {
        self.lines += batch.len();
        self.bytes += batch.iter().map(Bytes::len).sum::<usize>();
        let mut batch = VecDeque::from(batch);
        let waiting = self.days.entry(day).or_default();
        batch.append(waiting);
        *waiting = batch;
    }

    /// Takes one of the sums over what did not fit.
    pub(super) fn take_fold(&mut self) -> Option<FoldedLines> {
        self.folds.pop()
    }

    pub(super) fn put_back_fold(&mut self, folded: FoldedLines) {
        self.folds.merge(folded, FOLDS);
    }

    pub(super) fn waiting(&self) -> usize {
        self.lines + self.folds.len()
    }

    pub(super) fn folded(&self) -> u64 {
        self.folded
    }
}
