//! What a shutdown says.

use std::fmt;

use crate::content::ContentFilesAccount;
use crate::metrics::MetricExports;
use crate::pipeline::ExportAccount;

/// What became of the telemetry, given back by [`Telemetry::shutdown`](crate::Telemetry::shutdown).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[must_use = "a shutdown reports what was lost"]
pub struct ShutdownReport {
    /// What became of every span. All zero when traces are off.
    pub spans: ExportAccount,
    /// What became of the spans that earlier processes left on disk, where the policy is
    /// [`WhenFull::Spill`](crate::WhenFull::Spill): `ended` is how many those were, and `spilled`
    /// how many are still there.
    pub recovered: ExportAccount,
    /// What became of every log record. All zero when logs are not exported.
    pub logs: ExportAccount,
    /// What became of the metric exports.
    pub metrics: MetricExports,
    /// Whether the last values of the metrics reached the collector; `true` when none is set.
    pub metrics_flushed: bool,
    /// What became of the files of content; all zero when none are written.
    pub content_files: ContentFilesAccount,
}

impl ShutdownReport {
    /// Whether every sampled span of this process and every log record was accepted, the last values of the metrics arrived, and
    /// every file of content was written.
    pub fn is_complete(&self) -> bool {
        let is_whole = |account: &ExportAccount| {
            account.lost() == 0 && account.queued == 0 && account.spilled == 0
        };
        is_whole(&self.spans)
            && is_whole(&self.logs)
            && self.metrics_flushed
            && self.content_files.written == self.content_files.offered
    }
}

impl fmt::Display for ShutdownReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        account(f, "spans ended", &self.spans)?;
        if self.recovered.ended > 0 {
            f.write_str("; ")?;
            account(f, "spans of earlier runs", &self.recovered)?;
        }
        if self.logs.ended > 0 {
            f.write_str("; ")?;
            account(f, "log records", &self.logs)?;
        }
        let files = self.content_files;
        if files.offered > 0 {
            let lost = files.offered - files.written;
            write!(f, "; {} files of content, {lost} lost", files.written)?;
        }
        f.write_str(if self.metrics_flushed {
            "; metrics flushed"
        } else {
            "; metrics not flushed"
        })
    }
}

/// An account in a line.
fn account(f: &mut fmt::Formatter<'_>, what: &str, account: &ExportAccount) -> fmt::Result {
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
    } = account;
    write!(
        f,
        "{ended} {what}: {unsampled} unsampled, {exported} exported, {rejected} rejected, \
         {dropped} dropped, {failed} failed, {spilled} on disk, {unknown} unknown, \
         {queued} unsettled"
    )
}
