//! A process that is killed at each request of its run.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use agent_sdk::{
    journal::{Record, Runs},
    store::SqliteStore,
};

use super::{
    child::{Folder, ID, Said, finish, kill, undisturbed},
    server::{Server, TOOL_TURNS},
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
    while server.received.recv().unwrap() < k {}
    // How long after the request it is killed: the fault itself.
    std::thread::sleep(later);
    kill(child);
    server.hold_from(usize::MAX);
    let first = server.take_keys();
    let (answers, results) = kept(&folder).await;
    if later.is_zero() {
        assert_eq!(
            (first.len(), answers.len(), results),
            (k, k - 1, 2 * (k - 1)),
            "{case}"
        );
    }

    let said = finish(folder.spawn(&server, true));
    let second = server.take_keys();
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

    assert_eq!(
        said,
        Said {
            lives: 2,
            ..undisturbed_like(whole)
        },
        "{case}"
    );
    for tool in ["note", "look"] {
        let effects = folder.effects(tool);
        assert_eq!(
            (effects.len(), twice(&effects)),
            (TOOL_TURNS, 0),
            "{case}: {tool} {effects:?}"
        );
    }
}

fn undisturbed_like(whole: &Said) -> Said {
    Said {
        text: whole.text.clone(),
        usage: whole.usage.clone(),
        error: None,
        error_kind: None,
        ..*whole
    }
}

#[tokio::test]
async fn s1_killed_at_any_request_and_soon_after_it_a_run_is_resumed_by_another_process() {
    let whole = undisturbed();
    for k in 1..=TOOL_TURNS + 1 {
        killed_at(k, Duration::ZERO, &whole).await;
        killed_at(k, Duration::from_millis(50), &whole).await;
    }
}
