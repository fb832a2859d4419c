//! Logs in memory.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::future::BoxFuture;
use jiff::Timestamp;

use super::{
    Append, Entry, Guard, Head, Holder, Lease, LogId, LogKind, NewEntry, NewLog, Query, Store,
    StoreError,
};
use crate::operation::{Clock, SystemClock};

/// Logs in memory: gone with the process, good for tests and for what need not outlive it. Cheap to clone; clones share everything.
#[derive(Clone, Debug)]
pub struct MemoryStore {
    logs: Arc<Mutex<BTreeMap<LogId, Log>>>,
    clock: Arc<dyn Clock>,
}

#[derive(Debug)]
struct Log {
    head: Head,
    /// Those of its origin included.
    entries: Vec<Entry>,
    fence: u64,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::with_clock(SystemClock::default())
    }

    /// An empty store with a clock of its own, by which leases end and entries get old.
    pub fn with_clock(clock: impl Clock) -> Self {
        Self {
            logs: Arc::default(),
            clock: Arc::new(clock),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<LogId, Log>> {
        self.logs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Timestamp {
        Timestamp::try_from(self.clock.now()).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    fn make(&self, new: &NewLog) -> Result<Head, StoreError> {
        let now = self.now();
        let mut logs = self.lock();
        if logs.contains_key(&new.log) {
            return Err(StoreError::exists(&new.log));
        }
        let mut entries = Vec::new();
        if let Some(origin) = &new.origin {
            let shared = logs
                .get(&origin.log)
                .ok_or_else(|| StoreError::not_found(&origin.log))?;
            if origin.version > shared.head.version {
                return Err(StoreError::conflict(
                    &origin.log,
                    origin.version,
                    shared.head.version,
                ));
            }
            let shared = shared.entries.iter();
            entries.extend(
                shared
                    .filter(|entry| entry.version <= origin.version)
                    .cloned(),
            );
        }
        let head = Head::of(new, now);
        let mut log = Log {
            head: head.clone(),
            entries,
            fence: 0,
        };
        log.push(&new.entries, now);
        logs.insert(new.log.clone(), log);
        Ok(head)
    }

    fn add(&self, append: Append) -> Result<u64, StoreError> {
        let now = self.now();
        let mut logs = self.lock();
        let log = logs
            .get_mut(&append.log)
            .ok_or_else(|| StoreError::not_found(&append.log))?;
        match append.guard {
            Guard::None => {}
            Guard::Version(expected) if expected == log.head.version => {}
            Guard::Version(expected) => {
                return Err(StoreError::conflict(
                    &append.log,
                    expected,
                    log.head.version,
                ));
            }
            Guard::Fence(fence) if fence == log.fence => {}
            Guard::Fence(_) => return Err(StoreError::fenced(&append.log)),
        }
        log.push(&append.entries, now);
        let added = append.entries.iter().map(|entry| entry.body.len() as u64);
        log.head.bytes += added.sum::<u64>();
        log.head.version += append.entries.len() as u64;
        log.head.updated = now;
        if let Some(status) = append.status {
            log.head.status = status;
        }
        if let Some(about) = append.about {
            log.head.about = about;
        }
        Ok(log.head.version)
    }

    fn take(&self, id: &LogId, name: &str, time: Duration) -> Result<Lease, StoreError> {
        let now = self.now();
        let mut logs = self.lock();
        let log = logs.get_mut(id).ok_or_else(|| StoreError::not_found(id))?;
        if let Some(holder) = log.held(now) {
            return Err(StoreError::held(id, holder));
        }
        log.fence += 1;
        let until = later(now, time);
        log.head.holder = Some(Holder::new(name, std::process::id(), until));
        Ok(Lease::new(id.clone(), log.fence, until))
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl Log {
    fn push(&mut self, new: &[NewEntry], now: Timestamp) {
        let first = self.entries.len() as u64 + 1;
        let numbered = (first..).zip(new);
        self.entries
            .extend(numbered.map(|(version, new)| {
                Entry::new(version, now, new.path.clone(), new.body.clone())
            }));
    }

    fn held(&self, now: Timestamp) -> Option<&Holder> {
        self.head
            .holder
            .as_ref()
            .filter(|holder| holder.until > now)
    }
}

/// A time from now, or the last there is.
pub(super) fn later(now: Timestamp, time: Duration) -> Timestamp {
    now.checked_add(time).unwrap_or(Timestamp::MAX)
}

fn ready<'a, T: Send + 'a>(result: T) -> BoxFuture<'a, T> {
    Box::pin(std::future::ready(result))
}

impl Store for MemoryStore {
    fn create(&self, log: NewLog) -> BoxFuture<'_, Result<Head, StoreError>> {
        ready(self.make(&log))
    }

    fn append(&self, append: Append) -> BoxFuture<'_, Result<u64, StoreError>> {
        ready(self.add(append))
    }

    fn read<'a>(
        &'a self,
        log: &'a LogId,
        after: u64,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<Entry>, StoreError>> {
        let logs = self.lock();
        let entries = logs.get(log).map(|log| {
            let after = log.entries.iter().filter(|entry| entry.version > after);
            after.take(limit).cloned().collect()
        });
        ready(entries.ok_or_else(|| StoreError::not_found(log)))
    }

    fn head<'a>(&'a self, log: &'a LogId) -> BoxFuture<'a, Result<Option<Head>, StoreError>> {
        ready(Ok(self.lock().get(log).map(|log| log.head.clone())))
    }

    fn list(&self, query: Query) -> BoxFuture<'_, Result<Vec<Head>, StoreError>> {
        let logs = self.lock();
        let heads = logs.values().map(|log| &log.head).filter(|head| {
            head.log.kind() == query.kind
                && (query.owner.is_none() || head.owner == query.owner)
                && query.status.as_ref().is_none_or(|it| *it == head.status)
                && query.before.is_none_or(|before| head.updated < before)
        });
        let mut heads: Vec<Head> = heads.cloned().collect();
        heads.sort_by(|a, b| (b.updated, &b.log).cmp(&(a.updated, &a.log)));
        heads.truncate(query.limit);
        ready(Ok(heads))
    }

    fn lease<'a>(
        &'a self,
        log: &'a LogId,
        name: &'a str,
        time: Duration,
    ) -> BoxFuture<'a, Result<Lease, StoreError>> {
        ready(self.take(log, name, time))
    }

    fn renew<'a>(
        &'a self,
        lease: &'a Lease,
        time: Duration,
    ) -> BoxFuture<'a, Result<Lease, StoreError>> {
        let until = later(self.now(), time);
        let mut logs = self.lock();
        let renewed = match logs.get_mut(&lease.log) {
            Some(log) if log.fence == lease.fence => {
                if let Some(holder) = &mut log.head.holder {
                    holder.until = until;
                }
                Ok(Lease::new(lease.log.clone(), lease.fence, until))
            }
            _ => Err(StoreError::fenced(&lease.log)),
        };
        ready(renewed)
    }

    fn release<'a>(&'a self, lease: &'a Lease) -> BoxFuture<'a, Result<(), StoreError>> {
        if let Some(log) = self.lock().get_mut(&lease.log)
            && log.fence == lease.fence
        {
            log.head.holder = None;
            // What still carries it is refused from now on.
            log.fence += 1;
        }
        ready(Ok(()))
    }

    fn delete<'a>(&'a self, id: &'a LogId) -> BoxFuture<'a, Result<(), StoreError>> {
        let now = self.now();
        let mut logs = self.lock();
        let held = logs
            .get(id)
            .and_then(|log| log.held(now).cloned())
            .map(|holder| StoreError::held(id, &holder));
        if let Some(error) = held {
            return ready(Err(error));
        }
        logs.remove(id);
        ready(Ok(()))
    }

    fn cleanup(
        &self,
        kind: LogKind,
        before: Timestamp,
    ) -> BoxFuture<'_, Result<Vec<LogId>, StoreError>> {
        let now = self.now();
        let mut removed = Vec::new();
        self.lock().retain(|id, log| {
            let goes = id.kind() == kind && log.head.updated < before && log.held(now).is_none();
            if goes {
                removed.push(id.clone());
            }
            !goes
        });
        ready(Ok(removed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::conformance;

    #[tokio::test]
    async fn it_does_what_every_store_must() {
        conformance::check(Arc::new(MemoryStore::new())).await;
    }
}
