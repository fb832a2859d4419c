//! What is told of a budget.

use std::{fmt, sync::Arc};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Amounts, Caps, Measure, Period, error::Account};

/// Something about a budget that somebody should know.
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
    pub period: Period,
    /// The part of its cap that the measure that is nearest to it has reached, debt included, in percent.
    pub percent: u64,
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
        let Standing {
            budget,
            scope,
            period,
            ..
        } = &standing;
        // A period without an end can have an alert again: its time tells them apart.
        let when = match (period.ends(), kind) {
            (true, AlertKind::Threshold { .. } | AlertKind::Exhausted | AlertKind::Pace { .. }) => {
                period.start
            }
            _ => time,
        };
        Self {
            id: format!("{budget}/{scope}/{when}/{of}").into(),
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
            write!(f, "; {} of {}", measure.show(spent), measure.show(cap))?;
        }
        if standing.period.ends() {
            write!(f, "; until {}", standing.period.end)?;
        }
        Ok(())
    }
}
