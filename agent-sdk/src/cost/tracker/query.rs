//! What a report is about: its groups, its window, its filters.

use std::{fmt, str::FromStr, sync::Arc};

use jiff::{Timestamp, tz::TimeZone};

/// How many rows and how many unpriced calls a report holds, unless it is told otherwise.
const ROWS: usize = 10_000;
const UNPRICED: usize = 100;

/// By what lines of cost are grouped and chosen. It is written as `model`, `tag:team`, `day` and so on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dimension {
    /// The model that was asked.
    Model,
    /// Who was asked.
    Provider,
    /// The innermost agent around it, or with [`CostQuery::inclusive_agents`] each agent around it.
    Agent,
    /// The innermost tool whose call it was made in, or which charged it.
    Tool,
    /// The innermost step of a plan around it.
    Step,
    /// The run.
    Run,
    /// The conversation.
    Conversation,
    /// The session.
    Session,
    /// The user on whose behalf it was.
    User,
    /// The value of the tag of this key.
    Tag(Arc<str>),
    /// The hour in the report's time zone, written `2026-11-20T14:00+01:00`.
    Hour,
    /// The day in the report's time zone, written `2026-11-20`.
    Day,
    /// The month in the report's time zone, written `2026-11`.
    Month,
}

impl Dimension {
    const PLAIN: [(&'static str, Self); 12] = [
        ("model", Self::Model),
        ("provider", Self::Provider),
        ("agent", Self::Agent),
        ("tool", Self::Tool),
        ("step", Self::Step),
        ("run", Self::Run),
        ("conversation", Self::Conversation),
        ("session", Self::Session),
        ("user", Self::User),
        ("hour", Self::Hour),
        ("day", Self::Day),
        ("month", Self::Month),
    ];

    pub(super) const fn is_time(&self) -> bool {
        matches!(self, Self::Hour | Self::Day | Self::Month)
    }
}

impl fmt::Display for Dimension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::Tag(key) = self {
            return write!(f, "tag:{key}");
        }
        let known = Self::PLAIN.iter().find(|(_, plain)| plain == self);
        f.write_str(known.map_or("", |(name, _)| *name))
    }
}

impl FromStr for Dimension {
    type Err = InvalidDimension;

    fn from_str(text: &str) -> Result<Self, InvalidDimension> {
        let text = text.trim();
        if let Some(key) = text.strip_prefix("tag:").filter(|key| !key.is_empty()) {
            return Ok(Self::Tag(key.into()));
        }
        let known = Self::PLAIN.into_iter().find(|(name, _)| *name == text);
        known.map(|(_, plain)| plain).ok_or(InvalidDimension(()))
    }
}

/// The text is the name of no [`Dimension`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidDimension(());

impl fmt::Display for InvalidDimension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected ")?;
        for (name, _) in Dimension::PLAIN {
            write!(f, "{name}, ")?;
        }
        f.write_str("or tag:KEY")
    }
}

impl std::error::Error for InvalidDimension {}

/// What a report of cost is about.
///
/// # Example
///
/// ```
/// use agent_sdk::cost::{CostQuery, Dimension};
///
/// let query = CostQuery::by([Dimension::Month, Dimension::Model])
///     .since("2026-01-01T00:00:00Z".parse()?)
///     .only(Dimension::User, "ada");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a query does nothing until it is asked"]
pub struct CostQuery {
    pub(super) dimensions: Vec<Dimension>,
    pub(super) since: Option<Timestamp>,
    pub(super) until: Option<Timestamp>,
    pub(super) filters: Vec<(Dimension, Arc<str>)>,
    pub(super) time_zone: TimeZone,
    pub(super) inclusive_agents: bool,
    pub(super) max_rows: usize,
    pub(super) max_unpriced: usize,
}

impl CostQuery {
    /// Groups by these, each once and the first of them first; by none there is the total alone.
    pub fn by(dimensions: impl IntoIterator<Item = Dimension>) -> Self {
        let mut once = Vec::new();
        for dimension in dimensions {
            if !once.contains(&dimension) {
                once.push(dimension);
            }
        }
        Self {
            dimensions: once,
            since: None,
            until: None,
            filters: Vec::new(),
            time_zone: TimeZone::UTC,
            inclusive_agents: false,
            max_rows: ROWS,
            max_unpriced: UNPRICED,
        }
    }

    /// Only what was over at this time or later. Default: everything.
    pub fn since(mut self, since: Timestamp) -> Self {
        self.since = Some(since);
        self
    }

    /// Only what was over before this time. Default: everything.
    pub fn until(mut self, until: Timestamp) -> Self {
        self.until = Some(until);
        self
    }

    /// Only lines with this value; an empty one means those without any. Several values of one dimension are alternatives, and several
    /// dimensions must all fit.
    pub fn only(mut self, dimension: Dimension, value: impl Into<Arc<str>>) -> Self {
        self.filters.push((dimension, value.into()));
        self
    }

    /// Sets where hours, days and months begin. Default: UTC.
    pub fn time_zone(mut self, time_zone: TimeZone) -> Self {
        self.time_zone = time_zone;
        self
    }

    /// Counts a line in the row of each agent around it. Default: in that of the innermost alone, so that the rows add up to the total; with
    /// this they do not.
    pub fn inclusive_agents(mut self) -> Self {
        self.inclusive_agents = true;
        self
    }

    /// Sets the most rows. What belongs to none of those that came first is in one row of the others. Default: 10,000.
    pub fn max_rows(mut self, rows: usize) -> Self {
        self.max_rows = rows;
        self
    }

    /// Sets how many unpriced calls are listed; all are counted. Default: 100.
    pub fn max_unpriced(mut self, calls: usize) -> Self {
        self.max_unpriced = calls;
        self
    }
}
