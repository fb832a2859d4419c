//! Long logs, long readers, and others who write.

use std::{
    fs,
    sync::atomic::{AtomicUsize, Ordering},
};

use tracing::{Event, Level, Metadata, span};

use super::*;

/// Counts warnings.
#[derive(Clone, Default)]
struct Warnings(Arc<AtomicUsize>);

impl tracing::Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::WARN
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, _: &Event<'_>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

fn wal_bytes(path: &Path) -> u64 {
    fs::metadata(open::beside(path, "-wal")).unwrap().len()
}

#[test]
fn s7_a_long_reader_lets_the_log_of_pages_grow_with_one_warning_and_then_it_shrinks() {
    let (_folder, path) = place();
    let warnings = Warnings::default();
    let settings = Settings {
        checkpoint_bytes: 500_000,
        alarm_bytes: 2_000_000,
        ..Settings::default()
    };
    let limit = 3 * settings.checkpoint_bytes;
    let store = tracing::subscriber::with_default(warnings.clone(), || {
        SqliteStore::open_with(&path, settings).unwrap()
    });
    block_on(async {
        let log = session("long");
        store.create(NewLog::new(log.clone())).await.unwrap();
        let fill = || async {
            for _ in 0..100 {
                let append = append(&log, "x".repeat(1_000)).not_durable();
                store.append(append).await.unwrap();
            }
        };
        fill().await;
        fill().await;
        assert!(wal_bytes(&path) < limit, "{}", wal_bytes(&path));
        let reader = raw(&path);
        reader.execute_batch("BEGIN; SELECT * FROM logs").unwrap();
        fill().await;
        fill().await;
        assert!(wal_bytes(&path) > 4_000_000);
        assert_eq!(warnings.0.load(Ordering::SeqCst), 1);
        reader.execute_batch("COMMIT").unwrap();
        drop(reader);
        fill().await;
        assert!(wal_bytes(&path) < limit, "{}", wal_bytes(&path));
        assert_eq!(warnings.0.load(Ordering::SeqCst), 1);
        let read = store.read(&log, 0, usize::MAX).await.unwrap();
        assert_eq!(read.len(), 500);
    });
}

#[tokio::test]
async fn s7_another_process_that_writes_is_waited_for_and_then_said() {
    let (_folder, path) = place();
    let settings = Settings {
        busy: Duration::from_millis(30),
        ..Settings::default()
    };
    let store = SqliteStore::open_with(&path, settings).unwrap();
    let log = session("busy");
    store.create(NewLog::new(log.clone())).await.unwrap();
    let other = raw(&path);
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = store.append(append(&log, "x")).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Busy);
    assert!(error.kind().is_retryable());
    assert!(error.to_string().contains("store.db"), "{error}");
    // Who reads is not held up.
    assert_eq!(store.read(&log, 0, 9).await.unwrap(), []);
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(store.append(append(&log, "x")).await.unwrap(), 1);
}

/// Something like a turn: most are short, some are long.
fn body(random: &mut fastrand::Rng) -> String {
    let bytes = 300.0 * 20_f64.powf(random.f64());
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "from 300 to 6,000"
    )]
    "t".repeat(bytes as usize)
}

#[test]
fn s8_an_append_writes_as_little_to_a_long_log_as_to_a_short_one_and_the_file_is_its_content() {
    let (_folder, path) = place();
    let settings = Settings {
        checkpoint_bytes: 1 << 40,
        ..Settings::default()
    };
    let store = SqliteStore::open_with(&path, settings).unwrap();
    let log = session("long");
    let mut random = fastrand::Rng::with_seed(3);
    block_on(async {
        store.create(NewLog::new(log.clone())).await.unwrap();
        let mut content = 0;
        let mut windows = Vec::new();
        for part in 0..100 {
            let entries: Vec<_> = (0..100).map(|_| entry(body(&mut random))).collect();
            content += entries
                .iter()
                .map(|entry| entry.body.len() as u64)
                .sum::<u64>();
            if part == 0 || part == 99 {
                let before = wal_bytes(&path);
                for entry in entries {
                    let append = Append::new(log.clone(), vec![entry]);
                    store.append(append.not_durable()).await.unwrap();
                }
                windows.push(wal_bytes(&path) - before);
            } else {
                let append = Append::new(log.clone(), entries);
                store.append(append.not_durable()).await.unwrap();
            }
        }
        assert!(windows[1] <= windows[0] * 11 / 10, "{windows:?}");
        let head = store.head(&log).await.unwrap().unwrap();
        assert_eq!((head.version, head.bytes), (10_000, content));
        drop(store);
        let file = fs::metadata(&path).unwrap().len();
        assert!(file * 10 <= content * 12, "{file} bytes for {content}");
        let store = SqliteStore::open(&path).unwrap();
        assert_eq!(store.read(&log, 0, usize::MAX).await.unwrap().len(), 10_000);
    });
}

#[test]
fn s8_no_statement_of_an_append_or_a_read_goes_through_a_table() {
    let (_folder, path) = place();
    drop(SqliteStore::open(&path).unwrap());
    let conn = raw(&path);
    for sql in [
        "SELECT * FROM logs l LEFT JOIN logs o ON o.id = l.origin WHERE l.kind = 'run' AND l.name = 'a' AND l.gone = 0",
        "SELECT * FROM entries WHERE log = 1 AND version >= 2 AND version <= 3 ORDER BY version",
        "SELECT max(base) FROM logs WHERE origin = 1",
        "DELETE FROM entries WHERE log = 1 AND version > 2",
    ] {
        let mut statement = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let steps = statement
            .query_map([], |row| row.get::<_, String>(3))
            .unwrap();
        for step in steps {
            let step = step.unwrap();
            assert!(step.starts_with("SEARCH"), "{sql}: {step}");
        }
    }
}
