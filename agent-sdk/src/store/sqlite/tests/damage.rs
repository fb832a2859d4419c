//! Files that were cut off, and bits that fell over.

use std::fs;

use super::{
    basics::{commits, frames},
    *,
};
use crate::store::sqlite::schema::PAGE_BYTES;

const LOGS: [&str; 3] = ["red", "green", "blue"];
const APPENDS: usize = 45;
const FRAME: usize = 24 + PAGE_BYTES as usize;

/// Bodies that tell where they belong.
fn body(log: &str, version: usize) -> String {
    format!("{log} {version} ").repeat(20 + version * 7 % 90)
}

fn settings() -> Settings {
    // Everything stays in the log of pages until the store is closed.
    Settings {
        checkpoint_bytes: 1 << 40,
        ..Settings::default()
    }
}

/// A file with three empty logs, and a log of pages with one commit for each of the appends.
struct Sample {
    db: Vec<u8>,
    wal: Vec<u8>,
    /// The file with all of it.
    closed: Vec<u8>,
}

fn sample() -> Sample {
    block_on(async {
        let (_folder, path) = place();
        let store = SqliteStore::open(&path).unwrap();
        for log in LOGS {
            store.create(NewLog::new(session(log))).await.unwrap();
        }
        drop(store);
        let db = fs::read(&path).unwrap();
        let store = SqliteStore::open_with(&path, settings()).unwrap();
        for n in 0..APPENDS {
            let (log, version) = (LOGS[n % 3], n / 3 + 1);
            let append = append(&session(log), body(log, version));
            store.append(append.not_durable()).await.unwrap();
        }
        let wal = fs::read(open::beside(&path, "-wal")).unwrap();
        drop(store);
        let closed = fs::read(&path).unwrap();
        Sample { db, wal, closed }
    })
}

/// Opens what is left of a store, and answers how many entries each log has. What is read must be what was written.
fn reads(db: &[u8], wal: &[u8]) -> Result<Vec<Result<usize, StoreError>>, StoreError> {
    let (_folder, path) = place();
    fs::write(&path, db).unwrap();
    if !wal.is_empty() {
        fs::write(open::beside(&path, "-wal"), wal).unwrap();
    }
    let store = SqliteStore::open_with(&path, settings())?;
    block_on(async {
        let mut all = Vec::new();
        for log in LOGS {
            let id = session(log);
            let found = store.read(&id, 0, usize::MAX).await;
            if let Ok(entries) = &found {
                let wanted: Vec<_> = (1..=entries.len()).map(|n| body(log, n)).collect();
                assert_eq!(texts(entries), wanted);
            }
            if let Ok(head) = store.head(&id).await {
                let head = head.unwrap_or_else(|| panic!("{log} looks as though it never was"));
                if let Ok(entries) = &found {
                    assert_eq!(head.version, entries.len() as u64);
                }
            }
            all.push(found.map(|entries| entries.len()));
        }
        // Also a list does not stumble.
        if let Ok(heads) = store.list(Query::of(LogKind::Session)).await {
            assert!(heads.len() <= LOGS.len());
        }
        Ok(all)
    })
}

/// How many entries each log has after so many of the appends.
fn after(appends: usize) -> Vec<usize> {
    (0..3).map(|log| (appends + 2 - log) / 3).collect()
}

fn all_read(db: &[u8], wal: &[u8]) -> Vec<usize> {
    let all = reads(db, wal).unwrap();
    all.into_iter().map(Result::unwrap).collect()
}

#[test]
fn s2_a_log_of_pages_that_is_cut_off_anywhere_opens_at_the_last_commit() {
    let sample = sample();
    assert_eq!(commits(&sample.wal), APPENDS);
    let frames = frames(&sample.wal).count();
    assert!(frames > 130, "{frames}");
    let boundaries = (0..=frames).map(|frame| 32 + frame * FRAME);
    let middles = (0..frames)
        .step_by(2)
        .map(|frame| 32 + frame * FRAME + 1 + frame * 1_237 % (FRAME - 1));
    let cuts: Vec<usize> = boundaries.chain(middles).chain([0, 1, 31]).collect();
    assert!(cuts.len() >= 200);
    for cut in cuts {
        let left = &sample.wal[..cut];
        assert_eq!(all_read(&sample.db, left), after(commits(left)), "{cut}");
    }
}

#[test]
fn s2_a_bit_that_falls_over_in_the_log_of_pages_ends_it_at_the_commit_before() {
    let sample = sample();
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..60 {
        let mut wal = sample.wal.clone();
        let at = random.usize(32..wal.len());
        wal[at] ^= 1 << random.u8(0..8);
        let whole = 32 + (at - 32) / FRAME * FRAME;
        let wanted = after(commits(&sample.wal[..whole]));
        assert_eq!(all_read(&sample.db, &wal), wanted, "{at}");
    }
}

#[test]
fn s2_a_bit_that_falls_over_in_an_entry_damages_this_log_at_this_version_alone() {
    let sample = sample();
    for (place, log) in LOGS.into_iter().enumerate() {
        for version in [1, 7, 15] {
            let body = body(log, version);
            let mut found = sample.closed.windows(body.len());
            let at = found.position(|part| part == body.as_bytes()).unwrap();
            let mut db = sample.closed.clone();
            db[at + body.len() / 2] ^= 4;
            for (other, found) in reads(&db, &[]).unwrap().into_iter().enumerate() {
                if other == place {
                    let error = found.unwrap_err();
                    assert_eq!(error.kind(), StoreErrorKind::Corrupt);
                    let text = error.to_string();
                    let wanted = format!("session {log} is damaged at version {version}:");
                    assert!(text.starts_with(&wanted), "{text}");
                } else {
                    assert_eq!(found.unwrap(), 15);
                }
            }
        }
    }
}

#[test]
fn s2_a_bit_that_falls_over_anywhere_in_the_file_is_never_read_as_something_else() {
    let sample = sample();
    let mut random = fastrand::Rng::with_seed(11);
    let used: Vec<usize> = (0..sample.closed.len())
        .filter(|at| sample.closed[*at] != 0)
        .collect();
    let (mut closed, mut damaged, mut whole) = (0, 0, 0);
    for n in 0..240 {
        let mut db = sample.closed.clone();
        // Half of them in the header and where the tables are described, or near.
        let at = if n % 2 == 0 {
            used[random.usize(..used.len())]
        } else {
            let page = random.usize(..db.len() / PAGE_BYTES as usize);
            page * PAGE_BYTES as usize + random.usize(..120)
        };
        db[at] ^= 1 << random.u8(0..8);
        match reads(&db, &[]) {
            Err(error) => {
                closed += 1;
                assert!(error.to_string().contains("store.db"), "{at}: {error}");
            }
            Ok(logs) => {
                for found in logs {
                    match found {
                        Ok(15) => whole += 1,
                        Ok(entries) => panic!("{at}: {entries} entries, and no error"),
                        Err(error) => {
                            damaged += 1;
                            assert_ne!(error.kind(), StoreErrorKind::NotFound, "{at}: {error}");
                        }
                    }
                }
            }
        }
    }
    assert!(
        closed > 0 && damaged > 0 && whole > 200,
        "{closed} {damaged} {whole}"
    );
}

#[tokio::test]
async fn what_is_damaged_is_not_listed_and_can_be_deleted() {
    let (_folder, path) = place();
    let store = SqliteStore::open(&path).unwrap();
    let (bad, good) = (session("bad"), session("good"));
    for log in [&bad, &good] {
        let new = NewLog::new(log.clone()).entry(entry("x"));
        store.create(new).await.unwrap();
    }
    let sql = "UPDATE logs SET version = 0 WHERE name = 'bad'";
    assert_eq!(raw(&path).execute(sql, []).unwrap(), 1);
    let error = store.read(&bad, 0, 9).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Corrupt);
    assert!(
        error.to_string().starts_with("session bad is damaged"),
        "{error}"
    );
    let error = store.append(append(&bad, "y")).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Corrupt);
    let listed = store.list(Query::of(LogKind::Session)).await.unwrap();
    assert_eq!(listed.len(), 1);
    store.append(append(&good, "y")).await.unwrap();
    store.delete(&bad).await.unwrap();
    assert_eq!(store.head(&bad).await.unwrap(), None);
}

#[tokio::test]
async fn a_log_that_the_index_lost_is_still_found() {
    let (_folder, path) = place();
    let store = SqliteStore::open(&path).unwrap();
    let log = session("lost");
    let new = NewLog::new(log.clone()).entry(entry("x"));
    store.create(new).await.unwrap();
    drop(store);
    let other = raw(&path);
    other
        .execute_batch(
            "PRAGMA writable_schema = ON;
             UPDATE sqlite_schema SET sql = 'CREATE UNIQUE INDEX logs_by_name ON logs (kind, name) WHERE gone = 7'
             WHERE name = 'logs_by_name'; PRAGMA writable_schema = RESET; REINDEX logs_by_name;
             PRAGMA writable_schema = ON;
             UPDATE sqlite_schema SET sql = 'CREATE UNIQUE INDEX logs_by_name ON logs (kind, name) WHERE gone = 0'
             WHERE name = 'logs_by_name'",
        )
        .unwrap();
    drop(other);
    let store = SqliteStore::open(&path).unwrap();
    assert_eq!(texts(&store.read(&log, 0, 9).await.unwrap()), ["x"]);
}
