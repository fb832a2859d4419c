//! What every store must do, as checks that an implementation runs in its own tests.
//!
//! They use fresh ids, so that one store can be given to all of them.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "these are checks: a failure is a panic"
)]

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use serde_json::json;

use super::{
    Append, Entry, LogId, LogKind, NewEntry, NewLog, Origin, Query, Store, StoreErrorKind,
};

fn log(kind: LogKind, name: &str) -> LogId {
    LogId::new(kind, format!("{name}-{}", uuid::Uuid::now_v7())).unwrap()
}

fn entry(text: &str) -> NewEntry {
    NewEntry::new("", text.to_owned())
}

fn bodies(entries: &[Entry]) -> Vec<&str> {
    entries
        .iter()
        .map(|entry| std::str::from_utf8(&entry.body).unwrap())
        .collect()
}

/// Runs all of them.
///
/// # Panics
///
/// The store does not do what it must.
pub async fn check(store: Arc<dyn Store>) {
    entries_are_numbered_and_read_back(&*store).await;
    a_guard_that_does_not_hold_changes_nothing(&*store).await;
    a_branch_begins_with_its_origin(&*store).await;
    a_lease_has_one_holder_and_an_old_fence_is_refused(&*store).await;
    lists_are_newest_first_and_of_one_owner(&*store).await;
    what_is_old_is_cleaned_up_unless_it_is_held(&*store).await;
    logs_of_one_id_and_several_kinds_are_several_logs(&*store).await;
    many_writers_lose_nothing(store).await;
}

/// Entries are numbered from 1, and come back as they were.
async fn entries_are_numbered_and_read_back(store: &dyn Store) {
    let id = log(LogKind::Run, "numbered");
    assert_eq!(store.head(&id).await.unwrap(), None);
    let missing = store.read(&id, 0, 10).await.unwrap_err();
    assert_eq!(missing.kind(), StoreErrorKind::NotFound);
    let new = NewLog::new(id.clone())
        .owner(Some("ann".into()))
        .status("running")
        .about(json!({"agent": "a", "n": 1}))
        .entry(entry("one"));
    let head = store.create(new.clone()).await.unwrap();
    assert_eq!((head.version, head.bytes), (1, 3));
    assert_eq!(store.head(&id).await.unwrap(), Some(head));
    let again = store.create(new).await.unwrap_err();
    assert_eq!(again.kind(), StoreErrorKind::Exists);

    let two = NewEntry::new("a/b", vec![0, 159, 146, 150]);
    let more = Append::new(id.clone(), vec![two, entry("three")]);
    assert_eq!(store.append(more).await.unwrap(), 3);
    let all = store.read(&id, 0, 10).await.unwrap();
    let versions: Vec<u64> = all.iter().map(|entry| entry.version).collect();
    assert_eq!(versions, [1, 2, 3]);
    assert_eq!(
        (&*all[1].path, &all[1].body[..]),
        ("a/b", &[0, 159, 146, 150][..])
    );
    assert_eq!(bodies(&store.read(&id, 2, 10).await.unwrap()), ["three"]);
    assert_eq!(bodies(&store.read(&id, 0, 1).await.unwrap()), ["one"]);

    let change = Append::new(id.clone(), vec![])
        .status("done")
        .about(json!({"n": 2}));
    assert_eq!(store.append(change).await.unwrap(), 3);
    let head = store.head(&id).await.unwrap().unwrap();
    assert_eq!(
        (&*head.status, head.about, head.version),
        ("done", json!({"n": 2}), 3)
    );
    assert_eq!((head.bytes, head.owner.as_deref()), (12, Some("ann")));

    store.delete(&id).await.unwrap();
    store.delete(&id).await.unwrap();
    assert_eq!(store.head(&id).await.unwrap(), None);
    let gone = store.append(Append::new(id, vec![])).await.unwrap_err();
    assert_eq!(gone.kind(), StoreErrorKind::NotFound);
}

/// An append whose guard does not hold leaves the log as it was.
async fn a_guard_that_does_not_hold_changes_nothing(store: &dyn Store) {
    let id = log(LogKind::Session, "guard");
    store.create(NewLog::new(id.clone())).await.unwrap();
    let at = |version| Append::new(id.clone(), vec![entry("x")]).at_version(version);
    assert_eq!(store.append(at(0)).await.unwrap(), 1);
    let late = store.append(at(0)).await.unwrap_err();
    assert_eq!(late.kind(), StoreErrorKind::Conflict);
    assert!(
        late.to_string().contains("version 1 and not at 0"),
        "{late}"
    );
    assert_eq!(store.head(&id).await.unwrap().unwrap().version, 1);
}

/// A branch shares what was, and goes its own way; it outlives its origin.
async fn a_branch_begins_with_its_origin(store: &dyn Store) {
    let (trunk, branch, twig) = (
        log(LogKind::Session, "trunk"),
        log(LogKind::Session, "branch"),
        log(LogKind::Session, "twig"),
    );
    let new = NewLog::new(trunk.clone())
        .entry(entry("1"))
        .entry(entry("2"));
    store.create(new.entry(entry("3"))).await.unwrap();
    let new = NewLog::new(branch.clone()).origin(trunk.clone(), 2);
    let head = store.create(new.entry(entry("3b"))).await.unwrap();
    assert_eq!((head.version, head.bytes), (3, 2));
    let four = Append::new(branch.clone(), vec![entry("4b")]).at_version(3);
    store.append(four).await.unwrap();
    let new = NewLog::new(twig.clone()).origin(branch.clone(), 3);
    store.create(new.entry(entry("4t"))).await.unwrap();
    let read = |id: &LogId| {
        let id = id.clone();
        async move { store.read(&id, 0, 100).await.unwrap() }
    };
    assert_eq!(bodies(&read(&trunk).await), ["1", "2", "3"]);
    assert_eq!(bodies(&read(&branch).await), ["1", "2", "3b", "4b"]);
    assert_eq!(bodies(&read(&twig).await), ["1", "2", "3b", "4t"]);
    assert_eq!(bodies(&store.read(&twig, 1, 2).await.unwrap()), ["2", "3b"]);
    let versions: Vec<u64> = read(&twig)
        .await
        .iter()
        .map(|entry| entry.version)
        .collect();
    assert_eq!(versions, [1, 2, 3, 4]);
    let origin = store.head(&twig).await.unwrap().unwrap().origin;
    assert_eq!(origin, Some(Origin::new(branch.clone(), 3)));

    store.delete(&trunk).await.unwrap();
    store.delete(&branch).await.unwrap();
    assert_eq!(bodies(&read(&twig).await), ["1", "2", "3b", "4t"]);

    let beyond = NewLog::new(log(LogKind::Session, "x")).origin(twig.clone(), 9);
    let error = store.create(beyond).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Conflict);
    let nowhere = NewLog::new(log(LogKind::Session, "x")).origin(trunk, 1);
    let error = store.create(nowhere).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::NotFound);
}

/// One holder at a time, and what carries an older fence is refused.
async fn a_lease_has_one_holder_and_an_old_fence_is_refused(store: &dyn Store) {
    let id = log(LogKind::Run, "lease");
    let long = Duration::from_mins(1);
    let missing = store.lease(&id, "me", long).await.unwrap_err();
    assert_eq!(missing.kind(), StoreErrorKind::NotFound);
    store.create(NewLog::new(id.clone())).await.unwrap();
    let first = store.lease(&id, "me", long).await.unwrap();
    let loser = store.lease(&id, "you", long).await.unwrap_err();
    assert_eq!(loser.kind(), StoreErrorKind::Held);
    let holder = loser.holder().unwrap();
    assert_eq!((&*holder.name, holder.pid), ("me", std::process::id()));
    assert_eq!(holder.until, first.until);
    let gone = store.delete(&id).await.unwrap_err();
    assert_eq!(gone.kind(), StoreErrorKind::Held);
    let mine = Append::new(id.clone(), vec![entry("mine")]).under(&first);
    store.append(mine.clone()).await.unwrap();
    let renewed = store.renew(&first, Duration::from_mins(2)).await.unwrap();
    assert!(renewed.until > first.until && renewed.fence == first.fence);

    store.release(&renewed).await.unwrap();
    let head = store.head(&id).await.unwrap().unwrap();
    assert_eq!(head.holder, None);
    let second = store.lease(&id, "you", Duration::ZERO).await.unwrap();
    assert!(second.fence > first.fence);
    for _ in 0..2 {
        let late = store.append(mine.clone()).await.unwrap_err();
        assert_eq!(late.kind(), StoreErrorKind::Fenced);
        let late = store.renew(&first, long).await.unwrap_err();
        assert_eq!(late.kind(), StoreErrorKind::Fenced);
        // What was lost cannot take it from the one who has it.
        store.release(&first).await.unwrap();
    }
    let yours = Append::new(id.clone(), vec![entry("yours")]).under(&second);
    store.append(yours.clone()).await.unwrap();

    // Its time was none, so it is free again.
    let third = store.lease(&id, "she", long).await.unwrap();
    assert!(third.fence > second.fence);
    let late = store.append(yours).await.unwrap_err();
    assert_eq!(late.kind(), StoreErrorKind::Fenced);
    assert_eq!(store.head(&id).await.unwrap().unwrap().version, 2);
    store.release(&third).await.unwrap();
}

/// Lists are newest first, and nobody sees what is another's.
async fn lists_are_newest_first_and_of_one_owner(store: &dyn Store) {
    let ann: Arc<str> = format!("ann-{}", uuid::Uuid::now_v7()).into();
    let mut made = Vec::new();
    for name in ["a", "b", "c"] {
        let id = log(LogKind::Session, name);
        let new = NewLog::new(id.clone()).owner(Some(ann.clone()));
        store.create(new.status("open")).await.unwrap();
        made.push(id);
    }
    let other = NewLog::new(log(LogKind::Session, "d")).owner(Some("bob".into()));
    store.create(other).await.unwrap();
    let touch = Append::new(made[0].clone(), vec![entry("x")]).status("busy");
    store.append(touch).await.unwrap();
    let list = |query: Query| async move {
        let heads = store.list(query).await.unwrap();
        heads.into_iter().map(|head| head.log).collect::<Vec<_>>()
    };
    let mine = Query::of(LogKind::Session).owner(ann.clone());
    let all = list(mine.clone()).await;
    assert_eq!(all.len(), 3);
    assert_eq!(all[0], made[0]);
    assert_eq!(list(mine.clone().limit(1)).await, made[..1]);
    assert_eq!(list(mine.clone().status("busy")).await, made[..1]);
    assert_eq!(list(Query::of(LogKind::Run).owner(ann)).await, []);
    let first = store.head(&made[0]).await.unwrap().unwrap().updated;
    let before = list(mine.before(first)).await;
    assert!(!before.contains(&made[0]), "{before:?}");
}

/// What did not change since a time goes, unless somebody has it.
async fn what_is_old_is_cleaned_up_unless_it_is_held(store: &dyn Store) {
    let (old, held, other) = (
        log(LogKind::Events, "old"),
        log(LogKind::Events, "held"),
        log(LogKind::Inbox, "other"),
    );
    for id in [&old, &held, &other] {
        let new = NewLog::new(id.clone()).entry(entry("x"));
        store.create(new).await.unwrap();
    }
    let lease = store
        .lease(&held, "me", Duration::from_mins(1))
        .await
        .unwrap();
    let none = store.cleanup(LogKind::Events, Timestamp::UNIX_EPOCH).await;
    assert_eq!(none.unwrap(), []);
    let newest = store.head(&other).await.unwrap().unwrap().updated;
    let later = newest.checked_add(Duration::from_secs(1)).unwrap();
    let cleaned = store.cleanup(LogKind::Events, later).await.unwrap();
    assert!(cleaned.contains(&old) && !cleaned.contains(&held));
    assert_eq!(store.head(&old).await.unwrap(), None);
    assert!(store.head(&other).await.unwrap().is_some());
    store.release(&lease).await.unwrap();
}

/// Every kind has its own logs, whatever they are called.
async fn logs_of_one_id_and_several_kinds_are_several_logs(store: &dyn Store) {
    let first = log(LogKind::Run, "kinds");
    let of = |kind| first.of_kind(kind);
    for kind in LogKind::ALL {
        let new = NewLog::new(of(kind)).entry(entry(kind.as_str()));
        store.create(new).await.unwrap();
    }
    for kind in LogKind::ALL {
        let entries = store.read(&of(kind), 0, 9).await.unwrap();
        assert_eq!(bodies(&entries), [kind.as_str()]);
        let listed = store.list(Query::of(kind).limit(usize::MAX)).await.unwrap();
        assert!(listed.iter().any(|head| head.log == of(kind)));
        assert!(listed.iter().all(|head| head.log.kind() == kind));
        store.delete(&of(kind)).await.unwrap();
        assert_eq!(store.head(&of(kind)).await.unwrap(), None);
    }
}

/// What many writers append at once is all there, each entry once and in each writer's order.
async fn many_writers_lose_nothing(store: Arc<dyn Store>) {
    const WRITERS: usize = 16;
    const EACH: usize = 8;
    let id = log(LogKind::Inbox, "many");
    store.create(NewLog::new(id.clone())).await.unwrap();
    let writers = (0..WRITERS).map(|writer| {
        let (store, id) = (store.clone(), id.clone());
        tokio::spawn(async move {
            for n in 0..EACH {
                let append = Append::new(id.clone(), vec![entry(&format!("{writer} {n}"))]);
                store.append(append).await.unwrap();
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    let entries = store.read(&id, 0, usize::MAX).await.unwrap();
    assert_eq!(entries.len(), WRITERS * EACH);
    let bodies = bodies(&entries);
    for writer in 0..WRITERS {
        let prefix = format!("{writer} ");
        let own: Vec<&str> = bodies
            .iter()
            .filter_map(|body| body.strip_prefix(&prefix))
            .collect();
        let wanted: Vec<String> = (0..EACH).map(|n| n.to_string()).collect();
        assert_eq!(own, wanted);
    }
}
