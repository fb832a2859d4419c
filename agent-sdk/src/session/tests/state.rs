//! Shared state as tools have it.

use serde_json::json;

use super::*;
use crate::session::{SharedState, StateChange};

#[test]
fn changes_are_the_last_of_each_key_and_are_taken_once() {
    let state = SharedState::new();
    state.set("b", 1).unwrap();
    state.set("a", json!({"x": [1, 2]})).unwrap();
    state.set("b", 2).unwrap();
    assert_eq!(state.remove("a"), Some(json!({"x": [1, 2]})));
    assert_eq!(state.remove("never"), None);
    assert_eq!((state.get("a"), state.get("b")), (None, Some(json!(2))));
    let changes = state.take_changes();
    assert_eq!(
        changes,
        [StateChange::removed("a"), StateChange::set("b", 2)]
    );
    assert!(state.take_changes().is_empty());
    let text = serde_json::to_string(&changes).unwrap();
    assert_eq!(
        text,
        r#"[{"removed":{"key":"a"}},{"set":{"key":"b","value":2}}]"#
    );
    let read: Vec<StateChange> = serde_json::from_str(&text).unwrap();
    assert_eq!(read, changes);
}

#[test]
fn clones_share_and_forks_do_not() {
    let state = SharedState::new();
    let clone = state.clone();
    clone.set("a", 1).unwrap();
    assert_eq!(state.get("a"), Some(json!(1)));
    state.take_changes();

    let (one, two) = (state.fork(), state.fork());
    one.set("a", 2).unwrap();
    two.set("b", 3).unwrap();
    assert_eq!((two.get("a"), one.get("b")), (Some(json!(1)), None));
    let kept = [two.take_changes(), one.take_changes()];
    for changes in &kept {
        state.adopt(changes);
    }
    let own = [StateChange::set("a", 2), StateChange::set("b", 3)];
    assert_eq!(state.take_changes(), own);

    // Reading back what was kept gives the same state.
    let replayed = SharedState::new();
    replayed.adopt(&[StateChange::set("a", 1)]);
    replayed.adopt(&kept.concat());
    assert_eq!(*replayed.values(), *state.values());
    assert_eq!(state.keys(), ["a".into(), "b".into()]);
}

#[tokio::test]
async fn what_a_tool_changes_is_the_sessions_once_an_update_takes_it() {
    let mut session = session().await;
    session.set("n", 1).await.unwrap();
    let state = session.shared_state();
    state.set("n", 2).unwrap();
    assert_eq!(session.state()["n"], 1);
    let changes = state.take_changes();
    session.update().changes(changes).commit().await.unwrap();
    assert_eq!(session.state()["n"], 2);
    assert!(state.set("", 1).is_err());
}
