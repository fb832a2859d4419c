//! Many tasks at a time, on threads of a real runtime.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use tokio::task::JoinSet;

use crate::{
    budget::{Amounts, Budget, BudgetErrorKind, Ledger, Reservation},
    cost::Usd,
    operation::RunContext,
};

const ROUNDS: u64 = 100;
const TASKS: u64 = 10_000;

/// What each of them asks for, in nano-USD.
const ASK: u64 = 333;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn b1_of_10_000_concurrent_reservations_exactly_those_that_fit_are_admitted_100_times() {
    for round in 0..ROUNDS {
        // Between none and all of them fit, and there is always a rest that one more would pass.
        let fit = round * TASKS / ROUNDS;
        let cap = fit * ASK + (ASK - 1);
        let ledger = Ledger::builder()
            .budget(Budget::new("all").max_usd(Usd::from_nanos(cap)))
            .build()
            .unwrap();
        let over = Arc::new(AtomicBool::new(false));
        let seen = Arc::new(AtomicU64::new(0));
        let observer = tokio::spawn(observe(ledger.clone(), cap, over.clone(), seen.clone()));
        let admitted = reserve_all(&ledger).await;
        assert_eq!(admitted.len() as u64, fit);
        let standing = ledger.standings().await.unwrap().remove(0);
        assert_eq!(standing.reserved.usd.nanos(), fit * ASK);
        assert_eq!(standing.committed, Amounts::ZERO);

        let committed = end_all(admitted);
        over.store(true, Ordering::Release);
        observer.await.unwrap();
        assert!(seen.load(Ordering::Relaxed) > 0);
        let standing = ledger.standings().await.unwrap().remove(0);
        assert_eq!(standing.reserved, Amounts::ZERO);
        assert_eq!(standing.committed.usd.nanos(), committed);
        assert_eq!(standing.debt, Amounts::ZERO);
    }
}

/// Looks at the account again and again.
async fn observe(ledger: Ledger, cap: u64, over: Arc<AtomicBool>, seen: Arc<AtomicU64>) {
    loop {
        let is_over = over.load(Ordering::Acquire);
        for standing in ledger.standings().await.unwrap() {
            let taken = standing.committed.plus(&standing.reserved).usd.nanos();
            assert!(taken <= cap, "{taken} of {cap}");
            seen.fetch_add(1, Ordering::Relaxed);
        }
        if is_over {
            return;
        }
        tokio::task::yield_now().await;
    }
}

/// What was admitted; all of it is held until the last of them has asked.
async fn reserve_all(ledger: &Ledger) -> Vec<Reservation> {
    let context = RunContext::new();
    let mut tasks = JoinSet::new();
    for _ in 0..TASKS {
        let (ledger, context) = (ledger.clone(), context.clone());
        tasks.spawn(async move {
            let ask = Amounts::usd(Usd::from_nanos(ASK));
            match ledger.reserve(&context, ask, "work").await {
                Ok(reservation) => Some(reservation),
                Err(refused) => {
                    assert_eq!(refused.kind(), BudgetErrorKind::Exhausted);
                    None
                }
            }
        });
    }
    tasks.join_all().await.into_iter().flatten().collect()
}

/// Settles, releases and drops them in turn; answers with what they came to.
fn end_all(admitted: Vec<Reservation>) -> u64 {
    let mut committed = 0;
    for (number, mut reservation) in admitted.into_iter().enumerate() {
        match number % 4 {
            0 => {
                reservation.settle(Amounts::usd(Usd::from_nanos(ASK - 1)));
                committed += ASK - 1;
            }
            1 => reservation.release(),
            2 => drop(reservation),
            _ => {
                reservation.begin();
                drop(reservation);
                committed += ASK;
            }
        }
    }
    committed
}
