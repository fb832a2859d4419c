//! The thread that writes.
//!
//! It takes all commands that wait, applies them in one transaction, commits once, and only then answers: however many tasks
//! append at a time, they share one fsync. Each command has a savepoint, so that one that is refused does not undo the others. If
//! the transaction as a whole fails, each command is tried alone, so that what is too big for the disk fails by itself.
//!
//! What must happen sooner or later, such as a charge, waits here after a failure, and is tried again with the next commands.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    thread::JoinHandle,
};

use jiff::Timestamp;
use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, mpsc::UnboundedReceiver, oneshot};

use super::{
    errors::{Fault, explain},
    leases::Leases,
    ledger::Books,
    logs::{Logs, whole},
    open::is_busy,
    schema::PAGE_BYTES,
};
use crate::{
    operation::Clock,
    store::{LogId, StoreError},
};

/// The most commands of one transaction.
const BATCH: usize = 512;

/// Bytes of the log of pages that are not in the file yet, from which on they are brought there.
pub(super) const CHECKPOINT_BYTES: u64 = 16 * 1024 * 1024;

/// Pages that are given back at a time, between commands.
const VACUUM_PAGES: u32 = 64;

/// A command, whatever it answers with.
pub(super) trait Write: Send {
    /// Whether it must be on disk before it is acknowledged.
    fn is_durable(&self) -> bool;
    /// Whether it leaves room behind.
    fn frees(&self) -> bool;
    /// Does it inside the transaction, or again in another; answers whether it worked.
    fn apply(&mut self, logs: &mut Logs<'_>) -> bool;
    /// Why it did not work, if SQLite did not.
    fn fault(&mut self) -> Option<rusqlite::Error>;
    /// Tells the caller what came of it; `failed` if the transaction did not happen. Answers with what is to be tried again.
    fn answer(
        self: Box<Self>,
        db: &Path,
        failed: Option<&rusqlite::Error>,
    ) -> Option<Box<dyn Write>>;
}

/// A command that waits, and its place among those that may wait, where it takes one.
pub(super) struct Job {
    pub(super) command: Box<dyn Write>,
    pub(super) place: Option<OwnedSemaphorePermit>,
}

impl Job {
    /// Takes the command, and makes its place free.
    fn take(self) -> Box<dyn Write> {
        drop(self.place);
        self.command
    }
}

/// How much of a promise a command needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Promise {
    /// It survives the end of the process.
    Process,
    /// It survives a loss of power.
    Power,
    /// As that, and it leaves room behind.
    Frees,
}

/// A command, and who waits for its answer.
pub(super) struct Command<T, F> {
    pub(super) log: Option<LogId>,
    pub(super) promise: Promise,
    pub(super) work: F,
    pub(super) outcome: Option<Result<T, Fault>>,
    pub(super) reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Write for Command<T, F>
where
    T: Send,
    F: FnMut(&mut Logs<'_>) -> Result<T, Fault> + Send,
{
    fn is_durable(&self) -> bool {
        self.promise != Promise::Process
    }

    fn frees(&self) -> bool {
        self.promise == Promise::Frees
    }

    fn apply(&mut self, logs: &mut Logs<'_>) -> bool {
        let outcome = (self.work)(logs);
        let worked = outcome.is_ok();
        self.outcome = Some(outcome);
        worked
    }

    fn fault(&mut self) -> Option<rusqlite::Error> {
        fault(&mut self.outcome)
    }

    fn answer(
        self: Box<Self>,
        db: &Path,
        failed: Option<&rusqlite::Error>,
    ) -> Option<Box<dyn Write>> {
        let answer = outcome(db, self.log.as_ref(), self.outcome, failed);
        // Nobody may be waiting any more.
        drop(self.reply.send(answer));
        None
    }
}

/// SQLite's error, where that is what came of a command.
pub(super) fn fault<T>(outcome: &mut Option<Result<T, Fault>>) -> Option<rusqlite::Error> {
    match outcome.take() {
        Some(Err(Fault::Sqlite(error))) => Some(error),
        other => {
            *outcome = other;
            None
        }
    }
}

/// What came of a command.
pub(super) fn outcome<T>(
    db: &Path,
    log: Option<&LogId>,
    outcome: Option<Result<T, Fault>>,
    failed: Option<&rusqlite::Error>,
) -> Result<T, StoreError> {
    match (failed, outcome) {
        (None, Some(outcome)) => outcome.map_err(|fault| fault.explain(db, log)),
        (Some(error), _) => Err(explain(db, error)),
        (None, None) => Err(super::ended()),
    }
}

/// What the writing thread works with.
pub(super) struct Writer {
    pub(super) conn: Connection,
    pub(super) db: PathBuf,
    pub(super) leases: Leases,
    pub(super) books: Books,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) waiting: UnboundedReceiver<Job>,
    /// What is tried again.
    pub(super) again: Vec<Box<dyn Write>>,
    pub(super) wal: Wal,
}

/// How the log of pages stands.
#[derive(Debug)]
pub(super) struct Wal {
    /// Bytes from which on it is brought to the file.
    pub(super) checkpoint: u64,
    /// Bytes from which on a warning says that it is not.
    pub(super) alarm: u64,
    pub(super) next: u64,
    pub(super) warned: bool,
    pub(super) synchronous: Option<bool>,
    pub(super) freed: bool,
}

impl Wal {
    pub(super) fn new(checkpoint: u64, alarm: u64) -> Self {
        Self {
            checkpoint,
            alarm,
            next: checkpoint,
            warned: false,
            synchronous: None,
            freed: false,
        }
    }
}

impl Writer {
    /// Works until the last handle is gone and all that waited is done. The last connection to close brings everything into the
    /// file, so those that read must be closed before.
    pub(super) fn run(mut self, readers: Vec<JoinHandle<()>>) {
        while let Some(first) = self.waiting.blocking_recv() {
            let mut batch = std::mem::take(&mut self.again);
            batch.push(first.take());
            while batch.len() < BATCH
                && let Ok(next) = self.waiting.try_recv()
            {
                batch.push(next.take());
            }
            self.commit(batch);
            if let Err(error) = self.tidy_up() {
                // What was acknowledged is safe without it, and it is tried again.
                tracing::debug!(db = %self.db.display(), %error, "the store could not tidy up");
            }
        }
        let late = std::mem::take(&mut self.again);
        if !late.is_empty() {
            self.commit(late);
        }
        for reader in readers {
            drop(reader.join());
        }
    }

    fn commit(&mut self, mut batch: Vec<Box<dyn Write>>) {
        let failed = self.attempt(&mut batch).err();
        match &failed {
            Some(error) if batch.len() > 1 && !is_busy(error) => {
                for command in batch {
                    self.commit(vec![command]);
                }
            }
            _ => {
                for command in batch {
                    let again = command.answer(&self.db, failed.as_ref());
                    self.again.extend(again);
                }
            }
        }
    }

    fn attempt(&mut self, batch: &mut [Box<dyn Write>]) -> rusqlite::Result<()> {
        self.roll_back()?;
        self.synchronize(batch.iter().any(|command| command.is_durable()))?;
        self.run_sql("BEGIN IMMEDIATE")?;
        let done = match batch {
            // It is all there is to undo, so it needs no savepoint.
            [command] => {
                if !self.apply(command) {
                    return self.roll_back();
                }
                Ok(())
            }
            _ => self.apply_each(batch),
        };
        let done = done
            .and_then(|()| self.books.write(&self.conn))
            .and_then(|()| self.run_sql("COMMIT"));
        if done.is_ok() {
            self.leases.commit();
            self.books.end();
            self.wal.freed |= batch.iter().any(|command| command.frees());
        } else {
            // What cannot be undone now is undone before the next.
            drop(self.roll_back());
        }
        done
    }

    fn apply_each(&mut self, batch: &mut [Box<dyn Write>]) -> rusqlite::Result<()> {
        for command in batch {
            self.run_sql("SAVEPOINT command")?;
            if !self.apply(command) {
                // A full disk can undo the whole transaction.
                if self.conn.is_autocommit() {
                    return Err(command.fault().unwrap_or(rusqlite::Error::InvalidQuery));
                }
                self.run_sql("ROLLBACK TO command")?;
            }
            self.run_sql("RELEASE command")?;
        }
        Ok(())
    }

    fn apply(&mut self, command: &mut Box<dyn Write>) -> bool {
        let now = Timestamp::try_from(self.clock.now()).unwrap_or(Timestamp::UNIX_EPOCH);
        command.apply(&mut Logs {
            conn: &self.conn,
            leases: &mut self.leases,
            books: &mut self.books,
            now: whole(now),
        })
    }

    fn roll_back(&mut self) -> rusqlite::Result<()> {
        self.leases.rollback();
        self.books.end();
        if self.conn.is_autocommit() {
            return Ok(());
        }
        self.run_sql("ROLLBACK")
    }

    /// Sets what a commit waits for. In WAL, with NORMAL it survives the end of the process, and with FULL a loss of power too.
    fn synchronize(&mut self, durable: bool) -> rusqlite::Result<()> {
        if self.wal.synchronous != Some(durable) {
            let value = if durable { "FULL" } else { "NORMAL" };
            self.conn.pragma_update(None, "synchronous", value)?;
            self.wal.synchronous = Some(durable);
        }
        Ok(())
    }

    fn number(&self, sql: &str) -> rusqlite::Result<i64> {
        let mut statement = self.conn.prepare_cached(sql)?;
        statement.query_row([], |row| row.get(0))
    }

    fn run_sql(&self, sql: &str) -> rusqlite::Result<()> {
        self.conn.prepare_cached(sql)?.execute([]).map(drop)
    }

    /// Gives freed room back while nobody waits, and brings the log of pages into the file.
    fn tidy_up(&mut self) -> rusqlite::Result<()> {
        let mut shrunk = false;
        while self.wal.freed && self.waiting.is_empty() {
            let free = || self.number("PRAGMA freelist_count");
            let before = free()?;
            let sql = format!("PRAGMA incremental_vacuum({VACUUM_PAGES})");
            let mut statement = self.conn.prepare_cached(&sql)?;
            let mut rows = statement.query([])?;
            // A page a row.
            while rows.next()?.is_some() {}
            let after = free()?;
            self.wal.freed = after > 0 && after < before;
            shrunk = true;
        }
        let (pages, pending) = self.pending("PRAGMA wal_checkpoint(NOOP)")?;
        if pending < self.wal.next && !shrunk {
            return Ok(());
        }
        let (_, pending) = self.pending("PRAGMA wal_checkpoint(PASSIVE)")?;
        // A reader of an old state keeps it where it is; it is tried again when there is as much once more.
        self.wal.next = pending + self.wal.checkpoint;
        if pending == 0 {
            self.wal.warned = false;
        } else if pages > self.wal.alarm && !self.wal.warned {
            self.wal.warned = true;
            tracing::warn!(
                db = %self.db.display(),
                bytes = pages,
                "the store's log of pages grows: a process has been reading the same state for long, end it"
            );
        }
        Ok(())
    }

    /// Bytes in the log of pages, and how many of them are not in the file yet.
    fn pending(&self, sql: &str) -> rusqlite::Result<(u64, u64)> {
        let mut statement = self.conn.prepare_cached(sql)?;
        let (pages, done) =
            statement.query_row([], |row| Ok((row.get::<_, i64>(1)?, row.get::<_, i64>(2)?)))?;
        let bytes = |pages: i64| u64::try_from(pages).unwrap_or(0) * u64::from(PAGE_BYTES);
        Ok((bytes(pages), bytes(pages - done)))
    }
}
