//! What an append to the SQLite store costs, beside what the disk costs by itself.
//!
//! `cargo bench -p agent-sdk --features sqlite --bench store`, bodies of 1,000 bytes, on a 2-core shared x86-64 VM (ext4 on a virtual
//! disk that answers an fsync in some 50 µs), November 2026:
//!
//! | | idle | busy (load 4 to 5) |
//! |---|---|---|
//! | one write of its body and one fsync, median | 66 µs | 3.9 ms |
//! | one write of what it commits and one fsync, median | 134 µs | 4.0 ms |
//! | one durable append, median | 200 µs | 4.05 ms |
//! | 64 tasks, 100 durable appends each: CPU per append | 50 µs | 55 to 60 µs |
//! | the same: wall per append | 52 µs | 136 to 228 µs |
//!
//! On the busy machine the waits are for a processor more than for the disk. An append is an fsync of three pages, and some 65 µs for
//! the way to the writing thread and back: on a disk that takes milliseconds that is nothing, on one that takes microseconds it is seen.
#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "what goes wrong here ends it, and what it finds is shown"
)]

use std::{
    fs::OpenOptions,
    io::Write as _,
    time::{Duration, Instant},
};

use agent_sdk::store::{Append, LogId, LogKind, NewEntry, NewLog, SqliteStore, Store};

const BODY_BYTES: usize = 1_000;
/// The three pages that an append changes, of 16 KiB each.
const COMMIT_BYTES: usize = 3 * 16 * 1024;
const SINGLE: usize = 500;
const TASKS: usize = 64;
const EACH: usize = 100;

fn main() {
    // Beside the build, which is on a disk; a folder for temporary files may be in memory.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .expect("a runtime");
    let store = SqliteStore::open(folder.path().join("store.db")).expect("a store");

    // The two take turns, so that they see the same disk.
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .open(folder.path().join("bare"))
        .expect("a file");
    let log = LogId::new(LogKind::Run, "single").expect("an id");
    runtime
        .block_on(store.create(NewLog::new(log.clone())))
        .expect("a log");
    let [mut bare, mut pages, mut single] = [const { Vec::new() }; 3];
    for _ in 0..SINGLE {
        for (bytes, times) in [(BODY_BYTES, &mut bare), (COMMIT_BYTES, &mut pages)] {
            let begun = Instant::now();
            file.write_all(&vec![1; bytes]).expect("a disk");
            file.sync_all().expect("a disk");
            times.push(begun.elapsed());
        }
        let begun = Instant::now();
        runtime.block_on(append(&store, &log));
        single.push(begun.elapsed());
    }
    report("one write of its body and one fsync", &mut bare);
    report("one write of what it commits and one fsync", &mut pages);
    report("one durable append", &mut single);

    let before = cpu();
    let begun = Instant::now();
    runtime.block_on(async {
        let tasks = (0..TASKS).map(|task| {
            let store = store.clone();
            tokio::spawn(async move {
                let log = LogId::new(LogKind::Run, format!("task-{task}")).expect("an id");
                store.create(NewLog::new(log.clone())).await.expect("a log");
                for _ in 0..EACH {
                    append(&store, &log).await;
                }
            })
        });
        futures_util::future::join_all(tasks.collect::<Vec<_>>()).await;
    });
    let count = u32::try_from(TASKS * EACH).expect("a few");
    println!(
        "{TASKS} tasks, {EACH} durable appends each: {:.1} µs of CPU and {:.1} µs of wall per append",
        micros(cpu().saturating_sub(before) / count),
        micros(begun.elapsed() / count),
    );
}

async fn append(store: &SqliteStore, log: &LogId) {
    let entry = NewEntry::new("", vec![b'x'; BODY_BYTES]);
    let append = Append::new(log.clone(), vec![entry]);
    store.append(append).await.expect("an append");
}

fn report(what: &str, times: &mut [Duration]) {
    times.sort_unstable();
    let at = |part: usize| {
        times
            .get(times.len() * part / 100)
            .copied()
            .map_or(0.0, micros)
    };
    println!("{what}: median {:.0} µs, 95th {:.0} µs", at(50), at(95));
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// The CPU time of this process so far; nothing where that cannot be asked.
#[cfg(unix)]
fn cpu() -> Duration {
    use nix::sys::resource::{UsageWho, getrusage};

    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("a process has one");
    [usage.user_time(), usage.system_time()]
        .into_iter()
        .map(|time| {
            let micros = time.tv_sec() * 1_000_000 + time.tv_usec();
            Duration::from_micros(u64::try_from(micros).expect("a sum of times"))
        })
        .sum()
}

#[cfg(not(unix))]
fn cpu() -> Duration {
    Duration::ZERO
}
