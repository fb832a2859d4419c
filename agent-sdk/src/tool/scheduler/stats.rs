//! What a scheduler has done, in numbers.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::model::BreakerState;

/// What a [`ToolScheduler`](super::ToolScheduler) has done since it was built; from [`stats`](super::ToolScheduler::stats).
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ToolStats {
    /// Each tool that was called or has a policy, by its name.
    pub tools: BTreeMap<Arc<str>, ToolCounts>,
    /// The work of all tools, summed.
    pub work: Duration,
    /// How long at least one tool ran.
    pub busy: Duration,
    /// How long at least one call was under way, waits included.
    pub under_way: Duration,
}

impl ToolStats {
    /// How many tools ran at once on average, while any did: summed work over the time in which there was some. 0 before the first.
    pub fn parallelism(&self) -> f64 {
        ratio(self.work, self.busy)
    }

    /// How many times longer the same work would have taken one after the other, without any wait: summed work over the time in which
    /// calls were under way. 0 before the first.
    pub fn speedup(&self) -> f64 {
        ratio(self.work, self.under_way)
    }
}

/// What became of one tool's calls.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ToolCounts {
    /// Calls, whatever became of them.
    pub calls: u64,
    /// Executions that run now: tries, and batches.
    pub running: u32,
    /// Those that wait now for permits or their share of the minute.
    pub queued: u32,
    /// How long calls have waited, all waits summed.
    pub waited: Duration,
    /// The longest wait that is over.
    pub longest_wait: Duration,
    /// How long its executions took, summed, those that run included.
    pub work: Duration,
    /// Calls made again.
    pub retries: u64,
    /// Calls answered from the cache.
    pub cache_hits: u64,
    /// Calls that shared the execution of another.
    pub coalesced: u64,
    /// Batches that were made.
    pub batches: u64,
    /// Calls in those batches.
    pub batched: u64,
    /// Calls that the breaker or the rate refused.
    pub refused: u64,
    /// Times that another tool was called in its place.
    pub fallbacks: u64,
    /// What its breaker is; `None` where it has none.
    pub breaker: Option<BreakerState>,
    /// How many executions may run at once; `None` where there is no cap of its own.
    pub permits: Option<u32>,
    /// Which part of its permits was in use on average since its first call, 0 to 1; `None` without a cap of its own.
    pub utilisation: Option<f64>,
}

fn ratio(part: Duration, whole: Duration) -> f64 {
    if whole.is_zero() {
        return 0.0;
    }
    part.as_secs_f64() / whole.as_secs_f64()
}

/// How many of something there are, and for how long. It is told the time.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Gauge {
    now: u32,
    since: Option<Instant>,
    /// Their time, summed.
    area: Duration,
    /// The time with at least one.
    busy: Duration,
}

impl Gauge {
    fn pass(&mut self, now: Instant) {
        let since = self.since.replace(now).unwrap_or(now);
        let gone = now.saturating_duration_since(since);
        self.area = self.area.saturating_add(gone.saturating_mul(self.now));
        if self.now > 0 {
            self.busy = self.busy.saturating_add(gone);
        }
    }

    pub(super) fn add(&mut self, now: Instant) {
        self.pass(now);
        self.now += 1;
    }

    pub(super) fn remove(&mut self, now: Instant) {
        self.pass(now);
        self.now = self.now.saturating_sub(1);
    }

    /// As it is now.
    fn at(mut self, now: Instant) -> Self {
        self.pass(now);
        self
    }
}

/// What is counted of one tool.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counting {
    pub(super) first: Option<Instant>,
    pub(super) running: Gauge,
    pub(super) queued: Gauge,
    pub(super) longest_wait: Duration,
    pub(super) calls: u64,
    pub(super) retries: u64,
    pub(super) cache_hits: u64,
    pub(super) coalesced: u64,
    pub(super) batches: u64,
    pub(super) batched: u64,
    pub(super) refused: u64,
    pub(super) fallbacks: u64,
}

impl Counting {
    /// As it is shown.
    pub(super) fn show(
        &self,
        now: Instant,
        permits: Option<u32>,
        breaker: Option<BreakerState>,
    ) -> ToolCounts {
        let (running, queued) = (self.running.at(now), self.queued.at(now));
        let elapsed = self.first.map(|first| now.saturating_duration_since(first));
        let utilisation = permits.map(|permits| {
            let most = elapsed.unwrap_or_default().saturating_mul(permits);
            ratio(running.area, most)
        });
        ToolCounts {
            calls: self.calls,
            running: running.now,
            queued: queued.now,
            waited: queued.area,
            longest_wait: self.longest_wait,
            work: running.area,
            retries: self.retries,
            cache_hits: self.cache_hits,
            coalesced: self.coalesced,
            batches: self.batches,
            batched: self.batched,
            refused: self.refused,
            fallbacks: self.fallbacks,
            breaker,
            permits,
            utilisation,
        }
    }
}

/// What is counted of all tools together.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Whole {
    pub(super) running: Gauge,
    pub(super) calls: Gauge,
}

impl Whole {
    /// As it is shown.
    pub(super) fn show(&self, now: Instant, tools: BTreeMap<Arc<str>, ToolCounts>) -> ToolStats {
        let (running, calls) = (self.running.at(now), self.calls.at(now));
        ToolStats {
            tools,
            work: running.area,
            busy: running.busy,
            under_way: calls.busy,
        }
    }
}
