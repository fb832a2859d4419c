//! Accounts that several processes share: what a ledger asks of the store that has them.

use std::{fmt, sync::Arc};

use futures_util::future::BoxFuture;
use jiff::Timestamp;

use super::{
    Alert, Amounts, Budget, BudgetError, Standing,
    account::{Account, Charge},
    book::{Denied, Grant, Post, Settled},
};

/// Accounts that several processes share.
///
/// What was put aside is never lost: it is settled, goes back, or is charged whole. A `Tell` is called on a thread of the store's own,
/// with none of its locks held and after the answers that came before; it takes the lock of a run or of an operation for a moment,
/// and waits for nothing. So nobody who holds one of those may wait for the store, nor drop the last handle to it.
pub(crate) trait SharedAccounts: fmt::Debug + Send + Sync + 'static {
    /// Puts so much aside in all accounts, or in none. Dropping the future puts it back.
    fn reserve(&self, demand: Demand) -> BoxFuture<'_, Result<Reserved, BudgetError>>;

    /// Charges what something came to, sooner or later; `tell` is called when that is done. Does not block.
    fn settle(&self, settlement: Settlement, tell: Tell);

    /// How accounts stand, with all that was settled before.
    fn standings(
        &self,
        which: Which,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Vec<Standing>, BudgetError>>;

    /// Changes the accounts of a budget: of one scope, or all.
    fn edit(
        &self,
        budget: Arc<Budget>,
        scope: Option<Arc<str>>,
        edit: Edit,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<u64, BudgetError>>;

    /// What was charged because nobody knows what became of it, the latest first.
    fn doubts(&self, limit: usize) -> BoxFuture<'_, Result<Vec<InDoubt>, BudgetError>>;

    /// Charges what processes put aside that are gone. Answers with the alerts that come of it, and with those that they had not
    /// delivered: they are this one's now.
    fn undelivered(&self, now: Timestamp) -> BoxFuture<'_, Result<Vec<Alert>, BudgetError>>;

    /// These alerts were delivered. Does not block.
    fn delivered(&self, alerts: Vec<Arc<str>>);

    /// Waits until what was settled before is charged, and told.
    fn settled(&self) -> BoxFuture<'_, Result<(), BudgetError>>;
}

/// Which accounts are asked about.
#[derive(Clone, Debug)]
pub(crate) enum Which {
    /// All of these budgets.
    All(Arc<[Arc<Budget>]>),
    Of(Vec<Post>),
}

/// The number of a reservation and what was granted, or why nothing was.
pub(crate) type Reserved = Result<(u64, Grant), Denied>;

/// What is done when a settlement is.
pub(crate) type Tell = Box<dyn FnOnce(Settled) + Send>;

/// What is to be put aside.
#[derive(Clone, Debug)]
pub(crate) struct Demand {
    pub(crate) posts: Vec<Post>,
    pub(crate) ask: Amounts,
    pub(crate) what: What,
    /// Whether less is asked for next where it does not fit.
    pub(crate) is_probe: bool,
    pub(crate) now: Timestamp,
}

/// What is to be charged.
#[derive(Clone, Debug)]
pub(crate) struct Settlement {
    /// The number of its reservation, where it has one.
    pub(crate) reservation: Option<u64>,
    pub(crate) posts: Vec<Post>,
    pub(crate) admitted: Vec<Timestamp>,
    pub(crate) charge: Charge,
    pub(crate) now: Timestamp,
}

/// What a reservation is for, in words for whoever finds it in doubt.
#[derive(Clone, Debug)]
pub(crate) struct What {
    pub(crate) run: Arc<str>,
    /// The model, or the label of what is paid for.
    pub(crate) name: Arc<str>,
}

/// How an account is changed by hand.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Edit {
    Reset,
    AcceptDebt,
}

/// Something that was charged because nobody knows what became of it: its process ended between reservation and settlement.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct InDoubt {
    /// The run.
    pub run_id: Arc<str>,
    /// The model that was asked, or the label of what was to be paid.
    pub what: Arc<str>,
    /// What was put aside, and is charged.
    pub charged: Amounts,
    /// When it was put aside.
    pub reserved_at: Timestamp,
    /// When it was found and charged.
    pub found_at: Timestamp,
    /// The budgets it is charged to.
    pub budgets: Vec<Arc<str>>,
}

impl Edit {
    pub(crate) fn apply(self, budget: &Budget, account: &mut Account, now: Timestamp) {
        account.turn(budget, now);
        match self {
            Self::Reset => account.reset(budget, now),
            Self::AcceptDebt => account.accept_debt(budget, now),
        }
    }
}
