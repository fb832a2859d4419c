//! What a shutdown says.

use std::fmt;

use crate::metrics::MetricExports;
use crate::pipeline::ExportAccount;

/// What became of the telemetry, given back by [`Telemetry::shutdown`](crate::Telemetry::shutdown).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[must_use = "a shutdown reports what was lost"]
pub struct ShutdownReport {
    /// What became of every span. All zero when traces are off.
    pub spans: ExportAccount,
    /// What became of the metric exports.
    pub metrics: MetricExports,
    /// Whether the last values of the metrics reached the collector; `true` when none is set.
    pub metrics_flushed: bool,
}

impl ShutdownReport {
    /// Whether every sampled span was accepted and the last values of the metrics arrived.
    pub fn is_complete(&self) -> bool {
        self.spans.lost() == 0 && self.spans.queued == 0 && self.metrics_flushed
    }
}

impl fmt::Display for ShutdownReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ExportAccount {
            ended,
            unsampled,
            queued,
            exported,
            rejected,
            dropped,
            failed,
            spilled,
            unknown,
        } = self.spans;
        write!(
            f,
            "{ended} spans ended: {unsampled} unsampled, {exported} exported, {rejected} rejected, \
             {dropped} dropped, {failed} failed, {spilled} on disk, {unknown} unknown, {queued} unsettled; metrics {}",
            if self.metrics_flushed {
                "flushed"
            } else {
                "not flushed"
            }
        )
    }
}
