//! Logs in one SQLite file.
//!
//! [`SqliteStore`] hands its calls to threads. One writes: it takes all that waits, commits it at once, and then answers
//! (`writer`). Two read, each what was committed when it began (`reader`). What a command does in the tables stands in `logs` and
//! `entries`, the tables in `schema`, the file and who may read it in `open`, the lock files by which it is known that a holder is
//! gone in `leases`. `ledger` keeps the accounts of budgets in the same file.
//!
//! Every head and every entry has a checksum, so that damage is an error that names the log, and never something else that was
//! said.

mod entries;
mod errors;
mod home;
mod leases;
mod ledger;
mod logs;
mod open;
mod reader;
mod row;
mod schema;
#[cfg(test)]
mod tests;
mod writer;

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use tokio::sync::{
    OwnedSemaphorePermit, Semaphore,
    mpsc::{Sender, UnboundedSender, error::TrySendError, unbounded_channel},
    oneshot,
};

pub use home::home;

use self::{
    errors::Fault,
    leases::Leases,
    ledger::Books,
    logs::Logs,
    reader::{Read, Reader},
    writer::{CHECKPOINT_BYTES, Command, Job, Promise, Wal, Write, Writer},
};
use super::{
    Append, Entry, Head, Lease, LogId, LogKind, NewLog, Query, Store, StoreError, StoreErrorKind,
};
use crate::operation::{Clock, SystemClock};

/// Calls that wait for a thread; the next ones wait for room.
const QUEUE: usize = 1024;

/// Threads that read.
const READERS: usize = 2;

/// Logs in one SQLite file, which any number of tasks, handles and processes of one machine may use at a time.
///
/// What is acknowledged as [durable](Append::durable) is on disk (`synchronous=FULL`) and survives a loss of power. What is not
/// (`NORMAL`) survives the end of the process; a loss of power may take the last of it, and leaves no half of it.
///
/// The file, and what lies beside it, is for its user alone (mode 0600), and is not followed if it is a symbolic link. A new folder
/// is made with mode 0700. It must be on a local disk: the locks of network file systems are not to be relied on.
///
/// A lease is given up at once when the process that took it ends, or the last clone of the handle: beside the store is a folder
/// of lock files. The room of logs that are deleted is given back while nothing else is to be done.
///
/// A call that was begun is carried out, whether its future is dropped or not. Cheap to clone; clones share the threads. Dropping
/// the last waits until all that was asked is done, which blocks as long as that takes.
///
/// # Example
///
/// ```
/// use agent_sdk::store::{Append, LogId, LogKind, NewEntry, NewLog, SqliteStore, Store};
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("store.db");
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let store = SqliteStore::open(path)?;
/// let log = LogId::new(LogKind::Session, "notes")?;
/// store.create(NewLog::new(log.clone())).await?;
/// let said = NewEntry::new("", "remember this");
/// let version = store.append(Append::new(log.clone(), vec![said])).await?;
/// assert_eq!(version, 1);
/// assert_eq!(store.read(&log, 0, 10).await?.len(), 1);
/// # Ok::<(), agent_sdk::store::StoreError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct SqliteStore {
    shared: Arc<Shared>,
}

/// The ends of the threads.
struct Shared {
    path: PathBuf,
    // None once it is being dropped.
    writes: Option<UnboundedSender<Job>>,
    /// The commands that may wait for the writer, but for those that must not be held up.
    places: Arc<Semaphore>,
    reads: Option<Sender<Read>>,
    writer: Option<JoinHandle<()>>,
}

/// What tests set otherwise.
#[derive(Clone, Debug)]
struct Settings {
    clock: Arc<dyn Clock>,
    /// How long another process's transaction is waited for.
    busy: Duration,
    checkpoint_bytes: u64,
    alarm_bytes: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            busy: Duration::from_secs(5),
            checkpoint_bytes: CHECKPOINT_BYTES,
            alarm_bytes: 64 * 1024 * 1024,
        }
    }
}

impl SqliteStore {
    /// Opens the store in a file, or makes it. Blocks while it reads.
    ///
    /// # Errors
    ///
    /// [`StoreErrorKind::Permission`], also where the file is a symbolic link; [`StoreErrorKind::Newer`]; [`StoreErrorKind::Corrupt`],
    /// also where it is a file of something else; [`StoreErrorKind::Full`]; [`StoreErrorKind::Busy`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::open_with(path.as_ref(), Settings::default())
    }

    /// Opens the user's own store, `store.db` in [`home`], or makes it. Blocks while it reads.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), and where there is no such folder.
    pub fn open_default() -> Result<Self, StoreError> {
        Self::open(home()?.join("store.db"))
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    fn open_with(path: &Path, settings: Settings) -> Result<Self, StoreError> {
        let db = open::prepare(path)?;
        let folder = open::beside(&db, "-leases");
        let conn = open::writer(&db, &settings)?;
        let reader = || {
            Ok(Reader {
                conn: open::reader(&db, settings.busy)?,
                leases: folder.clone(),
            })
        };
        let readers = (0..READERS).map(|_| reader()).collect::<Result<_, _>>()?;
        let failed = |error| errors::io(&db, "served by a thread of its own", error);
        let (reads, threads) = reader::start(readers).map_err(failed)?;
        let (sender, waiting) = unbounded_channel();
        let work = Writer {
            conn,
            db: db.clone(),
            leases: Leases::new(folder.clone()),
            books: Books::new(),
            clock: settings.clock,
            waiting,
            again: Vec::new(),
            wal: Wal::new(settings.checkpoint_bytes, settings.alarm_bytes),
        };
        let writer = start("agent-store-write", move || work.run(threads)).map_err(failed)?;
        Ok(Self {
            shared: Arc::new(Shared {
                path: db,
                writes: Some(sender),
                places: Arc::new(Semaphore::new(QUEUE)),
                reads: Some(reads),
                writer: Some(writer),
            }),
        })
    }

    /// Lets the writer do something in its next transaction.
    async fn write<T: Send + 'static>(
        &self,
        log: Option<LogId>,
        promise: Promise,
        work: impl FnMut(&mut Logs<'_>) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let command = Command {
            log,
            promise,
            work,
            outcome: None,
            reply,
        };
        self.queue(Box::new(command)).await?;
        answer.await.unwrap_or_else(|_| Err(ended()))
    }

    /// Hands a command to the writer, at once where there is room, so that a call that was begun is carried out.
    async fn queue(&self, command: Box<dyn Write>) -> Result<(), StoreError> {
        let places = &self.shared.places;
        let place = match places.clone().try_acquire_owned() {
            Ok(place) => place,
            Err(_) => places.clone().acquire_owned().await.map_err(|_| ended())?,
        };
        self.hand_over(command, Some(place))
    }

    /// Hands a command to the writer without waiting for room.
    fn hand_over(
        &self,
        command: Box<dyn Write>,
        place: Option<OwnedSemaphorePermit>,
    ) -> Result<(), StoreError> {
        let writes = self.shared.writes.as_ref().ok_or_else(ended)?;
        let sent = writes.send(Job { command, place });
        sent.map_err(|_| ended())
    }

    /// Lets a reader read.
    async fn query<T: Send + 'static>(
        &self,
        log: Option<LogId>,
        read: impl FnOnce(&Reader) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let db = self.shared.path.clone();
        let work: Read = Box::new(move |reader| {
            let read = read(reader).map_err(|fault| fault.explain(&db, log.as_ref()));
            // Nobody may be waiting any more.
            drop(reply.send(read));
        });
        send(self.shared.reads.as_ref(), work).await?;
        answer.await.unwrap_or_else(|_| Err(ended()))
    }
}

/// Starts a thread; what it has to say goes where its starter's does.
fn start(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    let dispatch = tracing::dispatcher::get_default(Clone::clone);
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || tracing::dispatcher::with_default(&dispatch, work))
}

/// Hands it over at once where there is room, so that a call that was begun is carried out.
async fn send<T>(sender: Option<&Sender<T>>, work: T) -> Result<(), StoreError> {
    let sender = sender.ok_or_else(ended)?;
    match sender.try_send(work) {
        Ok(()) => Ok(()),
        Err(TrySendError::Full(work)) => sender.send(work).await.map_err(|_| ended()),
        Err(TrySendError::Closed(_)) => Err(ended()),
    }
}

fn ended() -> StoreError {
    StoreError::new(
        StoreErrorKind::Io,
        "the store's thread came to an end; open the store again",
    )
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.reads = None;
        self.writes = None;
        if let Some(writer) = self.writer.take()
            // A task that its answer ended can be dropped on that thread.
            && writer.thread().id() != thread::current().id()
        {
            drop(writer.join());
        }
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SqliteStore").field(&self.path()).finish()
    }
}

impl Store for SqliteStore {
    fn create(&self, log: NewLog) -> BoxFuture<'_, Result<Head, StoreError>> {
        let id = log.log.clone();
        Box::pin(self.write(Some(id), Promise::Power, move |logs| logs.create(&log)))
    }

    fn append(&self, append: Append) -> BoxFuture<'_, Result<u64, StoreError>> {
        let promise = if append.durable {
            Promise::Power
        } else {
            Promise::Process
        };
        let id = append.log.clone();
        Box::pin(self.write(Some(id), promise, move |logs| logs.append(&append)))
    }

    fn read<'a>(
        &'a self,
        log: &'a LogId,
        after: u64,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<Entry>, StoreError>> {
        let id = log.clone();
        Box::pin(self.query(Some(log.clone()), move |reader| {
            reader.entries(&id, after, limit)
        }))
    }

    fn head<'a>(&'a self, log: &'a LogId) -> BoxFuture<'a, Result<Option<Head>, StoreError>> {
        let id = log.clone();
        Box::pin(self.query(Some(log.clone()), move |reader| reader.head(&id)))
    }

    fn list(&self, query: Query) -> BoxFuture<'_, Result<Vec<Head>, StoreError>> {
        Box::pin(self.query(None, move |reader| reader.list(&query)))
    }

    fn lease<'a>(
        &'a self,
        log: &'a LogId,
        name: &'a str,
        time: Duration,
    ) -> BoxFuture<'a, Result<Lease, StoreError>> {
        let (id, name) = (log.clone(), name.to_owned());
        Box::pin(self.write(Some(log.clone()), Promise::Power, move |logs| {
            logs.lease(&id, &name, time)
        }))
    }

    fn renew<'a>(
        &'a self,
        lease: &'a Lease,
        time: Duration,
    ) -> BoxFuture<'a, Result<Lease, StoreError>> {
        let old = lease.clone();
        Box::pin(
            self.write(Some(lease.log.clone()), Promise::Process, move |logs| {
                logs.renew(&old, time)
            }),
        )
    }

    fn release<'a>(&'a self, lease: &'a Lease) -> BoxFuture<'a, Result<(), StoreError>> {
        let old = lease.clone();
        Box::pin(
            self.write(Some(lease.log.clone()), Promise::Process, move |logs| {
                logs.release(&old)
            }),
        )
    }

    fn delete<'a>(&'a self, log: &'a LogId) -> BoxFuture<'a, Result<(), StoreError>> {
        let id = log.clone();
        Box::pin(self.write(Some(log.clone()), Promise::Frees, move |logs| {
            logs.delete(&id)
        }))
    }

    fn cleanup(
        &self,
        kind: LogKind,
        before: Timestamp,
    ) -> BoxFuture<'_, Result<Vec<LogId>, StoreError>> {
        Box::pin(self.write(None, Promise::Frees, move |logs| logs.cleanup(kind, before)))
    }
}
