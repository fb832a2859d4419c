//! Lines of which only sums are left, so that memory stays bounded and no total changes.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use serde::{Deserialize, Serialize};

use super::{CostLine, CostSums};

/// How many sums are kept apart; beyond, there is one for each day.
pub(super) const MAX_FOLDS: usize = 10_000;

/// Lines of one day of which only the sums are left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FoldedLines {
    /// When the first of them was over.
    pub first: Timestamp,
    /// When the last of them was over.
    pub last: Timestamp,
    /// What they have in common; `None` where even that would have been too much to keep.
    pub group: Option<FoldedGroup>,
    /// The sums over them.
    pub sums: CostSums,
}

/// What folded lines have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FoldedGroup {
    /// Who was asked.
    pub provider: Option<Arc<str>>,
    /// The model that was asked.
    pub model: Option<Arc<str>>,
    /// The agents around them, from the outermost to the innermost.
    pub agents: Arc<[Arc<str>]>,
    /// The user on whose behalf they were.
    pub user: Option<Arc<str>>,
}

impl FoldedLines {
    fn of(line: &CostLine) -> Self {
        let mut sums = CostSums::default();
        sums.add(line);
        Self {
            first: line.time,
            last: line.time,
            group: Some(FoldedGroup {
                provider: line.provider.clone(),
                model: line.model.clone(),
                agents: line.agents.clone(),
                user: line.user.clone(),
            }),
            sums,
        }
    }

    /// The day in UTC of all of them.
    pub(super) fn day(&self) -> Date {
        day(self.first)
    }

    fn merge(&mut self, more: &Self) {
        self.first = self.first.min(more.first);
        self.last = self.last.max(more.last);
        self.sums.merge(&more.sums);
    }
}

/// The day of a time in UTC.
pub(super) fn day(time: Timestamp) -> Date {
    TimeZone::UTC.to_datetime(time).date()
}

/// Sums by day, provider, model, agents and user.
#[derive(Debug, Default)]
pub(super) struct Folds {
    by_key: HashMap<(Date, Option<FoldedGroup>), FoldedLines>,
    lines: u64,
}

impl Folds {
    /// Takes a line in.
    pub(super) fn add(&mut self, line: &CostLine, most: usize) {
        self.merge(FoldedLines::of(line), most);
    }

    /// Takes sums in.
    pub(super) fn merge(&mut self, mut more: FoldedLines, most: usize) {
        self.lines = self.lines.saturating_add(more.sums.lines());
        let is_full = self.by_key.len() >= most;
        let mut key = (more.day(), more.group.clone());
        if is_full && !self.by_key.contains_key(&key) {
            key.1 = None;
            more.group = None;
        }
        match self.by_key.entry(key) {
            Entry::Occupied(mut known) => known.get_mut().merge(&more),
            Entry::Vacant(place) => {
                place.insert(more);
            }
        }
    }

    /// How many lines are in them.
    pub(super) fn lines(&self) -> u64 {
        self.lines
    }

    pub(super) fn len(&self) -> usize {
        self.by_key.len()
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &FoldedLines> {
        self.by_key.values()
    }

    /// Takes one of them out.
    pub(super) fn pop(&mut self) -> Option<FoldedLines> {
        let key = self.by_key.keys().next()?.clone();
        let folded = self.by_key.remove(&key)?;
        self.lines = self.lines.saturating_sub(folded.sums.lines());
        Some(folded)
    }
}
