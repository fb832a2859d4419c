//! The accounts of budgets, in the same file as the logs.
//!
//! Everything goes through the thread that writes, so that one transaction serves all that waits: reservations, settlements, and
//! what is asked about them. An account is read once in a transaction, changed in memory by the same algebra as that of a ledger
//! in memory, and written once before the commit (`accounts`). A command that is refused leaves nothing behind (`work`); one that
//! must happen waits for the next transaction (`commands`).
//!
//! Each handle that puts something aside is a holder with a lock file, as that of a lease. What a holder had put aside when its file
//! can be locked by others is charged whole, and what it had not told is told by whoever finds it.
//!
//! Each row has a checksum. Where one is not what was written, nothing is admitted from it.

mod accounts;
mod commands;
mod rows;
mod work;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use tokio::sync::oneshot;

use self::{
    accounts::Accounts,
    commands::{Duty, Reserving},
};
use super::{Promise, SqliteStore, ended};
use crate::{
    budget::{
        Alert, Budget, BudgetError, InDoubt, LedgerBuilder, Standing,
        shared::{Demand, Edit, Reserved, Settlement, SharedAccounts, Tell, Which},
    },
    store::StoreError,
};

/// What the thread that writes knows of the ledger.
#[derive(Debug)]
pub(super) struct Books {
    /// The number of this handle; no other has it.
    holder: i64,
    /// The last reservation that was numbered here.
    last: u64,
    /// Whether all accounts were seen to be what was written.
    is_checked: bool,
    accounts: Accounts,
}

impl Books {
    pub(super) fn new() -> Self {
        // The lower half is random.
        let (_, random) = uuid::Uuid::now_v7().as_u64_pair();
        Self {
            holder: (random & (u64::MAX >> 2)).cast_signed(),
            last: 0,
            is_checked: false,
            accounts: Accounts::default(),
        }
    }

    /// Writes the accounts that changed, before the commit.
    pub(super) fn write(&self, conn: &rusqlite::Connection) -> rusqlite::Result<()> {
        self.accounts.write(conn)
    }

    /// The transaction is over, whether it happened or not.
    pub(super) fn end(&mut self) {
        self.accounts.clear();
    }
}

impl LedgerBuilder {
    /// Keeps the accounts in a store's file, which any number of processes share; durable as the store is. Default: in memory.
    ///
    /// What a process had put aside when it was killed is charged whole, and [listed](crate::budget::Ledger::in_doubt). Where the
    /// file cannot be read or written, nothing is admitted.
    ///
    /// Settlements are handed to the store's thread. Dropping the last handle to the store, the ledger's among them, waits until all
    /// are on disk; call [`flush`](crate::budget::Ledger::flush) before, so that the alerts that they give are told by this process
    /// and not by the next.
    ///
    /// # Example
    ///
    /// ```
    /// use agent_sdk::{budget::{Amounts, Budget, Ledger}, operation::RunContext, store::SqliteStore};
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("store.db");
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// let store = SqliteStore::open(path)?;
    /// let ledger = Ledger::builder().budget(Budget::new("team").max_requests(10)).store(&store).build()?;
    /// let ask = Amounts { requests: 4, ..Amounts::ZERO };
    /// let reservation = ledger.reserve(&RunContext::new(), ask, "a search").await?;
    /// reservation.settle(Amounts { requests: 3, ..Amounts::ZERO });
    /// assert_eq!(ledger.standings().await?[0].committed.requests, 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn store(self, store: &SqliteStore) -> Self {
        self.shared(Arc::new(store.clone()))
    }
}

impl SharedAccounts for SqliteStore {
    fn reserve(&self, demand: Demand) -> BoxFuture<'_, Result<Reserved, BudgetError>> {
        Box::pin(async move {
            let asked = async {
                let writes = self.shared.writes.clone().ok_or_else(ended)?;
                let (reply, answer) = oneshot::channel();
                let command = Reserving::new(demand, writes, reply);
                self.queue(Box::new(command)).await?;
                answer.await.unwrap_or_else(|_| Err(ended()))
            };
            let granted = asked.await.map_err(BudgetError::store)?;
            Ok(granted.map(commands::Granted::take))
        })
    }

    fn settle(&self, settlement: Settlement, tell: Tell) {
        self.do_some_time(Duty::settle(settlement, tell));
    }

    fn standings(
        &self,
        which: Which,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Vec<Standing>, BudgetError>> {
        ledger(self.write(None, Promise::Process, move |logs| {
            logs.standings(&which, now)
        }))
    }

    fn edit(
        &self,
        budget: Arc<Budget>,
        scope: Option<Arc<str>>,
        edit: Edit,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<u64, BudgetError>> {
        ledger(self.write(None, Promise::Power, move |logs| {
            logs.edit_accounts(&budget, scope.as_deref(), edit, now)
        }))
    }

    fn doubts(&self, limit: usize) -> BoxFuture<'_, Result<Vec<InDoubt>, BudgetError>> {
        ledger(self.write(None, Promise::Process, move |logs| {
            rows::doubts(logs.conn, limit)
        }))
    }

    fn undelivered(&self, now: Timestamp) -> BoxFuture<'_, Result<Vec<Alert>, BudgetError>> {
        ledger(self.write(None, Promise::Power, move |logs| logs.take_over(now)))
    }

    fn delivered(&self, alerts: Vec<Arc<str>>) {
        self.do_some_time(Duty::delivered(alerts));
    }

    fn settled(&self) -> BoxFuture<'_, Result<(), BudgetError>> {
        // What was handed over before is done before.
        ledger(self.write(None, Promise::Process, |_| Ok(())))
    }
}

impl SqliteStore {
    /// Hands something to the writer that is done with the next transaction that works.
    fn do_some_time<T: Send + 'static>(&self, duty: Duty<T>) {
        // No place is waited for: there are no more of these than there is under way.
        if let Err(error) = self.hand_over(Box::new(duty), None) {
            tracing::error!(target: "agent_sdk::budget", %error, "what was put aside is charged whole when the ledger is opened again");
        }
    }
}

fn ledger<'a, T>(
    done: impl Future<Output = Result<T, StoreError>> + Send + 'a,
) -> BoxFuture<'a, Result<T, BudgetError>> {
    Box::pin(async { done.await.map_err(BudgetError::store) })
}
