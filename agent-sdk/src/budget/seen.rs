//! What this process saw of a ledger: for metrics, which must not wait for a store.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;

use super::{Alert, Amounts, Budget, Standing};

/// How many budgets are counted by name; runs may bring their own.
const MAX_NAMES: usize = 1_024;

/// The name under which the others are counted.
const OTHERS: &str = "other";

/// What this process saw of a ledger.
pub(super) struct Seen {
    counts: Mutex<Counts>,
    /// The account of each budget that was nearest to its cap when it was last heard of, for accounts in a store.
    latest: Mutex<Vec<(Arc<Budget>, Option<Standing>)>>,
}

#[derive(Default)]
struct Counts {
    refusals: BTreeMap<Arc<str>, u64>,
    alerts: BTreeMap<(Arc<str>, &'static str), u64>,
}

impl Seen {
    pub(super) fn new(budgets: &[Arc<Budget>]) -> Self {
        let latest = budgets.iter().map(|budget| (budget.clone(), None));
        Self {
            counts: Mutex::default(),
            latest: Mutex::new(latest.collect()),
        }
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn refused(&self, budget: &str) {
        let refusals = &mut self.counts().refusals;
        let is_known = refusals.contains_key(budget) || refusals.len() < MAX_NAMES;
        let name = if is_known { budget } else { OTHERS };
        *refusals.entry(name.into()).or_default() += 1;
    }

    pub(super) fn alerted(&self, alert: &Alert) {
        let counted = &mut self.counts().alerts;
        let (name, kind) = (&alert.standing.budget, alert.kind.as_str());
        let key = (name.clone(), kind);
        let is_known = counted.contains_key(&key) || counted.len() < MAX_NAMES;
        let key = if is_known { key } else { (OTHERS.into(), kind) };
        *counted.entry(key).or_default() += 1;
    }

    pub(super) fn refusals(&self) -> BTreeMap<Arc<str>, u64> {
        self.counts().refusals.clone()
    }

    pub(super) fn alerts(&self) -> BTreeMap<(Arc<str>, &'static str), u64> {
        self.counts().alerts.clone()
    }

    /// Takes note of how accounts in a store stand.
    pub(super) fn stand<'a>(&self, standings: impl Iterator<Item = &'a Standing>, now: Timestamp) {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        for standing in standings {
            let Some((_, known)) = latest
                .iter_mut()
                .find(|(budget, _)| budget.name == standing.budget)
            else {
                continue;
            };
            let is_nearer = known.as_ref().is_none_or(|known| {
                // What ended in a later period than it began in is of the earlier one.
                let is_as_new = known.period.start <= standing.period.start;
                let is_it = known.scope == standing.scope || known.percent <= standing.percent;
                (is_as_new && is_it) || known.period.end <= now
            });
            if is_nearer {
                *known = Some(standing.clone());
            }
        }
    }

    /// The accounts of which [`stand`](Self::stand) took note.
    pub(super) fn latest(&self, now: Timestamp) -> Vec<Standing> {
        let latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let known = latest.iter().filter_map(|(budget, standing)| {
            let mut standing = standing.clone()?;
            if standing.period.end <= now {
                // What is under way since then is not known, nor what else was spent meanwhile.
                standing.period = budget.window.period(now);
                (standing.committed, standing.reserved) = (Amounts::ZERO, Amounts::ZERO);
                (standing.debt, standing.percent) = (Amounts::ZERO, 0);
            }
            Some(standing)
        });
        known.collect()
    }
}
