//! The tables, and how a file gets from one form of them to the next.
//!
//! Entries lie in the order in which they came, whatever log they are of, so that pages are filled one after the other and a
//! commit writes few of them; a narrow index leads from a log and a version to the entry. A row of `logs` is what is kept of a
//! head. One that is deleted while others begin with it stays as `gone`, with the entries that they share, until the last of
//! them is deleted.
//!
//! A ledger has accounts by budget and scope, each as JSON beside the budget as it was last used; what is put aside and not yet
//! charged, by who holds it; what was charged for holders that are gone; and alerts that were not delivered yet.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::errors::{Fault, explain};
use crate::store::{StoreError, StoreErrorKind};

/// In the header of every store's file, so that a database of something else is not taken for one: `agsd`.
pub(super) const APPLICATION_ID: i32 = 0x6167_7364;

/// Bytes of a page. With small pages a body of a few kilobytes leaves much of its page empty.
pub(super) const PAGE_BYTES: u32 = 16 * 1024;

/// Each takes a file from one version of the schema, its place here, to the next.
pub(super) const MIGRATIONS: &[&[&str]] = &[LOGS, LEDGER];

const LOGS: &[&str] = &[
    "CREATE TABLE logs (
       id INTEGER PRIMARY KEY AUTOINCREMENT,
       kind TEXT NOT NULL,
       name TEXT NOT NULL,
       gone INTEGER NOT NULL DEFAULT 0,
       owner TEXT,
       origin INTEGER,
       base INTEGER NOT NULL,
       status TEXT NOT NULL,
       about TEXT NOT NULL,
       version INTEGER NOT NULL,
       bytes INTEGER NOT NULL,
       created INTEGER NOT NULL,
       updated INTEGER NOT NULL,
       fence INTEGER NOT NULL,
       holder TEXT,
       pid INTEGER NOT NULL,
       until INTEGER NOT NULL,
       sum INTEGER NOT NULL
     ) STRICT",
    "CREATE UNIQUE INDEX logs_by_name ON logs (kind, name) WHERE gone = 0",
    "CREATE INDEX logs_by_origin ON logs (origin, base) WHERE origin IS NOT NULL",
    "CREATE TABLE entries (
       id INTEGER PRIMARY KEY,
       log INTEGER NOT NULL,
       version INTEGER NOT NULL,
       at INTEGER NOT NULL,
       sum INTEGER NOT NULL,
       path TEXT NOT NULL,
       body BLOB NOT NULL
     ) STRICT",
    "CREATE UNIQUE INDEX entries_by_version ON entries (log, version)",
];

const LEDGER: &[&str] = &[
    "CREATE TABLE ledger_accounts (
       budget TEXT NOT NULL,
       scope TEXT NOT NULL,
       definition TEXT NOT NULL,
       account TEXT NOT NULL,
       over INTEGER,
       sum INTEGER NOT NULL,
       PRIMARY KEY (budget, scope)
     ) STRICT, WITHOUT ROWID",
    "CREATE INDEX ledger_accounts_by_end ON ledger_accounts (over)",
    "CREATE TABLE ledger_reservations (
       holder INTEGER NOT NULL,
       number INTEGER NOT NULL,
       body TEXT NOT NULL,
       sum INTEGER NOT NULL,
       PRIMARY KEY (holder, number)
     ) STRICT, WITHOUT ROWID",
    "CREATE TABLE ledger_doubts (
       number INTEGER PRIMARY KEY AUTOINCREMENT,
       body TEXT NOT NULL,
       sum INTEGER NOT NULL
     ) STRICT",
    "CREATE TABLE ledger_alerts (
       number INTEGER PRIMARY KEY AUTOINCREMENT,
       id TEXT NOT NULL UNIQUE,
       holder INTEGER NOT NULL,
       body TEXT NOT NULL,
       sum INTEGER NOT NULL
     ) STRICT",
];

/// The version of the schema that this library writes.
pub(super) const VERSION: usize = MIGRATIONS.len();

/// Refuses what is not a store, or is one of a newer schema; answers with the version, which is 0 for an empty file. Changes
/// nothing.
pub(super) fn check(conn: &Connection, db: &Path) -> Result<usize, StoreError> {
    let failed = |error| explain(db, &error);
    // The tables are counted first: another process may just be making them, and it sets both at once.
    let count = "SELECT count(*) FROM sqlite_schema";
    let tables: i64 = conn
        .query_row(count, [], |row| row.get(0))
        .map_err(failed)?;
    let application: i32 = pragma(conn, "application_id").map_err(failed)?;
    let version: i64 = pragma(conn, "user_version").map_err(failed)?;
    if application != APPLICATION_ID && (tables > 0 || application != 0) {
        return Err(StoreError::new(
            StoreErrorKind::Corrupt,
            format!(
                "{} is a database, and not a store of this library: name another file",
                db.display()
            ),
        ));
    }
    match usize::try_from(version) {
        Ok(version) if version <= VERSION => Ok(version),
        _ => Err(StoreError::new(
            StoreErrorKind::Newer,
            format!(
                "{} was made by a newer version of this library: its schema is {version}, and this one knows up to {VERSION}; upgrade it",
                db.display()
            ),
        )),
    }
}

/// Brings a file to the schema of this library, each step in one transaction. `before` is told of each statement.
pub(super) fn migrate(
    conn: &mut Connection,
    db: &Path,
    before: &mut dyn FnMut(&str) -> rusqlite::Result<()>,
) -> Result<(), Fault> {
    while check(conn, db)? < VERSION {
        let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // Another process may have been faster.
        let version = check(&tx, db)?;
        for statement in MIGRATIONS.get(version).copied().unwrap_or_default() {
            before(statement)?;
            tx.execute_batch(statement)?;
        }
        before("application_id")?;
        tx.pragma_update(None, "application_id", APPLICATION_ID)?;
        before("user_version")?;
        let next = i64::try_from(VERSION.min(version + 1)).unwrap_or(i64::MAX);
        tx.pragma_update(None, "user_version", next)?;
        before("commit")?;
        tx.commit()?;
    }
    Ok(())
}

fn pragma<T: rusqlite::types::FromSql>(conn: &Connection, name: &str) -> rusqlite::Result<T> {
    conn.pragma_query_value(None, name, |row| row.get(0))
}
