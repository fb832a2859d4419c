//! The accounts of a ledger: several at a time take a reservation, or none does. No clock, no lock.

use std::{collections::HashMap, sync::Arc};

use jiff::{SignedDuration, Timestamp};

use super::{
    Alert, Amounts, Budget, BudgetError, BudgetErrorKind, Standing,
    account::{Account, Charge, Sheet},
};

/// The most accounts that are kept in memory; those of periods that are over are given up before.
const MAX_ACCOUNTS: usize = 100_000;

/// Where there is no room left, after how long without spending the account of a run is given up.
const IDLE_WHEN_FULL: SignedDuration = SignedDuration::from_mins(15);

/// How long it is then before more is given up.
const AGAIN_WHEN_FULL: SignedDuration = SignedDuration::from_secs(1);

/// An account that something is charged to.
#[derive(Clone, Debug)]
pub(crate) struct Post {
    pub(crate) budget: Arc<Budget>,
    /// Whose account of the budget.
    pub(crate) scope: Arc<str>,
}

/// A reservation that was made.
#[derive(Clone, Debug, Default)]
pub(crate) struct Grant {
    /// The start of the period that it belongs to, for each post.
    pub(crate) admitted: Vec<Timestamp>,
    /// The account that is nearest to its cap.
    pub(crate) tightest: Option<Standing>,
    /// How the other accounts stand.
    pub(crate) others: Vec<Standing>,
}

/// A reservation that was not made.
#[derive(Debug)]
pub(crate) struct Denied {
    pub(crate) error: BudgetError,
    /// What was left of what was asked for too much, where that is why.
    pub(crate) short: Option<super::Refusal>,
    pub(crate) alerts: Vec<Alert>,
}

/// What came of a settlement.
#[derive(Debug, Default)]
pub(crate) struct Settled {
    pub(crate) alerts: Vec<Alert>,
    /// The account that is nearest to its cap.
    pub(crate) tightest: Option<Standing>,
    /// How the other accounts stand.
    pub(crate) others: Vec<Standing>,
}

/// Where single accounts are read and written: in memory, or in the transaction of a store.
pub(crate) trait Shelf {
    type Error;

    /// Reads an account, changes it and writes it back; a new one where there is none.
    fn with<R>(
        &mut self,
        post: &Post,
        now: Timestamp,
        change: impl FnOnce(&mut Account) -> R,
    ) -> Result<R, Self::Error>;
}

/// Puts so much aside in all accounts, or in none. Where it is a probe, less is asked for next: nothing is refused yet.
pub(crate) fn reserve<S: Shelf>(
    shelf: &mut S,
    posts: &[Post],
    ask: &Amounts,
    is_probe: bool,
    now: Timestamp,
) -> Result<Result<Grant, Denied>, S::Error> {
    for post in posts {
        let refused = shelf.with(post, now, |account| {
            account.turn(&post.budget, now);
            account.touch(now);
            let refusal = account.admits(&post.budget, ask).err()?;
            let standing = standing(post, &account.current);
            let error = BudgetError::refused(
                refusal,
                &post.budget.name,
                &post.scope,
                account.current.period,
            );
            let alert = if is_probe {
                None
            } else {
                account.refused(&post.budget, now)
            };
            let alerts = alert.map(|kind| Alert::new(kind, standing, now));
            Some(Denied {
                error,
                short: Some(refusal),
                alerts: alerts.into_iter().collect(),
            })
        })?;
        if let Some(denied) = refused {
            return Ok(Err(denied));
        }
    }
    let mut grant = Grant {
        admitted: Vec::with_capacity(posts.len()),
        tightest: None,
        others: Vec::new(),
    };
    for post in posts {
        let (admitted, standing) = shelf.with(post, now, |account| {
            let admitted = account.reserve(ask);
            (admitted, standing(post, &account.current))
        })?;
        grant.admitted.push(admitted);
        tighten(&mut grant.tightest, &mut grant.others, standing);
    }
    Ok(Ok(grant))
}

/// Charges what something came to in all accounts.
pub(crate) fn settle<S: Shelf>(
    shelf: &mut S,
    posts: &[Post],
    admitted: &[Timestamp],
    charge: &Charge,
    now: Timestamp,
) -> Result<Settled, S::Error> {
    let mut settled = Settled::default();
    for (place, post) in posts.iter().enumerate() {
        let start = admitted.get(place).copied();
        let (kinds, standing) = shelf.with(post, now, |account| {
            let see = |sheet: &Sheet| standing(post, sheet);
            account.settle(&post.budget, start, charge, now, see)
        })?;
        let alerts = kinds.into_iter();
        settled
            .alerts
            .extend(alerts.map(|kind| Alert::new(kind, standing.clone(), now)));
        tighten(&mut settled.tightest, &mut settled.others, standing);
    }
    Ok(settled)
}

pub(crate) fn standing(post: &Post, sheet: &Sheet) -> Standing {
    Standing {
        budget: post.budget.name.clone(),
        scope: post.scope.clone(),
        caps: post.budget.caps,
        committed: sheet.committed,
        reserved: sheet.reserved,
        debt: sheet.debt,
        period: sheet.period,
        percent: sheet.percent(&post.budget),
    }
}

fn tighten(tightest: &mut Option<Standing>, others: &mut Vec<Standing>, standing: Standing) {
    let is_tighter = tightest
        .as_ref()
        .is_none_or(|known| known.percent < standing.percent);
    if is_tighter {
        others.extend(tightest.replace(standing));
    } else {
        others.push(standing);
    }
}

/// Accounts in memory, by the name of their budget and by whose they are.
#[derive(Debug, Default)]
pub(crate) struct Book {
    accounts: HashMap<Arc<str>, HashMap<Arc<str>, Account>>,
    len: usize,
    /// Until when there is no use in looking for room.
    full_until: Timestamp,
}

impl Shelf for Book {
    type Error = BudgetError;

    fn with<R>(
        &mut self,
        post: &Post,
        now: Timestamp,
        change: impl FnOnce(&mut Account) -> R,
    ) -> Result<R, BudgetError> {
        let known = self.accounts.get_mut(&post.budget.name);
        if let Some(account) = known.and_then(|of| of.get_mut(&post.scope)) {
            return Ok(change(account));
        }
        if self.len >= MAX_ACCOUNTS && now >= self.full_until {
            self.forget(now);
        }
        if self.len >= MAX_ACCOUNTS {
            let message = format!(
                "the ledger has {MAX_ACCOUNTS} accounts, which is as many as it keeps in memory; use one in a store, or fewer scopes"
            );
            return Err(BudgetError::new(BudgetErrorKind::Ledger, message));
        }
        self.len += 1;
        let of = self.accounts.entry(post.budget.name.clone()).or_default();
        let account = of
            .entry(post.scope.clone())
            .or_insert_with(|| Account::new(&post.budget, now));
        Ok(change(account))
    }
}

impl Book {
    #[cfg(test)]
    pub(crate) fn get(&self, budget: &str, scope: &str) -> Option<&Account> {
        self.accounts.get(budget)?.get(scope)
    }

    #[cfg(test)]
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str, &Account)> {
        self.accounts.iter().flat_map(|(budget, of)| {
            let of = of.iter();
            of.map(move |(scope, account)| (&**budget, &**scope, account))
        })
    }

    pub(crate) fn of_mut(
        &mut self,
        budget: &str,
    ) -> impl Iterator<Item = (&Arc<str>, &mut Account)> {
        self.accounts.get_mut(budget).into_iter().flatten()
    }

    /// The account of a budget that is nearest to its cap.
    pub(crate) fn tightest(&mut self, budget: &Arc<Budget>, now: Timestamp) -> Option<Standing> {
        let turned = self.of_mut(&budget.name).map(|(scope, account)| {
            account.turn(budget, now);
            (account.current.percent(budget), scope, &*account)
        });
        let (_, scope, account) = turned.max_by_key(|(percent, ..)| *percent)?;
        let post = Post {
            budget: budget.clone(),
            scope: scope.clone(),
        };
        Some(standing(&post, &account.current))
    }

    /// Gives up the accounts of periods that are over, and those of runs that have been idle for long enough to be over.
    fn forget(&mut self, now: Timestamp) {
        self.keep(|account| !account.is_over(now));
        if self.len > MAX_ACCOUNTS / 2 {
            self.keep(|account| !account.is_idle_run(IDLE_WHEN_FULL, now));
        }
        // Where that was no help, it is not tried again for each that comes.
        self.full_until = now.checked_add(AGAIN_WHEN_FULL).unwrap_or(now);
    }

    fn keep(&mut self, is_kept: impl Fn(&Account) -> bool) {
        for of in self.accounts.values_mut() {
            of.retain(|_, account| is_kept(account));
        }
        self.accounts.retain(|_, of| !of.is_empty());
        self.len = self.accounts.values().map(HashMap::len).sum();
    }
}
