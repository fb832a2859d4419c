//! The pipeline of one signal: a bounded queue, several requests in flight, and an account that
//! adds up.
//!
//! An item is one finished span or log record, encoded by whoever ends it and handed over with
//! [`Pipeline::push`]. It waits in the [queue](queue) in the form in which it travels; a
//! [worker](worker) on telemetry's own thread takes batches out and [delivers](deliver) them.
//!
//! Batches adapt: with a request free, one leaves as soon as [`BatchLimits::batch`] items wait or
//! the oldest has waited for [`BatchLimits::delay`]. While every request is busy they grow, up to
//! [`BatchLimits::largest`] items and [`REQUEST_BYTES`].
//!
//! Invariant: the queue and the account are under one lock, and an item changes its place in both
//! in one step, so that the account balances whenever it is read.

mod account;
mod deliver;
mod envelope;
mod processor;
mod queue;
mod scope;
#[cfg(test)]
mod tests;
mod worker;

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use opentelemetry_sdk::Resource;
use tokio::sync::{Notify, watch};

use crate::error::TelemetryError;
use crate::otlp::{Answer, ExportThread, OtlpClient};
use crate::settings::{Settings, Signal};

pub(crate) use account::Delivery;
pub use account::ExportAccount;
use deliver::Retries;
pub(crate) use envelope::Envelope;
pub(crate) use processor::{CountingSampler, PipelineProcessor};
use queue::Queue;
pub(crate) use scope::Scope;

/// The largest request, before compression: what collectors take by default.
const REQUEST_BYTES: usize = 4 * 1024 * 1024;

/// How the pipeline queues and batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BatchLimits {
    /// Items that may wait.
    pub(crate) queue: usize,
    /// Bytes that may wait.
    pub(crate) queue_bytes: usize,
    /// Items that make a batch leave.
    pub(crate) batch: usize,
    /// Items in one request.
    pub(crate) largest: usize,
    /// How long an item waits for its batch to fill.
    pub(crate) delay: Duration,
    /// Requests in flight at once.
    pub(crate) in_flight: usize,
    pub(crate) retries: Retries,
}

impl Default for BatchLimits {
    fn default() -> Self {
        Self {
            queue: 65_536,
            queue_bytes: 128 * 1024 * 1024,
            batch: 512,
            largest: 8_192,
            delay: Duration::from_secs(5),
            in_flight: 4,
            retries: Retries::default(),
        }
    }
}

/// What takes requests to a collector.
pub(crate) trait Transport: Send + Sync + 'static {
    /// Sends one request and says what the collector answered, within the transport's own limit.
    fn send(&self, body: bytes::Bytes) -> impl Future<Output = Answer> + Send;
}

/// A handle to the pipeline of one signal; clones share it.
#[derive(Clone)]
pub(crate) struct Pipeline {
    shared: Arc<Shared>,
    thread: ExportThread,
}

struct Shared {
    limits: BatchLimits,
    envelope: Envelope,
    state: Mutex<State>,
    /// The worker waits on it for items, a flush, a settled request or the end.
    work: Notify,
    /// Until when what waits may leave, once the pipeline closes.
    closing: watch::Sender<Option<Instant>>,
    /// Whoever flushes or shuts down waits on it for the worker.
    progress: Condvar,
}

struct State {
    queue: Queue,
    account: ExportAccount,
    /// The number of the first item of each batch that is not settled.
    in_flight: Vec<u64>,
    /// Items with a number below this leave without waiting for their batch to fill.
    flush_to: u64,
    open: bool,
    worker_running: bool,
}

impl Pipeline {
    /// The pipeline of a signal as the settings say; `None` when the signal is not sent.
    pub(crate) fn for_signal(
        signal: Signal,
        settings: &Settings,
        resource: &Resource,
        thread: Option<&ExportThread>,
    ) -> Result<Option<Self>, TelemetryError> {
        let (Some(target), Some(thread)) = (settings.target(signal)?, thread) else {
            return Ok(None);
        };
        let client = OtlpClient::new(target, thread.clone())?;
        let envelope = Envelope::new(resource);
        Ok(Some(Self::start(settings.batch, envelope, thread, client)))
    }

    /// A pipeline that sends through `transport`.
    pub(crate) fn start(
        limits: BatchLimits,
        envelope: Envelope,
        thread: &ExportThread,
        transport: impl Transport,
    ) -> Self {
        let shared = Arc::new(Shared {
            limits,
            envelope,
            state: Mutex::new(State {
                queue: Queue::default(),
                account: ExportAccount::default(),
                in_flight: Vec::new(),
                flush_to: 0,
                open: true,
                worker_running: true,
            }),
            work: Notify::new(),
            closing: watch::Sender::new(None),
            progress: Condvar::new(),
        });
        thread.spawn(worker::run(Arc::clone(&shared), transport));
        let thread = thread.clone();
        Self { shared, thread }
    }

    /// Takes over one encoded `Span` or `LogRecord`, without tag and length.
    pub(crate) fn push(&self, scope: &Scope, message: &[u8]) {
        let limits = &self.shared.limits;
        let largest = REQUEST_BYTES.saturating_sub(self.shared.envelope.len() + scope.len());
        let mut state = self.lock();
        state.account.ended += 1;
        let fits = state.queue.items() < limits.queue
            && state.queue.bytes() + message.len() <= limits.queue_bytes
            && message.len() + 2 * envelope::FRAME <= largest;
        if !state.open || !fits {
            state.account.dropped += 1;
            return;
        }
        state.account.queued += 1;
        state.queue.push(scope, message, limits.largest);
        let waiting = state.queue.items();
        drop(state);
        // The worker sleeps without a limit on an empty queue, else until a batch is full.
        if waiting == 1 || waiting == limits.batch {
            self.shared.work.notify_one();
        }
    }

    /// Counts an item that the sampler left out.
    pub(crate) fn unsampled(&self) {
        let mut state = self.lock();
        state.account.ended += 1;
        state.account.unsampled += 1;
    }

    /// What became of every item so far.
    pub(crate) fn account(&self) -> ExportAccount {
        self.lock().account
    }

    /// Waits until what was pushed before is settled, or `limit` has passed. Says whether it is.
    pub(crate) fn flush(&self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        let mut state = self.lock();
        let target = state.queue.pushed();
        state.flush_to = target;
        self.shared.work.notify_one();
        self.wait(state, deadline, |state| {
            state.is_settled(target) || !state.worker_running
        })
        .is_settled(target)
    }

    /// Closes the pipeline: what waits is sent within `limit`, and the rest is dropped.
    ///
    /// Returns the account, in which `queued` is zero unless a request that began before could not
    /// be waited for. A second call only waits for the first.
    pub(crate) fn shutdown(&self, limit: Duration) -> ExportAccount {
        let deadline = Instant::now() + limit;
        let mut state = self.lock();
        if state.open {
            state.open = false;
            // The worker stops a little earlier, so that its last word is in the account.
            let margin = (limit / 10).min(Duration::from_millis(250));
            let end = deadline.checked_sub(margin).unwrap_or(deadline);
            self.shared.closing.send_replace(Some(end));
        }
        self.shared.work.notify_one();
        self.wait(state, deadline, |state| !state.worker_running)
            .account
    }

    fn wait<'a>(
        &self,
        mut state: MutexGuard<'a, State>,
        deadline: Instant,
        done: impl Fn(&State) -> bool,
    ) -> MutexGuard<'a, State> {
        // A panic hook may call on the very thread that would have to do the work.
        while !done(&state) && !self.thread.is_current() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let waited = self.shared.progress.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.lock()
    }
}

impl State {
    /// Drops what waits.
    fn abandon_queue(&mut self) {
        let waiting = self.queue.clear();
        self.account.abandon(waiting);
    }

    /// Whether the fate of every item with a number below `target` is known.
    fn is_settled(&self, target: u64) -> bool {
        let mut unsettled = self.in_flight.iter().copied().chain(self.queue.first());
        unsettled.all(|first| first >= target)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is a few additions that cannot panic half way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipeline")
            .field("limits", &self.shared.limits)
            .field("account", &self.account())
            .finish()
    }
}
