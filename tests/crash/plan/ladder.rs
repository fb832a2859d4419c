//! What must be so wherever the process was killed.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    fs,
    process::Child,
    sync::Arc,
    time::Duration,
};

use agent_sdk::{
    journal::{Record, Runs, StepTask},
    store::SqliteStore,
};

use super::{
    process::{NARROW, Said},
    work::{EFFECTS, REQUESTS, STEPS, server},
};
use crate::{
    child::{Folder, ID, finish_as, kill},
    server::{Received, Server},
};

fn spawn(folder: &Folder, server: &Server, resumes: bool) -> Child {
    folder.spawn_as(
        "plan::process::the_process_that_runs_the_plan",
        server,
        resumes,
    )
}

/// What the functions and the tools of the plan did: the number of the process, and the key.
fn deeds(folder: &Folder) -> Vec<(usize, String)> {
    let text = fs::read_to_string(folder.0.path().join("deeds")).unwrap_or_default();
    let lines = text.lines().map(|line| line.split_once(' ').unwrap());
    lines
        .map(|(process, key)| (process.parse().unwrap(), key.to_owned()))
        .collect()
}

/// What a store has of a plan.
#[derive(Debug, Default)]
struct Kept {
    /// The keys of the model's answers.
    answers: BTreeSet<String>,
    /// The keys under which tools and functions of steps and agents were called whose results are there.
    done: BTreeSet<String>,
    /// The paths of what was begun and has no result.
    in_doubt: BTreeSet<String>,
}

/// The place of a try.
fn path(around: &str, task: &StepTask) -> String {
    let mut path = match around {
        "" => task.step.to_string(),
        around => format!("{around}/{}", task.step),
    };
    if let Some(item) = task.item {
        let _ = write!(path, ".{item}");
    }
    if task.choice > 0 {
        let _ = write!(path, "~{}", task.choice);
    }
    if task.attempt > 1 {
        let _ = write!(path, "@{}", task.attempt);
    }
    path
}

async fn kept(folder: &Folder) -> Kept {
    let runs = Runs::new(Arc::new(SqliteStore::open(folder.store()).unwrap()));
    let mut kept = Kept::default();
    let mut turns: BTreeMap<String, usize> = BTreeMap::new();
    let mut calls: BTreeMap<(String, usize), String> = BTreeMap::new();
    for stored in runs.records(ID).await.unwrap() {
        let at = stored.path.to_string();
        match stored.record {
            Record::Answered(answered) => {
                let turn = turns.entry(at.clone()).or_default();
                *turn += 1;
                kept.answers.insert(format!("{ID}/{at}/{turn}:gpt-4o"));
                let message = &answered.response.message;
                for (place, call) in message.tool_calls().enumerate() {
                    let path = format!("{at}/{turn}/{}", call.id);
                    calls.insert((at.clone(), place), path);
                }
            }
            Record::ToolStarted { place } => {
                let path = calls.get(&(at.clone(), place)).cloned().unwrap_or(at);
                kept.in_doubt.insert(path);
            }
            Record::ToolReturned { place, .. } => {
                let path = calls[&(at, place)].clone();
                kept.in_doubt.remove(&path);
                kept.done.insert(format!("{ID}/{path}"));
            }
            Record::StepEnded { task, .. } => {
                let path = path(&at, &task);
                kept.in_doubt.remove(&path);
                kept.done.insert(format!("{ID}/{path}"));
            }
            _ => {}
        }
    }
    kept
}

/// What the plan comes to when nothing disturbs it.
fn undisturbed() -> Said {
    let (folder, server) = (Folder::new(), server());
    let said: Said = finish_as(spawn(&folder, &server, false));
    let steps = said.outcome["steps"].as_array().unwrap();
    assert_eq!((steps.len(), said.lives), (STEPS, 1));
    assert!(steps.iter().all(|step| step["outcome"] == "ok"), "{said:?}");
    assert_eq!(server.keys_of(1).len(), REQUESTS);
    assert_eq!(said.spent["model_calls"], REQUESTS);
    let attempts = |id: &str| {
        let step = steps.iter().find(|step| step["id"] == id).unwrap();
        step["attempts"].as_u64().unwrap()
    };
    assert_eq!((attempts("research"), attempts("flaky")), (3, 2));
    assert_eq!(attempts("opinion"), 2, "the fallback is a try too");
    assert!(said.spent["cost_nanos"].as_u64().unwrap() > 0);
    said
}

/// A resumed plan came to what the undisturbed one did.
fn same_as(whole: &Said, case: &str, said: &Said, lives: u32) {
    assert_eq!((&said.spent, said.lives), (&whole.spent, lives), "{case}");
    let steps = |said: &Said| said.outcome["steps"].as_array().unwrap().clone();
    for (step, undisturbed) in steps(said).into_iter().zip(steps(whole)) {
        assert_eq!(step, undisturbed, "{case}");
    }
    assert_eq!(said.outcome, whole.outcome, "{case}");
}

/// Nothing that was kept when `process` began was asked or done again by it or by a later one.
fn nothing_again(case: &str, kept: &Kept, folder: &Folder, server: &Server, process: usize) {
    let asked = server.keys_of(process);
    let again: Vec<_> = asked
        .iter()
        .filter(|key| kept.answers.contains(*key))
        .collect();
    assert!(again.is_empty(), "{case}: asked again: {again:?}");
    let deeds = deeds(folder);
    let again = deeds.iter();
    let again = again.filter(|(by, key)| *by >= process && kept.done.contains(key));
    let again: Vec<_> = again.collect();
    assert!(again.is_empty(), "{case}: done again: {again:?}");
}

async fn killed(case: &str, folder: &Folder, server: &Server, whole: &Said) {
    let kept = kept(folder).await;
    let said: Said = finish_as(spawn(folder, server, true));
    nothing_again(case, &kept, folder, server, 2);
    let asked: BTreeSet<String> = said.asked.iter().cloned().collect();
    assert_eq!(asked.len(), said.asked.len(), "{case}: asked twice");
    assert_eq!(asked, kept.in_doubt, "{case}");
    same_as(whole, case, &said, 2);
    let keys: BTreeSet<String> = [1, 2].iter().flat_map(|one| server.keys_of(*one)).collect();
    assert_eq!(keys.len(), REQUESTS, "{case}: with the same keys");
}

#[tokio::test]
async fn p5_a_plan_that_is_killed_at_any_request_or_soon_after_it_goes_on_to_the_same_report() {
    let whole = undisturbed();
    for k in 1..=REQUESTS {
        for later in [Duration::ZERO, Duration::from_millis(20)] {
            let (folder, server) = (Folder::new(), server());
            if later.is_zero() {
                server.hold_from(k);
            }
            let child = spawn(&folder, &server, false);
            server.wait_for(Received::Request(k));
            // How long after the request it is killed: the fault itself.
            std::thread::sleep(later);
            kill(child);
            server.hold_from(usize::MAX);
            let case = format!("killed {later:?} after request {k}");
            killed(&case, &folder, &server, &whole).await;
        }
    }
}

#[tokio::test]
async fn p5_a_plan_that_is_killed_when_something_took_effect_asks_about_that_and_goes_on() {
    let whole = undisturbed();
    for k in 1..=EFFECTS {
        let (folder, server) = (Folder::new(), server());
        server.hold_effects_from(k);
        let child = spawn(&folder, &server, false);
        server.wait_for(Received::Effect(k));
        kill(child);
        server.hold_effects_from(usize::MAX);
        let case = format!("killed at effect {k}");
        assert!(!kept(&folder).await.in_doubt.is_empty(), "{case}");
        killed(&case, &folder, &server, &whole).await;
    }
}

#[tokio::test]
async fn p5_a_plan_whose_every_process_is_killed_at_its_next_request_comes_to_the_same_report() {
    let whole = undisturbed();
    let (folder, server) = (Folder::new(), server());
    // One step at a time, so that each life brings one answer.
    fs::write(folder.0.path().join(NARROW), "").unwrap();
    let mut received = 0;
    for life in 1..REQUESTS {
        let case = format!("life {life}");
        let before = if life == 1 {
            Kept::default()
        } else {
            kept(&folder).await
        };
        // The first request is answered, the second is not.
        server.hold_from(received + 2);
        let child = spawn(&folder, &server, life > 1);
        server.wait_for(Received::Request(received + 2));
        kill(child);
        received += 2;
        nothing_again(&case, &before, &folder, &server, life);
        let more = kept(&folder).await;
        let (known, first) = (before.answers.len(), server.keys_of(life));
        assert!(
            more.answers.len() + more.done.len() > known + before.done.len(),
            "{case}"
        );
        assert_eq!(first.len(), 2, "{case}");
    }
    server.hold_from(usize::MAX);
    let before = kept(&folder).await;
    let said: Said = finish_as(spawn(&folder, &server, true));
    nothing_again("the last life", &before, &folder, &server, REQUESTS);
    assert_eq!(server.keys_of(REQUESTS).len(), 1);
    assert_eq!(said.asked, [""; 0], "nothing was in doubt");
    same_as(
        &whole,
        "the last life",
        &said,
        u32::try_from(REQUESTS).unwrap(),
    );
}
