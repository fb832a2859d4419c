//! A run that is dropped at every point and resumed by another agent on the same store.

use std::{collections::BTreeSet, sync::Arc};

use tokio::runtime::Builder;

use super::world::{FaultyStore, Kept, Notes, World, allow, boss, crash_after, never_again};
use crate::{
    journal::{QuestionKind, Runs, Verdict},
    operation::{Outcome, RunContext},
    run::{RunErrorKind, RunReport},
    store::{Store, StoreErrorKind},
};

type Decide = fn(QuestionKind) -> Verdict;

const ID: &str = "run-1";

/// Begins the run in a process that lives for so many polls; `None` if it did not live to the end.
async fn first_life(world: &World, store: &FaultyStore, polls: usize) -> Option<RunReport> {
    let context = RunContext::builder().run_id(ID).build();
    let agent = boss(world);
    let run = agent
        .run("go")
        .context(&context)
        .store(Arc::new(store.clone()));
    let ended = crash_after(polls, async { run.await }).await?;
    Some(ended.unwrap())
}

/// Resumes the run in a process that lives for so many polls, or runs it anew if nothing of it was kept.
async fn next_life(
    world: &World,
    store: &FaultyStore,
    polls: usize,
    decide: Decide,
) -> Option<RunReport> {
    let shared: Arc<dyn Store> = Arc::new(store.clone());
    let run = boss(world)
        .resume(ID, shared.clone())
        .approver(world.person(decide));
    match crash_after(polls, async { run.await }).await? {
        Ok(report) => Some(report),
        Err(error) => {
            assert_eq!(error.kind(), RunErrorKind::Journal, "{error:?}");
            let missing = error.store_error().unwrap().kind();
            assert_eq!(missing, StoreErrorKind::NotFound, "{error:?}");
            let context = RunContext::builder().run_id("run-2").build();
            let run = boss(world).run("go").context(&context).store(shared);
            Some(run.await.unwrap())
        }
    }
}

fn each_paused_runtime(mut test: impl AsyncFnMut(usize) -> bool) {
    for n in 0..2_000 {
        let runtime = Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        if runtime.block_on(test(n)) {
            assert!(
                n > 60,
                "it is over after {n} polls: were there so few awaits?"
            );
            return;
        }
    }
    panic!("it never ends");
}

/// What was kept is not done again, and what was not is, once and with the same key, or asked about.
fn follows(case: &str, kept: &Kept, before: &Notes, after: &Notes, decide: Decide) {
    let again: Vec<_> = after
        .asked
        .iter()
        .filter(|key| kept.answers.contains(key))
        .collect();
    assert!(
        again.is_empty(),
        "{case}: kept answers are asked for again: {again:?}"
    );
    let again: Vec<_> = after
        .begun
        .iter()
        .filter(|key| kept.results.contains(key))
        .collect();
    assert!(
        again.is_empty(),
        "{case}: calls with kept results are made again: {again:?}"
    );

    let doubted = after
        .questions
        .iter()
        .filter(|(_, kind)| *kind == QuestionKind::InDoubt);
    let doubted: BTreeSet<String> = doubted.map(|(path, _)| format!("{ID}/{path}")).collect();
    let in_doubt: BTreeSet<String> = kept.in_doubt.iter().cloned().collect();
    assert_eq!(doubted, in_doubt, "{case}: these are asked about");
    let begun_again = |key: &&String| before.begun.contains(key) && after.begun.contains(key);
    for key in before.begun.iter().filter(begun_again) {
        let writes = ["b3", "b5", "b6", "i1"].iter().any(|id| key.ends_with(id));
        let may_be = !writes || (in_doubt.contains(key) && decide(QuestionKind::InDoubt).allowed);
        assert!(may_be, "{case}: {key} writes and is made again unasked");
    }
    if !decide(QuestionKind::InDoubt).allowed {
        for key in &in_doubt {
            let (_, id) = key.rsplit_once('/').unwrap();
            let told = after.shown.iter().flat_map(super::world::results_per_call);
            let told: Vec<_> = told.filter(|(call, _)| call == id).collect();
            assert!(!told.is_empty(), "{case}: nothing is told of {key}");
            for (_, results) in told {
                assert!(
                    results[0].starts_with("interrupted: "),
                    "{case}: {results:?}"
                );
            }
        }
    }
}

fn crashes_at_every_poll(decide: Decide) {
    let mut whole = None;
    let world = World::default();
    each_paused_runtime(async |n| {
        let store = FaultyStore::new();
        if n == 0 {
            whole = first_life(&world, &store, usize::MAX).await;
            world.take();
        }
        let ended = first_life(&world, &store_of(n, &store), n).await;
        let before = world.take();
        let runs = Runs::new(Arc::new(store.clone()));
        if n == 0 || ended.is_some() {
            return ended.is_some();
        }
        let kept = Kept::of(&runs, ID).await;
        let report = next_life(&world, &store, usize::MAX, decide).await.unwrap();
        let after = world.take();
        let case = format!("dropped after {n} polls");
        let asked: BTreeSet<_> = before.asked.iter().chain(&after.asked).collect();
        assert_eq!(
            asked.len(),
            8,
            "{case}: the same requests with the same keys: {asked:?}"
        );
        follows(&case, &kept, &before, &after, decide);
        let denied = if decide(QuestionKind::InDoubt).allowed {
            0
        } else {
            kept.in_doubt.len()
        };
        same_as_undisturbed(&case, &report, whole.as_ref().unwrap(), denied);
        if denied == 0 {
            let done: BTreeSet<_> = before.done.iter().chain(&after.done).collect();
            assert_eq!(done.len(), 8, "{case}: each call took effect: {done:?}");
        }
        assert!(report.lives <= 2, "{case}");
        false
    });
}

/// The n-th store: only the first run of all uses the one that was given.
fn store_of(n: usize, store: &FaultyStore) -> FaultyStore {
    if n == 0 {
        FaultyStore::new()
    } else {
        store.clone()
    }
}

fn same_as_undisturbed(case: &str, report: &RunReport, whole: &RunReport, denied: usize) {
    assert_eq!(report.outcome, Outcome::Ok, "{case}");
    assert_eq!(report.text, whole.text, "{case}");
    assert_eq!(report.usage, whole.usage, "{case}");
    assert_eq!(report.cost, whole.cost, "{case}");
    assert_eq!(report.unpriced_calls, 0, "{case}");
    assert_eq!(report.model_calls, whole.model_calls, "{case}");
    let denied = u32::try_from(denied).unwrap();
    assert_eq!(report.tool_calls, whole.tool_calls - denied, "{case}");
}

#[test]
fn s1_resumed_after_a_crash_at_every_point_nothing_kept_is_done_again() {
    crashes_at_every_poll(allow);
}

#[test]
fn s1_a_call_in_doubt_that_is_not_allowed_again_is_told_as_interrupted() {
    crashes_at_every_poll(never_again);
}

#[test]
fn s1_a_run_that_crashes_in_every_life_comes_to_its_end() {
    let world = World::default();
    each_paused_runtime(async |n| {
        let store = FaultyStore::new();
        if n < 8 {
            return false;
        }
        if let Some(whole) = first_life(&world, &store, n).await {
            assert_eq!(whole.lives, 1);
            world.take();
            return true;
        }
        let runs = Runs::new(Arc::new(store.clone()));
        for life in 2.. {
            assert!(life < 200, "lives of {n} polls lead nowhere");
            let kept = Kept::of(&runs, ID).await;
            let before = world.take();
            // A life in which a person is waited for needs a poll more than it gains.
            let ended = next_life(&world, &store, n + life, allow).await;
            let after = world.take();
            let again = after
                .asked
                .iter()
                .filter(|key| kept.answers.contains(key))
                .count();
            let again = again
                + after
                    .begun
                    .iter()
                    .filter(|key| kept.results.contains(key))
                    .count();
            assert_eq!(again, 0, "lives of {n} polls: {before:?} {after:?}");
            if let Some(report) = ended {
                assert_eq!(
                    (report.model_calls, report.tool_calls),
                    (8, 10),
                    "lives of {n} polls"
                );
                assert_eq!(report.text, r#"{"n": 7}"#);
                return false;
            }
        }
        true
    });
}
