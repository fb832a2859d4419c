//! Versions, their names, what is different between them, and branches.

use serde_json::json;

use super::*;
use crate::{
    operation::RunContext,
    session::{Change, Compression, Diff, Difference, FileLimits, SessionErrorKind},
};

/// Created, two turns with a change of state each.
async fn two_turns() -> Session {
    let mut session = session().await;
    let first = session.update().say(user("q1")).say(assistant("a1"));
    first.set("n", 1).commit().await.unwrap();
    let second = session.update().say(user("q2")).say(assistant("a2"));
    second.set("n", 2).set("m", "x").commit().await.unwrap();
    session
}

#[tokio::test]
async fn a_version_is_the_session_as_it_was() {
    let mut session = two_turns().await;
    assert_eq!(session.snapshot("before lunch").await.unwrap(), 4);
    session.remove("n").await.unwrap();
    for (at, messages, state) in [
        (1, 0, json!({})),
        (2, 2, json!({"n": 1})),
        (3, 4, json!({"n": 2, "m": "x"})),
        (4, 4, json!({"n": 2, "m": "x"})),
        (5, 4, json!({"m": "x"})),
    ] {
        let view = session.at(at).await.unwrap();
        assert_eq!((view.version(), view.conversation().len()), (at, messages));
        assert_eq!(json!(view.state()), state);
    }
    let named = session.at("before lunch").await.unwrap();
    assert_eq!(named.version(), 4);
    let same = session.sessions.open_at(session.id(), 4).await.unwrap();
    assert_eq!(same.conversation(), named.conversation());

    for (error, kind) in [
        (session.at(0).await.unwrap_err(), SessionErrorKind::NotFound),
        (session.at(6).await.unwrap_err(), SessionErrorKind::NotFound),
        (
            session.at("x").await.unwrap_err(),
            SessionErrorKind::NotFound,
        ),
        (
            session.snapshot("before lunch").await.unwrap_err(),
            SessionErrorKind::Exists,
        ),
        (
            session.snapshot("").await.unwrap_err(),
            SessionErrorKind::Invalid,
        ),
        (
            session.snapshot("12").await.unwrap_err(),
            SessionErrorKind::Invalid,
        ),
    ] {
        assert_eq!(error.kind(), kind, "{error}");
    }
    let versions = session.versions().await.unwrap();
    let told: Vec<_> = versions
        .iter()
        .map(|it| {
            (
                it.version,
                it.what,
                it.name.as_deref(),
                it.messages,
                it.keys.len(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (1, "created", None, 0, 0),
            (2, "updated", None, 2, 1),
            (3, "updated", None, 2, 2),
            (4, "snapshot", Some("before lunch"), 0, 0),
            (5, "updated", None, 0, 1),
        ]
    );
}

/// The changes as `+`, `-` or `~` and where.
fn signs<K: std::fmt::Display, T>(differences: &[Difference<K, T>]) -> String {
    let signs = differences.iter().map(|Difference { at, change }| {
        let sign = match change {
            Change::Added { .. } => '+',
            Change::Removed { .. } => '-',
            Change::Changed { .. } => '~',
        };
        format!("{sign}{at}")
    });
    signs.collect::<Vec<_>>().join(" ")
}

fn table(diff: &Diff) -> [String; 3] {
    [
        signs(&diff.messages),
        signs(&diff.state),
        signs(&diff.files),
    ]
}

#[tokio::test]
async fn a_difference_names_what_came_went_and_changed() {
    let mut session = two_turns().await;
    let limits = FileLimits::default();
    let files = [("a.txt", "1"), ("b.txt", "2"), ("c.txt", "3")];
    session.keep_files(None, files, limits).await.unwrap();
    let files = [("b.txt", "2"), ("c.txt", "33"), ("d.txt", "4")];
    session.keep_files(Some("f2"), files, limits).await.unwrap();
    session.remove("m").await.unwrap();
    session.rename("T").await.unwrap();
    session.tag("k", "v").await.unwrap();
    for (from, to, expected) in [
        (1, 2, ["+1 +2", "+n", ""]),
        (2, 3, ["+3 +4", "+m ~n", ""]),
        (1, 3, ["+1 +2 +3 +4", "+m +n", ""]),
        (3, 1, ["-1 -2 -3 -4", "-m -n", ""]),
        (4, 5, ["", "", "-a.txt ~c.txt +d.txt"]),
        (3, 5, ["", "", "+b.txt +c.txt +d.txt"]),
        (5, 3, ["", "", "-b.txt -c.txt -d.txt"]),
        (5, 6, ["", "-m", ""]),
        (3, 3, ["", "", ""]),
    ] {
        let diff = session.diff(from, to).await.unwrap();
        assert_eq!(table(&diff), expected, "{from} → {to}");
        let text = serde_json::to_string(&diff).unwrap();
        assert_eq!(serde_json::from_str::<Diff>(&text).unwrap(), diff);
    }
    assert!(session.diff(3, 3).await.unwrap().is_empty());
    let diff = session.diff("f2", 8).await.unwrap();
    assert_eq!(diff.title, Some(Change::Added { new: "T".into() }));
    assert_eq!(signs(&diff.tags), "+k");

    let diff = session.diff(2, 3).await.unwrap();
    assert_eq!(
        diff.to_string(),
        "version 2 → 3\n\
         messages\n  + 3: user: q2\n  + 4: assistant: a2\n\
         state\n  + m: \"x\"\n  ~ n: 1 → 2\n"
    );
    assert_eq!(
        serde_json::to_value(&diff).unwrap()["state"],
        json!([
            {"at": "m", "change": "added", "new": "x"},
            {"at": "n", "change": "changed", "old": 1, "new": 2},
        ])
    );
    let none = session.diff(3, 3).await.unwrap().to_string();
    assert_eq!(none, "version 3 → 3: nothing is different\n");
}

#[tokio::test]
async fn across_a_compression_what_stayed_is_not_different() {
    let mut session = two_turns().await;
    session.extend([user("q3"), assistant("a3")]).await.unwrap();
    let compression = Compression::keep_last_turns(1).keep_keys(["m"]);
    let compressed = session.compress(&RunContext::new(), &compression).await;
    assert_eq!(compressed.unwrap().unwrap().version, 5);
    session.say(user("q4")).await.unwrap();
    let diff = session.diff(4, 6).await.unwrap();
    assert_eq!(table(&diff), ["-1 -2 -3 -4 +7 +8", "-n", ""]);
    let view = session.at(4).await.unwrap();
    assert_eq!((view.conversation().len(), view.state().len()), (6, 2));
    let back = session.branch(4).await.unwrap();
    assert_eq!(back.conversation().len(), 6);
}

#[tokio::test]
async fn a_branch_goes_its_own_way_and_outlives_its_origin() {
    let mut trunk = two_turns().await;
    trunk.rename("trunk").await.unwrap();
    let sessions = trunk.sessions.clone();
    let mut branch = trunk.branch(2).await.unwrap();
    assert_ne!(branch.id(), trunk.id());
    assert_eq!(branch.conversation().id().unwrap().as_str(), branch.id());
    assert_eq!((branch.version(), texts(&branch).len()), (3, 2));
    assert_eq!(branch.view().title(), None, "it had none then");
    branch.say(user("other")).await.unwrap();
    trunk.say(user("more")).await.unwrap();

    let diff = Diff::between(trunk.view(), branch.view());
    assert_eq!(table(&diff), ["~3 -4 -5", "-m ~n", ""]);
    let listed = sessions.list(10).await.unwrap();
    assert_eq!(listed.len(), 2);
    sessions.delete(trunk.id()).await.unwrap();
    let opened = sessions.open(branch.id()).await.unwrap();
    assert_eq!(texts(&opened), ["q1", "a1", "other"]);
    let versions = opened.versions().await.unwrap();
    assert_eq!(versions[2].what, "branched");
    let twig = opened.branch(1).await.unwrap();
    assert_eq!(twig.conversation().len(), 0);
}
