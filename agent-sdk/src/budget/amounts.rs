//! What is capped: money, tokens, requests, tool calls.

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

use crate::cost::Usd;

/// How much of everything that can be capped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[allow(
    clippy::exhaustive_structs,
    reason = "written out by whoever charges something"
)]
pub struct Amounts {
    /// Money; stored as whole nano-USD, so that it is exact at any size.
    #[serde(rename = "nano_usd", with = "nanos")]
    pub usd: Usd,
    /// Input and output tokens.
    pub tokens: u64,
    /// Model requests that were sent, each try of one counted.
    pub requests: u64,
    /// Tool calls that were begun.
    pub tool_calls: u64,
}

/// One of the things that can be capped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Measure {
    /// Money, in nano-USD.
    Usd,
    /// Tokens.
    Tokens,
    /// Model requests.
    Requests,
    /// Tool calls.
    ToolCalls,
}

impl Measure {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Usd, Self::Tokens, Self::Requests, Self::ToolCalls];

    /// The name in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Usd => "usd",
            Self::Tokens => "tokens",
            Self::Requests => "requests",
            Self::ToolCalls => "tool_calls",
        }
    }

    /// An amount of it, for people: `$0.5`, `1000 tokens`.
    pub fn show(self, amount: u64) -> String {
        let s = if amount == 1 { "" } else { "s" };
        match self {
            Self::Usd => format!("${}", Usd::from_nanos(amount)),
            Self::Tokens => format!("{amount} token{s}"),
            Self::Requests => format!("{amount} request{s}"),
            Self::ToolCalls => format!("{amount} tool call{s}"),
        }
    }
}

impl Amounts {
    /// Nothing.
    pub const ZERO: Self = Self {
        usd: Usd::ZERO,
        tokens: 0,
        requests: 0,
        tool_calls: 0,
    };

    /// Money alone.
    pub const fn usd(usd: Usd) -> Self {
        Self { usd, ..Self::ZERO }
    }

    /// One tool call.
    pub const fn one_tool_call() -> Self {
        Self {
            tool_calls: 1,
            ..Self::ZERO
        }
    }

    /// How much of one measure; money in nano-USD.
    pub const fn get(&self, measure: Measure) -> u64 {
        match measure {
            Measure::Usd => self.usd.nanos(),
            Measure::Tokens => self.tokens,
            Measure::Requests => self.requests,
            Measure::ToolCalls => self.tool_calls,
        }
    }

    pub(super) fn set(&mut self, measure: Measure, amount: u64) {
        match measure {
            Measure::Usd => self.usd = Usd::from_nanos(amount),
            Measure::Tokens => self.tokens = amount,
            Measure::Requests => self.requests = amount,
            Measure::ToolCalls => self.tool_calls = amount,
        }
    }

    /// Each measure of two, put together.
    #[must_use]
    pub(super) fn zip(&self, other: &Self, join: impl Fn(u64, u64) -> u64) -> Self {
        let mut joined = Self::ZERO;
        for measure in Measure::ALL {
            joined.set(measure, join(self.get(measure), other.get(measure)));
        }
        joined
    }

    /// The sum, or the most that a number holds: never less than what was used.
    #[must_use]
    pub fn plus(&self, more: &Self) -> Self {
        self.zip(more, u64::saturating_add)
    }

    /// The difference, not below zero.
    #[must_use]
    pub fn minus(&self, less: &Self) -> Self {
        self.zip(less, u64::saturating_sub)
    }

    /// Whether there is nothing in it.
    pub fn is_zero(&self) -> bool {
        *self == Self::ZERO
    }
}

/// The most of each that may be used; `None` is not capped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Caps {
    /// Money; written as a decimal in quotes, which is exact at any size.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "in_quotes")]
    pub usd: Option<Usd>,
    /// Input and output tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// Model requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<u64>,
    /// Tool calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<u64>,
}

impl Caps {
    /// The cap of one measure; of money in nano-USD.
    pub fn get(&self, measure: Measure) -> Option<u64> {
        match measure {
            Measure::Usd => self.usd.map(Usd::nanos),
            Measure::Tokens => self.tokens,
            Measure::Requests => self.requests,
            Measure::ToolCalls => self.tool_calls,
        }
    }

    /// The measures that are capped, each with its cap.
    pub fn iter(&self) -> impl Iterator<Item = (Measure, u64)> {
        Measure::ALL
            .into_iter()
            .filter_map(|measure| Some((measure, self.get(measure)?)))
    }
}

impl fmt::Display for Caps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut caps = self.iter();
        let Some((measure, cap)) = caps.next() else {
            return f.write_str("no cap");
        };
        f.write_str(&measure.show(cap))?;
        caps.try_for_each(|(measure, cap)| write!(f, ", {}", measure.show(cap)))
    }
}

#[expect(
    clippy::ref_option,
    reason = "serde calls it with a reference to the field"
)]
fn in_quotes<S: Serializer>(usd: &Option<Usd>, serializer: S) -> Result<S::Ok, S::Error> {
    match usd {
        Some(usd) => serializer.collect_str(usd),
        None => serializer.serialize_none(),
    }
}

/// Money as whole nano-USD.
mod nanos {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::cost::Usd;

    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde calls it with a reference"
    )]
    pub(super) fn serialize<S: Serializer>(usd: &Usd, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(usd.nanos())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Usd, D::Error> {
        u64::deserialize(deserializer).map(Usd::from_nanos)
    }
}
