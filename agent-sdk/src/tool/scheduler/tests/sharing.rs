//! Identical calls: executed together, answered from the cache.

use super::*;
use crate::{cost::Usd, testing::BarrierTool};

fn coalescing() -> ToolPolicy {
    ToolPolicy::new().coalesce()
}

#[tokio::test(start_paused = true)]
async fn identical_calls_under_way_are_one_execution_that_is_charged_once() {
    let trace = TraceCapture::new();
    let tool = Fake::new("look", |number, context| async move {
        sleep(50 * MS).await;
        context.record_cost("0.25".parse::<Usd>().unwrap(), "fee");
        Ok(format!("call {number}").into())
    });
    let (scheduler, handle, context) = (
        scheduler("look", coalescing()),
        tool.handle(),
        trace.context(),
    );
    let calls = [
        r#"{"a":1,"b":2}"#,
        r#"{"b":2, "a":1}"#,
        r#"{"a":1,"b":2}"#,
        r#"{"a":2}"#,
    ];
    let results = join_all(calls.map(|it| said(&scheduler, &context, &handle, it))).await;
    assert_eq!(results, ["call 1", "call 1", "call 1", "call 2"]);
    assert_eq!(scheduler.stats().tools["look"].coalesced, 2);
    let operations = trace.operations();
    let coalesced: Vec<_> = operations.iter().map(|it| it.facts.coalesced).collect();
    assert_eq!(coalesced, [false, true, true, false]);
    let charged = operations.iter().filter(|it| !it.facts.charges.is_empty());
    assert_eq!(charged.count(), 2);
    // What is over is not joined.
    assert_eq!(
        said(&scheduler, &context, &handle, r#"{"a":1,"b":2}"#).await,
        "call 3"
    );
    trace.well_formed().unwrap();
    at_rest(&scheduler);
}

#[tokio::test(start_paused = true)]
async fn an_execution_outlives_the_first_caller_and_is_dropped_with_the_last() {
    let tool = Fake::taking("look", 100 * MS);
    let scheduler = scheduler("look", coalescing().concurrency(n(1)));
    let (handle, context) = (tool.handle(), RunContext::new());
    let mut first = Box::pin(said(&scheduler, &context, &handle, "{}"));
    let mut second = Box::pin(said(&scheduler, &context, &handle, "{}"));
    for call in [&mut first, &mut second] {
        assert!(tokio::time::timeout(10 * MS, call).await.is_err());
    }
    drop(first);
    assert_eq!(
        second.await,
        "call 1",
        "one execution, which the first began"
    );
    let mut third = Box::pin(said(&scheduler, &context, &handle, "{}"));
    assert!(tokio::time::timeout(10 * MS, &mut third).await.is_err());
    drop(third);
    at_rest(&scheduler);
    assert_eq!(tool.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_first_caller_s_deadline_is_its_own() {
    let tool = Fake::taking("look", 100 * MS);
    let (scheduler, handle) = (scheduler("look", coalescing()), tool.handle());
    let (hasty, patient) = (RunContext::new().with_timeout(30 * MS), RunContext::new());
    let both = tokio::join!(
        said(&scheduler, &hasty, &handle, "{}"),
        said(&scheduler, &patient, &handle, "{}")
    );
    assert_eq!(both, ("timeout".to_owned(), "call 1".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn an_error_about_the_first_caller_is_not_the_others() {
    let tool = Fake::new("look", |number, _| async move {
        sleep(10 * MS).await;
        match number {
            1 => Err(ToolError::new(ToolErrorKind::Budget, "not with your money")),
            2 => Err(ToolError::failed("really")),
            _ => Ok("never".into()),
        }
    });
    let (scheduler, context) = (scheduler("look", coalescing()), RunContext::new());
    let results = all(&scheduler, &context, &tool.handle(), 3).await;
    assert_eq!(results, ["budget", "tool_error", "tool_error"]);
}

#[tokio::test]
async fn calls_of_other_tools_users_and_effects_are_not_identical() {
    let scheduler = scheduler("look", coalescing());
    let run = |user: &str| RunContext::builder().user(user).build();
    let (anna, ben) = (run("anna"), run("ben"));
    // No call comes back before two run.
    for options in
        [Effect::ReadOnly, Effect::Write].map(|it| ToolOptions::default().with_effect(it))
    {
        let tool = BarrierTool::new("look", 2).options(options);
        let (one, other) = (
            ToolHandle::from(tool.clone()),
            ToolHandle::from(tool.clone()),
        );
        tokio::join!(
            said(&scheduler, &anna, &one, "{}"),
            said(&scheduler, &anna, &other, "{}")
        );
        tokio::join!(
            said(&scheduler, &anna, &one, "{}"),
            said(&scheduler, &ben, &one, "{}")
        );
        assert_eq!(tool.opened(), 2);
    }
    let writes = BarrierTool::new("look", 2).into();
    tokio::join!(
        said(&scheduler, &anna, &writes, "{}"),
        said(&scheduler, &anna, &writes, "{}")
    );
    assert_eq!(scheduler.stats().tools["look"].coalesced, 0);
}

#[tokio::test(start_paused = true)]
async fn results_are_kept_for_their_time_and_errors_are_not() {
    let trace = TraceCapture::new();
    let tool = Fake::failing("look", 1);
    let policy = ToolPolicy::new().cache(Duration::from_secs(10));
    let (scheduler, handle, context) = (scheduler("look", policy), tool.handle(), trace.context());
    let mut results = Vec::new();
    for wait in [0, 0, 9, 1] {
        sleep(Duration::from_secs(wait)).await;
        results.push(said(&scheduler, &context, &handle, "{}").await);
    }
    assert_eq!(results, ["tool_error", "call 2", "call 2", "call 3"]);
    let cached: Vec<_> = trace
        .operations()
        .iter()
        .map(|it| it.facts.cached)
        .collect();
    assert_eq!(cached, [false, false, true, false]);
    assert_eq!(scheduler.stats().tools["look"].cache_hits, 1);
    let writes = tool.clone().effect(Effect::Write).handle();
    assert_eq!(
        all(&scheduler, &context, &writes, 2).await,
        ["call 4", "call 5"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_cache_holds_so_many_results_and_bytes_and_what_is_used_stays() {
    let size = |results, bytes| {
        let bytes = std::num::NonZeroUsize::new(bytes).unwrap();
        let results = std::num::NonZeroUsize::new(results).unwrap();
        ToolPolicy::new()
            .cache(Duration::from_secs(10))
            .cache_size(results, bytes)
    };
    let tool = Fake::taking("look", MS);
    let (handle, context) = (tool.handle(), RunContext::new());
    let few = scheduler("look", size(2, 1 << 20));
    let mut results = Vec::new();
    for key in ["[1]", "[2]", "[1]", "[3]", "[1]", "[2]"] {
        results.push(said(&few, &context, &handle, key).await);
    }
    assert_eq!(
        results,
        ["call 1", "call 2", "call 1", "call 3", "call 1", "call 4"]
    );
    let kept = |scheduler: &ToolScheduler| {
        let desk = scheduler.desk(&"look".into());
        desk.cache.as_ref().unwrap().with(|cache| cache.size())
    };
    assert_eq!(kept(&few).0, 2);
    let small = scheduler("look", size(100, 1_000));
    for number in 0..100 {
        said(&small, &context, &handle, &format!("[{number}]")).await;
        assert!(kept(&small).1 <= 1_000);
    }
    assert!(kept(&small).0 > 1);
    said(
        &small,
        &context,
        &handle,
        &format!("[{}]", "1,".repeat(600) + "1"),
    )
    .await;
    assert!(
        kept(&small).0 > 1,
        "what has no room at all takes none of the others"
    );
}
