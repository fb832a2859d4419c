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
mod held;
mod masked;
mod policy;
mod processor;
mod queue;
mod scope;
mod spill;
#[cfg(test)]
mod tests;
mod worker;

use std::collections::VecDeque;
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
use account::Fate;
use deliver::Retries;
pub(crate) use envelope::Envelope;
pub use policy::{SpillSettings, WhenFull};
pub(crate) use processor::{CountingSampler, PipelineProcessor};
use queue::Queue;
pub(crate) use scope::Scope;
use spill::{Spilled, Store};

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
    /// The form in which an encoded message travels; made once, however often it is sent. `None`
    /// where it cannot travel.
    fn body(&self, message: &bytes::Bytes) -> Option<bytes::Bytes> {
        Some(message.clone())
    }

    /// Sends one [body](Self::body) and says what the collector answered, within the transport's own limit.
    fn send(&self, body: bytes::Bytes) -> impl Future<Output = Answer> + Send;
}

/// What a pipeline is made from.
pub(crate) struct PipelineSettings {
    pub(crate) signal: Signal,
    pub(crate) limits: BatchLimits,
    pub(crate) when_full: WhenFull,
    pub(crate) envelope: Envelope,
}

/// A handle to the pipeline of one signal; clones share it.
#[derive(Clone)]
pub(crate) struct Pipeline {
    shared: Arc<Shared>,
    thread: ExportThread,
}

struct Shared {
    limits: BatchLimits,
    /// How long an item waits for room in a full queue.
    patience: Duration,
    envelope: Envelope,
    store: Option<Arc<Store>>,
    state: Mutex<State>,
    /// The worker waits on it for items, a flush, a settled request or the end.
    work: Notify,
    /// Until when what waits may leave, once the pipeline closes.
    closing: watch::Sender<Option<Closing>>,
    /// Items that found the queue full wait on it.
    room: Condvar,
    /// Whoever flushes or shuts down waits on it for the worker.
    progress: Condvar,
}

/// What a pipeline that closes has time for.
#[derive(Clone, Copy)]
struct Closing {
    /// Requests are sent until then; what is left goes to disk, where that is wanted.
    send_until: Instant,
    /// What is left then is dropped.
    end: Instant,
}

struct State {
    queue: Queue,
    account: ExportAccount,
    /// What became of the items that earlier processes left on disk.
    recovered: ExportAccount,
    /// Batches on disk that nobody is sending, oldest first.
    files: VecDeque<Spilled>,
    disk_bytes: u64,
    /// When the disk is tried again after a failure.
    disk_again_at: Option<Instant>,
    /// When batches on disk are tried again after one that could not be delivered.
    resend_at: Option<Instant>,
    /// Requests and writes under way.
    sending: usize,
    writing: usize,
    /// Threads that wait for room.
    blocked: usize,
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
        let settings = PipelineSettings {
            signal,
            limits: settings.batch,
            when_full: settings.when_full.clone(),
            envelope: Envelope::new(resource),
        };
        Self::start(settings, thread, client).map(Some)
    }

    /// A pipeline that sends through `transport`.
    pub(crate) fn start(
        settings: PipelineSettings,
        thread: &ExportThread,
        transport: impl Transport,
    ) -> Result<Self, TelemetryError> {
        let PipelineSettings {
            signal,
            limits,
            when_full,
            envelope,
        } = settings;
        let (store, files) = match &when_full {
            WhenFull::Spill(spill) => {
                let opened = Store::open(spill, signal.name());
                let (store, files) = opened.map_err(|error| {
                    TelemetryError::start("the directory for spilled telemetry").because(error)
                })?;
                (Some(Arc::new(store)), VecDeque::from(files))
            }
            WhenFull::Drop | WhenFull::Block(_) => (None, VecDeque::new()),
        };
        let left: u64 = files.iter().map(|file| file.items).sum();
        let recovered = ExportAccount {
            ended: left,
            spilled: left,
            ..ExportAccount::default()
        };
        let shared = Arc::new(Shared {
            limits,
            patience: when_full.patience(),
            envelope,
            store,
            state: Mutex::new(State {
                queue: Queue::default(),
                account: ExportAccount::default(),
                recovered,
                disk_bytes: files.iter().map(|file| file.bytes).sum(),
                files,
                disk_again_at: None,
                resend_at: None,
                sending: 0,
                writing: 0,
                blocked: 0,
                in_flight: Vec::new(),
                flush_to: 0,
                open: true,
                worker_running: true,
            }),
            work: Notify::new(),
            closing: watch::Sender::new(None),
            room: Condvar::new(),
            progress: Condvar::new(),
        });
        thread.spawn(worker::run(Arc::clone(&shared), transport));
        let thread = thread.clone();
        Ok(Self { shared, thread })
    }

    /// Takes over one encoded `Span` or `LogRecord`, without tag and length.
    pub(crate) fn push(&self, scope: &Scope, message: &[u8]) {
        let sendable = self.is_sendable(scope, message);
        let mut state = self.lock();
        if sendable && state.open && !state.has_room(&self.shared.limits, message.len()) {
            state = self.wait_for_room(state, message.len());
        }
        state.account.ended += 1;
        self.enqueue(state, scope, message);
    }

    /// Whether an item fits into a request.
    fn is_sendable(&self, scope: &Scope, message: &[u8]) -> bool {
        let around = self.shared.envelope.len() + scope.len() + 2 * envelope::FRAME;
        around + message.len() <= REQUEST_BYTES
    }

    /// Puts an item that is counted under `ended` already into the queue, or drops it.
    fn enqueue(&self, mut state: MutexGuard<'_, State>, scope: &Scope, message: &[u8]) {
        let limits = &self.shared.limits;
        let sendable = self.is_sendable(scope, message);
        if !sendable || !state.open || !state.has_room(limits, message.len()) {
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

    /// Waits as long as the policy says, which by default is not at all.
    fn wait_for_room<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        len: usize,
    ) -> MutexGuard<'a, State> {
        let (limits, patience) = (&self.shared.limits, self.shared.patience);
        if patience.is_zero() || self.thread.is_current() {
            return state;
        }
        let deadline = Instant::now() + patience;
        state.blocked += 1;
        while state.open && !state.has_room(limits, len) {
            let now = Instant::now();
            let left = deadline.saturating_duration_since(now);
            let spills = self.shared.store.is_some();
            if left.is_zero() || (spills && !self.shared.has_disk_room(&state, 0, now)) {
                break;
            }
            // The worker may sleep until the oldest item is due.
            self.shared.work.notify_one();
            let waited = self.shared.room.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.blocked -= 1;
        state
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

    /// What became of the items that earlier processes left on disk: `ended` is how many those
    /// were, and `spilled` how many are still there.
    pub(crate) fn recovered(&self) -> ExportAccount {
        self.lock().recovered
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

    /// Closes the pipeline: what waits is sent within `limit`, and the rest goes to disk or is
    /// dropped, as the policy says.
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
            let writing = match self.shared.store {
                Some(_) => (limit / 4).min(Duration::from_secs(2)),
                None => Duration::ZERO,
            };
            let send_until = end.checked_sub(writing).unwrap_or(end);
            self.shared
                .closing
                .send_replace(Some(Closing { send_until, end }));
            self.shared.room.notify_all();
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
    fn has_room(&self, limits: &BatchLimits, len: usize) -> bool {
        self.queue.items() < limits.queue && self.queue.bytes() + len <= limits.queue_bytes
    }

    /// Drops what waits.
    fn abandon_queue(&mut self) {
        let waiting = self.queue.clear();
        self.account.settle(waiting, Fate::Dropped);
    }

    /// Whether the fate of every item with a number below `target` is known.
    fn is_settled(&self, target: u64) -> bool {
        let mut unsettled = self.in_flight.iter().copied().chain(self.queue.first());
        unsettled.all(|first| first >= target)
    }
}

impl Shared {
    /// Whether a file of this size may be written now.
    fn has_disk_room(&self, state: &State, bytes: u64, now: Instant) -> bool {
        let store = self.store.as_ref();
        store.is_some_and(|store| state.disk_bytes.saturating_add(bytes) < store.max_bytes)
            && state.disk_again_at.is_none_or(|at| at <= now)
    }

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
            .finish_non_exhaustive()
    }
}
