//! From one form of the tables to the next, and files of others.

use std::fs;

use super::*;
use crate::store::sqlite::schema::{APPLICATION_ID, MIGRATIONS, VERSION, migrate};

fn version(path: &Path) -> (i32, i64, i64) {
    let conn = raw(path);
    let pragma = |name| {
        conn.pragma_query_value(None, name, |row| row.get(0))
            .unwrap()
    };
    let tables = conn
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .unwrap();
    (
        i32::try_from(pragma("application_id")).unwrap(),
        pragma("user_version"),
        tables,
    )
}

fn works(path: &Path) {
    block_on(async {
        let store = SqliteStore::open(path).unwrap();
        let log = session("after");
        let new = NewLog::new(log.clone()).entry(entry("x"));
        store.create(new).await.unwrap();
        assert_eq!(texts(&store.read(&log, 0, 9).await.unwrap()), ["x"]);
    });
    let latest = i64::try_from(VERSION).unwrap();
    let (application, version, _) = version(path);
    assert_eq!((application, version), (APPLICATION_ID, latest));
}

/// A connection to a file that is set up as the store does, and has no tables yet.
fn before_tables(path: &Path) -> rusqlite::Connection {
    let db = open::prepare(path).unwrap();
    let conn = raw(&db);
    open::set_up(&conn, &Settings::default(), true).unwrap();
    conn
}

/// Migrates until a statement; answers how many there were.
fn migrate_until(path: &Path, last: usize, stop: impl Fn() -> rusqlite::Error) -> usize {
    let mut conn = before_tables(path);
    let mut statements = 0;
    let done = migrate(&mut conn, path, &mut |_| {
        statements += 1;
        if statements > last {
            Err(stop())
        } else {
            Ok(())
        }
    });
    assert_eq!(done.is_err(), statements > last);
    statements
}

#[test]
fn s5_a_migration_that_fails_at_a_statement_changed_nothing() {
    let (_folder, path) = place();
    let all = migrate_until(&path, usize::MAX, || unreachable!());
    assert!(all > 6);
    for last in 0..all {
        let (_folder, path) = place();
        migrate_until(&path, last, || rusqlite::Error::InvalidQuery);
        // Steps that were done before stay.
        let (application, reached, tables) = version(&path);
        let steps = MIGRATIONS.iter().scan(0, |done, step| {
            *done += step.len() + 3;
            Some(*done)
        });
        let whole = steps.filter(|done| *done <= last).count();
        assert_eq!(reached, i64::try_from(whole).unwrap(), "{last}");
        let is_empty = (application, tables) == (0, 0);
        assert_eq!(is_empty, whole == 0, "{last}");
        works(&path);
    }
}

#[test]
fn s5_a_migration_that_is_killed_at_a_statement_is_done_by_the_next_who_opens() {
    let (_folder, path) = place();
    let all = migrate_until(&path, usize::MAX, || unreachable!());
    for last in 0..all {
        let (_folder, path) = place();
        let mut child = other_process(&format!("migrate {last}"), &path);
        let child = child.stdout(std::process::Stdio::null());
        assert!(!child.status().unwrap().success());
        works(&path);
    }
}

pub(super) fn migrate_and_abort(path: &Path, last: usize) {
    migrate_until(path, last, || std::process::abort());
}

#[test]
fn s5_two_who_open_a_new_file_at_once_both_have_it() {
    for _ in 0..20 {
        let (_folder, path) = place();
        std::thread::scope(|scope| {
            let opening: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| SqliteStore::open(&path).unwrap()))
                .collect();
            for one in opening {
                one.join().unwrap();
            }
        });
        works(&path);
        let folder = fs::read_dir(path.parent().unwrap()).unwrap();
        assert_eq!(folder.count(), 1);
    }
}

#[test]
fn s5_a_store_of_a_newer_version_is_refused_with_both_and_left_as_it_is() {
    let (_folder, path) = place();
    works(&path);
    raw(&path).pragma_update(None, "user_version", 99).unwrap();
    let before = fs::read(&path).unwrap();
    let error = SqliteStore::open(&path).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Newer);
    let text = error.to_string();
    assert!(
        text.contains("99") && text.contains(&format!("up to {VERSION}")),
        "{text}"
    );
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_file_of_something_else_is_refused_and_left_as_it_is() {
    let (_folder, path) = place();
    fs::write(&path, "dear diary, ".repeat(1_000)).unwrap();
    let before = fs::read(&path).unwrap();
    let error = SqliteStore::open(&path).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Corrupt);
    assert!(error.to_string().contains("store.db"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), before);

    let (_folder, path) = place();
    raw(&path).execute_batch("CREATE TABLE mine (x)").unwrap();
    let before = fs::read(&path).unwrap();
    let error = SqliteStore::open(&path).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Corrupt);
    assert!(error.to_string().contains("not a store"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), before);
}
