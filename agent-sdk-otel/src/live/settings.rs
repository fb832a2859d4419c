//! What is watched while it runs.

use std::path::PathBuf;
use std::time::Duration;

use crate::error::TelemetryError;

/// How old an operation is before the periodic file names it, unless the user says otherwise.
const CRASH_MIN_AGE: Duration = Duration::from_secs(1);

/// Settings for what runs now, pending spans and crash reports.
#[derive(Clone, Debug, Default)]
pub(crate) struct LiveSettings {
    /// Whether the registry of what runs was asked for by itself, and is served.
    pub(crate) on: bool,
    pub(crate) pending_after: Option<Duration>,
    pub(crate) crash_folder: Option<PathBuf>,
    pub(crate) crash_interval: Option<Duration>,
}

impl LiveSettings {
    pub(crate) fn read(text: impl Fn(&str) -> Option<String>) -> Result<Self, TelemetryError> {
        let seconds = |name: &str| {
            let read = |value: String| {
                let seconds: Option<f64> = value.parse().ok();
                let seconds = seconds.filter(|seconds| *seconds > 0.0);
                seconds
                    .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
                    .ok_or_else(|| {
                        TelemetryError::setting(format!("{name} takes seconds above zero"))
                    })
            };
            text(name).map(read).transpose()
        };
        let on = match text("AGENT_SDK_OTEL_LIVE") {
            None => false,
            Some(value) if value.eq_ignore_ascii_case("true") => true,
            Some(value) if value.eq_ignore_ascii_case("false") => false,
            Some(_) => {
                return Err(TelemetryError::setting(
                    "AGENT_SDK_OTEL_LIVE takes true or false",
                ));
            }
        };
        Ok(Self {
            on,
            pending_after: seconds("AGENT_SDK_OTEL_PENDING_SPANS")?,
            crash_folder: text("AGENT_SDK_OTEL_CRASH_FOLDER").map(PathBuf::from),
            crash_interval: seconds("AGENT_SDK_OTEL_CRASH_INTERVAL")?,
        })
    }

    /// Whether anything here needs the registry of open operations.
    pub(crate) fn needs_registry(&self) -> bool {
        self.on || self.pending_after.is_some() || self.crash_folder.is_some()
    }

    /// How often it is written down what runs, and how old an operation is to be named: short ones would be there by chance only.
    pub(crate) fn crash_interval(&self) -> Option<(Duration, Duration)> {
        let every = self.crash_interval?;
        Some((every, every.min(CRASH_MIN_AGE)))
    }
}
