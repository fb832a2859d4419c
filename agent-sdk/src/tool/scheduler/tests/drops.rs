//! Calls that are dropped wherever they wait.

use super::*;
use crate::{
    model::{CircuitBreaker, Retry},
    testing::drop_at_every_poll,
};

/// Everything at once.
fn everything() -> ToolScheduler {
    let policy = ToolPolicy::new()
        .concurrency(n(1))
        .takes("db", n(2))
        .calls_per_minute(n(3))
        .retry(Retry::default())
        .breaker(CircuitBreaker::builder().min_calls(n(50)).build())
        .attempt_timeout(Duration::from_secs(1))
        .coalesce()
        .cache(Duration::from_secs(1))
        .fallback(Fake::taking("other", MS));
    let builder = ToolScheduler::builder().global(n(2)).pool("db", n(3));
    let plain = ToolPolicy::new().takes("db", n(2));
    builder
        .tool("look", policy)
        .tool("plain", plain)
        .build()
        .unwrap()
}

#[test]
fn t5_dropped_at_every_poll_a_call_leaves_nothing_taken_and_its_operation_ends() {
    let (trace, current) = (TraceCapture::new(), Mutex::new(None));
    let polls = drop_at_every_poll(
        || {
            let scheduler = everything();
            *current.lock().unwrap() = Some(scheduler.clone());
            trace.clear();
            let context = trace.context();
            async move {
                let look = Fake::failing("look", 2).handle();
                let plain = Fake::taking("plain", 20 * MS).handle();
                let calls =
                    ["[1]", "[1]", "[2]", "[3]"].map(|it| said(&scheduler, &context, &look, it));
                let others = (0..3).map(|_| said(&scheduler, &context, &plain, "{}"));
                let (left, right) = tokio::join!(join_all(calls), join_all(others));
                assert_eq!((left.len(), right.len()), (4, 3));
            }
        },
        |_| {
            at_rest(current.lock().unwrap().as_ref().unwrap());
            trace.well_formed().unwrap();
        },
    );
    assert!(polls.unwrap() > 8);
}

#[tokio::test(start_paused = true)]
async fn t5_a_cancelled_run_gives_up_its_call_wherever_it_waits() {
    let trace = TraceCapture::new();
    let scheduler = scheduler("look", ToolPolicy::new().concurrency(n(1)));
    let tool = Fake::taking("look", Duration::from_secs(1)).handle();
    let context = trace.context().with_child_cancellation();
    let stop = async {
        sleep(10 * MS).await;
        context.cancellation().cancel();
    };
    let (results, ()) = tokio::join!(all(&scheduler, &context, &tool, 2), stop);
    assert_eq!(results, ["cancelled"; 2]);
    at_rest(&scheduler);
    trace.well_formed().unwrap();
}
