//! A report: rows, their total, and what is not known.

use std::{collections::BTreeMap, sync::Arc};

use jiff::{Timestamp, tz::TimeZone};
use serde::{Serialize, Serializer, ser::SerializeMap};

use super::{
    CostLine, CostQuery, CostSums, Dimension, FoldedLines,
    group::{Belongs, Key, Source},
};
use crate::operation::{OperationId, RunId};

/// What things cost, by group.
///
/// [`table`](Self::table) and `Display` draw it, [`csv`](Self::csv) writes it for a spreadsheet, and as JSON it has the form that
/// `docs/cost-format.md` describes. In all of them amounts are exact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CostReport {
    /// By what it is grouped.
    #[serde(serialize_with = "names")]
    pub dimensions: Vec<Dimension>,
    /// Only what was over at this time or later.
    pub since: Option<Timestamp>,
    /// Only what was over before this time.
    pub until: Option<Timestamp>,
    /// Where its hours, days and months begin.
    pub time_zone: Arc<str>,
    /// Whether a line counts in the row of each agent around it: then the rows do not add up to the total.
    pub inclusive_agents: bool,
    /// The groups: those of times in their order, others by amount, the largest first.
    pub rows: Vec<CostRow>,
    /// The sum over all lines, each once.
    pub total: CostSums,
    /// The first of the calls whose cost is unknown; `total.unpriced` counts all.
    pub unpriced_calls: Vec<UnpricedCall>,
    /// How many lines in the total were folded: their amounts are exact, and of what they were only a part is known.
    pub folded: u64,
    /// Lines that were folded, of which nobody knows any more whether they are in the window and fit the filters. They are in no row, and
    /// not in the total.
    pub undecided: CostSums,
}

/// A group, and what it came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CostRow {
    /// What it is a row of.
    pub row: RowKind,
    /// Its values, in the order of the report's dimensions; `None` where there is none, or where nobody knows it any more.
    #[serde(serialize_with = "map")]
    pub group: Vec<(Dimension, Option<Arc<str>>)>,
    /// What it came to.
    #[serde(flatten)]
    pub sums: CostSums,
}

/// What a [`CostRow`] is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RowKind {
    /// The lines with these values.
    Group,
    /// Folded lines, of which some values are not known any more.
    Folded,
    /// All groups beyond the most that a report has.
    Other,
}

impl RowKind {
    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Group => "group",
            Self::Folded => "folded",
            Self::Other => "other",
        }
    }
}

/// A request whose cost nobody knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct UnpricedCall {
    /// When it was over.
    pub time: Timestamp,
    /// The run.
    pub run_id: RunId,
    /// The operation within the run.
    pub operation: OperationId,
    /// Who was asked.
    pub provider: Option<Arc<str>>,
    /// The model that was asked.
    pub model: Option<Arc<str>>,
    /// The innermost agent around it.
    pub agent: Option<Arc<str>>,
    /// Why it has no price.
    pub reason: &'static str,
}

/// A report in the making: takes one line after the other, and holds none.
#[derive(Debug)]
pub(super) struct Tally {
    query: CostQuery,
    rows: BTreeMap<Vec<Key>, CostSums>,
    other: Option<CostSums>,
    total: CostSums,
    unpriced_calls: Vec<UnpricedCall>,
    folded: u64,
    undecided: CostSums,
}

impl Tally {
    pub(super) fn new(query: CostQuery) -> Self {
        Self {
            query,
            rows: BTreeMap::new(),
            other: None,
            total: CostSums::default(),
            unpriced_calls: Vec::new(),
            folded: 0,
            undecided: CostSums::default(),
        }
    }

    pub(super) fn line(&mut self, line: &CostLine) {
        let source = Source::Line(line);
        if source.belongs(&self.query) != Belongs::Yes {
            return;
        }
        self.total.add(line);
        self.rows(source, |sums| sums.add(line));
        if let Some(reason) = line.why_unpriced()
            && self.unpriced_calls.len() < self.query.max_unpriced
        {
            self.unpriced_calls.push(UnpricedCall {
                time: line.time,
                run_id: line.run_id.clone(),
                operation: line.operation,
                provider: line.provider.clone(),
                model: line.model.clone(),
                agent: line.agent().cloned(),
                reason,
            });
        }
    }

    pub(super) fn folded(&mut self, folded: &FoldedLines) {
        let source = Source::Folded(folded);
        match source.belongs(&self.query) {
            Belongs::No => {}
            Belongs::Unknown => self.undecided.merge(&folded.sums),
            Belongs::Yes => {
                self.folded = self.folded.saturating_add(folded.sums.lines());
                self.total.merge(&folded.sums);
                self.rows(source, |sums| sums.merge(&folded.sums));
            }
        }
    }

    /// Adds to the rows that something belongs to.
    fn rows(&mut self, source: Source<'_>, add: impl Fn(&mut CostSums)) {
        if self.query.dimensions.is_empty() {
            return;
        }
        for group in source.groups(&self.query) {
            if self.rows.len() < self.query.max_rows || self.rows.contains_key(&group) {
                add(self.rows.entry(group).or_default());
            } else {
                add(self.other.get_or_insert_default());
            }
        }
    }

    pub(super) fn finish(self) -> CostReport {
        let query = self.query;
        let mut rows: Vec<(Vec<Key>, CostSums)> = self.rows.into_iter().collect();
        if !query.dimensions.iter().any(Dimension::is_time) {
            // Stable: rows of one amount stay in the order of their values.
            rows.sort_by_key(|(_, sums)| std::cmp::Reverse(sums.amount));
        }
        let time_zone = &query.time_zone;
        let groups = rows
            .into_iter()
            .map(|(keys, sums)| row(&query.dimensions, &keys, sums, time_zone));
        let other = self.other.map(|sums| CostRow {
            row: RowKind::Other,
            group: query
                .dimensions
                .iter()
                .map(|it| (it.clone(), None))
                .collect(),
            sums,
        });
        CostReport {
            rows: groups.chain(other).collect(),
            since: query.since,
            until: query.until,
            time_zone: match time_zone.iana_name() {
                Some(name) => name.into(),
                None => "local".into(),
            },
            inclusive_agents: query.inclusive_agents,
            total: self.total,
            unpriced_calls: self.unpriced_calls,
            folded: self.folded,
            undecided: self.undecided,
            dimensions: query.dimensions,
        }
    }
}

fn row(dimensions: &[Dimension], keys: &[Key], sums: CostSums, time_zone: &TimeZone) -> CostRow {
    let value = |(dimension, key): (&Dimension, &Key)| {
        let label = key.label(dimension, time_zone);
        (dimension.clone(), label.filter(|_| *key != Key::None))
    };
    CostRow {
        row: if keys.contains(&Key::Folded) {
            RowKind::Folded
        } else {
            RowKind::Group
        },
        group: dimensions.iter().zip(keys).map(value).collect(),
        sums,
    }
}

fn names<S: Serializer>(dimensions: &[Dimension], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(dimensions.iter().map(Dimension::to_string))
}

fn map<S: Serializer>(
    group: &[(Dimension, Option<Arc<str>>)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(group.len()))?;
    for (dimension, value) in group {
        map.serialize_entry(&dimension.to_string(), value)?;
    }
    map.end()
}
