//! Accounts inside a transaction: read once, changed in memory, written once before the commit, however many commands change them.

use std::{
    collections::{BTreeMap, HashMap, btree_map::Entry},
    sync::Arc,
};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::rows::{self, damaged_where, sum};
use crate::{
    budget::{
        Budget,
        account::Account,
        book::{Post, Shelf},
    },
    store::sqlite::errors::Fault,
};

/// How many accounts that are over make room for a new one, so that there are never more than are needed.
const FORGET: usize = 4;

/// The name of a budget, and whose account of it.
pub(super) type Key = (Arc<str>, Arc<str>);

/// The accounts that were used in a transaction.
#[derive(Debug, Default)]
pub(super) struct Accounts(HashMap<Key, Kept>);

/// An account, and the budget as it was last used.
#[derive(Clone, Debug)]
struct Kept {
    account: Account,
    budget: Arc<Budget>,
    is_new: bool,
    is_changed: bool,
}

/// What one command does to accounts: nothing, unless it is [kept](Self::keep).
pub(super) struct Pending<'a> {
    conn: &'a Connection,
    accounts: &'a mut Accounts,
    changed: BTreeMap<Key, Kept>,
}

impl Shelf for Pending<'_> {
    type Error = Fault;

    fn with<R>(
        &mut self,
        post: &Post,
        now: Timestamp,
        change: impl FnOnce(&mut Account) -> R,
    ) -> Result<R, Fault> {
        let kept = match self
            .changed
            .entry((post.budget.name.clone(), post.scope.clone()))
        {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => {
                let found = self.accounts.find(self.conn, place.key())?;
                place.insert(found.unwrap_or_else(|| Kept::new(post, now)))
            }
        };
        kept.budget = post.budget.clone();
        Ok(change(&mut kept.account))
    }
}

impl Pending<'_> {
    /// The budget of an account as it was last used, if there is one.
    pub(super) fn budget(&mut self, key: &Key) -> Result<Option<Arc<Budget>>, Fault> {
        let found = self.accounts.find(self.conn, key)?;
        Ok(found.map(|kept| kept.budget))
    }

    /// Takes an account anew, whatever is there of it.
    pub(super) fn replace(&mut self, post: &Post, account: Account) {
        let kept = Kept {
            account,
            ..Kept::new(post, Timestamp::UNIX_EPOCH)
        };
        let key = (post.budget.name.clone(), post.scope.clone());
        self.changed.insert(key, kept);
    }

    pub(super) fn keep(self) {
        let changed = self.changed.into_iter().map(|(key, kept)| {
            let is_changed = true;
            (key, Kept { is_changed, ..kept })
        });
        self.accounts.0.extend(changed);
    }
}

impl Accounts {
    /// Begins a command.
    pub(super) fn begin<'a>(&'a mut self, conn: &'a Connection) -> Pending<'a> {
        Pending {
            conn,
            accounts: self,
            changed: BTreeMap::new(),
        }
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    fn find(&mut self, conn: &Connection, key: &Key) -> Result<Option<Kept>, Fault> {
        if let Some(kept) = self.0.get(key) {
            return Ok(Some(kept.clone()));
        }
        let mut statement = conn.prepare_cached(
            "SELECT budget, scope, definition, account, over, sum FROM ledger_accounts WHERE budget = ?1 AND scope = ?2",
        )?;
        let found = statement.query_row(params![key.0, key.1], Kept::read);
        let found = damaged_where(|| name(&key.0, &key.1), found.optional())?;
        if let Some(kept) = &found {
            self.0.insert(key.clone(), kept.clone());
        }
        Ok(found)
    }

    /// Whose accounts of a budget there are, those of this transaction among them.
    pub(super) fn scopes(&self, conn: &Connection, budget: &str) -> Result<Vec<Arc<str>>, Fault> {
        self.write(conn)?;
        let mut statement =
            conn.prepare_cached("SELECT scope FROM ledger_accounts WHERE budget = ?1")?;
        let scopes = statement.query_map([budget], |row| row.get(0))?;
        damaged_where(|| format!("budget `{budget}`"), scopes.collect())
    }

    /// Writes what changed.
    pub(super) fn write(&self, conn: &Connection) -> rusqlite::Result<()> {
        let mut new = 0;
        let mut latest = Timestamp::MIN;
        for (key, kept) in self.0.iter().filter(|(_, kept)| kept.is_changed) {
            kept.write(conn, key)?;
            new += usize::from(kept.is_new);
            latest = latest.max(kept.account.touched);
        }
        if new > 0 {
            self.forget(conn, latest, new.saturating_mul(FORGET))?;
        }
        Ok(())
    }

    /// Gives up accounts that are over.
    fn forget(&self, conn: &Connection, now: Timestamp, most: usize) -> rusqlite::Result<()> {
        let mut statement = conn.prepare_cached(
            "SELECT budget, scope, definition, account, over, sum FROM ledger_accounts WHERE over <= ?1 ORDER BY over LIMIT ?2",
        )?;
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let mut rows = statement.query(params![now.as_second(), most])?;
        let mut over: Vec<Key> = Vec::new();
        while let Some(row) = rows.next()? {
            // One that is damaged is not touched, and is an error for whoever asks for it.
            if let Ok(kept) = Kept::read(row)
                && kept.account.is_over(now)
            {
                over.push((row.get(0)?, row.get(1)?));
            }
        }
        let mut delete =
            conn.prepare_cached("DELETE FROM ledger_accounts WHERE budget = ?1 AND scope = ?2")?;
        for key in over.into_iter().filter(|key| !self.0.contains_key(key)) {
            delete.execute(params![key.0, key.1])?;
        }
        Ok(())
    }
}

/// Whether each account is what was written and none is lost, so that none that is damaged is taken for one that never was.
pub(super) fn check(conn: &Connection) -> Result<(), Fault> {
    let somewhere = || "an account".to_owned();
    // An account that one of the table and its index has lost is still in the other.
    let mut statement = conn.prepare("PRAGMA integrity_check(ledger_accounts)")?;
    let said: String = damaged_where(somewhere, statement.query_row([], |row| row.get(0)))?;
    if said != "ok" {
        return damaged_where(somewhere, Err(rows::broken(0, said)));
    }
    let mut statement = conn.prepare(
        "SELECT budget, scope, definition, account, over, sum FROM ledger_accounts NOT INDEXED",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = damaged_where(somewhere, rows.next())? {
        let key = || match (row.get::<_, String>(0), row.get::<_, String>(1)) {
            (Ok(budget), Ok(scope)) => name(&budget, &scope),
            _ => somewhere(),
        };
        damaged_where(key, Kept::sound(row))?;
    }
    Ok(())
}

fn name(budget: &str, scope: &str) -> String {
    match scope {
        "" => format!("budget `{budget}`"),
        scope => format!("budget `{budget}` of `{scope}`"),
    }
}

impl Kept {
    fn new(post: &Post, now: Timestamp) -> Self {
        Self {
            account: Account::new(&post.budget, now),
            budget: post.budget.clone(),
            is_new: true,
            is_changed: false,
        }
    }

    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Self::sound(row)?;
        Ok(Self {
            account: rows::json(3, row.get_ref(3)?.as_str()?)?,
            budget: rows::json(2, row.get_ref(2)?.as_str()?)?,
            is_new: false,
            is_changed: false,
        })
    }

    /// Whether the row is what was written.
    fn sound(row: &Row<'_>) -> rusqlite::Result<()> {
        let text = |column| Ok::<_, rusqlite::Error>(row.get_ref(column)?.as_str()?);
        let texts = [text(0)?, text(1)?, text(2)?, text(3)?];
        let over: Option<i64> = row.get(4)?;
        rows::must_be(5, row.get(5)?, sum(&texts, &[over.unwrap_or(i64::MAX)]))
    }

    fn write(&self, conn: &Connection, (budget, scope): &Key) -> rusqlite::Result<()> {
        let definition = rows::text(&*self.budget)?;
        let account = rows::text(&self.account)?;
        let over = self.account.over_at().map(Timestamp::as_second);
        let sum = sum(
            &[budget, scope, &definition, &account],
            &[over.unwrap_or(i64::MAX)],
        );
        let mut statement = conn.prepare_cached(
            "INSERT INTO ledger_accounts (budget, scope, definition, account, over, sum) VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
             ON CONFLICT (budget, scope) DO UPDATE SET definition = ?3, account = ?4, over = ?5, sum = ?6",
        )?;
        statement.execute(params![budget, scope, definition, account, over, sum])?;
        Ok(())
    }
}
