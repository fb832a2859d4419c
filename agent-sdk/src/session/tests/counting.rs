//! A store that counts what is written to it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use tokio::task::yield_now;

use crate::store::{
    Append, Entry, Head, Lease, LogId, LogKind, MemoryStore, NewLog, Query, Store, StoreError,
};

/// A store that counts what is written to it, and what is read.
#[derive(Clone, Debug, Default)]
pub(super) struct CountingStore {
    inner: MemoryStore,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    appends: AtomicU64,
    entries: AtomicU64,
    bytes: AtomicU64,
    reads: AtomicU64,
}

impl CountingStore {
    /// Appends, entries and bytes since the last time that this was asked, and reads.
    pub(super) fn take(&self) -> (u64, u64, u64, u64) {
        let Counts {
            appends,
            entries,
            bytes,
            reads,
        } = &*self.counts;
        let [appends, entries, bytes, reads] =
            [appends, entries, bytes, reads].map(|count| count.swap(0, Ordering::SeqCst));
        (appends, entries, bytes, reads)
    }
}

impl Store for CountingStore {
    fn create(&self, log: NewLog) -> BoxFuture<'_, Result<Head, StoreError>> {
        self.inner.create(log)
    }

    fn append(&self, append: Append) -> BoxFuture<'_, Result<u64, StoreError>> {
        let about = append.about.iter().map(|about| about.to_string().len());
        let bytes = append.entries.iter().map(|entry| entry.body.len());
        let bytes = bytes.chain(about).sum::<usize>() as u64;
        self.counts.appends.fetch_add(1, Ordering::SeqCst);
        let entries = append.entries.len() as u64;
        self.counts.entries.fetch_add(entries, Ordering::SeqCst);
        self.counts.bytes.fetch_add(bytes, Ordering::SeqCst);
        Box::pin(async move {
            // Whoever gives an append up may do so before it happened, and after.
            yield_now().await;
            let appended = self.inner.append(append).await;
            yield_now().await;
            appended
        })
    }

    fn read<'a>(
        &'a self,
        log: &'a LogId,
        after: u64,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<Entry>, StoreError>> {
        self.counts.reads.fetch_add(1, Ordering::SeqCst);
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
        self.inner.lease(log, name, time)
    }

    fn renew<'a>(
        &'a self,
        lease: &'a Lease,
        time: Duration,
    ) -> BoxFuture<'a, Result<Lease, StoreError>> {
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
