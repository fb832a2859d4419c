//! Values that are more than text.

use std::{fmt, str::FromStr};

use agent_sdk::cost::Usd;
use jiff::{Span, Timestamp, ToSpan, civil::Date, tz::TimeZone};

/// A model and who runs it, written `openai:gpt-5-mini`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ModelName {
    pub(crate) provider: String,
    pub(crate) name: String,
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.provider, self.name)
    }
}

impl FromStr for ModelName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // Names may hold colons of their own, as in `ollama:qwen3:4b`.
        match text.split_once(':') {
            Some((provider, name)) if !provider.trim().is_empty() && !name.trim().is_empty() => {
                Ok(Self {
                    provider: provider.trim().to_lowercase(),
                    name: name.trim().to_owned(),
                })
            }
            _ => Err("expected PROVIDER:NAME, such as `openai:gpt-5-mini`".to_owned()),
        }
    }
}

/// A key and a value, written `key=value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) key: String,
    pub(crate) value: String,
}

impl FromStr for Pair {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((key, value)) if !key.trim().is_empty() => Ok(Self {
                key: key.trim().to_owned(),
                value: value.to_owned(),
            }),
            _ => Err("expected KEY=VALUE, with a key that is not empty".to_owned()),
        }
    }
}

/// An amount of money that can be spent: exact, and not zero.
pub(super) fn money(text: &str) -> Result<Usd, String> {
    let (_, decimals) = text.split_once('.').unwrap_or((text, ""));
    let amount = text.parse().ok().filter(|_| decimals.len() <= 9);
    amount.filter(|amount| *amount > Usd::ZERO).ok_or_else(|| {
        "expected US dollars above 0 with at most 9 decimals, such as `0.25`".to_owned()
    })
}

/// A moment, as people name it: some of them depend on now and on a time zone.
#[derive(Clone, Copy, Debug)]
pub(crate) enum When {
    /// So long before now, by the calendar.
    Ago(Span),
    /// Where a day begins.
    Day(Date),
    /// A moment.
    At(Timestamp),
    /// No limit at all.
    All,
}

impl When {
    /// The moment; `None` for no limit.
    ///
    /// # Errors
    ///
    /// The moment is out of all calendars.
    pub(crate) fn moment(
        &self,
        now: Timestamp,
        time_zone: &TimeZone,
    ) -> Result<Option<Timestamp>, String> {
        let far = |error: jiff::Error| format!("no such time: {error}");
        Ok(match self {
            Self::Ago(span) => {
                let now = now.to_zoned(time_zone.clone());
                Some(now.checked_sub(*span).map_err(far)?.timestamp())
            }
            Self::Day(day) => {
                let day = day.to_zoned(time_zone.clone()).map_err(far)?;
                Some(day.timestamp())
            }
            Self::At(at) => Some(*at),
            Self::All => None,
        })
    }
}

impl FromStr for When {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text == "all" {
            return Ok(Self::All);
        }
        let mut count = text.chars();
        let unit = count.next_back();
        if let Ok(count) = count.as_str().parse::<u16>().map(i32::from) {
            match unit {
                Some('h') => return Ok(Self::Ago(count.hours())),
                Some('d') => return Ok(Self::Ago(count.days())),
                Some('w') => return Ok(Self::Ago(count.weeks())),
                _ => {}
            }
        }
        if let Ok(at) = text.parse() {
            return Ok(Self::At(at));
        }
        // A time without its offset would be taken for a day.
        let day = (text.len() == 10).then(|| text.parse().ok()).flatten();
        day.map(Self::Day).ok_or_else(|| {
            "expected a span such as `7d`, a day such as `2026-11-01`, a time such as `2026-11-20T12:00:00Z`, or `all`"
                .to_owned()
        })
    }
}

/// A time zone by its name.
pub(super) fn time_zone(name: &str) -> Result<TimeZone, String> {
    TimeZone::get(name).map_err(|_| {
        "no time zone of that name is known; write it as `Europe/Berlin` or `UTC`".to_owned()
    })
}

/// A moment, or the beginning of a day in UTC.
pub(super) fn day_or_moment(text: &str) -> Result<Timestamp, String> {
    let day = text.parse::<jiff::civil::Date>().ok();
    let day = day.and_then(|day| day.to_zoned(jiff::tz::TimeZone::UTC).ok());
    text.parse()
        .ok()
        .or_else(|| Some(day?.timestamp()))
        .ok_or_else(|| {
            "expected a day such as `2026-11-20`, or a moment such as `2026-11-20T12:00:00Z`"
                .to_owned()
        })
}

pub(super) fn moment(text: &str) -> Result<Timestamp, String> {
    text.parse().map_err(|_| {
        "expected a date, a time and an offset as RFC 3339 has them, such as `2026-11-20T12:00:00Z`"
            .to_owned()
    })
}
