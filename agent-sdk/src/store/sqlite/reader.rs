//! The threads that read, each with a connection of its own: a reader neither waits for the writer nor holds up the runtime.

use std::{
    io,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
};

use rusqlite::Connection;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::{
    entries,
    errors::Fault,
    leases,
    row::{self, Row},
};
use crate::store::{Head, LogId, Query, StoreError};

/// Something to read.
pub(super) type Read = Box<dyn FnOnce(&Reader) + Send>;

/// A connection that reads.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) conn: Connection,
    pub(super) leases: PathBuf,
}

impl Reader {
    pub(super) fn entries(
        &self,
        log: &LogId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<crate::store::Entry>, Fault> {
        entries::read(&self.conn, log, after, limit)
    }

    pub(super) fn head(&self, log: &LogId) -> Result<Option<Head>, Fault> {
        let row = row::find_anywhere(&self.conn, log)?;
        Ok(row.map(|row| self.as_it_is(row)).transpose()?)
    }

    pub(super) fn list(&self, query: &Query) -> Result<Vec<Head>, Fault> {
        let rows = entries::rows(&self.conn, query)?.into_iter();
        Ok(rows
            .map(|row| self.as_it_is(row))
            .collect::<Result<_, _>>()?)
    }

    /// The head, without a holder that is known to be gone.
    fn as_it_is(&self, mut row: Row) -> Result<Head, StoreError> {
        if row.holder.is_some() && !leases::is_alive(&self.leases, row.id, row.fence) {
            row.holder = None;
        }
        row.head()
    }
}

/// Starts a thread for each connection. They end when the sender is dropped and all is read.
pub(super) fn start(readers: Vec<Reader>) -> io::Result<(Sender<Read>, Vec<JoinHandle<()>>)> {
    let (sender, waiting) = channel(super::QUEUE);
    let waiting = Arc::new(Mutex::new(waiting));
    let start = |reader| {
        let waiting = waiting.clone();
        super::start("agent-store-read", move || run(&reader, &waiting))
    };
    let threads: io::Result<_> = readers.into_iter().map(start).collect();
    Ok((sender, threads?))
}

fn run(reader: &Reader, waiting: &Mutex<Receiver<Read>>) {
    loop {
        // Who has the lock waits for work, the others for the lock.
        let read = waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .blocking_recv();
        match read {
            Some(read) => read(reader),
            None => return,
        }
    }
}
