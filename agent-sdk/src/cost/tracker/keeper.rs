//! Keeping lines in a store, without ever waiting for it.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use jiff::civil::Date;
use tokio::{sync::Notify, time::sleep};

use super::{FoldedLines, KeptCost, line::lines_of, place::Places, queue::Queue, read::log_of};
use crate::{
    operation::{Observer, Observers, OperationInfo, OperationRecord, Payload},
    store::{Append, NewEntry, Store, StoreError, StoreErrorKind, extend},
};

/// How much may wait to be written, unless the keeper is told otherwise.
const LINES: usize = 65_536;
const BYTES: usize = 64 * 1024 * 1024;

/// How many lines are written at once.
const BATCH: usize = 256;

/// How long a store that failed is left alone.
const PAUSE: Duration = Duration::from_secs(1);

/// An [`Observer`] that keeps each line of cost in a store, in one log for each day in UTC. Clones share the queue.
///
/// It never waits: lines go into a bounded queue. Somebody has to write them, because the library spawns nothing by itself:
/// [`run`](Self::run) is a future for the application to spawn, [`flush`](Self::flush) writes what is there now, and
/// [`close`](Self::close) writes the rest. What a store refused is written again later. Where more waits than may, because the
/// store is too slow or fails, a line is [folded](Self::folded) into sums, which are written in its place: no total lacks it.
///
/// What was written survives a loss of power; what still waits goes with the process. Any number of processes may write to one store.
///
/// # Example
///
/// ```
/// use std::sync::Arc;
/// use agent_sdk::{
///     agent::Agent,
///     cost::{CostKeeper, CostLines, CostQuery, Dimension},
///     model::Usage,
///     store::MemoryStore,
///     testing::{ScriptedModel, Turn},
/// };
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = Arc::new(MemoryStore::new());
/// let keeper = CostKeeper::new(store.clone());
/// let writing = tokio::spawn(keeper.clone().run());
///
/// let turn = Turn::from("Hello.").usage(Usage::new(1_000, 100));
/// let model = ScriptedModel::new([turn]).named("openai", "gpt-4o-mini");
/// let agent = Agent::builder("a", model).observers(keeper.observers()).build()?;
/// let run = agent.run("Hi.").await?;
///
/// keeper.close().await?;
/// writing.await?;
/// let report = CostLines::new(store).report(&CostQuery::by([Dimension::Day])).await?;
/// assert_eq!(report.total.amount, run.cost);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct CostKeeper {
    shared: Arc<Shared>,
}

struct Shared {
    store: Arc<dyn Store>,
    places: Mutex<Places>,
    queue: Mutex<Queue>,
    news: Notify,
    closed: AtomicBool,
    /// Held while a batch is written: entries stay in order.
    writing: tokio::sync::Mutex<()>,
}

impl CostKeeper {
    /// Keeps lines in a store. At most 65,536 of them, or 64 MiB, wait to be written.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self::with_capacity(store, LINES, BYTES)
    }

    /// Keeps lines in a store, of which at most so many, and so many bytes of JSON, wait to be written.
    pub fn with_capacity(store: Arc<dyn Store>, lines: usize, bytes: usize) -> Self {
        Self {
            shared: Arc::new(Shared {
                store,
                places: Mutex::default(),
                queue: Mutex::new(Queue::new(lines, bytes)),
                news: Notify::new(),
                closed: AtomicBool::new(false),
                writing: tokio::sync::Mutex::default(),
            }),
        }
    }

    /// This keeper as the only observer.
    pub fn observers(&self) -> Observers {
        Observers::none().with(self.clone())
    }

    /// Writes what comes, until the keeper is [closed](Self::close): for the application to spawn. A store that fails is tried again each
    /// second.
    pub async fn run(self) {
        loop {
            let news = self.shared.news.notified();
            let is_closed = self.shared.closed.load(Ordering::Acquire);
            let written = self.flush().await;
            if is_closed {
                return;
            }
            if written.is_err() {
                sleep(PAUSE).await;
            } else if self.waiting() == 0 {
                news.await;
            }
        }
    }

    /// Writes what waits now; dropping the future leaves the rest for later.
    ///
    /// # Errors
    ///
    /// The store's first error. What it refused still waits.
    pub async fn flush(&self) -> Result<(), StoreError> {
        let _alone = self.shared.writing.lock().await;
        let mut result = Ok(());
        let days = self.queue().days();
        for day in days {
            if let Err(error) = self.write(day).await {
                result = result.and(Err(error));
            }
        }
        while let Some(folded) = self.next_fold() {
            if let Err(error) = self.write_fold(&folded).await {
                self.queue().put_back_fold(folded);
                result = result.and(Err(error));
                break;
            }
        }
        result
    }

    /// Writes what waits, and lets [`run`](Self::run) end.
    ///
    /// # Errors
    ///
    /// The store's first error: [`waiting`](Self::waiting) says how much is not written. It may be closed again.
    pub async fn close(&self) -> Result<(), StoreError> {
        self.shared.closed.store(true, Ordering::Release);
        self.shared.news.notify_one();
        self.flush().await
    }

    /// How many lines, and sums in place of lines, wait to be written.
    pub fn waiting(&self) -> usize {
        self.queue().waiting()
    }

    /// How many lines did not fit, so that only sums of them are kept.
    pub fn folded(&self) -> u64 {
        self.queue().folded()
    }

    async fn write(&self, day: Date) -> Result<(), StoreError> {
        loop {
            let batch = self.queue().take(day, BATCH);
            if batch.is_empty() {
                return Ok(());
            }
            if let Err(error) = self.append(day, &batch).await {
                self.queue().put_back(day, batch);
                return Err(error);
            }
        }
    }

    fn next_fold(&self) -> Option<FoldedLines> {
        self.queue().take_fold()
    }

    async fn write_fold(&self, folded: &FoldedLines) -> Result<(), StoreError> {
        let json = serde_json::to_vec(&KeptCost::Folded(folded.clone()))
            .map_err(|error| StoreError::new(StoreErrorKind::Io, error.to_string()))?;
        self.append(folded.day(), &[json.into()]).await
    }

    /// Appends to the log of a day, which is made with its first entries.
    async fn append(&self, day: Date, batch: &[Bytes]) -> Result<(), StoreError> {
        let log = log_of(day)?;
        let entries: Vec<_> = batch
            .iter()
            .map(|json| NewEntry::new("", json.clone()))
            .collect();
        extend(&*self.shared.store, Append::new(log, entries), None)
            .await
            .map(drop)
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        let queue = self.shared.queue.lock();
        queue.unwrap_or_else(PoisonError::into_inner)
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        let places = self.shared.places.lock();
        places.unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for CostKeeper {
    fn started(&self, operation: &OperationInfo, _: Payload<'_>) {
        self.places().started(operation);
    }

    fn ended(&self, operation: &OperationRecord<'_>, _: Payload<'_>) {
        let place = self.places().ended(operation);
        let lines = lines_of(operation, &place);
        if lines.is_empty() {
            return;
        }
        let mut queue = self.queue();
        for line in lines {
            queue.add(line);
        }
        drop(queue);
        self.shared.news.notify_one();
    }
}

impl fmt::Debug for CostKeeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CostKeeper")
            .field("waiting", &self.waiting())
            .field("folded", &self.folded())
            .finish_non_exhaustive()
    }
}
