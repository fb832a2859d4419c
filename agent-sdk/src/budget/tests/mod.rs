//! What budgets hold, seen from an account and from a run.

mod account;
mod attempts;
mod bounds;
mod concurrency;
mod orders;
mod pace;
mod requests;
mod runs;

use std::sync::{Arc, Mutex};

use futures_util::{FutureExt, future::BoxFuture};

use crate::{
    budget::{Alert, AlertSink, Amounts, Budget, Ledger, Standing},
    cost::Usd,
    model::ModelHandle,
    operation::Kind,
    testing::{ScriptedModel, TraceCapture, Turn},
};

fn usd(text: &str) -> Usd {
    text.parse().unwrap()
}

fn nanos(nanos: u64) -> Usd {
    Usd::from_nanos(nanos)
}

/// A ledger of one hard budget for everything.
fn ledger(cap: &str) -> Ledger {
    of(Budget::new("all").max_usd(usd(cap)))
}

fn of(budget: Budget) -> Ledger {
    Ledger::builder().budget(budget).build().unwrap()
}

fn model(turns: impl IntoIterator<Item = Turn>) -> ModelHandle {
    ModelHandle::new(ScriptedModel::new(turns).named("openai", "gpt-4o"))
}

/// How the accounts of a ledger in memory stand.
fn standings(ledger: &Ledger) -> Vec<Standing> {
    ledger.standings().now_or_never().unwrap().unwrap()
}

fn account(ledger: &Ledger, budget: &str, scope: &str) -> Standing {
    let all = standings(ledger);
    let found = all
        .iter()
        .find(|standing| &*standing.budget == budget && &*standing.scope == scope);
    found.unwrap_or_else(|| panic!("{all:?}")).clone()
}

/// What is committed in the one account of a ledger, in which nothing is put aside or owed; nothing where there is none yet.
fn committed(ledger: &Ledger) -> Amounts {
    match &standings(ledger)[..] {
        [] => Amounts::ZERO,
        [standing] => {
            assert_eq!(standing.reserved, Amounts::ZERO);
            assert_eq!(standing.debt, Amounts::ZERO);
            standing.committed
        }
        more => panic!("{more:?}"),
    }
}

/// What all operations that were seen cost themselves, paid tools included.
fn recorded(trace: &TraceCapture) -> Usd {
    let operations = trace.operations();
    let costs = operations.iter().flat_map(|operation| {
        let own = operation.cost.filter(|_| operation.kind != Kind::Tool);
        let paid = operation.facts.charges.iter().map(|(_, paid)| *paid);
        own.into_iter().chain(paid)
    });
    costs.fold(Usd::ZERO, Usd::saturating_add)
}

/// Keeps the alerts it is told, as words.
#[derive(Clone, Debug, Default)]
struct Alerts(Arc<Mutex<Vec<Alert>>>);

impl Alerts {
    fn kinds(&self) -> Vec<&'static str> {
        let alerts = self.0.lock().unwrap();
        alerts.iter().map(|alert| alert.kind.as_str()).collect()
    }
}

impl AlertSink for Alerts {
    fn deliver<'a>(&'a self, alert: &'a Alert) -> BoxFuture<'a, Result<(), String>> {
        self.0.lock().unwrap().push(alert.clone());
        Box::pin(async { Ok(()) })
    }
}
