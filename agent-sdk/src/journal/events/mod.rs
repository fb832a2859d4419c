//! Keeping the events of runs, so that they can be read again by their numbers.
//!
//! [`EventKeeper`] is an observer: it puts each event into a bounded queue and never waits. Somebody has to write what is in the
//! queue, because the library spawns nothing by itself: [`EventKeeper::run`] is a future for the application to spawn, and
//! [`EventKeeper::flush`] writes what is there now. [`Runs::events`](super::Runs::events) reads.

mod queue;
mod read;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::sleep};

use queue::Queue;
pub use read::StoredEvent;
pub(super) use read::{last_seq, read};

use crate::{
    operation::{Event, EventKind, Interests, Observer, Observers, RunId},
    store::{Append, LogId, LogKind, NewEntry, Store, StoreError, extend},
};

/// How much may wait to be written, unless the keeper is told otherwise.
const EVENTS: usize = 8_192;
const BYTES: usize = 64 * 1024 * 1024;

/// How much is written at once.
const BATCH_EVENTS: usize = 256;

/// How long a store that failed is left alone.
const PAUSE: Duration = Duration::from_secs(1);

/// An [`Observer`] that keeps the events of runs in a store, each as it goes over the wire. Clones share the queue.
///
/// Pieces of text and of reasoning are left out: answers hold them. An event that does not fit into the queue, because the store is
/// too slow or fails, is counted; where it would have been stands a [`gap`](StoredEvent::missed) with the count. What a store
/// refused is written again later. A run notices nothing of it.
///
/// What is kept outlives the process, and is lost with the power where the store had not yet written it to disk.
///
/// # Example
///
/// ```
/// use std::sync::Arc;
/// use agent_sdk::{agent::Agent, journal::{EventKeeper, Runs}, operation::Observers, store::MemoryStore, testing::ScriptedModel};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = Arc::new(MemoryStore::new());
/// let keeper = EventKeeper::new(store.clone());
/// let writing = tokio::spawn(keeper.clone().run());
///
/// let agent = Agent::builder("a", ScriptedModel::new(["Hello."])).observers(keeper.observers()).build()?;
/// let report = agent.run("Hi.").store(store.clone()).await?;
///
/// keeper.flush().await?;
/// writing.abort();
/// let kept = Runs::new(store).events(report.run_id.as_str(), 0, 100).await?;
/// assert!(kept[0].json.get().starts_with(r#"{"type":"run_started""#));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct EventKeeper {
    shared: Arc<Shared>,
}

struct Shared {
    store: Arc<dyn Store>,
    queue: Mutex<Queue>,
    news: Notify,
    /// Held while a batch is written: entries stay in order.
    writing: tokio::sync::Mutex<()>,
}

impl EventKeeper {
    /// Keeps events in a store. At most 8,192 of them, or 64 MiB, wait to be written.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self::with_capacity(store, EVENTS, BYTES)
    }

    /// Keeps events in a store, of which at most so many, and so many bytes of JSON, wait to be written.
    pub fn with_capacity(store: Arc<dyn Store>, events: usize, bytes: usize) -> Self {
        Self {
            shared: Arc::new(Shared {
                store,
                queue: Mutex::new(Queue::new(events, bytes)),
                news: Notify::new(),
                writing: tokio::sync::Mutex::default(),
            }),
        }
    }

    /// This keeper as the only observer.
    pub fn observers(&self) -> Observers {
        Observers::none().with(self.clone())
    }

    /// Writes what comes, for ever: for the application to spawn, and to abort when it ends, after a last
    /// [`flush`](Self::flush). A store that fails is tried again each second.
    pub async fn run(self) {
        loop {
            let news = self.shared.news.notified();
            if self.flush().await.is_err() {
                sleep(PAUSE).await;
                continue;
            }
            if self.waiting() == 0 {
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
        let runs = self.queue().runs();
        for run in runs {
            if let Err(error) = self.write(&run).await {
                result = result.and(Err(error));
            }
        }
        result
    }

    /// How many events wait to be written.
    pub fn waiting(&self) -> usize {
        self.queue().waiting()
    }

    /// How many events were not kept, of all runs.
    pub fn missed(&self) -> u64 {
        self.queue().missed()
    }

    async fn write(&self, run: &RunId) -> Result<(), StoreError> {
        let log = match LogId::new(LogKind::Events, run.as_str()) {
            Ok(log) => log,
            Err(error) => {
                self.queue().give_up(run);
                return Err(error);
            }
        };
        loop {
            let batch = self.queue().take(run, BATCH_EVENTS);
            if batch.is_empty() {
                return Ok(());
            }
            let entries = batch
                .iter()
                .map(|kept| NewEntry::new("", kept.to_bytes(run)))
                .collect();
            let append = Append::new(log.clone(), entries).not_durable();
            if let Err(error) = extend(&*self.shared.store, append, None).await {
                self.queue().put_back(run, batch);
                return Err(error);
            }
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        let queue = self.shared.queue.lock();
        queue.unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for EventKeeper {
    fn interests(&self) -> Interests {
        Interests::EVENTS
    }

    fn event(&self, event: &Arc<Event>) {
        if let EventKind::TextChunk { .. } | EventKind::ReasoningChunk { .. } = event.kind {
            return;
        }
        self.queue().add(event);
        self.shared.news.notify_one();
    }
}

impl fmt::Debug for EventKeeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventKeeper")
            .field("waiting", &self.waiting())
            .field("missed", &self.missed())
            .finish_non_exhaustive()
    }
}
