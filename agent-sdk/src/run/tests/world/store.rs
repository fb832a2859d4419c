//! A store with awaits in it that refuses to append when told to.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
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

/// A store with awaits in it that refuses one append and all after it. Clones are one store.
#[derive(Clone, Debug)]
pub(in crate::run::tests) struct Faulty {
    inner: MemoryStore,
    /// How many appends work.
    room: Arc<AtomicUsize>,
}

impl Faulty {
    pub(in crate::run::tests) fn new() -> Self {
        Self::with_room(usize::MAX)
    }

    /// Only so many appends work.
    pub(in crate::run::tests) fn with_room(appends: usize) -> Self {
        Self {
            inner: MemoryStore::new(),
            room: Arc::new(AtomicUsize::new(appends)),
        }
    }

    pub(in crate::run::tests) fn take_room(&self) {
        self.room.store(0, Ordering::Relaxed);
    }

    pub(in crate::run::tests) fn make_room(&self) {
        self.room.store(usize::MAX, Ordering::Relaxed);
    }

    /// Whether all appends so far worked.
    pub(in crate::run::tests) fn has_room(&self) -> bool {
        self.room.load(Ordering::Relaxed) > 0
    }
}

impl Store for Faulty {
    fn create(&self, log: NewLog) -> BoxFuture<'_, Result<Head, StoreError>> {
        Box::pin(async {
            yield_now().await;
            self.inner.create(log).await
        })
    }

    fn append(&self, append: Append) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(async {
            yield_now().await;
            let taken = self
                .room
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |room| {
                    (room > 0).then(|| if room == usize::MAX { room } else { room - 1 })
                });
            if taken.is_err() {
                return Err(full());
            }
            let version = self.inner.append(append).await;
            yield_now().await;
            version
        })
    }

    fn read<'a>(
        &'a self,
        log: &'a LogId,
        after: u64,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<Entry>, StoreError>> {
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

fn full() -> StoreError {
    StoreError::new(StoreErrorKind::Full, "no room is left on the disk")
}
