//! What became of every item.

/// What became of every span that ended, or of every log record that was written, at one instant.
///
/// [`balances`](Self::balances) holds at every instant: an item is counted under `ended` and under
/// one of the others in the same step, and moves between those without being in two or none.
///
/// # Example
///
/// ```
/// use agent_sdk_otel::Telemetry;
///
/// # fn main() -> Result<(), agent_sdk_otel::TelemetryError> {
/// let telemetry = Telemetry::builder().build()?;
/// assert!(telemetry.account().balances());
/// assert_eq!(telemetry.account().lost(), 0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExportAccount {
    /// Spans that ended. A span that the sampler leaves out counts as ended when it starts.
    pub ended: u64,
    /// Left out by the sampler.
    pub unsampled: u64,
    /// Waiting for export, or on their way.
    pub queued: u64,
    /// Accepted by the collector.
    pub exported: u64,
    /// Refused by the collector in a request that it otherwise accepted.
    pub rejected: u64,
    /// Found the queue full or closed, or were still waiting when the shutdown's time was up.
    pub dropped: u64,
    /// Their request failed: no connection, or an answer other than success.
    pub failed: u64,
    /// In files on disk, to be sent again when the collector has room, or at the next start.
    pub spilled: u64,
    /// Sent, but the reply was lost, so that they may or may not have arrived.
    pub unknown: u64,
}

impl ExportAccount {
    /// Whether `ended` is the sum of the others.
    pub fn balances(&self) -> bool {
        let sum = u128::from(self.unsampled)
            + u128::from(self.queued)
            + u128::from(self.exported)
            + u128::from(self.rejected)
            + u128::from(self.dropped)
            + u128::from(self.failed)
            + u128::from(self.spilled)
            + u128::from(self.unknown);
        u128::from(self.ended) == sum
    }

    /// Sampled items of which the collector did not confirm that it kept them: rejected, dropped,
    /// failed or unknown. Those still queued or on disk are not among them.
    pub fn lost(&self) -> u64 {
        self.rejected
            .saturating_add(self.dropped)
            .saturating_add(self.failed)
            .saturating_add(self.unknown)
    }
}

/// What became of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// Accepted, but for this many spans.
    Accepted { rejected: u64 },
    /// Certainly not accepted.
    Failed,
    /// Sent, and no reply came.
    Unknown,
}

impl ExportAccount {
    /// Moves a batch of `spans` from `queued` to where its delivery puts it.
    pub(crate) fn settle(&mut self, spans: u64, delivery: Delivery) {
        self.queued = self.queued.saturating_sub(spans);
        match delivery {
            Delivery::Accepted { rejected } => {
                let rejected = rejected.min(spans);
                self.rejected += rejected;
                self.exported += spans - rejected;
            }
            Delivery::Failed => self.failed += spans,
            Delivery::Unknown => self.unknown += spans,
        }
    }

    /// Moves waiting spans to `dropped`.
    pub(crate) fn abandon(&mut self, spans: u64) {
        self.queued = self.queued.saturating_sub(spans);
        self.dropped += spans;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_that_rejects_more_than_it_got_does_not_break_the_sum() {
        let mut account = ExportAccount {
            ended: 5,
            queued: 5,
            ..ExportAccount::default()
        };
        account.settle(3, Delivery::Accepted { rejected: 9 });
        account.abandon(2);
        assert!(account.balances());
        assert_eq!((account.rejected, account.dropped), (3, 2));
        assert_eq!(account.lost(), 5);
    }
}
