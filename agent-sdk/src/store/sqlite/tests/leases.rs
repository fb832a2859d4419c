//! One holder at a time, in one process and in several.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::Stdio,
};

use super::*;

const LONG: Duration = Duration::from_hours(1);

async fn made(store: &SqliteStore, name: &str) -> LogId {
    let log = session(name);
    store.create(NewLog::new(log.clone())).await.unwrap();
    log
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s4_of_fifty_racers_one_wins_each_round_and_the_others_learn_who() {
    const RACERS: usize = 50;
    const ROUNDS: usize = 200;
    let (_folder, path) = place();
    let handles = [
        SqliteStore::open(&path).unwrap(),
        SqliteStore::open(&path).unwrap(),
    ];
    let log = made(&handles[0], "raced").await;
    let mut before: Option<Lease> = None;
    for round in 0..ROUNDS {
        let racers = (0..RACERS).map(|racer| {
            // Now and then both handles race; two writers wait for each other.
            let store = handles[if round % 10 == 0 {
                racer % 2
            } else {
                round % 2
            }]
            .clone();
            let log = log.clone();
            tokio::spawn(async move {
                let name = format!("racer {racer}");
                let result = store.lease(&log, &name, LONG).await;
                (name, result)
            })
        });
        let mut winner = None;
        let mut losers = Vec::new();
        for racer in futures_util::future::join_all(racers).await {
            let (name, result) = racer.unwrap();
            match result {
                Ok(lease) => assert!(winner.replace((name, lease)).is_none()),
                Err(error) => losers.push(error),
            }
        }
        let (name, lease) = winner.unwrap();
        assert_eq!(losers.len(), RACERS - 1);
        for error in losers {
            assert_eq!(error.kind(), StoreErrorKind::Held);
            let holder = error.holder().unwrap();
            assert_eq!(
                (&holder.name, holder.pid, holder.until),
                (&name, std::process::id(), lease.until)
            );
        }
        let [one, two] = &handles;
        one.append(append(&log, "won").under(&lease)).await.unwrap();
        if let Some(before) = before {
            assert!(lease.fence > before.fence);
            let late = append(&log, "late").under(&before);
            let error = two.append(late).await.unwrap_err();
            assert_eq!(error.kind(), StoreErrorKind::Fenced);
        }
        one.release(&lease).await.unwrap();
        before = Some(lease);
    }
    let head = handles[1].head(&log).await.unwrap().unwrap();
    assert_eq!(head.version, ROUNDS as u64);
    let left = std::fs::read_dir(open::beside(&path, "-leases")).unwrap();
    assert_eq!(left.count(), 0);
}

const PROCESSES: usize = 4;
const TURNS: usize = 25;

#[test]
fn s4_processes_that_compete_for_a_log_never_have_it_together() {
    let (_folder, path) = place();
    let log = block_on(async {
        let store = SqliteStore::open(&path).unwrap();
        made(&store, "shared").await
    });
    let children: Vec<_> = (0..PROCESSES)
        .map(|n| {
            let mut command = other_process(&format!("compete {n}"), &path);
            command.stdout(Stdio::null()).spawn().unwrap()
        })
        .collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let read = block_on(async {
        let store = SqliteStore::open(&path).unwrap();
        store.read(&log, 0, usize::MAX).await.unwrap()
    });
    let texts = texts(&read);
    assert_eq!(texts.len(), 2 * PROCESSES * TURNS);
    for pair in texts.chunks(2) {
        let begun = pair[0].strip_prefix("begin ").unwrap();
        assert_eq!(pair[1], format!("end {begun}"));
    }
}

/// Takes the log some times, and writes two entries each time.
pub(super) fn compete(path: &Path, number: usize) {
    block_on(async {
        let store = SqliteStore::open(path).unwrap();
        let log = session("shared");
        let mut before: Option<Lease> = None;
        for turn in 0..TURNS {
            let lease = loop {
                match store.lease(&log, &format!("process {number}"), LONG).await {
                    Ok(lease) => break lease,
                    Err(error) if error.kind() == StoreErrorKind::Held => {
                        let holder = error.holder().unwrap();
                        assert_ne!(holder.pid, std::process::id());
                        assert!(holder.name.starts_with("process "), "{error}");
                    }
                    // One of the others writes for long; it is not about who has the log.
                    Err(error) => assert_eq!(error.kind(), StoreErrorKind::Busy, "{error}"),
                }
            };
            for word in ["begin", "end"] {
                let entry = append(&log, format!("{word} {number} {turn}"));
                store.append(entry.under(&lease)).await.unwrap();
            }
            if let Some(before) = &before {
                let late = store.append(append(&log, "late").under(before)).await;
                assert_eq!(late.unwrap_err().kind(), StoreErrorKind::Fenced);
            }
            store.release(&lease).await.unwrap();
            before = Some(lease);
        }
    });
}

#[test]
fn s4_a_log_whose_holder_was_killed_is_free_at_once() {
    let (_folder, path) = place();
    block_on(async {
        let store = SqliteStore::open(&path).unwrap();
        let log = made(&store, "held").await;
        let mut child = other_process("hold", &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().ends_with("held")));
        let error = store.lease(&log, "me", LONG).await.unwrap_err();
        let holder = error.holder().unwrap();
        assert_eq!((&*holder.name, holder.pid), ("child", child.id()));
        let head = store.head(&log).await.unwrap().unwrap();
        assert_eq!(head.holder.as_ref(), Some(holder));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(store.head(&log).await.unwrap().unwrap().holder, None);
        let lease = store.lease(&log, "me", LONG).await.unwrap();
        assert_eq!(lease.fence, 2);
    });
}

pub(super) fn hold(path: &Path) {
    block_on(async {
        let store = SqliteStore::open(path).unwrap();
        store.lease(&session("held"), "child", LONG).await.unwrap();
        writeln!(std::io::stdout(), "held").unwrap();
        std::future::pending::<()>().await;
    });
}

#[tokio::test]
async fn a_lease_ends_with_the_last_clone_of_the_handle_that_took_it() {
    let (_folder, path) = place();
    let (one, two) = (
        SqliteStore::open(&path).unwrap(),
        SqliteStore::open(&path).unwrap(),
    );
    let log = made(&one, "handle").await;
    let lease = one.lease(&log, "one", LONG).await.unwrap();
    let clone = one.clone();
    drop(one);
    assert!(two.lease(&log, "two", LONG).await.is_err());
    assert!(two.head(&log).await.unwrap().unwrap().holder.is_some());
    drop(clone);
    assert_eq!(two.head(&log).await.unwrap().unwrap().holder, None);
    assert!(two.lease(&log, "two", LONG).await.unwrap().fence > lease.fence);
}

#[tokio::test]
async fn a_lease_whose_time_ran_out_is_replaced_though_its_holder_lives() {
    let (_folder, path) = place();
    let store = SqliteStore::open(&path).unwrap();
    let log = made(&store, "late").await;
    let none = store.lease(&log, "slow", Duration::ZERO).await.unwrap();
    let longest = store.lease(&log, "next", Duration::MAX).await.unwrap();
    assert_eq!(longest.fence, none.fence + 1);
    let head = store.head(&log).await.unwrap().unwrap();
    assert_eq!(head.holder.unwrap().until, longest.until);
    let error = store.renew(&none, LONG).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Fenced);
    assert!(store.renew(&longest, LONG).await.unwrap().until < longest.until);
}
