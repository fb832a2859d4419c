//! The span pipeline: a bounded queue, one exporting thread, and an account that adds up.
//!
//! Finished spans come from two sides, both through [`SpanPipeline::push`]: the user's own spans and
//! the operations, each at its end. The exporting thread takes them in batches. A span that finds
//! the queue full is dropped and counted; nobody ever waits to hand one over.
//!
//! The queue and the account are under one lock, so that the account balances whenever it is read.

mod account;
mod processor;
#[cfg(test)]
mod tests;
mod worker;

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use opentelemetry_sdk::trace::SpanData;

use crate::error::TelemetryError;

pub(crate) use account::Delivery;
pub use account::SpanAccount;
pub(crate) use processor::{CountingSampler, PipelineProcessor, with_times};

/// How the pipeline queues and batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BatchLimits {
    /// Spans that may wait; more are dropped.
    pub(crate) queue: usize,
    /// Spans in one request.
    pub(crate) batch: usize,
    /// How long a span waits for its batch to fill.
    pub(crate) delay: Duration,
}

impl Default for BatchLimits {
    fn default() -> Self {
        Self {
            queue: 65_536,
            batch: 512,
            delay: Duration::from_secs(5),
        }
    }
}

/// What takes batches to a collector.
pub(crate) trait SpanTransport: Send + 'static {
    /// Sends one batch and says what became of it, within `timeout` if one is given and within
    /// the transport's own limit in any case.
    fn send(&mut self, spans: Vec<SpanData>, timeout: Option<Duration>) -> Delivery;
}

/// A handle to the pipeline; clones share it.
#[derive(Clone)]
pub(crate) struct SpanPipeline(Arc<Shared>);

struct Shared {
    limits: BatchLimits,
    state: Mutex<State>,
    /// The worker waits on it for spans, a flush or the end.
    work: Condvar,
    /// Whoever flushes or shuts down waits on it for the worker.
    progress: Condvar,
}

struct State {
    queue: VecDeque<SpanData>,
    account: SpanAccount,
    phase: Phase,
    /// Spans that ever entered the queue, and those of them whose fate is known. Both in queue
    /// order, so that a flush is done once `settled` reaches the `accepted` that it found.
    accepted: u64,
    settled: u64,
    flush_to: u64,
    worker_running: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    /// Nothing more comes in; what waits has until this instant to leave.
    Closing(Instant),
}

impl SpanPipeline {
    /// A pipeline whose worker thread sends through `transport`.
    pub(crate) fn start(
        limits: BatchLimits,
        transport: impl SpanTransport,
    ) -> Result<Self, TelemetryError> {
        let pipeline = Self::without_worker(limits);
        pipeline.lock().worker_running = true;
        let shared = Arc::clone(&pipeline.0);
        std::thread::Builder::new()
            .name("agent-sdk-spans".into())
            .spawn(move || worker::run(&shared, transport))
            .map_err(|error| TelemetryError::start("the span export thread").because(error))?;
        Ok(pipeline)
    }

    fn without_worker(limits: BatchLimits) -> Self {
        Self(Arc::new(Shared {
            limits,
            state: Mutex::new(State {
                queue: VecDeque::new(),
                account: SpanAccount::default(),
                phase: Phase::Open,
                accepted: 0,
                settled: 0,
                flush_to: 0,
                worker_running: false,
            }),
            work: Condvar::new(),
            progress: Condvar::new(),
        }))
    }

    /// Takes over a finished span; an unsampled one is only counted.
    pub(crate) fn push(&self, span: SpanData) {
        let mut state = self.lock();
        state.account.ended += 1;
        if !span.span_context.is_sampled() {
            state.account.unsampled += 1;
        } else if state.phase != Phase::Open || state.queue.len() >= self.0.limits.queue {
            state.account.dropped += 1;
        } else {
            state.account.queued += 1;
            state.accepted += 1;
            state.queue.push_back(span);
            let waiting = state.queue.len();
            drop(state);
            // The worker sleeps without a limit on an empty queue, else until a batch is full.
            if waiting == 1 || waiting == self.0.limits.batch {
                self.0.work.notify_one();
            }
        }
    }

    /// Counts a span that the sampler left out.
    pub(crate) fn unsampled(&self) {
        let mut state = self.lock();
        state.account.ended += 1;
        state.account.unsampled += 1;
    }

    /// What became of every span so far.
    pub(crate) fn account(&self) -> SpanAccount {
        self.lock().account
    }

    /// Waits until what was pushed before has been sent, or `limit` has passed. Says whether it
    /// was.
    pub(crate) fn flush(&self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        let mut state = self.lock();
        let target = state.accepted;
        state.flush_to = target;
        self.0.work.notify_one();
        self.wait(state, deadline, |state| {
            state.settled >= target || !state.worker_running
        })
        .settled
            >= target
    }

    /// Closes the pipeline: what waits is sent within `limit`, and the rest is dropped.
    ///
    /// Returns the account, in which `queued` is zero unless a request that began before could not
    /// be waited for. A second call only waits for the first.
    pub(crate) fn shutdown(&self, limit: Duration) -> SpanAccount {
        let deadline = Instant::now() + limit;
        let mut state = self.lock();
        if state.phase == Phase::Open {
            // The worker stops a little earlier, so that its last word is in the account.
            let margin = (limit / 10).min(Duration::from_millis(250));
            state.phase = Phase::Closing(deadline.checked_sub(margin).unwrap_or(deadline));
        }
        self.0.work.notify_one();
        self.wait(state, deadline, |state| !state.worker_running)
            .account
    }

    fn wait<'a>(
        &self,
        mut state: MutexGuard<'a, State>,
        deadline: Instant,
        done: impl Fn(&State) -> bool,
    ) -> MutexGuard<'a, State> {
        while !done(&state) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state = self
                .0
                .progress
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        state
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock()
    }
}

impl State {
    /// Drops what waits.
    fn abandon_queue(&mut self) {
        let waiting = self.queue.len() as u64;
        self.queue = VecDeque::new();
        self.account.abandon(waiting);
        self.settled += waiting;
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is a few additions that cannot panic half way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for SpanPipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpanPipeline")
            .field("limits", &self.0.limits)
            .field("account", &self.account())
            .finish()
    }
}
