//! Rows of what is put aside, in doubt or not told yet: JSON with a checksum.

use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::{Connection, named_params, params, types::Type};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::accounts::Key;
use crate::{
    budget::{Alert, AlertKind, Amounts, InDoubt, Standing, shared::Demand},
    store::{
        StoreError, StoreErrorKind,
        sqlite::{
            errors::{Fault, is_damage},
            row::int,
        },
    },
};

/// Charges in doubt that are kept; the oldest are given up.
const DOUBTS: i64 = 10_000;

/// What is put aside, as it is kept for whoever finds it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Aside {
    pub(super) run: Arc<str>,
    pub(super) what: Arc<str>,
    /// The accounts, each with the start of the period that it belongs to.
    pub(super) posts: Vec<(Key, Timestamp)>,
    pub(super) held: Amounts,
    pub(super) at: Timestamp,
}

impl Aside {
    pub(super) fn new(demand: &Demand, admitted: &[Timestamp]) -> Self {
        let keys = demand.posts.iter();
        let keys = keys.map(|post| (post.budget.name.clone(), post.scope.clone()));
        Self {
            run: demand.what.run.clone(),
            what: demand.what.name.clone(),
            posts: keys.zip(admitted.iter().copied()).collect(),
            held: demand.ask,
            at: demand.now,
        }
    }

    pub(super) fn insert(
        &self,
        conn: &Connection,
        holder: i64,
        number: u64,
    ) -> rusqlite::Result<()> {
        let body = text(self)?;
        let sum = sum(&[&body], &[holder, int(number)]);
        let mut statement = conn.prepare_cached(
            "INSERT INTO ledger_reservations (holder, number, body, sum) VALUES (?1, ?2, ?3, ?4)",
        )?;
        statement.execute(params![holder, int(number), body, sum])?;
        Ok(())
    }
}

/// Takes a reservation away; answers whether there was one.
pub(super) fn remove_reservation(
    conn: &Connection,
    holder: i64,
    number: u64,
) -> rusqlite::Result<bool> {
    let mut statement =
        conn.prepare_cached("DELETE FROM ledger_reservations WHERE holder = ?1 AND number = ?2")?;
    Ok(statement.execute(params![holder, int(number)])? > 0)
}

/// What is put aside, of one holder or of all. One that is damaged stays where it is, and what it is of stays put aside.
pub(super) fn reservations(
    conn: &Connection,
    holder: Option<i64>,
) -> Result<Vec<(u64, Aside)>, Fault> {
    let mut statement = conn.prepare_cached(
        "SELECT holder, number, body, sum FROM ledger_reservations WHERE :holder IS NULL OR holder = :holder ORDER BY number",
    )?;
    let mut rows = statement.query(named_params! {":holder": holder})?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let read = || {
            let number: i64 = row.get(1)?;
            let body = row.get_ref(2)?.as_str()?;
            must_be(3, row.get(3)?, sum(&[body], &[row.get(0)?, number]))?;
            Ok((number.unsigned_abs(), json(2, body)?))
        };
        match read() {
            Ok(reservation) => found.push(reservation),
            Err(error) if is_damage(&error) => {
                tracing::warn!(target: "agent_sdk::budget", %error, "a damaged reservation stays put aside");
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(found)
}

/// Who has something put aside, or has something to tell.
pub(super) fn holders(conn: &Connection) -> rusqlite::Result<Vec<i64>> {
    let mut statement = conn.prepare_cached(
        "SELECT holder FROM ledger_reservations UNION SELECT holder FROM ledger_alerts",
    )?;
    let holders = statement.query_map([], |row| row.get(0))?;
    holders.collect()
}

pub(super) fn insert_doubt(conn: &Connection, doubt: &InDoubt) -> rusqlite::Result<()> {
    let body = text(doubt)?;
    let mut statement =
        conn.prepare_cached("INSERT INTO ledger_doubts (body, sum) VALUES (?1, ?2)")?;
    let number = statement.insert(params![body, sum(&[&body], &[])])?;
    conn.prepare_cached("DELETE FROM ledger_doubts WHERE number <= ?1")?
        .execute([number.saturating_sub(DOUBTS)])?;
    Ok(())
}

/// What was charged in doubt, the latest first.
pub(super) fn doubts(conn: &Connection, limit: usize) -> Result<Vec<InDoubt>, Fault> {
    let mut statement =
        conn.prepare_cached("SELECT body, sum FROM ledger_doubts ORDER BY number DESC LIMIT ?1")?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let doubts = statement.query_map([limit], |row| {
        let body = row.get_ref(0)?.as_str()?;
        must_be(1, row.get(1)?, sum(&[body], &[]))?;
        json(0, body)
    })?;
    damaged_where(|| "the list of charges in doubt".into(), doubts.collect())
}

/// An alert, as it is kept until it is delivered.
#[derive(Serialize, Deserialize)]
struct KeptAlert {
    kind: AlertKind,
    standing: Standing,
    time: Timestamp,
}

pub(super) fn insert_alert(conn: &Connection, holder: i64, alert: &Alert) -> rusqlite::Result<()> {
    let body = text(&KeptAlert {
        kind: alert.kind,
        standing: alert.standing.clone(),
        time: alert.time,
    })?;
    let mut statement = conn.prepare_cached(
        "INSERT OR REPLACE INTO ledger_alerts (id, holder, body, sum) VALUES (?1, ?2, ?3, ?4)",
    )?;
    statement.execute(params![
        alert.id,
        holder,
        body,
        sum(&[&alert.id, &body], &[])
    ])?;
    Ok(())
}

/// Makes the alerts of one holder another's; answers with them, in the order in which they came about.
pub(super) fn move_alerts(conn: &Connection, from: i64, to: i64) -> Result<Vec<Alert>, Fault> {
    let mut statement = conn.prepare_cached(
        "SELECT id, body, sum FROM ledger_alerts WHERE holder = ?1 ORDER BY number",
    )?;
    let mut rows = statement.query([from])?;
    let mut alerts = Vec::new();
    while let Some(row) = rows.next()? {
        let read = || {
            let (id, body) = (row.get_ref(0)?.as_str()?, row.get_ref(1)?.as_str()?);
            must_be(2, row.get(2)?, sum(&[id, body], &[]))?;
            let KeptAlert {
                kind,
                standing,
                time,
            } = json(1, body)?;
            Ok(Alert {
                id: id.into(),
                kind,
                standing,
                time,
            })
        };
        match read() {
            Ok(alert) => alerts.push(alert),
            Err(error) if is_damage(&error) => {
                tracing::warn!(target: "agent_sdk::budget", %error, "a damaged alert is not delivered");
            }
            Err(error) => return Err(error.into()),
        }
    }
    let mut statement =
        conn.prepare_cached("UPDATE ledger_alerts SET holder = ?2 WHERE holder = ?1")?;
    statement.execute([from, to])?;
    Ok(alerts)
}

pub(super) fn forget_alerts(conn: &Connection, alerts: &[Arc<str>]) -> rusqlite::Result<()> {
    let mut statement = conn.prepare_cached("DELETE FROM ledger_alerts WHERE id = ?1")?;
    for id in alerts {
        statement.execute([&**id])?;
    }
    Ok(())
}

/// A checksum. The length of each text goes first, so that what ends one cannot begin the next.
pub(super) fn sum(texts: &[&str], numbers: &[i64]) -> i64 {
    let mut sum = crc32fast::Hasher::new();
    for text in texts {
        sum.update(&(text.len() as u64).to_le_bytes());
        sum.update(text.as_bytes());
    }
    for number in numbers {
        sum.update(&number.to_le_bytes());
    }
    sum.finalize().into()
}

pub(super) fn must_be(column: usize, kept: i64, sum: i64) -> rusqlite::Result<()> {
    if kept == sum {
        return Ok(());
    }
    Err(broken(column, "it is not what was written"))
}

/// What is read cannot be what was written.
pub(super) fn broken(
    column: usize,
    what: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Null, what.into())
}

pub(super) fn text(value: &impl Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(value)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}

pub(super) fn json<T: DeserializeOwned>(column: usize, text: &str) -> rusqlite::Result<T> {
    serde_json::from_str(text).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, error.into())
    })
}

/// Says of damage where in the ledger it is.
pub(super) fn damaged_where<T>(
    place: impl FnOnce() -> String,
    read: rusqlite::Result<T>,
) -> Result<T, Fault> {
    read.map_err(|error| {
        if !is_damage(&error) {
            return error.into();
        }
        let message = format!(
            "the ledger is damaged at {}: {error}; nothing is admitted there: reset that budget, or put a copy of the file back",
            place()
        );
        StoreError::new(StoreErrorKind::Corrupt, message).into()
    })
}
