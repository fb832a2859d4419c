//! Processes that spend from one ledger, and are killed while they do.

use std::{
    collections::{BTreeSet, HashMap},
    fs::{self, OpenOptions},
    io::Write as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use agent_sdk::{
    budget::{Alert, AlertKind, AlertSink, Amounts, Budget, BudgetErrorKind, Ledger, Standing},
    cost::Usd,
    operation::RunContext,
    store::SqliteStore,
};
use futures_util::future::{BoxFuture, join_all};

const FOLDER: &str = "AGENT_SDK_CRASH_LEDGER_FOLDER";
const NAME: &str = "AGENT_SDK_CRASH_LEDGER_NAME";
const COUNT: &str = "AGENT_SDK_CRASH_LEDGER_COUNT";

const PROCESSES: usize = 4;
const EACH: usize = 2_500;
const TASKS: usize = 64;

/// What a reservation holds, in nano-USD: odd, so that nothing adds up by chance.
fn held(n: usize) -> u64 {
    1_000_003 + 7_919 * (n as u64 % 13)
}

/// What it is billed, which is no more.
fn billed(n: usize) -> u64 {
    held(n) - 1 - 104_729 * (n as u64 % 9)
}

/// So much that some are refused at the end.
fn cap() -> u64 {
    let all: u64 = (0..EACH).map(billed).sum();
    all * PROCESSES as u64 / 100 * 97
}

fn usd(nanos: u64) -> Amounts {
    Amounts::usd(Usd::from_nanos(nanos))
}

/// Writes the thresholds down that it is told.
#[derive(Debug)]
struct Notes(PathBuf);

impl AlertSink for Notes {
    fn deliver<'a>(&'a self, alert: &'a Alert) -> BoxFuture<'a, Result<(), String>> {
        if let AlertKind::Threshold { percent } = alert.kind {
            note(&self.0, &format!("{percent} {}", alert.id));
        }
        Box::pin(async { Ok(()) })
    }
}

fn note(path: &Path, line: &str) {
    let mut options = OpenOptions::new();
    let mut file = options.append(true).create(true).open(path).unwrap();
    // In one write: whoever is killed leaves no half of a line.
    file.write_all(format!("{line}\n").as_bytes()).unwrap();
}

fn lines(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

fn ledger(folder: &Path) -> Ledger {
    let store = SqliteStore::open(folder.join("store.db")).unwrap();
    let budget = Budget::new("all").max_usd(Usd::from_nanos(cap()));
    let builder = Ledger::builder().budget(budget).store(&store);
    let builder = builder.alert(Notes(folder.join("alerts")));
    builder.build().unwrap()
}

/// Does nothing unless it is started as a process that spends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_process_that_spends() {
    let (Ok(folder), Ok(name)) = (std::env::var(FOLDER), std::env::var(NAME)) else {
        return;
    };
    let (folder, count) = (PathBuf::from(folder), std::env::var(COUNT).unwrap());
    let count: usize = count.parse().unwrap();
    let ledger = ledger(&folder);
    let bills = folder.join("bills");
    let tasks = (0..TASKS).map(|task| {
        let (ledger, bills, name) = (ledger.clone(), bills.clone(), name.clone());
        tokio::spawn(async move {
            let context = RunContext::builder().run_id(name.clone()).build();
            for n in (task..count).step_by(TASKS) {
                spend(&ledger, &context, &format!("{name}-{n}"), n, &bills).await;
            }
        })
    });
    for task in join_all(tasks).await {
        task.unwrap();
    }
    ledger.flush().await;
}

async fn spend(ledger: &Ledger, context: &RunContext, what: &str, n: usize, bills: &Path) {
    loop {
        match ledger.reserve(context, usd(held(n)), what).await {
            Ok(mut reservation) => {
                reservation.begin();
                note(bills, &format!("{what} {}", billed(n)));
                reservation.settle(usd(billed(n)));
                return;
            }
            // Another process has had the file for long.
            Err(error) if error.kind() == BudgetErrorKind::Ledger => {}
            Err(error) => {
                assert_eq!(error.kind(), BudgetErrorKind::Exhausted, "{error}");
                return;
            }
        }
    }
}

fn start(folder: &Path, name: &str, count: usize) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "ledger::the_process_that_spends", "--nocapture"])
        .env(FOLDER, folder)
        .env(NAME, name)
        .env(COUNT, count.to_string())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// How often a name was billed so far.
fn bills_of(folder: &Path, name: &str) -> usize {
    let name = format!("{name}-");
    let bills = lines(&folder.join("bills"));
    bills.iter().filter(|line| line.starts_with(&name)).count()
}

/// Kills a process once it was billed so often, or has ended.
fn kill_at(folder: &Path, name: &str, mut child: Child, bills: usize) {
    while child.try_wait().unwrap().is_none() && bills_of(folder, name) < bills {
        std::thread::yield_now();
    }
    // One that has ended by itself is no error.
    child.kill().unwrap();
    child.wait().unwrap();
}

fn within_the_cap(standing: &Standing) {
    let taken = standing.committed.usd.nanos() + standing.reserved.usd.nanos();
    assert!(taken <= cap(), "{taken} of {}", cap());
    assert_eq!(standing.debt, Amounts::ZERO);
}

/// What was charged is what was billed and settled, and the whole of what nobody knows of: not a nano-USD more or less.
async fn adds_up(folder: &Path) {
    let ledger = ledger(folder);
    let standings = ledger.standings().await.unwrap();
    let [standing] = &standings[..] else {
        panic!("{standings:?}");
    };
    within_the_cap(standing);
    assert_eq!(standing.reserved, Amounts::ZERO);
    let doubts = ledger.in_doubt(usize::MAX).await.unwrap();
    let mut charged = 0;
    let mut in_doubt = HashMap::new();
    for doubt in &doubts {
        assert!(doubt.what.starts_with(&*doubt.run_id));
        assert!(in_doubt.insert(&*doubt.what, doubt.charged.usd).is_none());
        charged += doubt.charged.usd.nanos();
    }
    let bills = lines(&folder.join("bills"));
    let mut bill = 0;
    for line in &bills {
        let (what, nanos) = line.split_once(' ').unwrap();
        let nanos: u64 = nanos.parse().unwrap();
        bill += nanos;
        if let Some(most) = in_doubt.get(what) {
            assert!(nanos <= most.nanos());
        } else {
            charged += nanos;
        }
    }
    assert_eq!(standing.committed.usd.nanos(), charged);
    assert!(bill <= charged && charged <= cap());
    ledger.flush().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b5_killed_between_reservation_and_settlement_it_is_charged_whole_and_listed() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut in_doubt = 0;
    for life in 0..5 {
        let name = format!("life-{life}");
        let child = start(folder, &name, usize::MAX);
        kill_at(folder, &name, child, 50 + 37 * life);
        adds_up(folder).await;
        let doubts = ledger(folder).in_doubt(usize::MAX).await.unwrap().len();
        assert!(doubts >= in_doubt);
        in_doubt = doubts;
    }
    assert!(in_doubt > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b8_four_processes_on_one_file_one_of_them_killed_again_and_again() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let steady = (1..PROCESSES).map(|n| start(folder, &format!("process-{n}"), EACH));
    let steady: Vec<_> = steady.collect();

    // Somebody looks all the time.
    let is_over = Arc::new(AtomicBool::new(false));
    let looking = {
        let (ledger, is_over) = (ledger(folder), is_over.clone());
        tokio::spawn(async move {
            let mut looks = 0;
            while !is_over.load(Ordering::SeqCst) {
                match ledger.standings().await {
                    Ok(standings) => {
                        standings.iter().for_each(within_the_cap);
                        looks += 1;
                    }
                    Err(error) => assert_eq!(error.kind(), BudgetErrorKind::Ledger),
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            looks
        })
    };

    // The fourth does its part in lives that end somewhere in their midst.
    let place = folder.to_owned();
    let killing = tokio::task::spawn_blocking(move || {
        let (mut left, mut life) = (EACH, 0);
        while left > 0 {
            let name = format!("killed-{life}");
            let child = start(&place, &name, left);
            kill_at(&place, &name, child, (97 + 131 * life).min(left));
            // One that was refused is done too; each life has done something, or nothing is left.
            let done = bills_of(&place, &name);
            left = if done == 0 {
                0
            } else {
                left.saturating_sub(done)
            };
            life += 1;
        }
        life
    });
    let lives = killing.await.unwrap();
    assert!(lives > 2, "{lives}");
    for mut process in steady {
        assert!(process.wait().unwrap().success());
    }
    is_over.store(true, Ordering::SeqCst);
    assert!(looking.await.unwrap() > 0);
    adds_up(folder).await;

    // Each is one alert, whichever process gave it. One that was killed after it told of it is repeated by the next.
    let told: BTreeSet<_> = lines(&folder.join("alerts")).into_iter().collect();
    let percents = told.iter().filter_map(|line| line.split_once(' '));
    let percents: Vec<_> = percents.map(|(percent, _)| percent).collect();
    assert!(
        percents == ["50", "80"] || percents == ["100", "50", "80"],
        "{told:?}"
    );
}
