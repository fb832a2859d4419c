//! What is kept, and in which order the plan hears of it.

use std::{sync::Arc, time::Duration};

use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{Deeds, ends, orchestrator, plan, registry, wait};
use crate::{
    journal::{Record, Runs, Verdict},
    operation::RunContext,
    orchestrator::{Orchestrator, PlanRunErrorKind},
    plan::{Change, Join, Map, SkipReason, Step, StepEnd},
    store::MemoryStore,
    testing::FaultyStore,
    tool::ToolError,
};

fn context() -> RunContext {
    RunContext::builder().run_id("r").build()
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_any_of_two_is_given_the_same_in_the_next_life() {
    // The answer of the store about the first end comes long after the second is kept too.
    let store = Arc::new(FaultyStore::new().late(4, Duration::from_millis(50)));
    let deeds = Deeds::default();
    let orchestrator = || {
        let registry = registry(&deeds);
        let noted = deeds.clone();
        registry
            .function("hang", move |input: serde_json::Value| {
                noted.note(format!("given {input}"));
                std::future::pending::<Result<u8, String>>()
            })
            .unwrap();
        Orchestrator::new(registry)
    };
    let both = json!(["${steps.a}", "${steps.b}"]);
    let whole = plan([
        wait("a", 10),
        wait("b", 20),
        Step::function("c", "hang").input(both).join(Join::Any),
    ]);
    let run = orchestrator()
        .run(&whole)
        .context(&context())
        .store(store.clone());
    let gone = tokio::time::timeout(Duration::from_millis(100), run.into_future()).await;
    assert!(gone.is_err());
    let deeds_of_first = deeds.take();
    assert_eq!(deeds_of_first.last().unwrap(), "given [10,null]");

    let again = orchestrator()
        .resume("r", store)
        .approver(async |_| Verdict::allow());
    let gone = tokio::time::timeout(Duration::from_millis(100), again.into_future()).await;
    assert!(gone.is_err());
    assert_eq!(deeds.take(), ["given [10,null]"]);
}

#[tokio::test(start_paused = true)]
async fn what_ends_while_something_is_kept_is_kept_at_once_after_it() {
    let store = FaultyStore::new().late(8, Duration::from_millis(50));
    let list: Vec<u64> = (0..6).map(|n| 10 + n).collect();
    let whole = plan([Step::function("s", "wait")
        .map(Map::over(json!(list)))
        .input("${item}")]);
    let run = orchestrator(&Deeds::default())
        .run(&whole)
        .context(&context())
        .store(Arc::new(store.clone()));
    run.await.unwrap();
    // The life and the plan, what each function announces, the first end, all others, the end of the life.
    let counts = store.take_counts();
    assert_eq!(
        (counts.appends, counts.entries),
        (1 + 6 + 2 + 1, 2 + 6 + 6 + 1)
    );
}

#[tokio::test(start_paused = true)]
async fn a_change_that_cannot_be_kept_is_not_made() {
    let (store, deeds) = (FaultyStore::new(), Deeds::default());
    let whole = plan([wait("a", 50), wait("b", 10).after(["a"])]);
    let mut run = orchestrator(&deeds)
        .run(&whole)
        .context(&context())
        .store(Arc::new(store.clone()));
    let handle = run.handle();
    let changing = async {
        tokio::time::sleep(Duration::from_millis(10)).await;
        store.take_room();
        handle.skip("b").await.unwrap_err();
    };
    let (ended, ()) = tokio::join!(run.into_future(), changing);
    let ended = ended.unwrap_err();
    assert_eq!(ended.kind(), PlanRunErrorKind::Journal);
    let b = &ended.report().unwrap().step("b").unwrap().end;
    let by_person = SkipReason::Person;
    assert!(
        !matches!(b, StepEnd::Skipped { because, .. } if *because == by_person),
        "{b:?}"
    );
    store.make_room();
    let report = orchestrator(&deeds)
        .resume("r", Arc::new(store))
        .approver(async |_| Verdict::allow())
        .await
        .unwrap();
    assert_eq!(ends(&report), json!({"a": "ok", "b": "ok"}));
}

#[tokio::test(start_paused = true)]
async fn a_change_that_is_refused_is_not_kept() {
    let store = Arc::new(MemoryStore::new());
    let mut run = orchestrator(&Deeds::default())
        .run(&plan([wait("a", 50)]))
        .context(&context())
        .store(store.clone());
    let handle = run.handle().by("somebody");
    let changing = async {
        let nobody = Change::Skip { id: "b".into() };
        handle.change(nobody).await.unwrap_err();
        handle.add(wait("c", 1)).await.unwrap();
    };
    let (report, ()) = tokio::join!(run.into_future(), changing);
    report.unwrap();
    let kept = Runs::new(store).records("r").await.unwrap();
    let changes = kept.iter().filter_map(|it| match &it.record {
        Record::PlanChanged { change, by } => Some((change.as_str(), by.as_deref())),
        _ => None,
    });
    assert_eq!(changes.collect::<Vec<_>>(), [("add", Some("somebody"))]);
}

#[tokio::test(start_paused = true)]
async fn a_step_that_gave_up_by_itself_is_over_in_the_next_life_too() {
    let (store, deeds) = (Arc::new(MemoryStore::new()), Deeds::default());
    let orchestrator = || {
        let registry = registry(&deeds);
        let noted = deeds.clone();
        let gives_up = crate::tool::FnTool::new("up", "Gives up.", move || {
            noted.note("up");
            async {
                Err::<u8, _>(ToolError::new(
                    crate::tool::ToolErrorKind::Cancelled,
                    "enough",
                ))
            }
        });
        registry.tool(gives_up).unwrap();
        Orchestrator::new(registry)
    };
    let whole = plan([
        Step::tool("up", "up"),
        wait("after", 50)
            .when("status.up != 'ok'")
            .after(["b"])
            .join(Join::Any),
        wait("b", 10),
    ]);
    let run = orchestrator()
        .run(&whole)
        .context(&context())
        .store(store.clone());
    let gone = tokio::time::timeout(Duration::from_millis(30), run.into_future()).await;
    assert!(gone.is_err());
    assert_eq!(deeds.take(), ["up", "begin b", "end b", "begin after"]);
    let report = orchestrator()
        .resume("r", store)
        .approver(async |_| Verdict::allow())
        .await
        .unwrap();
    assert_eq!(deeds.take(), ["begin after", "end after"]);
    assert_eq!(
        ends(&report),
        json!({"up": "failed", "after": "ok", "b": "ok"})
    );
}

/// A plan of a step that ends after 10 ms, which is known to be kept after 60 ms, and of one that takes long.
fn late() -> (Arc<FaultyStore>, crate::plan::Plan) {
    // The plan began, both functions are announced, the first end.
    let store = FaultyStore::new().late(4, Duration::from_millis(50));
    (Arc::new(store), plan([wait("a", 10), wait("b", 500)]))
}

#[tokio::test(start_paused = true)]
async fn what_ended_before_the_plan_was_stopped_has_ended_also_where_it_was_still_being_kept() {
    let (store, whole) = late();
    let stop = CancellationToken::new();
    let run = orchestrator(&Deeds::default())
        .grace(Duration::from_millis(100))
        .run(&whole)
        .context(&context())
        .store(store)
        .cancellation(stop.clone());
    let stopping = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        stop.cancel();
    };
    let (ended, ()) = tokio::join!(run.into_future(), stopping);
    let ended = ended.unwrap_err();
    assert_eq!(
        ends(ended.report().unwrap()),
        json!({"a": "ok", "b": "cancelled"})
    );
}

#[tokio::test(start_paused = true)]
async fn a_change_waits_for_what_is_being_kept() {
    let (store, whole) = late();
    let mut run = orchestrator(&Deeds::default())
        .run(&whole)
        .context(&context())
        .store(store);
    let handle = run.handle();
    let skipping = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let refused = handle.skip("a").await.unwrap_err();
        assert!(
            refused.to_string().contains("it has ended (ok)"),
            "{refused}"
        );
    };
    let (report, ()) = tokio::join!(run.into_future(), skipping);
    assert_eq!(ends(&report.unwrap()), json!({"a": "ok", "b": "ok"}));
}
