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
    /// Found the queue full or closed, were still waiting when the shutdown's time was up, or could not be cleared of a secret.
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
    /// Accepted, but for this many items.
    Accepted { rejected: u64 },
    /// Certainly not accepted.
    Failed,
    /// Sent, and no reply came.
    Unknown,
}

/// Where a batch ends up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Delivered(Delivery),
    /// Given up without having been sent.
    Dropped,
    /// In a file.
    Spilled,
}

impl ExportAccount {
    /// Moves a batch of `items` from `queued` to where it ended up.
    pub(super) fn settle(&mut self, items: u64, fate: Fate) {
        self.queued = self.queued.saturating_sub(items);
        self.add(items, fate);
    }

    /// As [`settle`](Self::settle), for a batch that was in a file.
    pub(super) fn settle_spilled(&mut self, items: u64, fate: Fate) {
        self.spilled = self.spilled.saturating_sub(items);
        self.add(items, fate);
    }

    fn add(&mut self, items: u64, fate: Fate) {
        match fate {
            Fate::Delivered(Delivery::Accepted { rejected }) => {
                let rejected = rejected.min(items);
                self.rejected += rejected;
                self.exported += items - rejected;
            }
            Fate::Delivered(Delivery::Failed) => self.failed += items,
            Fate::Delivered(Delivery::Unknown) => self.unknown += items,
            Fate::Dropped => self.dropped += items,
            Fate::Spilled => self.spilled += items,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fates() -> impl Strategy<Value = Fate> {
        prop_oneof![
            (0..20_u64).prop_map(|rejected| Fate::Delivered(Delivery::Accepted { rejected })),
            Just(Fate::Delivered(Delivery::Failed)),
            Just(Fate::Delivered(Delivery::Unknown)),
            Just(Fate::Dropped),
            Just(Fate::Spilled),
        ]
    }

    proptest! {
        #[test]
        fn o2_the_account_balances_whatever_becomes_of_each_batch(
            batches in prop::collection::vec((1..10_u64, fates(), fates()), 0..50),
        ) {
            let mut account = ExportAccount::default();
            for (items, fate, later) in batches {
                account.ended += items;
                account.queued += items;
                prop_assert!(account.balances());
                account.settle(items, fate);
                prop_assert!(account.balances());
                if fate == Fate::Spilled {
                    account.settle_spilled(items, later);
                    prop_assert!(account.balances());
                }
            }
            prop_assert_eq!(account.queued, 0);
            let named = account.lost() + account.exported + account.spilled;
            prop_assert_eq!(account.ended, named);
        }
    }
}
