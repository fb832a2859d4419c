//! The files of a folder, kept with a session.

use bytes::Bytes;

use super::*;
use crate::{
    session::{FileLimits, NotKeptReason, SessionErrorKind},
    store::{LogId, LogKind, Store},
};

const LIMITS: fn() -> FileLimits = FileLimits::default;

#[tokio::test]
async fn a_version_has_the_files_of_its_time_and_what_did_not_change_is_written_once() {
    let store = FaultyStore::default();
    let sessions = Sessions::new(Arc::new(store.clone()), "ann");
    let mut session = sessions.create(NewSession::new()).await.unwrap();
    let binary = Bytes::from(vec![0, 159, 255]);
    let files = [
        ("src/a.txt", Bytes::from("one")),
        ("b.bin", binary.clone()),
        ("empty", Bytes::new()),
    ];
    let kept = session
        .keep_files(Some("v1"), files, LIMITS())
        .await
        .unwrap();
    assert_eq!((kept.written, kept.unchanged, kept.removed), (3, 0, 0));
    store.take_counts();
    let files = [("src/a.txt", Bytes::from("two")), ("b.bin", binary.clone())];
    let kept = session
        .keep_files(Some("v2"), files, LIMITS())
        .await
        .unwrap();
    assert_eq!((kept.written, kept.unchanged, kept.removed), (1, 1, 1));
    let StoreCounts {
        appends,
        entries,
        bytes,
        ..
    } = store.take_counts();
    assert_eq!((appends, entries), (2, 2), "one content and one record");
    assert!(bytes < 300, "{bytes}");

    let opened = sessions.open(session.id()).await.unwrap();
    for (at, text, count) in [("v1", "one", 3), ("v2", "two", 2)] {
        let view = opened.at(at).await.unwrap();
        assert_eq!(view.files().len(), count);
        assert_eq!(opened.file("src/a.txt", at).await.unwrap(), text);
        assert_eq!(opened.file("b.bin", at).await.unwrap(), binary);
        let info = &view.files()["b.bin"];
        assert_eq!(info.size, 3);
        assert_eq!(opened.content("b.bin", info).await.unwrap(), binary);
    }
    let gone = opened.file("empty", "v2").await.unwrap_err();
    assert_eq!(gone.kind(), SessionErrorKind::NotFound);
    let again = [("x", "y")];
    let error = session.keep_files(Some("v2"), again, LIMITS()).await;
    assert_eq!(error.unwrap_err().kind(), SessionErrorKind::Exists);
}

#[tokio::test]
async fn what_is_over_a_limit_or_leaves_the_folder_is_listed_and_not_kept() {
    let mut session = session().await;
    let limits = FileLimits::default().file_bytes(4).total_bytes(9).count(3);
    let files = [
        ("a", "1234"),
        ("large", "12345"),
        ("b", "1234"),
        ("c", "12"),
        ("d", "1"),
        ("e", ""),
        ("/etc/passwd", "x"),
        ("../up", "x"),
        ("a/../../up", "x"),
        ("a//b", "x"),
        ("a\\b", "x"),
        ("c:/x", "x"),
        ("", "x"),
        ("a\0b", "x"),
    ];
    let kept = session.keep_files(None, files, limits).await.unwrap();
    assert_eq!(kept.written, 3);
    let paths: Vec<&str> = session.view().files().keys().map(|path| &**path).collect();
    assert_eq!(paths, ["a", "b", "d"]);
    let why = |path: &str| {
        kept.not_kept
            .iter()
            .find(|it| &*it.path == path)
            .unwrap()
            .reason
    };
    assert_eq!(why("large"), NotKeptReason::FileSize);
    assert_eq!(why("c"), NotKeptReason::TotalSize);
    assert_eq!(why("e"), NotKeptReason::Count);
    let bad = kept
        .not_kept
        .iter()
        .filter(|it| it.reason == NotKeptReason::Path);
    assert_eq!(bad.count(), 8);
    assert_eq!(session.view().not_kept(), &kept.not_kept[..]);
    let twice = session
        .keep_files(None, [("a", "1"), ("a", "2")], LIMITS())
        .await;
    assert_eq!(twice.unwrap_err().path(), Some("files.a"));

    // A file that grew over the limit is gone, and listed.
    let files = [("a", "123456")];
    let kept = session.keep_files(None, files, limits).await.unwrap();
    assert_eq!((kept.removed, kept.not_kept.len()), (3, 1));
    assert!(session.view().files().is_empty());
}

#[tokio::test]
async fn a_branch_has_the_files_of_its_version_and_its_own_from_then_on() {
    let mut trunk = session().await;
    let keep = |text: &'static str| [("f", text), ("same", "same")];
    trunk
        .keep_files(Some("v1"), keep("1"), LIMITS())
        .await
        .unwrap();
    trunk
        .keep_files(Some("v2"), keep("2"), LIMITS())
        .await
        .unwrap();
    let mut branch = trunk.branch("v1").await.unwrap();
    let kept = branch
        .keep_files(Some("b2"), keep("3"), LIMITS())
        .await
        .unwrap();
    assert_eq!((kept.written, kept.unchanged), (1, 1));
    trunk
        .keep_files(Some("v3"), keep("4"), LIMITS())
        .await
        .unwrap();
    trunk.sessions.delete(trunk.id()).await.unwrap();
    for (at, text) in [("v1", "1"), ("b2", "3")] {
        assert_eq!(branch.file("f", at).await.unwrap(), text);
        assert_eq!(branch.file("same", at).await.unwrap(), "same");
    }
    assert!(branch.at("v2").await.is_err());
    let gone = trunk.file("f", "v1").await.unwrap_err();
    assert_eq!(gone.kind(), SessionErrorKind::NotFound);
}

#[tokio::test]
async fn many_files_are_written_a_few_at_a_time() {
    let store = FaultyStore::default();
    let sessions = Sessions::new(Arc::new(store.clone()), "ann");
    let mut session = sessions.create(NewSession::new()).await.unwrap();
    let files = (0..10_u8).map(|n| (format!("f{n}"), vec![n; 1 << 20]));
    session.keep_files(None, files, LIMITS()).await.unwrap();
    // The first one is tried before the log is there.
    assert_eq!(store.take_counts().appends, 1 + 3 + 1);
    for n in 0..10_u8 {
        let content = session.file(&format!("f{n}"), session.version()).await;
        assert_eq!(content.unwrap(), vec![n; 1 << 20]);
    }
}

#[tokio::test]
async fn a_content_that_is_not_what_was_kept_is_not_handed_out() {
    let store = MemoryStore::new();
    let sessions = Sessions::new(Arc::new(store.clone()), "ann");
    let mut session = sessions.create(NewSession::new()).await.unwrap();
    session
        .keep_files(None, [("a", "1")], LIMITS())
        .await
        .unwrap();
    let log = LogId::new(LogKind::Files, session.id()).unwrap();
    store.delete(&log).await.unwrap();
    let entry = crate::store::NewEntry::new("a", "2");
    let other = crate::store::NewLog::new(log).entry(entry);
    store.create(other).await.unwrap();
    let error = session.file("a", 2).await.unwrap_err();
    assert_eq!(error.kind(), SessionErrorKind::Store);
    assert!(
        words(&error).contains("damaged at version 1"),
        "{}",
        words(&error)
    );
}
