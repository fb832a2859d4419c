//! What every store must do, and what is this one's own.

use std::{
    ffi::OsString,
    sync::atomic::{AtomicUsize, Ordering},
};

use futures_util::FutureExt as _;

use super::*;
use crate::store::{
    conformance,
    sqlite::{home::home_from, schema::PAGE_BYTES},
};

#[tokio::test]
async fn it_does_what_every_store_must() {
    let (_folder, path) = place();
    conformance::check(Arc::new(SqliteStore::open(path).unwrap())).await;
}

/// Each call goes to the next of some handles.
#[derive(Debug)]
struct InTurn(Vec<SqliteStore>, AtomicUsize);

impl InTurn {
    fn next(&self) -> &SqliteStore {
        &self.0[self.1.fetch_add(1, Ordering::Relaxed) % self.0.len()]
    }
}

impl Store for InTurn {
    fn create(&self, log: NewLog) -> BoxFuture<'_, Result<Head, StoreError>> {
        self.next().create(log)
    }
    fn append(&self, append: Append) -> BoxFuture<'_, Result<u64, StoreError>> {
        self.next().append(append)
    }
    fn read<'a>(
        &'a self,
        log: &'a LogId,
        after: u64,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<Entry>, StoreError>> {
        self.next().read(log, after, limit)
    }
    fn head<'a>(&'a self, log: &'a LogId) -> BoxFuture<'a, Result<Option<Head>, StoreError>> {
        self.next().head(log)
    }
    fn list(&self, query: Query) -> BoxFuture<'_, Result<Vec<Head>, StoreError>> {
        self.next().list(query)
    }
    fn lease<'a>(
        &'a self,
        log: &'a LogId,
        name: &'a str,
        time: Duration,
    ) -> BoxFuture<'a, Result<Lease, StoreError>> {
        self.next().lease(log, name, time)
    }
    fn renew<'a>(
        &'a self,
        lease: &'a Lease,
        time: Duration,
    ) -> BoxFuture<'a, Result<Lease, StoreError>> {
        self.next().renew(lease, time)
    }
    fn release<'a>(&'a self, lease: &'a Lease) -> BoxFuture<'a, Result<(), StoreError>> {
        self.next().release(lease)
    }
    fn delete<'a>(&'a self, log: &'a LogId) -> BoxFuture<'a, Result<(), StoreError>> {
        self.next().delete(log)
    }
    fn cleanup(
        &self,
        kind: LogKind,
        before: Timestamp,
    ) -> BoxFuture<'_, Result<Vec<LogId>, StoreError>> {
        self.next().cleanup(kind, before)
    }
}

#[tokio::test]
async fn two_handles_on_one_file_are_one_store() {
    let (_folder, path) = place();
    let handles = vec![
        SqliteStore::open(&path).unwrap(),
        SqliteStore::open(&path).unwrap(),
    ];
    conformance::check(Arc::new(InTurn(handles, AtomicUsize::new(0)))).await;
}

#[tokio::test]
async fn what_was_kept_is_there_after_opening_again_to_the_last_field() {
    let (_folder, path) = place();
    let log = session("again");
    let store = SqliteStore::open(&path).unwrap();
    let new = NewLog::new(log.clone())
        .owner(Some("ann".into()))
        .status("open")
        .about(serde_json::json!({"a": [1, null, "ü"]}));
    store.create(new.entry(entry("1"))).await.unwrap();
    let more = NewEntry::new("call-1/call-2", vec![0, 255]);
    let more = Append::new(log.clone(), vec![more]).not_durable();
    store.append(more).await.unwrap();
    let (head, entries) = (
        store.head(&log).await.unwrap(),
        store.read(&log, 0, 9).await.unwrap(),
    );
    assert_eq!(entries.len(), 2);
    drop(store);
    let store = SqliteStore::open(&path).unwrap();
    assert_eq!(store.head(&log).await.unwrap(), head);
    assert_eq!(store.read(&log, 0, 9).await.unwrap(), entries);
    // Past the end, and past what numbers there are.
    assert_eq!(store.read(&log, 2, 9).await.unwrap(), []);
    assert_eq!(store.read(&log, u64::MAX, 9).await.unwrap(), []);
}

#[tokio::test]
async fn dropping_the_future_of_a_call_does_not_undo_it_and_the_last_handle_waits_for_it() {
    let (_folder, path) = place();
    let log = session("dropped");
    let store = SqliteStore::open(&path).unwrap();
    store.create(NewLog::new(log.clone())).await.unwrap();
    for n in 0..50 {
        drop(store.append(append(&log, n.to_string())).now_or_never());
    }
    drop(store);
    assert!(!open::beside(&path, "-wal").exists());
    let store = SqliteStore::open(&path).unwrap();
    let kept = texts(&store.read(&log, 0, 100).await.unwrap());
    assert_eq!(kept, (0..50).map(|n| n.to_string()).collect::<Vec<_>>());
}

/// The transactions in the log of pages: frames that say how large the file is after them.
pub(super) fn commits(wal: &[u8]) -> usize {
    frames(wal).filter(|frame| frame[4..8] != [0; 4]).count()
}

pub(super) fn frames(wal: &[u8]) -> impl Iterator<Item = &[u8]> {
    wal.get(32..)
        .unwrap_or_default()
        .chunks_exact(24 + PAGE_BYTES as usize)
}

#[tokio::test(flavor = "multi_thread")]
async fn appends_that_wait_share_one_commit_and_one_that_is_refused_undoes_none() {
    let (_folder, path) = place();
    let log = session("batch");
    let store = SqliteStore::open(&path).unwrap();
    store.create(NewLog::new(log.clone())).await.unwrap();
    let before = commits(&std::fs::read(open::beside(&path, "-wal")).unwrap());
    let other = raw(&path);
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut calls: Vec<_> = (0..101)
        .map(|n| {
            let append = append(&log, n.to_string());
            let wrong = n % 10 == 5;
            store.append(if wrong {
                append.at_version(1_000)
            } else {
                append
            })
        })
        .collect();
    // The first is taken alone and waits for the other process; the others wait behind it.
    for call in &mut calls {
        assert!(call.now_or_never().is_none());
    }
    // One that is refused after it changed something.
    let half = append(&log, "half");
    let half = store.write(None, Promise::Power, move |logs| {
        logs.append(&half)?;
        Err::<u64, _>(StoreError::not_found(&half.log).into())
    });
    let mut half = Box::pin(half);
    assert!((&mut half).now_or_never().is_none());
    other.execute_batch("COMMIT").unwrap();
    drop(other);
    assert!(half.await.is_err());
    let results = futures_util::future::join_all(calls).await;
    for (n, result) in results.iter().enumerate() {
        let kind = result.as_ref().err().map(StoreError::kind);
        let wanted = (n % 10 == 5).then_some(StoreErrorKind::Conflict);
        assert_eq!(kind, wanted, "{n}");
    }
    let after = commits(&std::fs::read(open::beside(&path, "-wal")).unwrap());
    // Two, unless the first was taken together with some of the others.
    assert!((1..=3).contains(&(after - before)), "{before} {after}");
    assert_eq!(store.head(&log).await.unwrap().unwrap().version, 91);
}

fn count(path: &Path, table: &str) -> i64 {
    let sql = format!("SELECT count(*) FROM {table}");
    raw(path).query_row(&sql, [], |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn entries_are_shared_by_branches_and_go_with_the_last_of_them() {
    let (_folder, path) = place();
    let store = SqliteStore::open(&path).unwrap();
    let (trunk, branch, twig, other) = (
        session("trunk"),
        session("branch"),
        session("twig"),
        session("other"),
    );
    let mut new = NewLog::new(trunk.clone());
    for n in 1..=10 {
        new = new.entry(entry(n.to_string()));
    }
    store.create(new).await.unwrap();
    let begin = |log: &LogId, from: &LogId, version| {
        NewLog::new(log.clone())
            .origin(from.clone(), version)
            .entry(entry(log.id()))
    };
    store.create(begin(&branch, &trunk, 6)).await.unwrap();
    store.create(begin(&other, &trunk, 3)).await.unwrap();
    store.create(begin(&twig, &branch, 4)).await.unwrap();
    assert_eq!(count(&path, "entries"), 13);

    store.delete(&trunk).await.unwrap();
    // The branch needs six of the ten.
    assert_eq!(count(&path, "entries"), 9);
    store.delete(&branch).await.unwrap();
    // Nobody needs the branch's own, and the twig the trunk's only by way of it.
    let twig_reads = texts(&store.read(&twig, 0, 99).await.unwrap());
    assert_eq!(twig_reads, ["1", "2", "3", "4", "twig"]);
    // A log of the name of one that is gone is another one.
    store
        .create(NewLog::new(trunk.clone()).entry(entry("new")))
        .await
        .unwrap();
    assert_eq!(texts(&store.read(&trunk, 0, 99).await.unwrap()), ["new"]);
    store.delete(&trunk).await.unwrap();
    let later = Timestamp::MAX;
    let mut gone = store.cleanup(LogKind::Session, later).await.unwrap();
    gone.sort();
    assert_eq!(gone, [other, twig]);
    assert_eq!((count(&path, "entries"), count(&path, "logs")), (0, 0));
}

#[tokio::test]
async fn the_room_of_what_is_deleted_is_given_back() {
    let (_folder, path) = place();
    let store = SqliteStore::open(&path).unwrap();
    let (large, small) = (session("large"), session("small"));
    store
        .create(NewLog::new(small.clone()).entry(entry("kept")))
        .await
        .unwrap();
    store.create(NewLog::new(large.clone())).await.unwrap();
    for _ in 0..20 {
        let entries = (0..100).map(|_| entry("x".repeat(2_000))).collect();
        let append = Append::new(large.clone(), entries).not_durable();
        store.append(append).await.unwrap();
    }
    drop(store);
    let before = std::fs::metadata(&path).unwrap().len();
    assert!(before > 4_000_000);
    let store = SqliteStore::open(&path).unwrap();
    store.delete(&large).await.unwrap();
    drop(store);
    let after = std::fs::metadata(&path).unwrap().len();
    assert!(after < 300_000, "{before} {after}");
    let store = SqliteStore::open(&path).unwrap();
    assert_eq!(texts(&store.read(&small, 0, 9).await.unwrap()), ["kept"]);
}

#[test]
fn the_home_is_what_the_variables_say() {
    let home = |variables: &'static [(&str, &str)]| {
        home_from(|name| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| OsString::from(value))
        })
    };
    let path = |path: &str| Some(PathBuf::from(path));
    let all = &[
        ("AGENT_SDK_HOME", "/mine"),
        ("XDG_DATA_HOME", "/data"),
        ("HOME", "/home/ann"),
    ];
    assert_eq!(home(all), path("/mine"));
    assert_eq!(home(&[]), None);
    if cfg!(unix) {
        assert_eq!(home(&all[1..]), path("/data/agent-sdk"));
        assert_eq!(home(&all[2..]), path("/home/ann/.local/share/agent-sdk"));
        let odd = &[
            ("AGENT_SDK_HOME", ""),
            ("XDG_DATA_HOME", "here"),
            ("HOME", "/h"),
        ];
        assert_eq!(home(odd), path("/h/.local/share/agent-sdk"));
    }
}
