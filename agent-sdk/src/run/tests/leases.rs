//! A run has one process at a time: the other is told who has it, and whoever lost it writes nothing more.

use std::{
    pin::pin,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use futures_util::future::join;
use tokio::runtime::Builder;
use tokio_util::sync::CancellationToken;

use super::world::{Act, FaultyStore, World, acting, allow, boss, crash_after};
use crate::{
    agent::Agent,
    journal::Runs,
    operation::{Clock, RunContext},
    run::RunErrorKind,
    store::{MemoryStore, StoreErrorKind},
    testing::Turn,
    tool::{Effect, FnTool, ToolContext},
};

#[derive(Clone, Debug)]
struct Hand(Arc<Mutex<SystemTime>>);

impl Hand {
    fn new() -> Self {
        let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        Self(Arc::new(Mutex::new(start)))
    }

    fn forward(&self, by: Duration) {
        *self.0.lock().unwrap() += by;
    }
}

impl Clock for Hand {
    fn now(&self) -> SystemTime {
        *self.0.lock().unwrap()
    }
}

/// An agent with one long call, then a short one.
fn patient(world: &World, takes: Duration) -> Agent {
    let agent = acting("a", world, |said| match said {
        0 => Turn::new().tool_call("c1", "slow", "{}"),
        1 => Turn::new().tool_call("c2", "write", "{}"),
        _ => Turn::from("over"),
    });
    let slow = Act {
        takes,
        ..Act::new(world, "slow", Effect::ReadOnly)
    };
    agent.tool(slow).build().unwrap()
}

fn context() -> RunContext {
    RunContext::builder().run_id("r").build()
}

#[tokio::test(start_paused = true)]
async fn s4_a_run_that_is_under_way_is_refused_with_who_has_it_and_until_when() {
    let (world, store) = (World::default(), Arc::new(MemoryStore::new()));
    let agent = patient(&world, Duration::from_secs(100));
    let run = agent.run("go").context(&context()).store(store.clone());
    let other = async {
        tokio::time::sleep(Duration::from_secs(50)).await;
        let refused = agent.resume("r", store.clone()).await.unwrap_err();
        assert_eq!(refused.kind(), RunErrorKind::Journal);
        let said = refused.to_string();
        assert!(
            said.ends_with("cannot go on here: another process has it"),
            "{said}"
        );
        let error = refused.store_error().unwrap();
        assert_eq!(error.kind(), StoreErrorKind::Held);
        let holder = error.holder().unwrap();
        assert_eq!(holder.pid, std::process::id());
        let said = error.to_string();
        assert!(
            said.contains(&format!("(process {}) until ", holder.pid)),
            "{said}"
        );
        refused.report().model_calls
    };
    let (report, asked) = join(async { run.await }, other).await;
    assert_eq!((report.unwrap().text.as_str(), asked), ("over", 0));
    assert_eq!(world.take().asked.len(), 3);
}

#[test]
fn s4_whoever_lost_the_lease_ends_and_writes_nothing_more() {
    let mut lost = 0;
    for n in 0.. {
        let mut builder = Builder::new_current_thread();
        let runtime = builder.enable_time().start_paused(true).build().unwrap();
        let over = runtime.block_on(async {
            let (world, clock) = (World::default(), Hand::new());
            let store = Arc::new(MemoryStore::with_clock(clock.clone()));
            let context = context();
            let agent = boss(&world);
            let run = agent.run("go").context(&context).store(store.clone());
            let mut run = pin!(async { run.await });
            if crash_after(n, run.as_mut()).await.is_some() {
                return true;
            }
            // It is held up for so long that another process takes the run over.
            clock.forward(Duration::from_secs(31));
            let other = boss(&world)
                .resume("r", store.clone())
                .approver(world.person(allow));
            let Ok(report) = other.await else {
                run.await.unwrap();
                return false;
            };
            let runs = Runs::new(store.clone());
            let before = runs.records("r").await.unwrap();
            let begun = world.take().begun.len();
            let ended = run.await.unwrap_err();
            assert_eq!(
                ended.kind(),
                RunErrorKind::Journal,
                "after {n} polls: {ended:?}"
            );
            assert_eq!(ended.store_error().unwrap().kind(), StoreErrorKind::Fenced);
            assert_eq!(runs.records("r").await.unwrap(), before, "after {n} polls");
            let writes = ["b3", "b5", "b6", "i1"];
            let more = world.take().begun;
            let wrote = more
                .iter()
                .any(|key| writes.iter().any(|id| key.ends_with(id)));
            assert!(
                !wrote,
                "after {n} polls: {begun} were begun, and then {more:?}"
            );
            assert_eq!(report.text, r#"{"n": 7}"#);
            lost += 1;
            false
        });
        if over {
            break;
        }
    }
    assert!(lost > 15, "{lost}");
}

#[tokio::test(start_paused = true)]
async fn s4_a_lease_that_cannot_be_renewed_is_lost_only_to_another() {
    let (world, store) = (World::default(), FaultyStore::new());
    let agent = patient(&world, Duration::from_secs(100));
    let run = agent
        .run("go")
        .context(&context())
        .store(Arc::new(store.clone()));
    let trouble = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        store.take_room();
        tokio::time::sleep(Duration::from_secs(90)).await;
        store.make_room();
    };
    let (report, ()) = join(async { run.await }, trouble).await;
    assert_eq!(report.unwrap().text, "over");
}

#[tokio::test(start_paused = true)]
async fn s1_a_run_is_paused_from_outside_and_by_token_and_then_completes() {
    let (world, store) = (World::default(), Arc::new(MemoryStore::new()));
    let runs = Runs::new(store.clone());
    let agent = patient(&world, Duration::from_secs(5));
    let run = agent.run("go").context(&context()).store(store.clone());
    let interrupt = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        runs.interrupt("r").await.unwrap();
    };
    let (paused, ()) = join(async { run.await }, interrupt).await;
    let paused = paused.unwrap_err();
    assert_eq!(paused.kind(), RunErrorKind::Paused);
    assert_eq!(
        (paused.report().tool_calls, paused.questions().len()),
        (1, 0)
    );
    assert_eq!(&*runs.get("r").await.unwrap().status, "paused");

    let report = agent.resume("r", store.clone()).await.unwrap();
    let sums = (report.model_calls, report.tool_calls, report.lives);
    assert_eq!((report.text.as_str(), sums), ("over", (3, 2, 2)));

    let token = CancellationToken::new();
    token.cancel();
    let paused = agent.run("go").store(store.clone()).pause(token);
    let paused = paused.await.unwrap_err();
    assert_eq!(paused.kind(), RunErrorKind::Paused);
    assert_eq!(paused.report().model_calls, 0);
    // A life that has kept nothing yet, whose run still counts as paused, is reached too.
    let id = paused.report().run_id.clone();
    let resumed = agent.resume(id.clone(), store.clone());
    let interrupt = async {
        runs.interrupt(id.as_str()).await.unwrap();
    };
    let (paused, ()) = join(async { resumed.await }, interrupt).await;
    let paused = paused.unwrap_err();
    assert_eq!(paused.kind(), RunErrorKind::Paused);
    assert_eq!(paused.report().tool_calls, 1, "what was begun is finished");
    let report = agent.resume(id, store).await.unwrap();
    let sums = (report.model_calls, report.tool_calls, report.lives);
    assert_eq!((report.text.as_str(), sums), ("over", (3, 2, 3)));
    let notes = world.take();
    let begun = notes.begun.iter().filter(|key| key.starts_with("r/"));
    assert_eq!(begun.collect::<Vec<_>>(), ["r/1/c1", "r/2/c2"]);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_run_is_free_at_once_also_while_something_holds_its_context() {
    let (world, store) = (World::default(), Arc::new(MemoryStore::new()));
    let kept: Arc<Mutex<Vec<RunContext>>> = Arc::default();
    let contexts = kept.clone();
    let keeps = FnTool::new(
        "slow",
        "",
        move |context: ToolContext, _: serde_json::Value| {
            contexts.lock().unwrap().push(context.run().clone());
            std::future::pending::<Result<(), String>>()
        },
    );
    let agent = acting("a", &world, |_| Turn::new().tool_call("c1", "slow", "{}"));
    let agent = agent.tool(keeps).build().unwrap();
    let run = agent.run("go").context(&context()).store(store.clone());
    assert!(crash_after(10, async { run.await }).await.is_none());
    assert_eq!(kept.lock().unwrap().len(), 1);
    let run = Runs::new(store).get("r").await.unwrap();
    assert_eq!(run.holder, None);
}
