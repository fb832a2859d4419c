//! A session as a document, and back.

use std::collections::BTreeMap;

use proptest::{collection::vec, prelude::*};
use serde_json::{Value, json};

use super::*;
use crate::{
    message::Role,
    operation::{RunContext, RunId},
    session::{Compression, Diff, FileLimits, SessionErrorKind},
};

/// A document of the first version of the form. A library that cannot read it any more has broken a promise.
const GOLDEN: &str = include_str!("golden/session-v1.json");

/// The same, as a newer library might have written it: with fields, records and a format of theirs that are not known.
const NEWER: &str = include_str!("golden/session-v1-newer-writer.json");

/// Something that is done to a session.
#[derive(Clone, Debug)]
enum Deed {
    Say(Vec<Message>),
    Set(String, Value),
    Remove(String),
    Rename(String),
    Tag(String, String),
    Snapshot,
    Files(BTreeMap<String, Vec<u8>>),
    Compress(usize),
    Run(bool),
}

fn message() -> impl Strategy<Value = Message> {
    prop_oneof![
        ".{0,12}".prop_map(|text| user(&text)),
        ".{0,12}".prop_map(|text| assistant(&text)),
        Just(call("c-1")[0].clone()),
        Just(call("c-1")[1].clone()),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        proptest::num::f64::NORMAL.prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(".{0,4}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn deed() -> impl Strategy<Value = Deed> {
    let key = || "[a-d]";
    let files = proptest::collection::btree_map("[a-c](/[a-c])?", vec(any::<u8>(), 0..6), 0..4);
    prop_oneof![
        4 => vec(message(), 0..4).prop_map(Deed::Say),
        3 => (key(), value()).prop_map(|(key, value)| Deed::Set(key, value)),
        1 => key().prop_map(Deed::Remove),
        1 => ".{0,8}".prop_map(Deed::Rename),
        1 => (key(), ".{0,4}").prop_map(|(key, value)| Deed::Tag(key, value)),
        1 => Just(Deed::Snapshot),
        2 => files.prop_map(Deed::Files),
        1 => (0_usize..3).prop_map(Deed::Compress),
        1 => any::<bool>().prop_map(Deed::Run),
    ]
}

async fn act(session: &mut Session, number: usize, deed: Deed) {
    let name = format!("name {number}");
    match deed {
        Deed::Say(messages) => drop(session.extend(messages).await.unwrap()),
        Deed::Set(key, value) => drop(session.set(key, value).await.unwrap()),
        Deed::Remove(key) => drop(session.remove(key).await.unwrap()),
        Deed::Rename(title) => drop(session.rename(title).await.unwrap()),
        Deed::Tag(key, value) => drop(session.tag(key, value).await.unwrap()),
        Deed::Snapshot => drop(session.snapshot(&name).await.unwrap()),
        Deed::Files(files) => {
            let limits = FileLimits::default();
            drop(
                session
                    .keep_files(Some(&name), files, limits)
                    .await
                    .unwrap(),
            );
        }
        Deed::Compress(turns) => {
            let compression = Compression::keep_last_turns(turns).keep_keys(["a", "b"]);
            let context = RunContext::new();
            drop(session.compress(&context, &compression).await.unwrap());
        }
        Deed::Run(finishes) => {
            let run = RunId::from(name);
            session.begin_run(run, user("go")).await.unwrap();
            if finishes {
                let conversation = session.conversation().clone();
                session.finish_run(conversation).commit().await.unwrap();
            } else {
                session.abandon_run().await.unwrap();
            }
        }
    }
}

/// All that a view shows, but for its version.
fn shown(session: &Session, view: &crate::session::View) -> Value {
    json!({
        "title": view.title(),
        "tags": view.tags(),
        "conversation": view.conversation().messages(),
        "state": view.state(),
        "files": view.files(),
        "not_kept": view.not_kept(),
        "open_run": view.open_run(),
        "id": session.id() == view.id(),
    })
}

async fn same_everywhere(one: &Session, two: &Session) {
    for version in 1..=one.version() {
        let (a, b) = (
            one.at(version).await.unwrap(),
            two.at(version).await.unwrap(),
        );
        assert_eq!(shown(one, &a), shown(two, &b), "version {version}");
        assert!(Diff::between(&a, &b).is_empty());
        for path in a.files().keys() {
            let kept = one.file(path, version).await.unwrap();
            assert_eq!(two.file(path, version).await.unwrap(), kept);
        }
    }
    let versions = one.versions().await.unwrap();
    assert_eq!(two.versions().await.unwrap()[..versions.len()], versions);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_is_exported_and_imported_is_the_same_in_every_version(deeds in vec(deed(), 0..14)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut session = session().await;
            for (number, deed) in deeds.into_iter().enumerate() {
                act(&mut session, number, deed).await;
            }
            let opened = session.sessions.open(session.id()).await.unwrap();
            assert_eq!(shown(&opened, opened.view()), shown(&session, session.view()));

            let document = session.export().await.unwrap();
            let bob = Sessions::new(Arc::new(MemoryStore::new()), "bob");
            let imported = bob.import(&document).await.unwrap();
            assert_eq!(imported.id(), session.id());
            assert_eq!(imported.version(), session.version() + 1);
            same_everywhere(&session, &imported).await;

            // A branch is whole, and so is what was imported before; under the same user it gets an id of its own.
            let branch = imported.branch(imported.version()).await.unwrap();
            let again = bob.import(branch.export().await.unwrap()).await.unwrap();
            assert_ne!(again.id(), imported.id());
            same_everywhere(&imported, &again).await;
        });
    }
}

#[tokio::test]
async fn s6_the_golden_document_is_read_as_it_was_meant() {
    let sessions = sessions();
    let mut session = sessions.import(GOLDEN).await.unwrap();
    assert_eq!(session.id(), "0199f0c0a1b27c3d8e4f5a6b7c8d9e0f");
    assert_eq!(session.version(), 9);
    let view = session.at(8).await.unwrap();
    assert_eq!(view.title(), Some("Fjords"));
    assert_eq!(json!(view.tags()), json!({"team": "north"}));
    assert_eq!(
        json!(view.state()),
        json!({"city": "Bergen", "limits": {"nights": 3, "ratio": 0.3}})
    );
    assert_eq!(
        texts(&session),
        [
            "[The first 4 messages of this conversation were left out to save room.]",
            "And by boat?",
            "Yes."
        ]
    );
    assert_eq!(view.unknown_records(), 0);
    let before = session.at("planned").await.unwrap();
    assert_eq!(before.conversation().len(), 4);
    assert_eq!(before.conversation().messages()[2].role, Role::Tool);
    assert_eq!(
        session.file("notes/plan.md", "planned").await.unwrap(),
        "Day 1: Flåm\n"
    );
    assert_eq!(
        session.file("notes/plan.md", 8).await.unwrap(),
        "Day 1: Bergen\n"
    );
    assert_eq!(view.not_kept().len(), 1);
    let versions = session.versions().await.unwrap();
    assert_eq!(versions[0].at.to_string(), "2026-11-21T08:00:00Z");
    assert_eq!(versions[1].run.as_ref().unwrap().as_str(), "run-1");

    // What is written today has the records to the byte, and one for the import.
    let exported: Value = serde_json::from_str(&session.export().await.unwrap()).unwrap();
    let golden: Value = serde_json::from_str(GOLDEN).unwrap();
    let records = |document: &Value| document["records"].as_array().unwrap().clone();
    assert_eq!(records(&exported)[..8], records(&golden)[..]);
    assert_eq!(exported["files"], golden["files"]);
    assert_eq!(
        (&exported["format"], &exported["version"]),
        (&golden["format"], &golden["version"])
    );
    session.say(user("And on?")).await.unwrap();
}

#[tokio::test]
async fn s6_what_a_newer_library_wrote_is_kept_passed_on_and_counted() {
    let session = sessions().import(NEWER).await.unwrap();
    assert_eq!(texts(&session), ["hi"]);
    assert_eq!(session.view().unknown_records(), 2);
    let what: Vec<_> = session
        .versions()
        .await
        .unwrap()
        .iter()
        .map(|it| it.what)
        .collect();
    assert_eq!(
        what,
        ["created", "unknown", "updated", "unknown", "imported"]
    );
    let document = session.export().await.unwrap();
    let again = sessions().import(&document).await.unwrap();
    assert_eq!(again.view().unknown_records(), 2);
    // To the byte: also a number that no type of ours could hold.
    for text in ["123456789012345678901234567890", "\"feeling\"", "\"tone\""] {
        assert!(document.contains(text), "{document}");
    }
}

#[tokio::test]
async fn s6_a_newer_form_is_refused_with_both_versions() {
    let newer = GOLDEN.replacen("\"version\": 1", "\"version\": 2", 1);
    let error = sessions().import(&newer).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.path()),
        (SessionErrorKind::Newer, Some("version"))
    );
    assert!(error.to_string().contains("version 2"), "{error}");
    assert!(error.to_string().contains("up to version 1"), "{error}");
    let newer = GOLDEN.replacen("\"format\": 1", "\"format\": 7", 1);
    let error = sessions().import(&newer).await.unwrap_err();
    assert_eq!(error.kind(), SessionErrorKind::Newer);
    assert_eq!(error.path(), Some("records[0].record.format"));
}
