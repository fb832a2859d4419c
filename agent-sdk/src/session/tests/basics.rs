//! Making, opening, listing and changing sessions; whose they are.

use std::{collections::HashSet, sync::Arc};

use futures_util::FutureExt;
use serde_json::json;

use super::*;
use crate::{
    operation::RunContext,
    session::{Compression, FileLimits, SessionErrorKind},
    store::{LogId, LogKind, Store},
};

#[tokio::test]
async fn what_was_said_and_set_is_there_when_it_is_opened_again() {
    let sessions = sessions();
    let new = NewSession::titled("A trip").tag("team", "north");
    let mut session = sessions.create(new).await.unwrap();
    session.say(user("hi")).await.unwrap();
    session
        .extend([assistant("hello"), user("bye")])
        .await
        .unwrap();
    session.set("city", "Oslo").await.unwrap();
    session.set("ratio", 0.1 + 0.2).await.unwrap();
    session.remove("city").await.unwrap();
    session.rename("Another trip").await.unwrap();
    session.tag("year", "2026").await.unwrap();
    session.update().untag("team").commit().await.unwrap();

    let opened = sessions.open(session.id()).await.unwrap();
    assert_eq!(texts(&opened), ["hi", "hello", "bye"]);
    assert_eq!(opened.conversation(), session.conversation());
    assert_eq!(
        opened.conversation().id().unwrap().as_str(),
        opened.id(),
        "spans name the session's conversation"
    );
    assert_eq!(opened.state(), session.state());
    assert_eq!(opened.state()["ratio"], json!(0.1 + 0.2));
    assert_eq!(opened.view().title(), Some("Another trip"));
    assert_eq!(opened.view().tags().len(), 1);
    assert_eq!((opened.version(), session.version()), (9, 9));

    let listed = sessions.list(10).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(&*listed[0].id, session.id());
    assert_eq!(listed[0].title.as_deref(), Some("Another trip"));
    assert_eq!(listed[0].tags, *opened.view().tags());
    assert_eq!((listed[0].messages, listed[0].version), (3, 9));
    assert_eq!(listed[0].open_run, None);
}

#[tokio::test]
async fn an_update_is_one_append_of_one_entry_and_one_of_nothing_is_none() {
    let store = FaultyStore::default();
    let sessions = Sessions::new(Arc::new(store.clone()), "ann");
    let mut session = sessions.create(NewSession::new()).await.unwrap();
    store.take_counts();
    let update = session
        .update()
        .say(user("hi"))
        .extend([assistant("hello")])
        .set("a", 1)
        .remove("b")
        .rename("t")
        .tag("k", "v");
    assert_eq!(update.commit().await.unwrap(), 2);
    let StoreCounts {
        appends,
        entries,
        reads,
        ..
    } = store.take_counts();
    assert_eq!((appends, entries, reads), (1, 1, 0));
    assert_eq!(session.update().commit().await.unwrap(), 2);
    assert_eq!(store.take_counts().appends, 0);
}

#[tokio::test]
async fn s8_a_session_of_ten_thousand_turns_appends_only_what_is_new() {
    let store = FaultyStore::default();
    let sessions = Sessions::new(Arc::new(store.clone()), "ann");
    let mut session = sessions.create(NewSession::titled("long")).await.unwrap();
    let mut content = 0;
    for turn in 0..10_000 {
        let (question, answer) = (
            format!("question {turn} of many"),
            format!("answer {turn} of as many, which says a little more than the question did"),
        );
        content += question.len() + answer.len();
        let update = session.update().say(user(&question));
        update.say(assistant(&answer)).commit().await.unwrap();
    }
    store.take_counts();
    session.say(user("one more")).await.unwrap();
    let StoreCounts {
        appends,
        entries,
        bytes,
        reads,
        ..
    } = store.take_counts();
    assert_eq!((appends, entries, reads), (1, 1, 0));
    assert!(bytes < 200, "{bytes} bytes for a message of 8");

    let log = LogId::new(LogKind::Session, session.id()).unwrap();
    let head = store.head(&log).await.unwrap().unwrap();
    let most = content as u64 + 10_010 * 160;
    assert!(head.bytes < most, "{} bytes for {content}", head.bytes);

    let opened = sessions.open(session.id()).await.unwrap();
    assert_eq!(opened.conversation().len(), 20_001);
    assert!(
        store.take_counts().reads <= 21,
        "entries are read many at once"
    );
}

#[tokio::test]
async fn what_is_somebody_elses_is_answered_as_what_nobody_has() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let (ann, bob) = (
        Sessions::new(store.clone(), "ann"),
        Sessions::new(store.clone(), "bob"),
    );
    let secret = NewSession::titled("secret").id("x-1");
    let mut session = ann.create(secret).await.unwrap();
    session.snapshot("named").await.unwrap();
    let nobodys = Sessions::new(Arc::new(MemoryStore::new()), "bob");
    let same = |theirs: SessionError, nobodys: SessionError| {
        assert_eq!(theirs.kind(), SessionErrorKind::NotFound);
        assert_eq!(words(&theirs), words(&nobodys));
    };
    same(
        bob.open("x-1").await.unwrap_err(),
        nobodys.open("x-1").await.unwrap_err(),
    );
    same(
        bob.open_at("x-1", 1).await.unwrap_err(),
        nobodys.open_at("x-1", 1).await.unwrap_err(),
    );
    same(
        bob.open_at("x-1", "named").await.unwrap_err(),
        nobodys.open_at("x-1", "named").await.unwrap_err(),
    );
    same(
        bob.delete("x-1").await.unwrap_err(),
        nobodys.delete("x-1").await.unwrap_err(),
    );
    assert!(bob.list(10).await.unwrap().is_empty());
    assert_eq!(ann.open("x-1").await.unwrap().version(), 2);
    assert!(!words(&bob.open("x-1").await.unwrap_err()).contains("ann"));

    let taken = bob.create(NewSession::new().id("x-1")).await.unwrap_err();
    assert_eq!(taken.kind(), SessionErrorKind::Exists);
    let copy = bob.import(session.export().await.unwrap()).await.unwrap();
    assert_ne!(copy.id(), "x-1");
    assert_eq!(ann.list(10).await.unwrap().len(), 1);

    ann.delete("x-1").await.unwrap();
    let gone = ann.open("x-1").await.unwrap_err();
    assert_eq!(gone.kind(), SessionErrorKind::NotFound);
    let written = session.say(user("late")).await.unwrap_err();
    assert_eq!(words(&written), words(&gone));
}

#[tokio::test]
async fn a_log_without_an_owner_is_nobodys() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let id = LogId::new(LogKind::Session, "x").unwrap();
    store.create(crate::store::NewLog::new(id)).await.unwrap();
    let sessions = Sessions::new(store, "");
    let error = sessions.open("x").await.unwrap_err();
    assert_eq!(error.kind(), SessionErrorKind::NotFound);
}

#[tokio::test]
async fn of_two_writers_one_is_told_of_the_other_and_nothing_is_lost() {
    let sessions = sessions();
    let mut one = sessions.create(NewSession::new()).await.unwrap();
    let mut two = sessions.open(one.id()).await.unwrap();
    one.say(user("first")).await.unwrap();
    let late = two.say(user("second")).await.unwrap_err();
    assert_eq!(late.kind(), SessionErrorKind::Conflict);
    assert!(late.to_string().contains("`reload` it"), "{late}");
    assert_eq!(two.conversation().len(), 0);
    two.reload().await.unwrap();
    two.say(user("second")).await.unwrap();
    one.reload().await.unwrap();
    assert_eq!(texts(&one), ["first", "second"]);
    assert_eq!(one.conversation(), two.conversation());
}

#[tokio::test]
async fn s9_ids_are_safe_and_never_the_same() {
    let sessions = sessions();
    let mut seen = HashSet::new();
    for _ in 0..1_000 {
        let session = sessions.create(NewSession::new()).await.unwrap();
        assert_eq!(session.id().len(), 32);
        assert!(session.id().bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert!(seen.insert(session.id().to_owned()));
    }
    for bad in [
        "",
        "..",
        "../x",
        "a/b",
        "a' OR 1=1 --",
        "a\0",
        ".x",
        "a b",
        "ü",
    ] {
        for error in [
            sessions
                .create(NewSession::new().id(bad))
                .await
                .unwrap_err(),
            sessions.open(bad).await.unwrap_err(),
            sessions.delete(bad).await.unwrap_err(),
        ] {
            assert_eq!(error.kind(), SessionErrorKind::Invalid, "{bad:?}");
            assert_eq!(error.path(), Some("id"));
        }
    }
    let mine = sessions
        .create(NewSession::new().id("my:session-1.a_b"))
        .await;
    assert_eq!(mine.unwrap().id(), "my:session-1.a_b");
}

#[tokio::test]
async fn what_could_not_be_read_back_is_refused_and_nothing_is_kept() {
    let mut session = session().await;
    let mut deep = json!(1);
    for _ in 0..64 {
        deep = json!([deep]);
    }
    let error = session.set("deep", deep.clone()).await.unwrap_err();
    assert_eq!(error.kind(), SessionErrorKind::Invalid);
    assert_eq!(error.path(), Some("changes[0].value"));
    let shallower = deep[0].clone();
    session.set("deep", shallower).await.unwrap();
    let update = session.update().set("ok", 1).set("a\nb", 1);
    let error = update.commit().await.unwrap_err();
    assert_eq!(error.path(), Some("changes[1].key"));
    for key in [String::new(), "k".repeat(257)] {
        let error = session.set(key, 1).await.unwrap_err();
        assert_eq!(error.kind(), SessionErrorKind::Invalid);
    }
    let huge = "x".repeat(32 << 20);
    let error = session.say(user(&huge)).await.unwrap_err();
    assert_eq!(error.kind(), SessionErrorKind::TooLarge);
    let error = session.rename("x".repeat(17_000)).await.unwrap_err();
    assert_eq!(error.kind(), SessionErrorKind::TooLarge);
    assert_eq!((session.version(), session.state().len()), (2, 1));
    let opened = session.sessions.open(session.id()).await.unwrap();
    assert_eq!(opened.state(), session.state());
}

#[tokio::test]
async fn debug_texts_show_no_content() {
    let mut session = session().await;
    let update = session.update().say(user("s3cret")).set("k", "s3cret");
    assert!(!format!("{update:?}").contains("s3cret"));
    update.commit().await.unwrap();
    let shown = format!(
        "{session:?} {:?} {:?} {:?} {:?}",
        session.view(),
        session.shared_state(),
        session.diff(1, 2).await.unwrap(),
        session.versions().await.unwrap(),
    );
    assert!(!shown.contains("s3cret"), "{shown}");
}

#[tokio::test]
async fn an_append_that_was_given_up_may_have_been_kept_and_reloading_shows_it() {
    let sessions = Sessions::new(Arc::new(FaultyStore::default()), "ann");
    let mut session = sessions.create(NewSession::new()).await.unwrap();
    for polls in 1..=2 {
        let mut append = Box::pin(session.say(user("hi")));
        for _ in 0..polls {
            assert!((&mut append).now_or_never().is_none());
        }
    }
    assert_eq!(session.version(), 1);
    let error = session.set("a", 1).await.unwrap_err();
    assert_eq!(error.kind(), SessionErrorKind::Conflict);
    session.reload().await.unwrap();
    assert_eq!(texts(&session), ["hi"], "the second one, and once");
    session.set("a", 1).await.unwrap();
}

#[test]
fn what_is_done_with_a_session_can_be_done_in_a_task_of_its_own() {
    fn is_send<T: Send + 'static>(_: T) {}
    is_send(async {
        let mut session = session().await;
        session.say(user("hi")).await?;
        let files = vec![(String::from("a"), vec![1_u8])];
        session
            .keep_files(None, files, FileLimits::default())
            .await?;
        let context = RunContext::new();
        let compression = Compression::keep_last_turns(1);
        session.compress(&context, &compression).await?;
        session.diff(1, session.version()).await?;
        let branch = session.branch(1).await?;
        sessions().import(branch.export().await?).await?;
        Ok::<_, SessionError>(())
    });
}
