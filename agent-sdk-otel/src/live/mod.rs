//! What runs now, and what is known of it outside before it ends.
//!
//! All of it reads one registry, the core's [`LiveOperations`]: the list for whoever asks, spans of operations that take long, and
//! the file in which a process leaves word of what it did not end. The last two have one thread, which is there only if one of them
//! is switched on, and looks once a second or more often.

pub(crate) mod crash;
mod pending;
mod settings;
mod signal;
mod spans;
mod telemetry;
#[cfg(test)]
mod tests;
mod watcher;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use agent_sdk::monitor::LiveOperations;
use agent_sdk::redact::Redactor;

use crate::error::TelemetryError;
use crash::{CrashFile, CrashReason, CrashedOperation};
pub(crate) use settings::LiveSettings;
pub use signal::Signal;
use watcher::Watcher;

/// Takes one encoded span to where finished spans go.
pub(crate) type Export = Arc<dyn Fn(&Exported<'_>) + Send + Sync>;

/// A span that did not come from an operation's end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exported<'a> {
    /// Its trace. One of which a part was shown has to be kept whole.
    pub(crate) trace: [u8; 16],
    pub(crate) message: &'a [u8],
}

/// What a [`Telemetry`](crate::Telemetry) knows of what runs.
#[derive(Debug, Default)]
pub(crate) struct Live {
    operations: Option<LiveOperations>,
    /// Whether it was asked for by itself.
    is_served: bool,
    /// What its names pass on their way out.
    redactor: Redactor,
    crash: Option<Arc<CrashFile>>,
    crashed: Vec<CrashedOperation>,
    has_hook: AtomicBool,
    has_warned: AtomicBool,
    watcher: Option<Watcher>,
}

impl Live {
    /// Starts what the settings ask for. What earlier processes left is exported here, and forgotten by them.
    pub(crate) fn start(
        settings: &LiveSettings,
        redactor: &Redactor,
        export: Option<Export>,
    ) -> Result<Self, TelemetryError> {
        let mut live = Self {
            operations: settings.needs_registry().then(LiveOperations::new),
            is_served: settings.on,
            redactor: redactor.for_keys(),
            ..Self::default()
        };
        let Some(operations) = live.operations.clone() else {
            return Ok(live);
        };
        if let Some(folder) = &settings.crash_folder {
            crash::claim(folder, |operations| {
                if let Some(export) = &export {
                    let sampled = operations.iter().filter(|each| each.trace.sampled);
                    sampled.for_each(|each| {
                        export(&Exported {
                            trace: each.trace.trace_id.0.to_be_bytes(),
                            message: &spans::crashed(each),
                        });
                    });
                }
                live.crashed.extend(operations);
            });
            let file = CrashFile::create(folder, redactor.for_keys()).map_err(|error| {
                TelemetryError::start("the folder for crash reports cannot be used").because(error)
            })?;
            live.crash = Some(Arc::new(file));
        }
        let watched = watcher::Watched {
            operations,
            pending: settings
                .pending_after
                .zip(export)
                .map(|(after, export)| pending::Pending::new(after, export)),
            crash: live.crash.clone(),
            interval: settings.crash_interval(),
        };
        live.watcher = Watcher::start(watched)?;
        Ok(live)
    }

    pub(crate) fn operations(&self) -> Option<&LiveOperations> {
        self.operations.as_ref()
    }

    /// What is served beside the metrics.
    pub(crate) fn served(&self) -> Option<(LiveOperations, Redactor)> {
        let operations = self.operations.clone().filter(|_| self.is_served)?;
        Some((operations, self.redactor.clone()))
    }

    /// Says once what earlier processes left.
    pub(crate) fn warn(&self) {
        let Some(first) = self.crashed.first() else {
            return;
        };
        if !self.has_warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                target: "agent_sdk_otel",
                operations = self.crashed.len(),
                pid = first.pid,
                reason = first.reason.as_str(),
                trace_id = %first.trace.trace_id,
                "an earlier process ended while operations ran; their spans are exported as cancelled"
            );
        }
    }

    /// Writes down what runs, where that is switched on.
    fn alarm(&self, reason: CrashReason) -> std::io::Result<()> {
        match (&self.crash, &self.operations) {
            (Some(crash), Some(operations)) => crash.alarm(reason, operations),
            _ => Ok(()),
        }
    }

    /// Stops the thread and says the last word about what runs. A second call only says it again.
    pub(crate) fn shutdown(&self) {
        if let Some(watcher) = &self.watcher {
            watcher.stop();
        }
        if let (Some(crash), Some(operations)) = (&self.crash, &self.operations)
            && let Err(error) = crash.close(operations)
        {
            watcher::complain(&error);
        }
    }
}
