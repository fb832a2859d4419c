//! Accounts of budgets that several handles share.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicI64, Ordering},
    },
    task::Poll,
    time::SystemTime,
};

use futures_util::future::{BoxFuture, join_all};

use super::*;
use crate::{
    budget::{
        Alert, AlertKind, AlertSink, Amounts, Budget, BudgetError, BudgetErrorKind, Dimension,
        Ledger, Measure, Scope, Standing, Window,
    },
    operation::RunContext,
    store::sqlite::schema::PAGE_BYTES,
};

/// A clock that shows what the test says.
#[derive(Clone, Debug)]
struct TestClock(Arc<AtomicI64>);

impl TestClock {
    fn new() -> Self {
        // Some time before the end of an hour.
        Self(Arc::new(AtomicI64::new(
            1_800_000_000 / 3_600 * 3_600 + 3_000,
        )))
    }

    fn advance(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> SystemTime {
        let seconds = self.0.load(Ordering::SeqCst).unsigned_abs();
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }
}

/// Keeps what it is told.
#[derive(Clone, Debug, Default)]
struct Told(Arc<Mutex<Vec<Alert>>>);

impl AlertSink for Told {
    fn deliver<'a>(&'a self, alert: &'a Alert) -> BoxFuture<'a, Result<(), String>> {
        self.0.lock().unwrap().push(alert.clone());
        Box::pin(async { Ok(()) })
    }
}

impl Told {
    fn percents(&self) -> Vec<u8> {
        let told = self.0.lock().unwrap();
        let percent = |alert: &Alert| match alert.kind {
            AlertKind::Threshold { percent } => Some(percent),
            _ => None,
        };
        told.iter().filter_map(percent).collect()
    }

    fn exhausted(&self) -> usize {
        let told = self.0.lock().unwrap();
        told.iter()
            .filter(|alert| alert.kind == AlertKind::Exhausted)
            .count()
    }
}

/// A sink that never comes to its end, as where the process ends before.
#[derive(Debug)]
struct Stuck;

impl AlertSink for Stuck {
    fn deliver<'a>(&'a self, _: &'a Alert) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(std::future::pending())
    }
}

fn requests(requests: u64) -> Amounts {
    Amounts {
        requests,
        ..Amounts::ZERO
    }
}

fn tokens(tokens: u64) -> Amounts {
    Amounts {
        tokens,
        ..Amounts::ZERO
    }
}

fn ledger(store: &SqliteStore, budgets: impl IntoIterator<Item = Budget>) -> Ledger {
    let builder = Ledger::builder().store(store);
    let builder = budgets
        .into_iter()
        .fold(builder, crate::budget::LedgerBuilder::budget);
    builder.build().unwrap()
}

async fn only(ledger: &Ledger) -> Standing {
    let mut standings = ledger.standings().await.unwrap();
    assert_eq!(standings.len(), 1, "{standings:?}");
    standings.pop().unwrap()
}

async fn reserve(ledger: &Ledger, ask: Amounts) -> Result<(), BudgetError> {
    let context = RunContext::new();
    let mut reservation = ledger.reserve(&context, ask, "a test").await?;
    reservation.begin();
    drop(reservation);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b8_two_handles_on_one_file_admit_up_to_the_cap_and_all_or_none() {
    let (_folder, path) = place();
    let budgets = || {
        [
            Budget::new("all").max_tokens(1_000),
            Budget::new("users")
                .scope(Scope::each(Dimension::User))
                .max_tokens(201),
        ]
    };
    let stores = [
        SqliteStore::open(&path).unwrap(),
        SqliteStore::open(&path).unwrap(),
    ];
    let ledgers = stores.each_ref().map(|store| ledger(store, budgets()));
    let tasks = (0..300).map(|n: usize| {
        let ledger = ledgers[n % 2].clone();
        tokio::spawn(async move {
            let user = format!("user-{}", n % 5);
            let context = RunContext::builder().user(user).build();
            let asked = ledger.reserve(&context, tokens(7), "a test").await;
            match asked {
                Ok(mut reservation) => {
                    reservation.begin();
                    reservation.settle(tokens(if n.is_multiple_of(3) { 7 } else { 4 }));
                    (n.is_multiple_of(3), 1)
                }
                Err(error) => {
                    assert_eq!(error.kind(), BudgetErrorKind::Exhausted, "{error}");
                    (false, 0)
                }
            }
        })
    });
    let mut wanted = 0;
    for done in join_all(tasks).await {
        let (is_whole, count) = done.unwrap();
        wanted += count * if is_whole { 7 } else { 4 };
    }
    for ledger in &ledgers {
        let standings = ledger.standings().await.unwrap();
        let (all, users) = standings.split_first().unwrap();
        assert_eq!(all.committed.tokens, wanted);
        assert!((600..=1_000).contains(&wanted), "{wanted}");
        assert_eq!(all.reserved, Amounts::ZERO);
        let sum = users.iter().map(|user| user.committed.tokens).sum::<u64>();
        assert_eq!(
            (users.len(), sum),
            (5, wanted),
            "in all accounts or in none"
        );
        assert!(users.iter().all(|user| user.committed.tokens <= 201));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b8_at_the_boundary_of_a_window_it_begins_anew_exactly_once() {
    let (_folder, path) = place();
    let (clock, told) = (TestClock::new(), Told::default());
    let stores = [
        SqliteStore::open(&path).unwrap(),
        SqliteStore::open(&path).unwrap(),
    ];
    let ledgers = stores.each_ref().map(|store| {
        let budget = Budget::new("hourly").window(Window::Hour).max_requests(10);
        let builder = Ledger::builder().budget(budget).store(store);
        let builder = builder.clock(clock.clone()).alert(told.clone());
        builder.build().unwrap()
    });
    let context = RunContext::new();
    for hour in 1..=3 {
        // What is admitted in the hour before, and ends in this, takes nothing of it.
        let late = ledgers[0].reserve(&context, requests(5), "late").await;
        clock.advance(3_600);
        let asked = (0..50).map(|n: usize| reserve(&ledgers[n % 2], requests(1)));
        let admitted = join_all(asked).await;
        let admitted = admitted.iter().filter(|asked| asked.is_ok()).count();
        assert_eq!(admitted, 10, "{hour}");
        if let Ok(mut late) = late {
            late.begin();
            late.settle(requests(5));
        }
        for ledger in &ledgers {
            let standing = only(ledger).await;
            assert_eq!(standing.committed.requests, 10);
            assert_eq!(standing.reserved, Amounts::ZERO);
        }
        for ledger in &ledgers {
            ledger.flush().await;
        }
        let (mut percents, exhausted) = (told.percents(), told.exhausted());
        percents.sort_unstable();
        let mut wanted = [50, 80, 100].repeat(hour);
        // Half of it in the first hour, too.
        wanted.push(50);
        wanted.sort_unstable();
        assert_eq!(percents, wanted);
        assert_eq!(exhausted, hour);
    }
}

#[tokio::test]
async fn b7_each_threshold_is_told_once_over_two_handles_and_restarts() {
    let (_folder, path) = place();
    let told = Told::default();
    for _life in 0..4 {
        let stores = [
            SqliteStore::open(&path).unwrap(),
            SqliteStore::open(&path).unwrap(),
        ];
        let ledgers = stores.each_ref().map(|store| {
            let builder = Ledger::builder().budget(Budget::new("all").max_requests(40));
            builder.store(store).alert(told.clone()).build().unwrap()
        });
        for n in 0..12 {
            drop(reserve(&ledgers[n % 2], requests(1)).await);
        }
        for ledger in &ledgers {
            ledger.flush().await;
        }
    }
    assert_eq!(told.percents(), [50, 80, 100]);
    assert_eq!(told.exhausted(), 1);
}

#[test]
fn b7_what_was_not_delivered_is_told_once_by_whoever_comes_next() {
    let (_folder, path) = place();
    block_on(async {
        let store = SqliteStore::open(&path).unwrap();
        let builder = Ledger::builder().budget(Budget::new("all").max_requests(10));
        let ledger = builder.store(&store).alert(Stuck).build().unwrap();
        for _ in 0..9 {
            reserve(&ledger, requests(1)).await.unwrap();
        }
        // While it is there, it may still be delivering.
        let other = SqliteStore::open(&path).unwrap();
        let told = Told::default();
        let builder = Ledger::builder().budget(Budget::new("all").max_requests(10));
        let builder = builder.store(&other).alert(told.clone());
        let waits = builder.build().unwrap();
        waits.standings().await.unwrap();
        waits.flush().await;
        assert_eq!(told.percents(), [0; 0]);
    });
    for wanted in [&[50, 80][..], &[]] {
        block_on(async {
            let (store, told) = (SqliteStore::open(&path).unwrap(), Told::default());
            let builder = Ledger::builder().budget(Budget::new("all").max_requests(10));
            let builder = builder.store(&store).alert(told.clone());
            let ledger = builder.build().unwrap();
            ledger.standings().await.unwrap();
            ledger.flush().await;
            assert_eq!(told.percents(), wanted);
        });
    }
}

#[test]
fn b5_what_a_process_that_ended_had_put_aside_is_charged_whole_and_listed() {
    let (_folder, path) = place();
    let status = other_process("spend", &path).status().unwrap();
    assert!(!status.success());
    block_on(async {
        let (store, told) = (SqliteStore::open(&path).unwrap(), Told::default());
        let budget = Budget::new("all").max_tokens(1_000);
        let builder = Ledger::builder().budget(budget).store(&store);
        let ledger = builder.alert(told.clone()).build().unwrap();
        // 100 settled, and 600 of which nobody knows: it was charged before anything is admitted.
        reserve(&ledger, tokens(301)).await.unwrap_err();
        ledger.flush().await;
        assert_eq!(told.percents(), [50], "its alert is due");
        let standing = only(&ledger).await;
        assert_eq!(standing.committed.tokens, 700);
        assert_eq!(standing.reserved, Amounts::ZERO);
        let doubts = ledger.in_doubt(10).await.unwrap();
        assert_eq!(doubts.len(), 2);
        assert_eq!(
            (&*doubts[0].what, doubts[0].charged),
            ("second", tokens(400))
        );
        assert_eq!(
            (&*doubts[1].what, doubts[1].charged),
            ("first", tokens(200))
        );
        assert_eq!(*doubts[0].run_id, *"killed");
        assert_eq!(*doubts[0].budgets[0], *"all");
        reserve(&ledger, tokens(300)).await.unwrap();
        assert_eq!(only(&ledger).await.committed.tokens, 1_000);
        assert_eq!(ledger.in_doubt(1).await.unwrap().len(), 1);
    });
}

pub(super) fn spend_and_abort(path: &Path) {
    block_on(async {
        let store = SqliteStore::open(path).unwrap();
        let ledger = ledger(&store, [Budget::new("all").max_tokens(1_000)]);
        let context = RunContext::builder().run_id("killed").build();
        let mut settled = ledger.reserve(&context, tokens(150), "x").await.unwrap();
        settled.begin();
        settled.settle(tokens(100));
        let first = ledger.reserve(&context, tokens(200), "first").await;
        let _first = first.unwrap();
        let second = ledger.reserve(&context, tokens(400), "second").await;
        let mut second = second.unwrap();
        second.begin();
        // Neither is heard of any more: the second was begun, the first was not.
        std::process::abort();
    });
}

#[test]
fn b5_a_reservation_that_is_given_up_at_any_point_goes_back() {
    let (_folder, path) = place();
    let store = SqliteStore::open(&path).unwrap();
    let ledger = ledger(&store, [Budget::new("all").max_requests(10)]);
    let context = RunContext::new();
    block_on(async {
        // So that no more is to be opened.
        reserve(&ledger, requests(1)).await.unwrap();
        for round in 0..20 {
            let mut asked = Box::pin(ledger.reserve(&context, requests(9), "x"));
            let polled = std::future::poll_fn(|cx| Poll::Ready(asked.as_mut().poll(cx).is_ready()));
            assert!(!polled.await);
            if round % 2 == 0 {
                // The writer has answered, and nobody has taken it.
                ledger.flush().await;
            }
            drop(asked);
            // Where nobody waited for the answer, it goes back behind it.
            ledger.flush().await;
            let standing = only(&ledger).await;
            assert_eq!(
                (standing.committed, standing.reserved),
                (requests(1), Amounts::ZERO)
            );
        }
    });
}

fn quick(path: &Path) -> SqliteStore {
    let settings = Settings {
        busy: Duration::ZERO,
        ..Settings::default()
    };
    SqliteStore::open_with(path, settings).unwrap()
}

#[tokio::test]
async fn b5_a_locked_file_admits_nothing_and_what_is_settled_meanwhile_is_charged_later() {
    let (_folder, path) = place();
    let store = quick(&path);
    let ledger = ledger(&store, [Budget::new("all").max_requests(10)]);
    let context = RunContext::new();
    let mut held = Vec::new();
    for _ in 0..4 {
        let mut reservation = ledger.reserve(&context, requests(1), "x").await.unwrap();
        reservation.begin();
        held.push(reservation);
    }
    let other = raw(&path);
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    for reservation in held {
        reservation.settle(requests(1));
    }
    for _ in 0..3 {
        let error = reserve(&ledger, requests(1)).await.unwrap_err();
        assert_eq!(error.kind(), BudgetErrorKind::Ledger);
        let source = std::error::Error::source(&error).unwrap();
        let store: &StoreError = source.downcast_ref().unwrap();
        assert_eq!(store.kind(), StoreErrorKind::Busy);
    }
    other.execute_batch("ROLLBACK").unwrap();
    let standing = only(&ledger).await;
    assert_eq!(
        (standing.committed, standing.reserved),
        (requests(4), Amounts::ZERO)
    );
}

#[tokio::test]
async fn b5_what_was_settled_is_on_disk_when_the_last_handle_is_dropped() {
    let (_folder, path) = place();
    for life in 1..=20 {
        let store = SqliteStore::open(&path).unwrap();
        let ledger = ledger(&store, [Budget::new("all").max_requests(1_000)]);
        let context = RunContext::builder().ledger(&ledger).build();
        for _ in 0..20 {
            let asked = ledger.reserve(&context, requests(1), "x").await;
            let mut reservation = asked.unwrap();
            reservation.begin();
            reservation.settle(requests(1));
        }
        drop((context, ledger, store));
        let kept: String = raw(&path)
            .query_row("SELECT account FROM ledger_accounts", [], |row| row.get(0))
            .unwrap();
        let kept: serde_json::Value = serde_json::from_str(&kept).unwrap();
        assert_eq!(kept["current"]["committed"]["requests"], 20 * life);
        let left = std::fs::read_dir(open::beside(&path, "-leases")).unwrap();
        assert_eq!(left.count(), 0);
    }
}

#[tokio::test]
async fn b5_a_full_disk_admits_nothing_and_what_is_settled_meanwhile_is_charged_later() {
    let (_folder, path) = place();
    let store = SqliteStore::open(&path).unwrap();
    let ledger = ledger(&store, [Budget::per_run("runs").max_requests(10)]);
    let pages = |most: u32| {
        store.write(None, Promise::Process, move |logs| {
            let set = logs.conn.pragma_update(None, "max_page_count", most);
            set.map_err(Fault::from)
        })
    };
    pages(1).await.unwrap();
    let mut held = Vec::new();
    let error = loop {
        let context = RunContext::new();
        match ledger
            .reserve(&context, requests(2), "x".repeat(2_000))
            .await
        {
            Ok(mut reservation) => {
                reservation.begin();
                held.push(reservation);
            }
            Err(error) => break error,
        }
        assert!(held.len() < 1_000);
    };
    assert_eq!(error.kind(), BudgetErrorKind::Ledger);
    let source = std::error::Error::source(&error).unwrap();
    let text = source.to_string();
    assert!(text.contains("bytes are free"), "{text}");
    let count = held.len();
    assert!(count > 0);
    for reservation in held {
        reservation.settle(requests(1));
    }
    pages(10_000).await.unwrap();
    let standings = ledger.standings().await.unwrap();
    assert_eq!(standings.len(), count);
    for standing in standings {
        assert_eq!(
            (standing.committed, standing.reserved),
            (requests(1), Amounts::ZERO)
        );
    }
}

#[tokio::test]
async fn s2_a_damaged_account_admits_nothing_until_it_is_reset() {
    let (_folder, path) = place();
    let store = SqliteStore::open(&path).unwrap();
    let first = ledger(&store, [Budget::new("all").max_requests(10)]);
    reserve(&first, requests(3)).await.unwrap();
    let context = RunContext::new();
    let held = first.reserve(&context, requests(4), "x").await.unwrap();
    first.flush().await;
    let sql =
        "UPDATE ledger_accounts SET account = replace(account, '\"requests\":3', '\"requests\":1')";
    assert_eq!(raw(&path).execute(sql, []).unwrap(), 1);
    let other = SqliteStore::open(&path).unwrap();
    let second = ledger(&other, [Budget::new("all").max_requests(10)]);
    for ledger in [&first, &second] {
        let error = reserve(ledger, requests(1)).await.unwrap_err();
        assert_eq!(error.kind(), BudgetErrorKind::Ledger);
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.contains("damaged at budget `all`"), "{source}");
        ledger.standings().await.unwrap_err();
    }
    assert_eq!(second.reset("all", None).await.unwrap(), 1);
    let standing = only(&second).await;
    assert_eq!(
        (standing.committed, standing.reserved),
        (Amounts::ZERO, requests(4))
    );
    reserve(&second, requests(7)).await.unwrap_err();
    held.release();
    first.flush().await;
    reserve(&second, requests(10)).await.unwrap();
}

#[test]
fn s2_a_bit_that_falls_over_in_the_ledger_is_never_another_amount() {
    let (_folder, path) = place();
    block_on(async {
        let store = SqliteStore::open(&path).unwrap();
        let ledger = ledger(&store, [Budget::new("all").max_tokens(1_000)]);
        reserve(&ledger, tokens(777)).await.unwrap();
    });
    let closed = std::fs::read(&path).unwrap();
    let used: Vec<usize> = (0..closed.len()).filter(|at| closed[*at] != 0).collect();
    let mut random = fastrand::Rng::with_seed(5);
    let (mut refused, mut same) = (0, 0);
    for _ in 0..300 {
        let mut damaged = closed.clone();
        let page = random.usize(..closed.len() / PAGE_BYTES as usize);
        let at = match random.u8(0..2) {
            0 => used[random.usize(..used.len())],
            _ => page * PAGE_BYTES as usize + random.usize(..24),
        };
        damaged[at] ^= 1 << random.u8(0..8);
        let (_folder, path) = place();
        std::fs::write(&path, damaged).unwrap();
        let read = block_on(async {
            let store = SqliteStore::open(&path).map_err(BudgetError::store)?;
            let ledger = ledger(&store, [Budget::new("all").max_tokens(1_000)]);
            reserve(&ledger, tokens(223)).await?;
            // What cannot be settled stays put aside.
            let standing = ledger.standings().await?.pop().unwrap();
            Ok::<_, BudgetError>(standing.committed.tokens + standing.reserved.tokens)
        });
        match read {
            Ok(tokens) => {
                assert_eq!(tokens, 1_000, "{at}");
                same += 1;
            }
            Err(error) => {
                assert_eq!(error.kind(), BudgetErrorKind::Ledger, "{at}: {error}");
                refused += 1;
            }
        }
    }
    assert!(refused > 20 && same > 20, "{refused} {same}");
}

#[tokio::test]
async fn accounts_of_runs_that_are_over_make_room_for_new_ones() {
    let (_folder, path) = place();
    let store = SqliteStore::open(&path).unwrap();
    let clock = TestClock::new();
    let builder = Ledger::builder().budget(Budget::per_run("runs").max_requests(10));
    let ledger = builder.store(&store).clock(clock.clone()).build().unwrap();
    let long = RunContext::new();
    let held = ledger.reserve(&long, requests(1), "x").await.unwrap();
    let mut counts = BTreeMap::new();
    for day in 0..4 {
        for _ in 0..60 {
            reserve(&ledger, requests(1)).await.unwrap();
        }
        counts.insert(day, ledger.standings().await.unwrap().len());
        clock.advance(25 * 3_600);
    }
    assert_eq!(counts[&0], 61);
    assert_eq!(
        counts[&3], 61,
        "those of the days before are gone: {counts:?}"
    );
    let all = ledger.standings().await.unwrap();
    let open = all
        .iter()
        .filter(|one| one.left(Measure::Requests) == Some(9));
    assert!(open.count() >= 1);
    held.release();
}
