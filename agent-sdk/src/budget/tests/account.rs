//! One account, with times that the test says.

use std::sync::Arc;

use jiff::Timestamp;
use proptest::prelude::*;

use crate::{
    budget::{
        AlertKind, Amounts, Budget, Measure, Window,
        account::{Account, Charge, Sheet},
        book::{self, Book, Post},
    },
    cost::Usd,
};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + second).unwrap()
}

fn usd(nanos: u64) -> Amounts {
    Amounts::usd(Usd::from_nanos(nanos))
}

fn budget() -> Budget {
    Budget::new("b").max_usd(Usd::from_nanos(1_000))
}

/// Settles and answers with the alerts alone.
fn settle(
    account: &mut Account,
    budget: &Budget,
    start: Option<Timestamp>,
    charge: &Charge,
    now: Timestamp,
) -> Vec<AlertKind> {
    account.settle(budget, start, charge, now, |_| ()).0
}

fn charge(held: u64, used: u64) -> Charge {
    Charge {
        held: usd(held),
        used: usd(used),
    }
}

#[test]
fn b7_each_threshold_is_told_once_and_in_order() {
    let budget = budget();
    let mut account = Account::new(&budget, at(0));
    let mut told = Vec::new();
    for _ in 0..10 {
        let start = account.reserve(&usd(100));
        told.extend(settle(
            &mut account,
            &budget,
            Some(start),
            &charge(100, 100),
            at(1),
        ));
    }
    let percents: Vec<u8> = told
        .into_iter()
        .filter_map(|kind| match kind {
            AlertKind::Threshold { percent } => Some(percent),
            _ => None,
        })
        .collect();
    assert_eq!(percents, [50, 80, 100]);
}

#[test]
fn b9_what_is_billed_above_the_bound_is_owed_and_blocks() {
    let budget = budget();
    let mut account = Account::new(&budget, at(0));
    let start = account.reserve(&usd(100));
    let alerts = settle(&mut account, &budget, Some(start), &charge(100, 150), at(1));
    assert!(alerts.contains(&AlertKind::Debt {
        measure: Measure::Usd,
        debt: 50
    }));
    assert_eq!(account.current.committed, usd(100));
    assert_eq!(account.current.debt, usd(50));
    account.admits(&budget, &usd(1)).unwrap_err();
    account.accept_debt(&budget, at(1));
    assert_eq!(account.current.committed, usd(150));
    account.admits(&budget, &usd(850)).unwrap();
    account.admits(&budget, &usd(851)).unwrap_err();
}

#[test]
fn b8_a_period_begins_anew_and_what_was_admitted_before_stays_in_its_own() {
    let budget = budget().window(Window::Hour);
    let mut account = Account::new(&budget, at(0));
    account.turn(&budget, at(0));
    let start = account.reserve(&usd(1_000));
    account.turn(&budget, at(3_600));
    account.admits(&budget, &usd(1_000)).unwrap();
    let charge = charge(1_000, 900);
    let see = |sheet: &Sheet| (sheet.period.start, sheet.committed);
    let (alerts, seen) = account.settle(&budget, Some(start), &charge, at(3_700), see);
    // What is told is of the period in which it was admitted.
    assert_eq!(seen, (start, usd(900)));
    assert_eq!(
        alerts,
        [
            AlertKind::Threshold { percent: 50 },
            AlertKind::Threshold { percent: 80 }
        ]
    );
    assert_eq!(account.current.committed, Amounts::ZERO);
    // A clock that is set back opens no period again.
    let second = account.current.period;
    account.turn(&budget, at(0));
    assert_eq!(account.current.period, second);
}

#[test]
fn a_budget_that_gets_another_window_begins_its_first_period() {
    let budget = budget();
    let mut account = Account::new(&budget, at(0));
    settle(&mut account, &budget, None, &charge(0, 900), at(1));
    let hourly = budget.clone().window(Window::Hour);
    account.turn(&hourly, at(2));
    assert!(account.current.period.ends());
    account.admits(&hourly, &usd(1_000)).unwrap();
    account.reset(&budget, at(3));
    assert!(!account.current.period.ends());
}

#[test]
fn b8_what_ends_in_the_next_period_is_told_of_the_one_it_was_admitted_in() {
    let post = Post {
        budget: Arc::new(budget().window(Window::Hour)),
        scope: "".into(),
    };
    let posts = [post.clone()];
    let mut book = Book::default();
    let granted = book::reserve(&mut book, &posts, &usd(600), false, at(0)).unwrap();
    let first = granted.unwrap().admitted;
    let told = book::settle(&mut book, &posts, &first, &charge(600, 600), at(3_600)).unwrap();
    let [alert] = &told.alerts[..] else {
        panic!("{told:?}");
    };
    assert_eq!(alert.standing.period.start, first[0]);
    assert_eq!(alert.standing.committed, usd(600));
    // The next period has its own.
    let told = book::settle(&mut book, &posts, &[], &charge(0, 500), at(3_601)).unwrap();
    assert_eq!(told.alerts.len(), 1);
    assert_eq!(told.alerts[0].standing.committed, usd(500));
}

#[test]
fn a_rolling_window_forgets_when_all_of_a_slot_is_older() {
    let budget = budget().window("rolling:1m".parse().unwrap());
    let mut account = Account::new(&budget, at(0));
    let mut seen = Vec::new();
    for second in [0, 30, 59, 60, 61, 62, 90, 91] {
        account.turn(&budget, at(second));
        let start = account.reserve(&usd(100));
        settle(
            &mut account,
            &budget,
            Some(start),
            &charge(100, 100),
            at(second),
        );
        seen.push(account.current.committed.usd.nanos());
    }
    // What was spent at 0 is forgotten at 61, what was at 30 at 91.
    assert_eq!(seen, [100, 200, 300, 400, 400, 500, 600, 600]);
}

#[test]
fn b9_a_debt_that_was_accepted_is_forgotten_by_a_rolling_window_as_all_else_is() {
    let budget = budget().window("rolling:1m".parse().unwrap());
    let mut account = Account::new(&budget, at(0));
    settle(&mut account, &budget, None, &charge(0, 1_500), at(0));
    assert_eq!(account.current.debt, usd(500));
    account.accept_debt(&budget, at(10));
    assert_eq!(account.current.committed, usd(1_500));
    account.turn(&budget, at(61));
    assert_eq!(account.current.committed, usd(500));
    account.turn(&budget, at(71));
    assert_eq!(account.current.committed, Amounts::ZERO);
}

#[test]
fn a_pace_that_ends_too_early_is_told_once_with_the_time_it_is_gone() {
    let budget = budget().window(Window::day()).alerts([100]);
    let midnight = "2026-11-21T00:00:00Z".parse::<Timestamp>().unwrap();
    let hour = |hours: i64| Timestamp::from_second(midnight.as_second() + hours * 3_600).unwrap();
    let mut account = Account::new(&budget, midnight);
    let mut told = Vec::new();
    for (hours, used) in [(8, 30), (10, 30), (12, 30), (14, 30), (15, 150), (16, 150)] {
        told.extend(settle(
            &mut account,
            &budget,
            None,
            &charge(0, used),
            hour(hours),
        ));
    }
    // 30 in two hours lasts until tomorrow; 180 in the two hours before 16:00 does not: 580 are left.
    let gone: Vec<_> = told
        .into_iter()
        .map(|kind| match kind {
            AlertKind::Pace { gone } => gone.to_string(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(gone, ["2026-11-21T22:26:40Z"]);
}

proptest! {
    #[test]
    fn b1_what_is_committed_and_reserved_never_passes_the_cap(
        steps in proptest::collection::vec((any::<bool>(), 0_u64..400, 0_u64..400), 1..200),
    ) {
        let budget = budget();
        let mut account = Account::new(&budget, at(0));
        let mut open = Vec::new();
        let mut used_in_all = 0;
        for (reserve, ask, used) in steps {
            if reserve {
                if account.admits(&budget, &usd(ask)).is_ok() {
                    open.push((account.reserve(&usd(ask)), ask));
                }
            } else if let Some((start, held)) = open.pop() {
                let used = used.min(held);
                used_in_all += used;
                settle(&mut account, &budget, Some(start), &charge(held, used), at(1));
            }
            let sheet = &account.current;
            prop_assert!(sheet.committed.plus(&sheet.reserved).usd <= Usd::from_nanos(1_000));
            prop_assert_eq!(sheet.reserved.usd.nanos(), open.iter().map(|(_, held)| held).sum::<u64>());
            prop_assert_eq!(sheet.committed.usd.nanos(), used_in_all);
            prop_assert!(sheet.debt.is_zero());
        }
    }
}

#[test]
fn accounts_in_memory_stay_bounded_and_make_room_for_new_runs() {
    let budget = Arc::new(Budget::per_run("run").max_requests(10));
    let mut book = Book::default();
    let one = Amounts {
        requests: 1,
        ..Amounts::ZERO
    };
    let run = |number: u32| {
        [Post {
            budget: budget.clone(),
            scope: number.to_string().into(),
        }]
    };
    let charge = Charge {
        held: Amounts::ZERO,
        used: one,
    };
    book::reserve(&mut book, &run(0), &one, false, at(0))
        .unwrap()
        .unwrap();
    for number in 1..100_000 {
        book::settle(&mut book, &run(number), &[], &charge, at(0)).unwrap();
    }
    let mut new = |second| {
        // Who looks at an account does not use it.
        book.tightest(&budget, at(second)).unwrap();
        book::reserve(&mut book, &run(100_000), &one, false, at(second)).map(drop)
    };
    new(899).unwrap_err();
    new(900).unwrap();
    let kept: Vec<_> = book.iter().map(|(_, run, _)| run.to_owned()).collect();
    assert_eq!(kept.len(), 2);
    assert!(kept.contains(&"0".to_owned()), "what is under way is kept");
}
