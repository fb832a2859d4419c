//! A store that can be watched, and that fails when it is told to.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use tokio::task::yield_now;

use crate::store::{
    Append, Entry, Head, Lease, LogId, LogKind, MemoryStore, NewLog, Query, Store, StoreError,
    StoreErrorKind,
};

/// A store in memory that counts what is asked of it, runs out of room when it is told to, and has awaits in it, so that whoever gives
/// an append up may do so before it happened and after. Clones are one store.
///
/// # Example
///
/// ```
/// use std::sync::Arc;
/// use agent_sdk::{agent::Agent, operation::Outcome, testing::{FaultyStore, ScriptedModel}};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = FaultyStore::with_room(1);
/// let agent = Agent::builder("a", ScriptedModel::new(["Hello.", "Hello."])).build()?;
/// let stopped = agent.run("Hi.").store(Arc::new(store.clone())).await.unwrap_err();
/// assert_eq!(stopped.report().outcome, Outcome::Paused);
/// store.make_room();
/// let report = agent.resume(stopped.report().run_id.clone(), Arc::new(store)).await?;
/// assert_eq!(report.text, "Hello.");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct FaultyStore {
    inner: MemoryStore,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// How many appends work.
    room: AtomicUsize,
    /// Whether nothing at all can be written.
    is_full: AtomicBool,
    appends: AtomicU64,
    /// How late the answer to the so-manieth append comes.
    late: Mutex<BTreeMap<u64, Duration>>,
    entries: AtomicU64,
    bytes: AtomicU64,
    reads: AtomicU64,
}

/// What was asked of a [`FaultyStore`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreCounts {
    /// Appends.
    pub appends: u64,
    /// Entries in them.
    pub entries: u64,
    /// The bytes of their bodies, and of what the head says about the log.
    pub bytes: u64,
    /// Reads of entries.
    pub reads: u64,
}

impl FaultyStore {
    /// An empty store with room for all there is.
    pub fn new() -> Self {
        Self::with_room(usize::MAX)
    }

    /// An empty store in which only so many appends work; logs can be made all the same.
    pub fn with_room(appends: usize) -> Self {
        Self {
            inner: MemoryStore::new(),
            shared: Arc::new(Shared {
                room: AtomicUsize::new(appends),
                is_full: AtomicBool::new(false),
                appends: AtomicU64::default(),
                late: Mutex::default(),
                entries: AtomicU64::default(),
                bytes: AtomicU64::default(),
                reads: AtomicU64::default(),
            }),
        }
    }

    /// From now on no append works, and no log is made.
    pub fn take_room(&self) {
        self.shared.is_full.store(true, Ordering::SeqCst);
    }

    /// From now on all of them work.
    pub fn make_room(&self) {
        self.shared.is_full.store(false, Ordering::SeqCst);
        self.shared.room.store(usize::MAX, Ordering::SeqCst);
    }

    /// Whether the next append works.
    pub fn has_room(&self) -> bool {
        !self.is_full() && self.shared.room.load(Ordering::SeqCst) > 0
    }

    /// Has the answer to an append, by its number from 1, come so late; what was written is there at once.
    #[must_use]
    pub fn late(self, append: u64, time: Duration) -> Self {
        let mut late = self
            .shared
            .late
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        late.insert(append, time);
        drop(late);
        self
    }

    /// What was asked of it since this was last called.
    pub fn take_counts(&self) -> StoreCounts {
        let take = |count: &AtomicU64| count.swap(0, Ordering::SeqCst);
        StoreCounts {
            appends: take(&self.shared.appends),
            entries: take(&self.shared.entries),
            bytes: take(&self.shared.bytes),
            reads: take(&self.shared.reads),
        }
    }

    fn is_full(&self) -> bool {
        self.shared.is_full.load(Ordering::SeqCst)
    }

    fn use_room(&self) -> Result<(), StoreError> {
        if self.is_full() {
            return Err(full());
        }
        let less =
            |room: usize| (room > 0).then(|| if room == usize::MAX { room } else { room - 1 });
        let used = self
            .shared
            .room
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, less);
        used.map(drop).map_err(|_| full())
    }

    /// Counts an append; answers with its number.
    fn count(&self, append: &Append) -> u64 {
        let about = append.about.iter().map(|about| about.to_string().len());
        let bodies = append.entries.iter().map(|entry| entry.body.len());
        let bytes = bodies.chain(about).sum::<usize>() as u64;
        let add = |count: &AtomicU64, more| count.fetch_add(more, Ordering::SeqCst);
        add(&self.shared.entries, append.entries.len() as u64);
        add(&self.shared.bytes, bytes);
        add(&self.shared.appends, 1) + 1
    }
}

impl Default for FaultyStore {
    fn default() -> Self {
        Self::new()
    }
}

fn full() -> StoreError {
    StoreError::new(StoreErrorKind::Full, "no room is left on the disk")
}

impl Store for FaultyStore {
    fn create(&self, log: NewLog) -> BoxFuture<'_, Result<Head, StoreError>> {
        Box::pin(async {
            yield_now().await;
            if self.is_full() {
                return Err(full());
            }
            self.inner.create(log).await
        })
    }

    fn append(&self, append: Append) -> BoxFuture<'_, Result<u64, StoreError>> {
        let number = self.count(&append);
        Box::pin(async move {
            yield_now().await;
            self.use_room()?;
            let version = self.inner.append(append).await;
            yield_now().await;
            let late = &self.shared.late;
            let late = late
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .remove(&number);
            if let Some(time) = late {
                tokio::time::sleep(time).await;
            }
            version
        })
    }

    fn read<'a>(
        &'a self,
        log: &'a LogId,
        after: u64,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<Entry>, StoreError>> {
        self.shared.reads.fetch_add(1, Ordering::SeqCst);
        self.inner.read(log, after, limit)
    }

    fn head<'a>(&'a self, log: &'a LogId) -> BoxFuture<'a, Result<Option<Head>, StoreError>> {
        self.inner.head(log)
    }

    fn list(&self, query: Query) -> BoxFuture<'_, Result<Vec<Head>, StoreError>> {
        self.inner.list(query)
    }

    fn lease<'a>(
        &'a self,
        log: &'a LogId,
        name: &'a str,
        time: Duration,
    ) -> BoxFuture<'a, Result<Lease, StoreError>> {
        Box::pin(async move {
            yield_now().await;
            self.inner.lease(log, name, time).await
        })
    }

    fn renew<'a>(
        &'a self,
        lease: &'a Lease,
        time: Duration,
    ) -> BoxFuture<'a, Result<Lease, StoreError>> {
        if !self.has_room() {
            return Box::pin(std::future::ready(Err(full())));
        }
        self.inner.renew(lease, time)
    }

    fn release<'a>(&'a self, lease: &'a Lease) -> BoxFuture<'a, Result<(), StoreError>> {
        self.inner.release(lease)
    }

    fn delete<'a>(&'a self, log: &'a LogId) -> BoxFuture<'a, Result<(), StoreError>> {
        self.inner.delete(log)
    }

    fn cleanup(
        &self,
        kind: LogKind,
        before: Timestamp,
    ) -> BoxFuture<'_, Result<Vec<LogId>, StoreError>> {
        self.inner.cleanup(kind, before)
    }
}
