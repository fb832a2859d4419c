//! Whether telemetry would arrive, and what stands in its way.
//!
//! [`environment`] says which variables are set, what they mean, and which nobody reads. [`Telemetry::doctor`](crate::Telemetry::doctor)
//! asks the rest of a telemetry that was built: addresses that answer, a span that arrives, filters that would hide operations. Each
//! answer is a [`Finding`]: what was looked at, how it is, and what to do about it.

mod exports;
mod filters;
mod mask;
#[cfg(test)]
mod tests;
mod variables;

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use serde::Serialize;

pub use variables::environment;

use crate::telemetry::Telemetry;

/// How long an address or a test span is waited for, where the settings allow more.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a test span is waited for, where an address has failed already.
const SOON: Duration = Duration::from_secs(2);

/// What was found of one thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// What was looked at, in a word.
    pub check: &'static str,
    /// How it is.
    pub status: FindingStatus,
    /// What was found, in a sentence. It holds no secret.
    pub says: String,
    /// What to do, in sentences; `None` where there is nothing to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<Cow<'static, str>>,
}

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FindingStatus {
    /// In order.
    Ok,
    /// It may not be what was meant.
    Warning,
    /// Telemetry would be lost.
    Failed,
}

impl FindingStatus {
    /// The status in a word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "failed",
        }
    }
}

impl Finding {
    pub(crate) fn new(check: &'static str, status: FindingStatus, says: impl Into<String>) -> Self {
        Self {
            check,
            status,
            says: says.into(),
            advice: None,
        }
    }

    fn ok(check: &'static str, says: impl Into<String>) -> Self {
        Self::new(check, FindingStatus::Ok, says)
    }

    fn warning(check: &'static str, says: impl Into<String>) -> Self {
        Self::new(check, FindingStatus::Warning, says)
    }

    fn failed(check: &'static str, says: impl Into<String>) -> Self {
        Self::new(check, FindingStatus::Failed, says)
    }

    fn advice(mut self, advice: impl Into<Cow<'static, str>>) -> Self {
        self.advice = Some(advice.into());
        self
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.status.as_str(), self.check, self.says)?;
        if let Some(advice) = &self.advice {
            write!(f, " {advice}")?;
        }
        Ok(())
    }
}

impl Telemetry {
    /// Looks whether telemetry would arrive: what is sent where, whether each address answers, whether a test span arrives, whether
    /// the metrics address is free, and whether sampling, levels or filters would hide operations.
    ///
    /// Call it where the program's subscriber is in place. It blocks the thread, for 5 seconds an address at most, and exports one
    /// span named `invoke_agent agent_sdk_doctor`, which is in no metric.
    ///
    /// # Example
    ///
    /// ```
    /// use agent_sdk_otel::{Telemetry, doctor::FindingStatus};
    /// use tracing_subscriber::prelude::*;
    ///
    /// # fn main() -> Result<(), agent_sdk_otel::TelemetryError> {
    /// let telemetry = Telemetry::builder().build()?;
    /// let subscriber = tracing_subscriber::registry().with(telemetry.layer());
    /// let findings = tracing::subscriber::with_default(subscriber, || telemetry.doctor());
    /// for finding in &findings {
    ///     println!("{finding}");
    /// }
    /// assert!(findings.iter().all(|finding| finding.status != FindingStatus::Failed));
    /// # Ok(())
    /// # }
    /// ```
    pub fn doctor(&self) -> Vec<Finding> {
        let mut findings = exports::addresses(&self.settings);
        // Where nobody is, the pipeline tries again for a minute: that is not waited for.
        let is_failed = |finding: &Finding| finding.status == FindingStatus::Failed;
        let patience = if findings.iter().any(is_failed) {
            SOON
        } else {
            PATIENCE
        };
        findings.extend(filters::sampling(&self.settings));
        findings.extend(filters::levels());
        findings.extend(self.trip(patience));
        findings.extend(exports::prometheus(&self.settings));
        findings
    }
}
