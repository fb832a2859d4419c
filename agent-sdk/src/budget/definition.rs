//! What a budget says.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{BudgetError, Caps, Scope, Window, scope::Dimension};
use crate::cost::Usd;

/// The thresholds of alerts, where none are set, in percent.
const THRESHOLDS: [u8; 3] = [50, 80, 100];

/// How much may be used, of what, by whom, in which time.
///
/// A hard budget (the default) refuses what might pass a cap, before it is done. A soft one refuses nothing and tells of it.
///
/// It is read from a file as it is written to one:
///
/// ```
/// use agent_sdk::budget::Budget;
///
/// let budget: Budget = serde_json::from_str(
///     r#"{"name": "team", "scope": "tag:team", "window": "month@Europe/Berlin", "caps": {"usd": "200"}, "alerts": [80, 100]}"#,
/// )?;
/// budget.check()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Budget {
    /// Its name, in errors, alerts and metrics. One ledger has one budget of a name; accounts are kept under it.
    pub name: Arc<str>,
    /// Whose spending it counts together. Default: everything.
    #[serde(default)]
    pub scope: Scope,
    /// Over which time. Default: all time.
    #[serde(default)]
    pub window: Window,
    /// The most that may be used.
    pub caps: Caps,
    /// What happens at a cap. Default: nothing more is admitted.
    #[serde(default)]
    pub limit: Limit,
    /// At which parts of a cap an alert is given, in percent. Default: 50, 80, 100.
    #[serde(default = "thresholds")]
    pub alerts: Vec<u8>,
}

/// What happens at a cap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Limit {
    /// What might pass it is refused before it is done.
    #[default]
    Hard,
    /// Alerts are given, and nothing is refused.
    Soft,
}

fn thresholds() -> Vec<u8> {
    THRESHOLDS.to_vec()
}

impl Budget {
    /// A hard budget for everything and all time, without a cap.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self {
            name: name.into(),
            scope: Scope::global(),
            window: Window::Lifetime,
            caps: Caps::default(),
            limit: Limit::Hard,
            alerts: thresholds(),
        }
    }

    /// A hard budget for each run by itself, without a cap.
    pub fn per_run(name: impl Into<Arc<str>>) -> Self {
        Self::new(name).scope(Scope::each(Dimension::Run))
    }

    /// Sets whose spending it counts together.
    #[must_use]
    pub fn scope(mut self, scope: Scope) -> Self {
        self.scope = scope;
        self
    }

    /// Sets over which time it counts.
    #[must_use]
    pub fn window(mut self, window: Window) -> Self {
        self.window = window;
        self
    }

    /// Caps the money.
    #[must_use]
    pub fn max_usd(mut self, usd: Usd) -> Self {
        self.caps.usd = Some(usd);
        self
    }

    /// Caps input and output tokens.
    #[must_use]
    pub fn max_tokens(mut self, tokens: u64) -> Self {
        self.caps.tokens = Some(tokens);
        self
    }

    /// Caps model requests, each try of one counted.
    #[must_use]
    pub fn max_requests(mut self, requests: u64) -> Self {
        self.caps.requests = Some(requests);
        self
    }

    /// Caps tool calls.
    #[must_use]
    pub fn max_tool_calls(mut self, calls: u64) -> Self {
        self.caps.tool_calls = Some(calls);
        self
    }

    /// Refuses nothing at a cap: alerts only.
    #[must_use]
    pub fn soft(mut self) -> Self {
        self.limit = Limit::Soft;
        self
    }

    /// Sets at which parts of a cap an alert is given, in percent.
    #[must_use]
    pub fn alerts(mut self, percents: impl IntoIterator<Item = u8>) -> Self {
        self.alerts = percents.into_iter().collect();
        self.alerts.sort_unstable();
        self.alerts.dedup();
        self
    }

    /// Whether it refuses.
    pub fn is_hard(&self) -> bool {
        self.limit == Limit::Hard
    }

    /// Whether it can be used.
    ///
    /// # Errors
    ///
    /// It has no name, a name of more than 64 characters or with control characters, no cap, or a threshold that is not from 1 to
    /// 100.
    pub fn check(&self) -> Result<(), BudgetError> {
        let name = &*self.name;
        let wrong = |what: &str| Err(BudgetError::invalid(format!("the budget {name:?} {what}")));
        if name.trim().is_empty() || name.chars().count() > 64 || name.chars().any(char::is_control)
        {
            return wrong(
                "needs a name of at most 64 characters, none of them a control character",
            );
        }
        if self.caps.iter().next().is_none() {
            return wrong("caps nothing; set `usd`, `tokens`, `requests` or `tool_calls`");
        }
        if self
            .alerts
            .iter()
            .any(|percent| !(1..=100).contains(percent))
        {
            return wrong("has a threshold that is not from 1 to 100 percent");
        }
        Ok(())
    }
}
