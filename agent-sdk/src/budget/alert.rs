//! What is told of a budget.

use std::{fmt, sync::Arc};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Amounts, Caps, Measure, Period, error::Account};

/// Something about a budget that somebody should know.
///
/// As JSON it is what [webhooks](super::AlertSink) and commands are told:
///
/// ```
/// use agent_sdk::budget::Alert;
///
/// let alert: Alert = serde_json::from_str(
///     r#"{
///         "id": "team/acme/2026-11-21T14:10:00Z/threshold-80",
///         "alert": "threshold", "threshold": 80,
///         "budget": "team", "scope": "acme",
///         "caps": {"usd": "200"},
///         "committed": {"nano_usd": 161000000000, "tokens": 90000000, "requests": 4100, "tool_calls": 0},
///         "reserved": {"nano_usd": 12000000, "tokens": 9000, "requests": 1, "tool_calls": 0},
///         "debt": {"nano_usd": 0, "tokens": 0, "requests": 0, "tool_calls": 0},
///         "period": {"start": "2026-11-01T00:00:00Z", "end": "2026-12-01T00:00:00Z"},
///         "percent": 80,
///         "time": "2026-11-21T14:10:00Z"
///     }"#,
/// )?;
/// assert_eq!(alert.kind.as_str(), "threshold");
/// # Ok::<(), serde_json::Error>(())
/// ```
///
/// `alert` is one of `threshold` (with `threshold`, in percent), `exhausted`, `pace` (with `gone`, a time) and `debt` (with
/// `measure` and `excess`). Money that is counted is in whole nano-USD. A budget for all time has no `period`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Alert {
    /// The same whenever this alert is delivered, for whoever must not act twice.
    pub id: Arc<str>,
    /// What it is.
    #[serde(flatten)]
    pub kind: AlertKind,
    /// How the account stands.
    #[serde(flatten)]
    pub standing: Standing,
    /// When it came about.
    pub time: Timestamp,
}

/// What an [`Alert`] tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "alert", rename_all = "snake_case")]
#[non_exhaustive]
pub enum AlertKind {
    /// A part of a cap is spent; once a period for each threshold, in their order.
    Threshold {
        /// The part, in percent.
        #[serde(rename = "threshold")]
        percent: u8,
    },
    /// Something was refused; once a period.
    Exhausted,
    /// At the pace of the latest time the money is gone before the period ends; once a period.
    Pace {
        /// When it will be gone.
        gone: Timestamp,
    },
    /// A provider billed more than was reserved; each time.
    Debt {
        /// Of what.
        measure: Measure,
        /// How much more, of money in nano-USD.
        #[serde(rename = "excess")]
        debt: u64,
    },
}

impl AlertKind {
    /// The name in logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Threshold { .. } => "threshold",
            Self::Exhausted => "exhausted",
            Self::Pace { .. } => "pace",
            Self::Debt { .. } => "debt",
        }
    }
}

/// How an account of a budget stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Standing {
    /// The budget.
    pub budget: Arc<str>,
    /// Whose account it is; empty where there is one for all.
    pub scope: Arc<str>,
    /// What may be used.
    pub caps: Caps,
    /// What was.
    pub committed: Amounts,
    /// What is put aside for what is under way.
    pub reserved: Amounts,
    /// What was billed above what was reserved.
    pub debt: Amounts,
    /// The period.
    #[serde(default = "always", skip_serializing_if = "Period::is_always")]
    pub period: Period,
    /// The part of its cap that the measure that is nearest to it has reached, debt included, in percent.
    pub percent: u64,
}

fn always() -> Period {
    Period::ALWAYS
}

impl Standing {
    /// What is left under a cap; `None` where there is none.
    pub fn left(&self, measure: Measure) -> Option<u64> {
        let taken = self.committed.plus(&self.debt).plus(&self.reserved);
        let cap = self.caps.get(measure)?;
        Some(cap.saturating_sub(taken.get(measure)))
    }
}

impl Alert {
    pub(crate) fn new(kind: AlertKind, standing: Standing, time: Timestamp) -> Self {
        let of = match kind {
            AlertKind::Threshold { percent } => format!("threshold-{percent}"),
            AlertKind::Exhausted | AlertKind::Pace { .. } => kind.as_str().to_owned(),
            AlertKind::Debt { measure, debt } => format!("debt-{}-{debt}", measure.as_str()),
        };
        let Standing { budget, scope, .. } = &standing;
        Self {
            // The time tells apart what is given again: in the next period, or after a reset.
            id: format!("{budget}/{scope}/{time}/{of}").into(),
            kind,
            standing,
            time,
        }
    }
}

/// A sentence for people.
impl fmt::Display for Alert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let standing = &self.standing;
        write!(f, "{} ", Account(&standing.budget, &standing.scope))?;
        match self.kind {
            AlertKind::Threshold { percent } => write!(f, "has reached {percent} % of its cap")?,
            AlertKind::Exhausted => f.write_str("has refused something for the first time")?,
            AlertKind::Pace { gone } => write!(f, "will be gone at {gone} at this pace")?,
            AlertKind::Debt { measure, debt } => {
                write!(
                    f,
                    "was billed {} more than was reserved",
                    measure.show(debt)
                )?;
            }
        }
        for (measure, cap) in standing.caps.iter() {
            let spent = standing.committed.get(measure);
            let spent = spent.saturating_add(standing.debt.get(measure));
            match measure {
                Measure::Usd => write!(f, "; {} of {}", measure.show(spent), measure.show(cap))?,
                _ => write!(f, "; {spent} of {}", measure.show(cap))?,
            }
        }
        if standing.period.ends() {
            write!(f, "; until {}", standing.period.end)?;
        }
        Ok(())
    }
}
