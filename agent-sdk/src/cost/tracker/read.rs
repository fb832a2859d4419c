//! Reading lines from a store again.

use std::{collections::VecDeque, fmt, sync::Arc};

use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};

use super::{CostLine, CostQuery, CostReport, FoldedLines, fold::day, report::Tally};
use crate::store::{LogId, LogKind, Query, Store, StoreError, StoreErrorKind};

/// How many entries are in memory at once.
const PAGE: usize = 1_000;

/// The lines of cost that are kept in a store, whoever wrote them. Cheap to clone.
#[derive(Clone)]
pub struct CostLines {
    store: Arc<dyn Store>,
}

/// What was kept of what was charged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum KeptCost {
    /// A line.
    Line(CostLine),
    /// Sums in place of lines that did not fit the keeper's queue.
    Folded(FoldedLines),
}

impl CostLines {
    /// Those in this store.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    /// What a query asks for. The memory it takes does not grow with the lines, only with the rows.
    ///
    /// # Errors
    ///
    /// The store cannot be read, or an entry is no line.
    pub async fn report(&self, query: &CostQuery) -> Result<CostReport, StoreError> {
        let mut tally = Tally::new(query.clone());
        let mut pages = self.read(query.since, query.until);
        while let Some(page) = pages.next().await? {
            for kept in &page {
                match kept {
                    KeptCost::Line(line) => tally.line(line),
                    KeptCost::Folded(folded) => tally.folded(folded),
                }
            }
        }
        Ok(tally.finish())
    }

    /// What was over at the first time or later and before the second, in pages: day by day, and within a day in the order in which it was
    /// kept. Sums in place of lines are among it where any of their lines may be.
    pub fn read(&self, since: Option<Timestamp>, until: Option<Timestamp>) -> CostPages {
        CostPages {
            store: self.store.clone(),
            since,
            until,
            days: None,
            after: 0,
        }
    }
}

impl fmt::Debug for CostLines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CostLines")
            .field("store", &self.store)
            .finish()
    }
}

/// Lines of cost, page by page; made by [`CostLines::read`].
#[must_use = "nothing is read until `next` is called"]
pub struct CostPages {
    store: Arc<dyn Store>,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    /// The logs that are not read to their ends yet, once they are known.
    days: Option<VecDeque<LogId>>,
    after: u64,
}

impl CostPages {
    /// The next page, at most 1,000 lines; it may be empty. `None` after the last. A day that is deleted meanwhile ends there.
    ///
    /// # Errors
    ///
    /// The store cannot be read, or an entry is no line.
    pub async fn next(&mut self) -> Result<Option<Vec<KeptCost>>, StoreError> {
        let days = match &mut self.days {
            Some(days) => days,
            none => none.insert(days(&*self.store, self.since, self.until).await?),
        };
        let Some(log) = days.front() else {
            return Ok(None);
        };
        let entries = match self.store.read(log, self.after, PAGE).await {
            Err(error) if error.kind() == StoreErrorKind::NotFound => Vec::new(),
            read => read?,
        };
        let mut page = Vec::with_capacity(entries.len());
        for entry in &entries {
            let kept: KeptCost = serde_json::from_slice(&entry.body)
                .map_err(|error| StoreError::corrupt(log, entry.version, error))?;
            let (first, last) = match &kept {
                KeptCost::Line(line) => (line.time, line.time),
                KeptCost::Folded(folded) => (folded.first, folded.last),
            };
            let is_early = self.since.is_some_and(|since| last < since);
            let is_late = self.until.is_some_and(|until| first >= until);
            if !is_early && !is_late {
                page.push(kept);
            }
        }
        match entries.last() {
            Some(last) if entries.len() >= PAGE => self.after = last.version,
            _ => {
                days.pop_front();
                self.after = 0;
            }
        }
        Ok(Some(page))
    }
}

impl fmt::Debug for CostPages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CostPages")
            .field("since", &self.since)
            .field("until", &self.until)
            .finish_non_exhaustive()
    }
}

/// The log of a day.
pub(super) fn log_of(day: Date) -> Result<LogId, StoreError> {
    LogId::new(LogKind::Cost, day.to_string())
}

/// The logs of the days of a window, in their order.
async fn days(
    store: &dyn Store,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
) -> Result<VecDeque<LogId>, StoreError> {
    let heads = store
        .list(Query::of(LogKind::Cost).limit(usize::MAX))
        .await?;
    let dated = heads.into_iter().filter_map(|head| {
        let date: Date = head.log.id().parse().ok()?;
        Some((date, head.log))
    });
    let (from, to) = (since.map(day), until.map(day));
    let wanted =
        |date: Date| from.is_none_or(|from| date >= from) && to.is_none_or(|to| date <= to);
    let mut days: Vec<(Date, LogId)> = dated.filter(|(date, _)| wanted(*date)).collect();
    days.sort();
    Ok(days.into_iter().map(|(_, log)| log).collect())
}
