//! To which groups of a query a line belongs.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp, fmt::strtime, tz::TimeZone};

use super::{CostLine, CostQuery, Dimension, FoldedLines};

/// Where something stands along one dimension. The order is that of rows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    /// The beginning of an hour, a day or a month.
    From(Timestamp),
    Value(Arc<str>),
    /// It has none.
    None,
    /// It was folded, and nobody knows any more.
    Folded,
}

/// Whether something belongs to what a query asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Belongs {
    Yes,
    No,
    /// A part of it may.
    Unknown,
}

/// A line, or the sums that are left of some.
#[derive(Clone, Copy, Debug)]
pub(super) enum Source<'a> {
    Line(&'a CostLine),
    Folded(&'a FoldedLines),
}

impl Source<'_> {
    fn first(self) -> Timestamp {
        match self {
            Self::Line(line) => line.time,
            Self::Folded(folded) => folded.first,
        }
    }

    fn last(self) -> Timestamp {
        match self {
            Self::Line(line) => line.time,
            Self::Folded(folded) => folded.last,
        }
    }

    /// Where it stands; several places only for agents around each other.
    fn keys(self, dimension: &Dimension, query: &CostQuery) -> Vec<Key> {
        if dimension.is_time() {
            let start = |time| start(dimension, time, &query.time_zone);
            let (first, last) = (start(self.first()), start(self.last()));
            let key = if first == last {
                Key::From(first)
            } else {
                Key::Folded
            };
            return vec![key];
        }
        match self {
            Self::Line(line) => keys_of_line(line, dimension, query),
            Self::Folded(folded) => match (&folded.group, dimension) {
                (Some(group), Dimension::Model) => vec![Key::of(group.model.as_ref())],
                (Some(group), Dimension::Provider) => vec![Key::of(group.provider.as_ref())],
                (Some(group), Dimension::User) => vec![Key::of(group.user.as_ref())],
                (Some(group), Dimension::Agent) => keys_of_agents(&group.agents, query),
                _ => vec![Key::Folded],
            },
        }
    }

    /// Whether it is in the window and has the values that are asked for.
    pub(super) fn belongs(self, query: &CostQuery) -> Belongs {
        let early = |time| query.since.is_some_and(|since| time < since);
        let late = |time| query.until.is_some_and(|until| time >= until);
        let (first, last) = (self.first(), self.last());
        if early(last) || late(first) {
            return Belongs::No;
        }
        let mut belongs = if early(first) || late(last) {
            Belongs::Unknown
        } else {
            Belongs::Yes
        };
        for (dimension, _) in &query.filters {
            let keys = self.keys(dimension, query);
            if keys.contains(&Key::Folded) {
                belongs = Belongs::Unknown;
                continue;
            }
            let same = query.filters.iter().filter(|(other, _)| other == dimension);
            let mut values = same.map(|(_, value)| &**value);
            let fits = values.any(|value| {
                let mut keys = keys.iter();
                keys.any(|key| key.label(dimension, &query.time_zone).as_deref() == Some(value))
            });
            if !fits {
                return Belongs::No;
            }
        }
        belongs
    }

    /// The groups it belongs to: one, unless agents count in each other.
    pub(super) fn groups(self, query: &CostQuery) -> Vec<Vec<Key>> {
        let mut groups = vec![Vec::with_capacity(query.dimensions.len())];
        for dimension in &query.dimensions {
            let keys = self.keys(dimension, query);
            groups = groups
                .into_iter()
                .flat_map(|group| {
                    keys.iter().map(move |key| {
                        let mut group = group.clone();
                        group.push(key.clone());
                        group
                    })
                })
                .collect();
        }
        groups
    }
}

impl Key {
    fn of(value: Option<&Arc<str>>) -> Self {
        value.cloned().map_or(Self::None, Self::Value)
    }

    /// How it is written; nothing where there is none, and `None` where nobody knows.
    pub(super) fn label(&self, dimension: &Dimension, time_zone: &TimeZone) -> Option<Arc<str>> {
        Some(match self {
            Self::From(time) => {
                let form = match dimension {
                    Dimension::Hour => "%Y-%m-%dT%H:00%:z",
                    Dimension::Month => "%Y-%m",
                    _ => "%Y-%m-%d",
                };
                let written = strtime::format(form, &time.to_zoned(time_zone.clone()));
                written.unwrap_or_else(|_| time.to_string()).into()
            }
            Self::Value(value) => value.clone(),
            Self::None => "".into(),
            Self::Folded => return None,
        })
    }
}

fn keys_of_line(line: &CostLine, dimension: &Dimension, query: &CostQuery) -> Vec<Key> {
    let of = |value: &str| Key::Value(value.into());
    vec![match dimension {
        Dimension::Agent => return keys_of_agents(&line.agents, query),
        Dimension::Model => Key::of(line.model.as_ref()),
        Dimension::Provider => Key::of(line.provider.as_ref()),
        Dimension::Tool => Key::of(line.tool.as_ref()),
        Dimension::Step => Key::of(line.step.as_ref()),
        Dimension::Run => of(line.run_id.as_str()),
        Dimension::Conversation => line
            .conversation
            .as_ref()
            .map_or(Key::None, |it| of(it.as_str())),
        Dimension::Session => Key::of(line.session.as_ref()),
        Dimension::User => Key::of(line.user.as_ref()),
        Dimension::Tag(key) => Key::of(line.tags.get(key)),
        Dimension::Hour | Dimension::Day | Dimension::Month => Key::Folded,
    }]
}

fn keys_of_agents(agents: &[Arc<str>], query: &CostQuery) -> Vec<Key> {
    if !query.inclusive_agents || agents.is_empty() {
        return vec![Key::of(agents.last())];
    }
    let mut keys: Vec<Key> = agents.iter().cloned().map(Key::Value).collect();
    // An agent that calls itself counts once.
    keys.sort();
    keys.dedup();
    keys
}

/// The beginning of the hour, the day or the month that a time is in.
fn start(dimension: &Dimension, time: Timestamp, time_zone: &TimeZone) -> Timestamp {
    let local = time.to_zoned(time_zone.clone());
    let start = match dimension {
        Dimension::Hour => {
            let seconds = i64::from(local.minute()) * 60 + i64::from(local.second());
            let past = SignedDuration::new(seconds, local.subsec_nanosecond());
            return time.checked_sub(past).unwrap_or(time);
        }
        Dimension::Month => local.first_of_month().and_then(|day| day.start_of_day()),
        _ => local.start_of_day(),
    };
    start.map_or(time, |start| start.timestamp())
}
