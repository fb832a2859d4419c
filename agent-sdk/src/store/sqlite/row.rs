//! A log's row: its head, as it is kept, with a checksum over all of it.

use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, named_params, types::Type};

use super::errors::{Fault, damaged, is_damage};
use crate::store::{Head, Holder, LogId, LogKind, Origin, StoreError};

/// What is kept of a log.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) id: i64,
    pub(super) log: LogId,
    pub(super) owner: Option<Arc<str>>,
    /// The row of the log it begins with, and its name.
    pub(super) origin: Option<(i64, LogId)>,
    /// The last version that is its origin's.
    pub(super) base: u64,
    pub(super) status: Arc<str>,
    /// JSON.
    pub(super) about: String,
    pub(super) version: u64,
    pub(super) bytes: u64,
    pub(super) created: Timestamp,
    pub(super) updated: Timestamp,
    pub(super) fence: u64,
    pub(super) holder: Option<Holder>,
}

macro_rules! select {
    ($tail:literal) => {
        select!("", $tail)
    };
    ($how:literal, $tail:literal) => {
        concat!(
            "SELECT l.id, l.kind, l.name, l.owner, l.origin, l.base, l.status, l.about, l.version, l.bytes, l.created, ",
            "l.updated, l.fence, l.holder, l.pid, l.until, l.sum, o.kind, o.name ",
            "FROM logs l ",
            $how,
            " LEFT JOIN logs o ON o.id = l.origin ",
            $tail
        )
    };
}

/// Those of a kind, newest first; `:owner` and `:status` may be null.
pub(super) const LIST: &str = select!(
    "WHERE l.kind = :kind AND l.gone = 0 AND (:owner IS NULL OR l.owner = :owner) \
     AND (:status IS NULL OR l.status = :status) AND l.updated < :before \
     ORDER BY l.updated DESC, l.name DESC LIMIT :limit"
);

/// The log of this name.
pub(super) fn find(conn: &Connection, log: &LogId) -> Result<Option<Row>, Fault> {
    let sql = select!("WHERE l.kind = :kind AND l.name = :name AND l.gone = 0");
    let mut statement = conn.prepare_cached(sql)?;
    let found = statement
        .query_row(
            named_params! {":kind": log.kind().as_str(), ":name": log.id()},
            Row::read,
        )
        .optional();
    sound(log, found)
}

/// The log of this name, also where the index over names has lost it: what is there must not look as though it never was.
pub(super) fn find_anywhere(conn: &Connection, log: &LogId) -> Result<Option<Row>, Fault> {
    if let Some(row) = find(conn, log)? {
        return Ok(Some(row));
    }
    let sql = select!("NOT INDEXED", "WHERE l.name = :name AND l.gone = 0");
    let mut statement = conn.prepare_cached(sql)?;
    let rows = statement.query_map(named_params! {":name": log.id()}, Row::read)?;
    for found in rows {
        if let Some(row) = sound(log, found.map(Some))?
            && row.log == *log
        {
            return Ok(Some(row));
        }
    }
    Ok(None)
}

/// The log of this row, deleted or not, on the way to the beginning of `log`.
pub(super) fn ancestor(conn: &Connection, id: i64, log: &LogId) -> Result<Option<Row>, Fault> {
    let mut statement = conn.prepare_cached(select!("WHERE l.id = :id"))?;
    let found = statement.query_row(named_params! {":id": id}, Row::read);
    sound(log, found.optional())
}

fn sound(log: &LogId, found: rusqlite::Result<Option<Row>>) -> Result<Option<Row>, Fault> {
    found.map_err(|error| {
        if is_damage(&error) {
            damaged(log, error).into()
        } else {
            error.into()
        }
    })
}

impl Row {
    /// Reads what one of the statements here selects.
    pub(super) fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        let log = |kind: usize, name: usize| {
            let kind = row.get_ref(kind)?.as_str().ok().and_then(LogKind::named);
            let id =
                kind.and_then(|kind| LogId::new(kind, row.get_ref(name).ok()?.as_str().ok()?).ok());
            id.ok_or_else(|| broken(name, "no name of a log"))
        };
        let number = |column: usize| {
            u64::try_from(row.get::<_, i64>(column)?)
                .map_err(|_| broken(column, "a negative number"))
        };
        let time = |column: usize| {
            Timestamp::from_microsecond(row.get(column)?).map_err(|_| broken(column, "no time"))
        };
        let origin: Option<i64> = row.get(4)?;
        let holder: Option<String> = row.get(13)?;
        let pid: u32 = row.get(14)?;
        let until = time(15)?;
        let read = Self {
            id: row.get(0)?,
            log: log(1, 2)?,
            owner: row.get(3)?,
            origin: origin
                .map(|id| log(17, 18).map(|log| (id, log)))
                .transpose()?,
            base: number(5)?,
            status: row.get(6)?,
            about: row.get(7)?,
            version: number(8)?,
            bytes: number(9)?,
            created: time(10)?,
            updated: time(11)?,
            fence: number(12)?,
            holder: holder.map(|name| Holder::new(name, pid, until)),
        };
        if row.get::<_, i64>(16)? == i64::from(read.sum()) {
            Ok(read)
        } else {
            Err(broken(16, "its head is not what was written"))
        }
    }

    /// Adds it, and gives it the id of its row.
    pub(super) fn insert(&mut self, conn: &Connection) -> rusqlite::Result<()> {
        let mut statement = conn.prepare_cached(
            "INSERT INTO logs (kind, name, owner, origin, base, status, about, version, bytes, created, updated, fence, \
             holder, pid, until, sum) VALUES (:kind, :name, :owner, :origin, :base, :status, :about, :version, :bytes, \
             :created, :updated, :fence, NULL, 0, 0, :sum)",
        )?;
        self.id = statement.insert(named_params! {
            ":kind": self.log.kind().as_str(),
            ":name": self.log.id(),
            ":owner": self.owner,
            ":origin": self.origin.as_ref().map(|(id, _)| id),
            ":base": int(self.base),
            ":status": self.status,
            ":about": self.about,
            ":version": int(self.version),
            ":bytes": int(self.bytes),
            ":created": self.created.as_microsecond(),
            ":updated": self.updated.as_microsecond(),
            ":fence": int(self.fence),
            ":sum": self.sum(),
        })?;
        Ok(())
    }

    /// Keeps what changed.
    pub(super) fn update(&self, conn: &Connection) -> rusqlite::Result<()> {
        let mut statement = conn.prepare_cached(
            "UPDATE logs SET status = :status, about = :about, version = :version, bytes = :bytes, updated = :updated, \
             fence = :fence, holder = :holder, pid = :pid, until = :until, sum = :sum WHERE id = :id",
        )?;
        let holder = self.holder.as_ref();
        statement.execute(named_params! {
            ":id": self.id,
            ":status": self.status,
            ":about": self.about,
            ":version": int(self.version),
            ":bytes": int(self.bytes),
            ":updated": self.updated.as_microsecond(),
            ":fence": int(self.fence),
            ":holder": holder.map(|holder| &holder.name),
            ":pid": holder.map_or(0, |holder| holder.pid),
            ":until": holder.map_or(0, |holder| holder.until.as_microsecond()),
            ":sum": self.sum(),
        })?;
        Ok(())
    }

    /// The head that it is; `about` must be what was kept.
    pub(super) fn head(self) -> Result<Head, StoreError> {
        let about = serde_json::from_str(&self.about).map_err(|error| damaged(&self.log, error))?;
        let base = self.base;
        Ok(Head {
            log: self.log,
            owner: self.owner,
            origin: self.origin.map(|(_, log)| Origin::new(log, base)),
            status: self.status,
            about,
            version: self.version,
            bytes: self.bytes,
            created: self.created,
            updated: self.updated,
            holder: self.holder,
        })
    }

    fn sum(&self) -> u32 {
        let mut sum = crc32fast::Hasher::new();
        // The length goes first, so that what ends one text cannot begin the next.
        let mut text = |text: Option<&str>| {
            let len = text.map_or(u64::MAX, |text| text.len() as u64);
            sum.update(&len.to_le_bytes());
            sum.update(text.unwrap_or_default().as_bytes());
        };
        text(Some(self.log.kind().as_str()));
        text(Some(self.log.id()));
        text(self.owner.as_deref());
        text(Some(&self.status));
        text(Some(&self.about));
        text(self.holder.as_ref().map(|holder| &*holder.name));
        let holder = self.holder.as_ref();
        let numbers = [
            self.origin.as_ref().map_or(0, |(id, _)| *id),
            int(self.base),
            int(self.version),
            int(self.bytes),
            self.created.as_microsecond(),
            self.updated.as_microsecond(),
            int(self.fence),
            holder.map_or(0, |holder| i64::from(holder.pid)),
            holder.map_or(0, |holder| holder.until.as_microsecond()),
        ];
        for number in numbers {
            sum.update(&number.to_le_bytes());
        }
        sum.finalize()
    }
}

/// A number, as SQLite keeps it; nothing here counts up to the last of them.
pub(super) fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn broken(column: usize, what: &str) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Null, what.into())
}
