//! Calls that are made together.

use std::num::NonZeroUsize;

use super::*;
use crate::model::Retry;

/// A tool that says how large each of its batches was.
#[derive(Clone)]
struct Sized {
    batches: Arc<Mutex<Vec<(Instant, usize)>>>,
    /// How many results it gives for a batch of so many calls.
    results: fn(usize) -> usize,
    takes: Duration,
}

impl Sized {
    fn new() -> Self {
        Self {
            batches: Arc::default(),
            results: |calls| calls,
            takes: Duration::ZERO,
        }
    }

    fn handle(&self) -> ToolHandle {
        BatchedTool::new(self.clone()).into()
    }

    fn sizes(&self, since: Instant) -> Vec<(u128, usize)> {
        let batches = self.batches.lock().unwrap();
        let sizes = batches
            .iter()
            .map(|(at, size)| ((*at - since).as_millis(), *size));
        sizes.collect()
    }
}

impl BatchTool for Sized {
    fn spec(&self) -> ToolSpec {
        spec("many")
    }

    fn options(&self) -> ToolOptions {
        ToolOptions::default().with_effect(Effect::ReadOnly)
    }

    fn window(&self) -> Duration {
        20 * MS
    }

    fn max_size(&self) -> NonZeroUsize {
        NonZeroUsize::new(4).unwrap()
    }

    async fn call_batch(&self, calls: Vec<BatchCall>) -> Vec<Result<ToolOutput, ToolError>> {
        self.batches
            .lock()
            .unwrap()
            .push((Instant::now(), calls.len()));
        sleep(self.takes).await;
        assert!(&*calls[0].arguments != "panic", "a panic on purpose");
        let fill = (self.results)(calls.len());
        let results = calls.iter().map(|call| match &*call.arguments {
            "fail" => Err(ToolError::failed("not this one")),
            other => Ok(format!("{other} of {}", calls.len()).into()),
        });
        results.cycle().take(fill).collect()
    }
}

async fn together(scheduler: &ToolScheduler, tool: &ToolHandle, calls: &[&str]) -> Vec<String> {
    let context = RunContext::new();
    join_all(calls.iter().map(|it| said(scheduler, &context, tool, it))).await
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_made_when_it_is_full_or_its_window_is_over_and_each_call_has_its_result() {
    let (many, start) = (Sized::new(), Instant::now());
    let (scheduler, handle) = (ToolScheduler::builder().build().unwrap(), many.handle());
    let results = together(&scheduler, &handle, &["a", "b", "c", "d", "e", "fail"]).await;
    assert_eq!(
        results,
        [
            "a of 4",
            "b of 4",
            "c of 4",
            "d of 4",
            "e of 2",
            "tool_error"
        ]
    );
    assert_eq!(many.sizes(start), [(0, 4), (20, 2)]);
    let stats = scheduler.stats();
    let counts = &stats.tools["many"];
    assert_eq!((counts.calls, counts.batches, counts.batched), (6, 2, 6));
    at_rest(&scheduler);
}

#[tokio::test(start_paused = true)]
async fn a_wrong_number_of_results_is_an_error_of_each_call() {
    let scheduler = ToolScheduler::builder().build().unwrap();
    for results in [|_| 0, |calls| calls - 1, |calls| calls + 1] {
        let many = Sized {
            results,
            ..Sized::new()
        };
        let said = together(&scheduler, &many.handle(), &["a", "b", "c"]).await;
        assert_eq!(said, ["tool_error"; 3]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_panics_or_hangs_ends_for_each_of_its_calls() {
    let policy = ToolPolicy::new().attempt_timeout(100 * MS);
    let scheduler = scheduler("many", policy);
    let said = together(&scheduler, &Sized::new().handle(), &["panic", "b"]).await;
    assert_eq!(said, ["panic"; 2]);
    let many = Sized {
        takes: Duration::from_hours(1),
        ..Sized::new()
    };
    let said = together(&scheduler, &many.handle(), &["a", "b"]).await;
    assert_eq!(said, ["timeout"; 2]);
    at_rest(&scheduler);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_given_up_is_no_part_of_its_batch_and_ends_none() {
    let (many, start) = (
        Sized {
            takes: 50 * MS,
            ..Sized::new()
        },
        Instant::now(),
    );
    let (scheduler, handle, context) = (
        ToolScheduler::builder().build().unwrap(),
        many.handle(),
        RunContext::new(),
    );
    let mut first = Box::pin(said(&scheduler, &context, &handle, "a"));
    assert!(tokio::time::timeout(MS, &mut first).await.is_err());
    let mut second = Box::pin(said(&scheduler, &context, &handle, "b"));
    let mut third = Box::pin(said(&scheduler, &context, &handle, "c"));
    assert!(tokio::time::timeout(MS, &mut second).await.is_err());
    assert!(tokio::time::timeout(MS, &mut third).await.is_err());
    drop(first);
    assert!(tokio::time::timeout(30 * MS, &mut second).await.is_err());
    // It is being made.
    drop(second);
    assert_eq!(third.await, "c of 2");
    assert_eq!(many.sizes(start), [(20, 2)]);
    at_rest(&scheduler);
}

#[tokio::test(start_paused = true)]
async fn a_batch_takes_one_permit_and_grows_while_it_waits_for_it() {
    let (many, start) = (
        Sized {
            takes: 100 * MS,
            ..Sized::new()
        },
        Instant::now(),
    );
    let (scheduler, handle, context) = (
        scheduler("many", ToolPolicy::new().concurrency(n(1))),
        many.handle(),
        RunContext::new(),
    );
    let late = |after: Duration| {
        let (scheduler, handle, context) = (&scheduler, &handle, &context);
        async move {
            sleep(after).await;
            said(scheduler, context, handle, "x").await
        }
    };
    join_all([0, 1, 40, 90].map(|ms| late(ms * MS))).await;
    assert_eq!(many.sizes(start), [(20, 2), (120, 2)]);
    assert_eq!(scheduler.stats().tools["many"].running, 0);
    at_rest(&scheduler);
}

#[tokio::test(start_paused = true)]
async fn a_call_of_a_batch_is_tried_again_in_another_batch() {
    let (many, start) = (Sized::new(), Instant::now());
    let retry = Retry::default().jitter(crate::model::Jitter::None);
    let scheduler = scheduler("many", ToolPolicy::new().retry(retry));
    let said = together(&scheduler, &many.handle(), &["a", "fail"]).await;
    assert_eq!(said, ["a of 2", "tool_error"]);
    assert_eq!(many.sizes(start), [(20, 2), (540, 1), (1_560, 1)]);
}

#[tokio::test]
async fn without_a_scheduler_each_call_is_a_batch() {
    let many = Sized::new();
    let tool = BatchedTool::new(many.clone());
    let turns = [
        crate::testing::Turn::new()
            .tool_call("c", "many", "{}")
            .tool_call("d", "many", "{}"),
        crate::testing::Turn::from("done"),
    ];
    let agent = crate::agent::Agent::builder("a", crate::testing::ScriptedModel::new(turns));
    agent.tool(tool).build().unwrap().run("go").await.unwrap();
    let sizes: Vec<_> = many.batches.lock().unwrap().iter().map(|it| it.1).collect();
    assert_eq!(sizes, [1, 1]);
}
