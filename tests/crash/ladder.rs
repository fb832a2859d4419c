//! A process that is killed at each request of its run.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use agent_sdk::{
    journal::{Record, Runs},
    store::SqliteStore,
};

use super::{
    child::{Folder, ID, Said, finish, kill, undisturbed},
    server::{Received, Server, TOOL_TURNS},
};

/// The keys of the answers and of the call results that the store has.
async fn kept(folder: &Folder) -> (BTreeSet<String>, usize) {
    let runs = Runs::new(Arc::new(SqliteStore::open(folder.store()).unwrap()));
    let (mut answers, mut results) = (BTreeSet::new(), 0);
    for stored in runs.records(ID).await.unwrap() {
        match stored.record {
            Record::Answered(_) => {
                answers.insert(format!("{ID}/{}:gpt-4o", answers.len() + 1));
            }
            Record::ToolReturned { .. } => results += 1,
            _ => {}
        }
    }
    (answers, results)
}

fn twice(keys: &[String]) -> usize {
    keys.len() - keys.iter().collect::<BTreeSet<_>>().len()
}

async fn killed_at(k: usize, later: Duration, whole: &Said) {
    let case = format!("killed {later:?} after request {k}");
    let (folder, server) = (Folder::new(), Server::start());
    if later.is_zero() {
        server.hold_from(k);
    }
    let child = folder.spawn(&server, false);
    server.wait_for(Received::Request(k));
    // How long after the request it is killed: the fault itself.
    std::thread::sleep(later);
    kill(child);
    server.hold_from(usize::MAX);
    let (answers, results) = kept(&folder).await;

    let said = finish(folder.spawn(&server, true));
    let (first, second) = (server.keys_of(1), server.keys_of(2));
    if later.is_zero() {
        assert_eq!(
            (first.len(), answers.len(), results),
            (k, k - 1, 2 * (k - 1)),
            "{case}"
        );
    }
    let again: Vec<_> = second.iter().filter(|key| answers.contains(*key)).collect();
    assert!(
        again.is_empty(),
        "{case}: kept answers are asked for again: {again:?}"
    );
    let in_doubt: Vec<_> = first.iter().filter(|key| !answers.contains(*key)).collect();
    let repeated = second.iter().filter(|key| first.contains(key));
    assert_eq!(
        repeated.collect::<Vec<_>>(),
        in_doubt,
        "{case}: with the same keys"
    );
    assert_eq!((twice(&first), twice(&second)), (0, 0), "{case}");
    let all: BTreeSet<_> = first.iter().chain(&second).collect();
    assert_eq!(all.len(), TOOL_TURNS + 1, "{case}");

    assert!(said.asked.len() <= 1, "{case}: {said:?}");
    same_as(whole, &case, &said, &said.asked);
    took_effect_once(&case, &folder);
}

fn took_effect_once(case: &str, folder: &Folder) {
    for tool in ["note", "look"] {
        let effects = folder.effects(tool);
        let counts = (effects.len(), twice(&effects));
        assert_eq!(counts, (TOOL_TURNS, 0), "{case}: {tool} {effects:?}");
    }
}

/// A resumed run came to what the undisturbed one did, and asked about these calls.
fn same_as(whole: &Said, case: &str, said: &Said, asked: &[String]) {
    let expected = Said {
        text: whole.text.clone(),
        usage: whole.usage.clone(),
        lives: 2,
        asked: asked.to_vec(),
        error: None,
        error_kind: None,
        ..*whole
    };
    assert_eq!(*said, expected, "{case}");
}

#[tokio::test]
async fn s1_killed_at_any_request_and_soon_after_it_a_run_is_resumed_by_another_process() {
    let whole = undisturbed();
    for k in 1..=TOOL_TURNS + 1 {
        killed_at(k, Duration::ZERO, &whole).await;
        killed_at(k, Duration::from_millis(50), &whole).await;
    }
}

#[tokio::test]
async fn s1_killed_when_a_call_took_effect_but_its_result_was_not_kept_it_is_in_doubt() {
    let whole = undisturbed();
    for k in 1..=TOOL_TURNS {
        let case = format!("killed at effect {k}");
        let (folder, server) = (Folder::new(), Server::start());
        server.hold_effects_from(k);
        let child = folder.spawn(&server, false);
        server.wait_for(Received::Effect(k));
        kill(child);
        server.hold_effects_from(usize::MAX);
        assert_eq!(folder.effects("note").len(), k, "{case}");
        let (answers, _) = kept(&folder).await;
        assert_eq!(answers.len(), k, "{case}");
        let said = finish(folder.spawn(&server, true));
        assert_eq!(server.keys_of(2).len(), TOOL_TURNS + 1 - k, "{case}");
        same_as(&whole, &case, &said, &[format!("{k}/w{}", k - 1)]);
        took_effect_once(&case, &folder);
    }
}
