//! What the calls of one tool have in common.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    cache::Cache,
    flights::Flights,
    permits::Need,
    policy::ToolPolicy,
    stats::{Counting, ToolCounts, Whole},
};
use crate::{
    guarded::Guarded,
    model::{CircuitBreaker, PerMinute},
};

/// What the calls of one tool have in common.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) name: Arc<str>,
    pub(super) policy: ToolPolicy,
    pub(super) need: Need,
    pub(super) rate: Option<PerMinute>,
    pub(super) cache: Option<Mutex<Cache>>,
    pub(super) flights: Flights,
    counting: Mutex<Counting>,
    whole: Arc<Mutex<Whole>>,
}

impl Desk {
    pub(super) fn new(
        name: Arc<str>,
        policy: ToolPolicy,
        need: Need,
        whole: Arc<Mutex<Whole>>,
    ) -> Self {
        let cache = policy.cache.time_to_live.map(|_| Cache::new(policy.cache));
        Self {
            name,
            need,
            rate: policy.per_minute.map(PerMinute::new),
            cache: cache.map(Mutex::guard),
            flights: Flights::default(),
            counting: Mutex::guard(Counting::default()),
            whole,
            policy,
        }
    }

    /// Counts something.
    pub(super) fn count(&self, count: impl FnOnce(&mut Counting)) {
        self.counting.with(count);
    }

    /// A call is under way until what is returned is dropped.
    pub(super) fn call(self: &Arc<Self>) -> Called {
        let now = Instant::now();
        self.counting.with(|counting| {
            counting.calls += 1;
            counting.first.get_or_insert(now);
        });
        self.whole.with(|whole| whole.calls.add(now));
        Called(self.clone())
    }

    /// Somebody waits until what is returned is dropped.
    pub(super) fn wait(self: &Arc<Self>) -> Waits {
        let since = Instant::now();
        self.counting.with(|counting| counting.queued.add(since));
        Waits {
            desk: self.clone(),
            since,
        }
    }

    /// An execution runs until what is returned is dropped.
    pub(super) fn run(self: &Arc<Self>) -> Runs {
        let now = Instant::now();
        self.counting.with(|counting| counting.running.add(now));
        self.whole.with(|whole| whole.running.add(now));
        Runs(self.clone())
    }

    /// What became of its calls.
    pub(super) fn show(&self, now: Instant) -> ToolCounts {
        let permits = self.policy.concurrency.map(u32::from);
        let breaker = self.policy.breaker.as_ref().map(CircuitBreaker::state);
        let counting = self.counting.with(|counting| *counting);
        counting.show(now, permits, breaker)
    }
}

#[derive(Debug)]
pub(super) struct Called(Arc<Desk>);

impl Drop for Called {
    fn drop(&mut self) {
        let now = Instant::now();
        self.0.whole.with(|whole| whole.calls.remove(now));
    }
}

#[derive(Debug)]
pub(super) struct Waits {
    desk: Arc<Desk>,
    since: Instant,
}

impl Waits {
    /// For how long it has waited.
    pub(super) fn waited(&self) -> Duration {
        self.since.elapsed()
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        let now = Instant::now();
        let waited = now.saturating_duration_since(self.since);
        self.desk.counting.with(|counting| {
            counting.queued.remove(now);
            counting.longest_wait = counting.longest_wait.max(waited);
        });
    }
}

#[derive(Debug)]
pub(super) struct Runs(Arc<Desk>);

impl Drop for Runs {
    fn drop(&mut self) {
        let now = Instant::now();
        self.0
            .counting
            .with(|counting| counting.running.remove(now));
        self.0.whole.with(|whole| whole.running.remove(now));
    }
}
