//! What [`Telemetry`] and its builder say of what runs.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use agent_sdk::monitor::LiveOperations;

use super::crash::{CrashReason, CrashedOperation};
use super::signal::{self, Signal};
use crate::builder::TelemetryBuilder;
use crate::report::ShutdownReport;
use crate::settings::Signal as SettingsSignal;
use crate::telemetry::Telemetry;

impl TelemetryBuilder {
    /// Whether to keep a list of what runs, [`Telemetry::live`], and to serve it as JSON at `/operations` beside the metrics.
    /// Default: no. It costs about a tenth of a microsecond for an operation. The list shows names, ids and costs, no content.
    pub fn live(mut self, on: bool) -> Self {
        self.settings.live.on = on;
        self
    }

    /// Exports a span for each operation that has been running for this long, so that a long run shows before it ends. Default: no.
    ///
    /// Such a span has the operation's name and no length, the attribute `agent_sdk.pending`, and an id of its own: it hangs under the
    /// operation's span, which follows at the end. It is a span in the account like others. A trace that was shown so is kept whole
    /// by [tail sampling](TelemetryBuilder::tail_sampling).
    pub fn pending_spans(mut self, after: Duration) -> Self {
        self.settings.live.pending_after = Some(after);
        self
    }

    /// Leaves word in this folder of what ran when the process ended without an end of its operations. Default: no.
    ///
    /// The next process that is given the same folder exports their spans, with outcome `cancelled` and `agent_sdk.crashed`, lists them
    /// as [`Telemetry::crashed`] and removes the file. Files hold names and ids, no content, and are for their owner only. They are
    /// written at a [signal](Telemetry::shutdown_on_signal), by a [panic hook](Telemetry::install_crash_hook), at a shutdown while
    /// operations run, and [every now and then](Self::crash_interval).
    pub fn crash_reports(mut self, folder: impl Into<PathBuf>) -> Self {
        self.settings.live.crash_folder = Some(folder.into());
        self
    }

    /// Writes down what has been running for a second or more this often, for the case that the process is killed without being
    /// told. Default: never. Where nothing runs, nothing is written. What ends between the last writing and the kill is reported too.
    pub fn crash_interval(mut self, every: Duration) -> Self {
        self.settings.live.crash_interval = Some(every);
        self
    }
}

impl TelemetryBuilder {
    /// Whether spans would be sent with these settings.
    pub fn exports_traces(&self) -> bool {
        matches!(self.settings.target(SettingsSignal::Traces), Ok(Some(_)))
    }
}

impl Telemetry {
    /// What runs now; `None` unless [switched on](TelemetryBuilder::live), by itself, by pending spans or by crash reports.
    pub fn live(&self) -> Option<&LiveOperations> {
        self.live.operations()
    }

    /// What ran in earlier processes when they ended without a shutdown, where [`crash_reports`](TelemetryBuilder::crash_reports) are
    /// on. Their spans were exported when this was built.
    pub fn crashed(&self) -> &[CrashedOperation] {
        &self.live.crashed
    }

    /// Writes down what runs whenever a thread panics, before the panic hook that is in place. It is there until the process ends,
    /// and does nothing once this is dropped. A second call does nothing, and so does one without a folder for crash reports.
    ///
    /// A process that goes on after a panic forgets it two or three seconds later.
    pub fn install_crash_hook(&self) {
        let (Some(crash), Some(operations)) = (&self.live.crash, &self.live.operations) else {
            return;
        };
        if self.live.has_hook.swap(true, Ordering::Relaxed) {
            return;
        }
        let (crash, operations) = (Arc::downgrade(crash), operations.clone());
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if let Some(crash) = crash.upgrade() {
                // A hook that complained could panic itself.
                let _ = crash.alarm(CrashReason::Panic, &operations);
            }
            before(panic);
        }));
    }

    /// Writes down what runs, where crash reports are on: for a program that handles its signals itself.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub fn report_crash(&self) -> io::Result<()> {
        self.live.alarm(CrashReason::Signal)
    }

    /// Waits for `SIGTERM` or `SIGINT` and writes down what runs, where crash reports are on.
    ///
    /// From then on it is the program's turn: it cancels its runs, and calls [`shutdown`](Self::shutdown) when they have ended. Then
    /// nothing is left to report. From the first poll on, these signals no longer end the process by themselves. Dropping the future
    /// waits no longer.
    ///
    /// # Errors
    ///
    /// The signals cannot be listened to. That the file cannot be written is only logged.
    pub async fn signalled(&self) -> io::Result<Signal> {
        let signal = signal::next().await?;
        if let Err(error) = self.report_crash() {
            super::watcher::complain(&error);
        }
        Ok(signal)
    }

    /// As [`signalled`](Self::signalled), and then shuts down: for a program that ends at once. What runs is not ended; where crash
    /// reports are on, the next process reports it.
    ///
    /// Blocks the thread for the length of the shutdown.
    ///
    /// # Errors
    ///
    /// The signals cannot be listened to.
    pub async fn shutdown_on_signal(&self) -> io::Result<(Signal, ShutdownReport)> {
        let signal = self.signalled().await?;
        Ok((signal, self.shutdown()))
    }
}
