//! What the writer does inside its transaction.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::{
    entries,
    errors::Fault,
    leases::Leases,
    ledger::Books,
    row::{self, Row},
};
use crate::store::{
    Append, Guard, Head, Holder, Lease, LogId, LogKind, NewEntry, NewLog, StoreError,
    StoreErrorKind,
};

/// The logs, inside a transaction.
#[derive(Debug)]
pub(super) struct Logs<'a> {
    pub(super) conn: &'a Connection,
    pub(super) leases: &'a mut Leases,
    pub(super) books: &'a mut Books,
    pub(super) now: Timestamp,
}

impl Logs<'_> {
    pub(super) fn create(&mut self, new: &NewLog) -> Result<Head, Fault> {
        if row::find(self.conn, &new.log)?.is_some() {
            return Err(StoreError::exists(&new.log).into());
        }
        let mut origin = None;
        if let Some(from) = &new.origin {
            let shared = self.find(&from.log)?;
            if from.version > shared.version {
                let error = StoreError::conflict(&from.log, from.version, shared.version);
                return Err(error.into());
            }
            origin = Some((shared.id, from.log.clone()));
        }
        let head = Head::of(new, self.now);
        let mut row = Row {
            id: 0,
            log: head.log.clone(),
            owner: head.owner.clone(),
            base: new.origin.as_ref().map_or(0, |origin| origin.version),
            origin,
            status: head.status.clone(),
            about: head.about.to_string(),
            version: head.version,
            bytes: head.bytes,
            created: head.created,
            updated: head.updated,
            fence: 0,
            holder: None,
        };
        row.insert(self.conn)?;
        self.push(row.id, row.base, &new.entries)?;
        Ok(head)
    }

    pub(super) fn append(&mut self, append: &Append) -> Result<u64, Fault> {
        let mut row = self.find(&append.log)?;
        match append.guard {
            Guard::Version(expected) if expected != row.version => {
                return Err(StoreError::conflict(&append.log, expected, row.version).into());
            }
            Guard::Fence(fence) if fence != row.fence => {
                return Err(StoreError::fenced(&append.log).into());
            }
            _ => {}
        }
        self.push(row.id, row.version, &append.entries)?;
        row.version += append.entries.len() as u64;
        row.bytes += bytes(&append.entries);
        row.updated = self.now;
        if let Some(status) = &append.status {
            row.status = status.clone();
        }
        if let Some(about) = &append.about {
            row.about = about.to_string();
        }
        row.update(self.conn)?;
        Ok(row.version)
    }

    pub(super) fn lease(
        &mut self,
        log: &LogId,
        name: &str,
        time: Duration,
    ) -> Result<Lease, Fault> {
        let mut row = self.find(log)?;
        self.must_be_free(&row)?;
        let (before, until) = (row.fence, later(self.now, time));
        row.fence += 1;
        row.holder = Some(Holder::new(name, std::process::id(), until));
        row.update(self.conn)?;
        self.leases.take(row.id, row.fence)?;
        self.leases.forget(row.id, before);
        Ok(Lease::new(log.clone(), row.fence, until))
    }

    pub(super) fn renew(&mut self, lease: &Lease, time: Duration) -> Result<Lease, Fault> {
        let until = later(self.now, time);
        match row::find(self.conn, &lease.log)? {
            Some(mut row) if row.fence == lease.fence => {
                if let Some(holder) = &mut row.holder {
                    holder.until = until;
                }
                row.update(self.conn)?;
                Ok(Lease::new(lease.log.clone(), lease.fence, until))
            }
            _ => Err(StoreError::fenced(&lease.log).into()),
        }
    }

    pub(super) fn release(&mut self, lease: &Lease) -> Result<(), Fault> {
        if let Some(mut row) = row::find(self.conn, &lease.log)?
            && row.fence == lease.fence
        {
            row.holder = None;
            // What still carries it is refused from now on.
            row.fence += 1;
            row.update(self.conn)?;
            self.leases.forget(row.id, lease.fence);
        }
        Ok(())
    }

    pub(super) fn delete(&mut self, log: &LogId) -> Result<(), Fault> {
        match row::find(self.conn, log) {
            Ok(None) => Ok(()),
            Ok(Some(row)) => {
                self.must_be_free(&row)?;
                self.remove(row.id)?;
                self.leases.forget(row.id, row.fence);
                Ok(())
            }
            // What is damaged can be removed: that is what one does with it.
            Err(Fault::Refused(error)) if error.kind() == StoreErrorKind::Corrupt => {
                let sql = "SELECT id FROM logs WHERE kind = ?1 AND name = ?2 AND gone = 0";
                let mut statement = self.conn.prepare_cached(sql)?;
                let id = statement
                    .query_row(params![log.kind().as_str(), log.id()], |row| row.get(0))
                    .optional()?;
                id.map_or(Ok(()), |id| self.remove(id))
            }
            Err(error) => Err(error),
        }
    }

    pub(super) fn cleanup(
        &mut self,
        kind: LogKind,
        before: Timestamp,
    ) -> Result<Vec<LogId>, Fault> {
        let query = crate::store::Query::of(kind)
            .before(before)
            .limit(usize::MAX);
        let mut removed = Vec::new();
        for row in entries::rows(self.conn, &query)? {
            if self.must_be_free(&row).is_ok() {
                self.remove(row.id)?;
                self.leases.forget(row.id, row.fence);
                removed.push(row.log);
            }
        }
        Ok(removed)
    }

    fn find(&self, log: &LogId) -> Result<Row, Fault> {
        row::find(self.conn, log)?.ok_or_else(|| StoreError::not_found(log).into())
    }

    fn must_be_free(&self, row: &Row) -> Result<(), StoreError> {
        match &row.holder {
            Some(holder) if holder.until > self.now && self.leases.is_alive(row.id, row.fence) => {
                Err(StoreError::held(&row.log, holder))
            }
            _ => Ok(()),
        }
    }

    fn push(&self, log: i64, after: u64, new: &[NewEntry]) -> rusqlite::Result<()> {
        let at = self.now.as_microsecond();
        for (version, entry) in (row::int(after) + 1..).zip(new) {
            entries::insert(self.conn, log, version, at, entry)?;
        }
        Ok(())
    }

    /// Takes a log away, and what nothing begins with any more.
    fn remove(&self, log: i64) -> Result<(), Fault> {
        self.run("UPDATE logs SET gone = 1 WHERE id = ?1", &[log])?;
        let mut next = Some(log);
        while let Some(id) = next {
            let mut statement = self
                .conn
                .prepare_cached("SELECT origin, gone FROM logs WHERE id = ?1")?;
            let found: Option<(Option<i64>, bool)> = statement
                .query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            let Some((origin, true)) = found else { break };
            let mut statement = self
                .conn
                .prepare_cached("SELECT max(base) FROM logs WHERE origin = ?1")?;
            let shared: Option<i64> = statement.query_row([id], |row| row.get(0))?;
            let entries = "DELETE FROM entries WHERE log = ?1 AND version > ?2";
            self.run(entries, &[id, shared.unwrap_or(0)])?;
            if shared.is_some() {
                break;
            }
            self.run("DELETE FROM logs WHERE id = ?1", &[id])?;
            // It may have been the last that began with its origin.
            next = origin;
        }
        Ok(())
    }

    fn run(&self, sql: &str, params: &[i64]) -> rusqlite::Result<usize> {
        self.conn
            .prepare_cached(sql)?
            .execute(rusqlite::params_from_iter(params))
    }
}

fn bytes(entries: &[NewEntry]) -> u64 {
    entries.iter().map(|entry| entry.body.len() as u64).sum()
}

/// A time from now in whole microseconds, as it is kept; or the last there is.
fn later(now: Timestamp, time: Duration) -> Timestamp {
    whole(now.checked_add(time).unwrap_or(Timestamp::MAX))
}

/// A time, as it is kept. The last second there is has no parts.
pub(super) fn whole(time: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(time.as_microsecond())
        .or_else(|_| Timestamp::from_second(time.as_second()))
        .unwrap_or(time)
}
