//! The queues: who is told, in which order, how long a sink may take, and on whose runtime.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::{
    FutureExt,
    future::{BoxFuture, join_all, pending, ready},
};
use jiff::Timestamp;
use tokio::{
    runtime::{Builder, Runtime},
    sync::mpsc,
};

use super::super::Outlet;
use crate::{
    budget::{
        Alert, AlertKind, AlertSink, Amounts, Budget, BudgetError, InDoubt, Ledger, LedgerBuilder,
        Standing,
        shared::{Demand, Edit, Reserved, Settlement, SharedAccounts, Tell, Which},
    },
    cost::Usd,
    operation::RunContext,
};

/// Writes down what it is told.
#[derive(Clone, Debug, Default)]
struct Notes(Arc<Mutex<Vec<Alert>>>);

impl Notes {
    fn thresholds(&self) -> Vec<u8> {
        let notes = self.0.lock().unwrap();
        let percents = notes.iter().filter_map(|alert| match alert.kind {
            AlertKind::Threshold { percent } => Some(percent),
            _ => None,
        });
        percents.collect()
    }

    fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

impl AlertSink for Notes {
    fn deliver<'a>(&'a self, alert: &'a Alert) -> BoxFuture<'a, Result<(), String>> {
        self.0.lock().unwrap().push(alert.clone());
        ready(Ok(())).boxed()
    }
}

/// What a sink does that does not do its work.
#[derive(Clone, Copy, Debug)]
enum Bad {
    Fails,
    Hangs,
    Panics,
}

impl AlertSink for Bad {
    fn deliver<'a>(&'a self, _: &'a Alert) -> BoxFuture<'a, Result<(), String>> {
        match self {
            Self::Fails => ready(Err("nobody is at home".to_owned())).boxed(),
            Self::Hangs => pending().boxed(),
            Self::Panics => panic!("a sink panics"),
        }
    }
}

fn budget() -> LedgerBuilder {
    let budget = Budget::new("b").max_usd(Usd::from_nanos(100));
    Ledger::builder().budget(budget.alerts([50, 80, 100]))
}

fn nanos(nanos: u64) -> Amounts {
    Amounts::usd(Usd::from_nanos(nanos))
}

async fn spend(ledger: &Ledger, used: u64) {
    let context = RunContext::new();
    let reservation = ledger.reserve(&context, nanos(used), "m").await.unwrap();
    reservation.settle(nanos(used));
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_that_is_given_on_a_thread_without_a_runtime_is_delivered() {
    let notes = Notes::default();
    let ledger = budget().alert(notes.clone()).build().unwrap();
    let context = RunContext::new();
    let mut reservation = ledger.reserve(&context, nanos(60), "m").await.unwrap();
    reservation.begin();
    std::thread::spawn(move || drop(reservation))
        .join()
        .unwrap();
    ledger.flush().await;
    assert_eq!(notes.thresholds(), [50]);
}

#[test]
fn what_was_given_before_there_was_a_runtime_is_delivered_by_the_first_one() {
    let notes = Notes::default();
    let ledger = budget().alert(notes.clone()).build().unwrap();
    ledger.charge(&RunContext::new(), nanos(60));
    assert_eq!(notes.len(), 0);
    runtime().block_on(async {
        spend(&ledger, 20).await;
        ledger.flush().await;
    });
    assert_eq!(notes.thresholds(), [50, 80]);
}

/// Hangs the first time, then writes down.
#[derive(Debug, Default)]
struct Later {
    has_hung: Mutex<bool>,
    notes: Notes,
}

impl AlertSink for Arc<Later> {
    fn deliver<'a>(&'a self, alert: &'a Alert) -> BoxFuture<'a, Result<(), String>> {
        if !std::mem::replace(&mut *self.has_hung.lock().unwrap(), true) {
            return pending().boxed();
        }
        self.notes.deliver(alert)
    }
}

#[test]
fn what_a_runtime_takes_down_with_it_is_delivered_by_the_next() {
    let later = Arc::new(Later::default());
    let ledger = budget().alert(later.clone()).build().unwrap();
    let first = runtime();
    first.block_on(async {
        spend(&ledger, 50).await;
        spend(&ledger, 30).await;
        while !*later.has_hung.lock().unwrap() {
            tokio::task::yield_now().await;
        }
    });
    drop(first);
    runtime().block_on(ledger.flush());
    assert_eq!(later.notes.thresholds(), [50, 80]);
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_hangs_fails_or_panics_keeps_no_other_waiting() {
    let (sender, mut told) = mpsc::unbounded_channel();
    let ledger = budget()
        .alert(Bad::Hangs)
        .alert(Bad::Fails)
        .alert(Bad::Panics)
        .on_alert(move |alert| sender.send(alert.kind).unwrap())
        .build()
        .unwrap();
    let start = tokio::time::Instant::now();
    spend(&ledger, 50).await;
    spend(&ledger, 30).await;
    for percent in [50, 80] {
        assert_eq!(told.recv().await, Some(AlertKind::Threshold { percent }));
    }
    assert_eq!(start.elapsed(), Duration::ZERO);
    ledger.flush().await;
    // The one that hangs was given 30 seconds for each of the two.
    assert_eq!(start.elapsed(), Duration::from_mins(1));
    assert_eq!(ledger.alerts_lost(), 6);
}

#[tokio::test(start_paused = true)]
async fn no_more_than_a_thousand_alerts_wait_and_those_that_do_not_are_counted() {
    let notes = Notes::default();
    let ledger = budget()
        .alert(Bad::Hangs)
        .alert(notes.clone())
        .build()
        .unwrap();
    // The first one spends the cap, with its three thresholds; each that follows is owed, which is told each time.
    for _ in 0..1_030 {
        ledger.charge(&RunContext::new(), nanos(100));
        tokio::task::yield_now().await;
    }
    assert_eq!(notes.len(), 3 + 1_029);
    assert_eq!(ledger.alerts_lost(), 1_032 - 1_024);
    let kinds: Vec<_> = ledger.alerts().into_iter().collect();
    let counted = |kind, count| ((Arc::from("b"), kind), count);
    assert_eq!(kinds, [counted("debt", 1_029), counted("threshold", 3)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn b7_each_threshold_is_told_once_and_in_order_by_64_tasks() {
    let notes = [Notes::default(), Notes::default()];
    let budget = Budget::new("b").max_usd(Usd::from_nanos(6_400));
    let ledger = Ledger::builder()
        .budget(budget.alerts(1..=100))
        .alert(notes[0].clone())
        .alert(notes[1].clone())
        .build()
        .unwrap();
    let tasks = (0..64).map(|_| {
        let ledger = ledger.clone();
        tokio::spawn(async move {
            for _ in 0..100 {
                spend(&ledger, 1).await;
            }
        })
    });
    for task in join_all(tasks).await {
        task.unwrap();
    }
    ledger.flush().await;
    for notes in notes {
        assert_eq!(notes.thresholds(), (1..=100).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_ledger_that_is_dropped_still_tells_what_was_given() {
    let (sender, mut told) = mpsc::unbounded_channel();
    let ledger = budget()
        .on_alert(move |alert| sender.send(alert.kind).unwrap())
        .build()
        .unwrap();
    spend(&ledger, 80).await;
    drop(ledger);
    for percent in [50, 80] {
        assert_eq!(told.recv().await, Some(AlertKind::Threshold { percent }));
    }
    // The task is over, and with it the sink.
    assert_eq!(told.recv().await, None);
}

#[tokio::test]
async fn after_a_reset_an_alert_is_another_one() {
    let notes = Notes::default();
    let ledger = budget().alert(notes.clone()).build().unwrap();
    for _ in 0..2 {
        spend(&ledger, 60).await;
        ledger.reset("b", None).await.unwrap();
    }
    ledger.flush().await;
    let notes = notes.0.lock().unwrap();
    assert_eq!(notes.len(), 2);
    assert_ne!(notes[0].id, notes[1].id);
}

#[tokio::test]
async fn what_is_told_of_is_read_without_waiting() {
    let day = Budget::new("day").max_usd(Usd::from_nanos(100));
    let ledger = Ledger::builder()
        .budget(day)
        .budget(Budget::per_run("run").max_requests(4))
        .build()
        .unwrap();
    assert_eq!(ledger.latest(), []);
    let used = |requests| Amounts {
        requests,
        ..nanos(10)
    };
    for requests in [1, 3, 2] {
        ledger.charge(&RunContext::new(), used(requests));
    }
    let latest: Vec<_> = ledger
        .latest()
        .into_iter()
        .map(|standing| (standing.budget.to_string(), standing.percent))
        .collect();
    // Of the three runs it is the one that is nearest to its cap.
    assert_eq!(latest, [("day".to_owned(), 30), ("run".to_owned(), 75)]);
}

/// A store that notes what was delivered, and is asked for nothing else.
#[derive(Debug, Default)]
struct Store(Mutex<Vec<Arc<str>>>);

impl SharedAccounts for Store {
    fn reserve(&self, _: Demand) -> BoxFuture<'_, Result<Reserved, BudgetError>> {
        unreachable!()
    }

    fn settle(&self, _: Settlement, _: Tell) {
        unreachable!()
    }

    fn standings(
        &self,
        _: Which,
        _: Timestamp,
    ) -> BoxFuture<'_, Result<Vec<Standing>, BudgetError>> {
        unreachable!()
    }

    fn edit(
        &self,
        _: Arc<Budget>,
        _: Option<Arc<str>>,
        _: Edit,
        _: Timestamp,
    ) -> BoxFuture<'_, Result<u64, BudgetError>> {
        unreachable!()
    }

    fn doubts(&self, _: usize) -> BoxFuture<'_, Result<Vec<InDoubt>, BudgetError>> {
        unreachable!()
    }

    fn undelivered(&self, _: Timestamp) -> BoxFuture<'_, Result<Vec<Alert>, BudgetError>> {
        unreachable!()
    }

    fn settled(&self) -> BoxFuture<'_, Result<(), BudgetError>> {
        unreachable!()
    }

    fn delivered(&self, alerts: Vec<Arc<str>>) {
        self.0.lock().unwrap().extend(alerts);
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_hears_that_an_alert_was_delivered_when_all_sinks_are_done_with_it() {
    let store = Arc::new(Store::default());
    let shared: Arc<dyn SharedAccounts> = store.clone();
    let notes = Notes::default();
    let outlet = Outlet::new(vec![Arc::new(notes.clone()), Arc::new(Bad::Hangs)]);
    outlet.tell(super::alert("b", ""), None, Some(&shared));
    while notes.len() == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(store.0.lock().unwrap().len(), 0);
    outlet.flush().await;
    let id = super::alert("b", "").id;
    assert_eq!(&**store.0.lock().unwrap(), std::slice::from_ref(&id));

    // Where there are no sinks, the log is enough.
    let outlet = Outlet::new(Vec::new());
    outlet.tell(super::alert("b", ""), None, Some(&shared));
    assert_eq!(*store.0.lock().unwrap(), [id.clone(), id]);
}
