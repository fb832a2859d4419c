//! Entries: written with a checksum, and read back with it.

use std::ops::ControlFlow;

use bytes::Bytes;
use jiff::Timestamp;
use rusqlite::{Connection, named_params, params};

use super::{
    errors::{Fault, damaged, is_damage},
    row::{self, LIST, Row, int},
};
use crate::store::{Entry, LogId, NewEntry, Query, StoreError};

/// Adds an entry to the log of a row.
pub(super) fn insert(
    conn: &Connection,
    log: i64,
    version: i64,
    at: i64,
    entry: &NewEntry,
) -> rusqlite::Result<()> {
    let mut statement = conn.prepare_cached(
        "INSERT INTO entries (log, version, at, sum, path, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    let sum = sum(log, version, at, &entry.path, &entry.body);
    statement.insert(params![log, version, at, sum, &*entry.path, &*entry.body])?;
    Ok(())
}

/// The rows that a query is for, newest first. One that is damaged is left out, and a warning says so: the others can be used.
pub(super) fn rows(conn: &Connection, query: &Query) -> Result<Vec<Row>, Fault> {
    let mut statement = conn.prepare_cached(LIST)?;
    let mut rows = statement.query(named_params! {
        ":kind": query.kind.as_str(),
        ":owner": query.owner,
        ":status": query.status,
        ":before": query.before.map_or(i64::MAX, ceil),
        ":limit": i64::try_from(query.limit).unwrap_or(i64::MAX),
    })?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        match Row::read(row) {
            Ok(row) => found.push(row),
            Err(error) if is_damage(&error) => {
                let name: String = row.get(2).unwrap_or_default();
                tracing::warn!(kind = query.kind.as_str(), name, %error, "a damaged log is not listed");
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(found)
}

/// The entries of a log after a version, those of its origins first.
pub(super) fn read(
    conn: &Connection,
    log: &LogId,
    after: u64,
    limit: usize,
) -> Result<Vec<Entry>, Fault> {
    // All that follows sees the store as it is now.
    let tx = conn.unchecked_transaction()?;
    let row = row::find_anywhere(&tx, log)?.ok_or_else(|| StoreError::not_found(log))?;
    let (version, parts) = (row.version, parts(&tx, row, after)?);
    let mut reading = Reading {
        log,
        limit,
        next: after.saturating_add(1),
        entries: Vec::new(),
    };
    for (id, upto) in parts.into_iter().rev() {
        if reading.part(&tx, id, upto)?.is_break() {
            break;
        }
    }
    if reading.entries.len() < limit && reading.next <= version {
        return Err(reading.damaged("it is missing").into());
    }
    Ok(reading.entries)
}

/// The rows that the entries after a version belong to, and up to which version each has them; the log's own first.
fn parts(conn: &Connection, mut row: Row, after: u64) -> Result<Vec<(i64, u64)>, Fault> {
    let log = row.log.clone();
    let mut upto = row.version;
    let mut parts = Vec::new();
    loop {
        if row.base < upto {
            parts.push((row.id, upto));
            upto = row.base;
        }
        match row.origin {
            Some((origin, _)) if upto > after => {
                // Rows are numbered in the order in which they were made.
                let before = (origin < row.id).then_some(origin);
                let ancestor = before.map(|id| row::ancestor(conn, id, &log)).transpose()?;
                row = ancestor
                    .flatten()
                    .ok_or_else(|| damaged(&log, "what it begins with is missing"))?;
            }
            _ => return Ok(parts),
        }
    }
}

/// The entries of a log, as far as they are read.
struct Reading<'a> {
    log: &'a LogId,
    limit: usize,
    next: u64,
    entries: Vec<Entry>,
}

impl Reading<'_> {
    fn part(&mut self, conn: &Connection, id: i64, upto: u64) -> Result<ControlFlow<()>, Fault> {
        let mut statement = conn.prepare_cached(
            "SELECT version, at, sum, path, body FROM entries WHERE log = ?1 AND version >= ?2 AND version <= ?3 \
             ORDER BY version",
        )?;
        let mut rows = statement.query(params![id, int(self.next), int(upto)])?;
        loop {
            if self.entries.len() >= self.limit {
                return Ok(ControlFlow::Break(()));
            }
            let entry = match rows.next() {
                Ok(None) => return Ok(ControlFlow::Continue(())),
                Ok(Some(row)) => self.entry(id, row),
                Err(error) => Err(error),
            };
            let entry = entry.map_err(|error| {
                if is_damage(&error) {
                    self.damaged(&error.to_string()).into()
                } else {
                    Fault::from(error)
                }
            })?;
            let entry = entry.ok_or_else(|| self.damaged("it is not what was written"))?;
            self.entries.push(entry);
            self.next += 1;
        }
    }

    /// The next entry, if the row is that.
    fn entry(&self, id: i64, row: &rusqlite::Row<'_>) -> rusqlite::Result<Option<Entry>> {
        let version: i64 = row.get(0)?;
        let at: i64 = row.get(1)?;
        let kept: i32 = row.get(2)?;
        let path = row.get_ref(3)?.as_str()?;
        let body = row.get_ref(4)?.as_blob()?;
        let time = Timestamp::from_microsecond(at).ok();
        let is_sound = version == int(self.next) && kept == sum(id, version, at, path, body);
        Ok(time
            .filter(|_| is_sound)
            .map(|at| Entry::new(self.next, at, path, Bytes::copy_from_slice(body))))
    }

    fn damaged(&self, what: &str) -> StoreError {
        StoreError::corrupt(self.log, self.next, what)
    }
}

/// The checksum of an entry, in the four bytes that SQLite keeps a small signed number in.
fn sum(log: i64, version: i64, at: i64, path: &str, body: &[u8]) -> i32 {
    let mut sum = crc32fast::Hasher::new();
    for number in [log, version, at, int(path.len() as u64)] {
        sum.update(&number.to_le_bytes());
    }
    sum.update(path.as_bytes());
    sum.update(body);
    sum.finalize().cast_signed()
}

/// What is before a time is before this many microseconds.
fn ceil(time: Timestamp) -> i64 {
    let floor = time.as_microsecond();
    let rest = Timestamp::from_microsecond(floor).is_ok_and(|whole| whole < time);
    floor.saturating_add(i64::from(rest))
}
