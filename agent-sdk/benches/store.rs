use std::{
    fs::OpenOptions,
    io::{Seek as _, SeekFrom, Write as _},
    time::{Duration, Instant},
};

use agent_sdk::store::{Append, LogId, LogKind, NewEntry, NewLog, SqliteStore, Store};
use nix::sys::resource::{UsageWho, getrusage};

const BODY_BYTES: usize = 1_000;
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
        .write(true)
        .create(true)
        .truncate(true)
        .open(folder.path().join("bare"))
        .expect("a file");
    file.write_all(&vec![0; 16 << 20]).expect("room");
    file.sync_all().expect("a disk");
    file.seek(SeekFrom::Start(0)).expect("a file");
    let log = LogId::new(LogKind::Run, "single").expect("an id");
    runtime
        .block_on(store.create(NewLog::new(log.clone())))
        .expect("a log");
    let (mut bare, mut single) = (Vec::new(), Vec::new());
    for _ in 0..SINGLE {
        let begun = Instant::now();
        file.write_all(&[1; BODY_BYTES]).expect("a disk");
        file.sync_data().expect("a disk");
        bare.push(begun.elapsed());
        let begun = Instant::now();
        runtime.block_on(append(&store, &log));
        single.push(begun.elapsed());
    }
    report("one write of as many bytes and one fsync", &mut bare);
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
        micros((cpu() - before) / count),
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
    let at = |part: usize| micros(times[times.len() * part / 100]);
    println!("{what}: median {:.0} µs, 95th {:.0} µs", at(50), at(95));
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// The CPU time of this process so far.
fn cpu() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("a process has one");
    [usage.user_time(), usage.system_time()]
        .into_iter()
        .map(|time| {
            let micros = time.tv_sec() * 1_000_000 + time.tv_usec();
            Duration::from_micros(u64::try_from(micros).expect("a sum of times"))
        })
        .sum()
}
