//! Over which time a budget counts.

use std::{fmt, str::FromStr, time::Duration};

use jiff::{Span, Timestamp, Zoned, tz::TimeZone};
use serde::{Deserialize, Serialize};

use super::BudgetError;

/// The longest rolling window.
const LONGEST: Duration = Duration::from_hours(24 * 366);

/// The shortest rolling window.
const SHORTEST: Duration = Duration::from_secs(1);

/// Over which time a budget counts. A request belongs to the period in which it was admitted, also where it ends in the next.
///
/// As text: `lifetime`, `hour`, `day`, `day@Europe/Berlin`, `month`, `month@America/New_York`, `rolling:24h`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
pub enum Window {
    /// All time, until the account is reset. With the scope `run`: the run.
    #[default]
    Lifetime,
    /// Each hour of UTC.
    Hour,
    /// Each day of a time zone, which has 23 or 25 hours where clocks change.
    Day(TimeZone),
    /// Each month of a time zone.
    Month(TimeZone),
    /// The time before now, always as long. It is counted in sixtieths: what was spent is forgotten when the whole of its sixtieth is
    /// older than the window, so never too early.
    Rolling(Duration),
}

/// A period of a window: from its first second to the first one after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Period {
    /// When it begins.
    pub start: Timestamp,
    /// When the next one begins.
    pub end: Timestamp,
}

impl Period {
    /// All time.
    pub(super) const ALWAYS: Self = Self {
        start: Timestamp::MIN,
        end: Timestamp::MAX,
    };

    #[allow(clippy::trivially_copy_pass_by_ref, reason = "as serde asks it")]
    pub(super) fn is_always(&self) -> bool {
        *self == Self::ALWAYS
    }

    /// Whether it has an end.
    pub fn ends(&self) -> bool {
        self.end != Timestamp::MAX
    }
}

impl Window {
    /// Each day of UTC.
    pub fn day() -> Self {
        Self::Day(TimeZone::UTC)
    }

    /// Each month of UTC.
    pub fn month() -> Self {
        Self::Month(TimeZone::UTC)
    }

    /// Each day of a time zone, by its name in the IANA database.
    ///
    /// # Errors
    ///
    /// There is no time zone of that name.
    pub fn day_in(zone: &str) -> Result<Self, BudgetError> {
        Ok(Self::Day(self::zone(zone)?))
    }

    /// Each month of a time zone, by its name in the IANA database.
    ///
    /// # Errors
    ///
    /// There is no time zone of that name.
    pub fn month_in(zone: &str) -> Result<Self, BudgetError> {
        Ok(Self::Month(self::zone(zone)?))
    }

    /// The period that holds a moment. Where the calendar cannot say, which is thousands of years away, it is all time.
    pub fn period(&self, now: Timestamp) -> Period {
        self.calendar(now).unwrap_or(Period::ALWAYS)
    }

    fn calendar(&self, now: Timestamp) -> Option<Period> {
        let (start, step) = match self {
            Self::Lifetime | Self::Rolling(_) => return Some(Period::ALWAYS),
            Self::Hour => {
                let start = now.as_second() - now.as_second().rem_euclid(3600);
                return Some(Period {
                    start: Timestamp::from_second(start).ok()?,
                    end: Timestamp::from_second(start + 3600).ok()?,
                });
            }
            Self::Day(zone) => (first_moment(now, zone)?, Span::new().days(1)),
            Self::Month(zone) => {
                let day = first_moment(now, zone)?;
                (
                    day.first_of_month().ok()?.start_of_day().ok()?,
                    Span::new().months(1),
                )
            }
        };
        // From midnight to midnight: of days on which clocks change as well.
        let end = start.date().checked_add(step).ok()?;
        Some(Period {
            start: start.timestamp(),
            end: end.to_zoned(start.time_zone().clone()).ok()?.timestamp(),
        })
    }

    /// Whether it is told apart into periods.
    pub(super) fn has_periods(&self) -> bool {
        !matches!(self, Self::Lifetime | Self::Rolling(_))
    }

    /// The length of a part of it, in which spending is counted together.
    pub(super) fn slot_seconds(&self, period: Period) -> i64 {
        let length = match self {
            Self::Rolling(length) => i64::try_from(length.as_secs()).unwrap_or(i64::MAX),
            _ if period.ends() => period.end.as_second() - period.start.as_second(),
            _ => return i64::MAX,
        };
        (length / 60).max(1)
    }

    /// How long a rolling window is, in seconds.
    pub(super) fn rolling_seconds(&self) -> Option<i64> {
        match self {
            Self::Rolling(length) => Some(i64::try_from(length.as_secs()).unwrap_or(i64::MAX)),
            _ => None,
        }
    }
}

fn first_moment(now: Timestamp, zone: &TimeZone) -> Option<Zoned> {
    now.to_zoned(zone.clone()).start_of_day().ok()
}

fn zone(name: &str) -> Result<TimeZone, BudgetError> {
    TimeZone::get(name).map_err(|_| {
        BudgetError::invalid(format!(
            "{name:?} is no time zone; write one of the IANA database, such as `Europe/Berlin`"
        ))
    })
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, zone) = match self {
            Self::Lifetime => return f.write_str("lifetime"),
            Self::Hour => return f.write_str("hour"),
            Self::Rolling(length) => {
                let span = jiff::SignedDuration::try_from(*length).unwrap_or_default();
                return write!(f, "rolling:{span:#}");
            }
            Self::Day(zone) => ("day", zone),
            Self::Month(zone) => ("month", zone),
        };
        match zone.iana_name() {
            None | Some("UTC") => f.write_str(name),
            Some(zone) => write!(f, "{name}@{zone}"),
        }
    }
}

impl FromStr for Window {
    type Err = BudgetError;

    fn from_str(text: &str) -> Result<Self, BudgetError> {
        if let Some(length) = text.strip_prefix("rolling:") {
            let length = length
                .parse::<jiff::SignedDuration>()
                .ok()
                .and_then(|length| Duration::try_from(length).ok())
                .filter(|length| (SHORTEST..=LONGEST).contains(length));
            return length.map(Self::Rolling).ok_or_else(|| {
                BudgetError::invalid(format!(
                    "{text:?} is no rolling window; write a time from one second to a year, such as `rolling:24h`"
                ))
            });
        }
        match text.split_once('@') {
            Some(("day", zone)) => Self::day_in(zone),
            Some(("month", zone)) => Self::month_in(zone),
            None if text == "lifetime" => Ok(Self::Lifetime),
            None if text == "hour" => Ok(Self::Hour),
            None if text == "day" => Ok(Self::day()),
            None if text == "month" => Ok(Self::month()),
            _ => Err(BudgetError::invalid(format!(
                "{text:?} is no window; write `lifetime`, `hour`, `day`, `month`, `day@ZONE`, `month@ZONE` or `rolling:TIME`"
            ))),
        }
    }
}

impl TryFrom<String> for Window {
    type Error = BudgetError;

    fn try_from(text: String) -> Result<Self, BudgetError> {
        text.parse()
    }
}

impl From<Window> for String {
    fn from(window: Window) -> Self {
        window.to_string()
    }
}
