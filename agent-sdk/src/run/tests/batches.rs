//! A run that stops in the midst of a batch of calls: each has one result, in the conversation and after resuming.

use std::{sync::Arc, time::Duration};

use tokio::runtime::Builder;
use tokio_util::sync::CancellationToken;

use super::world::{World, acting, allow, crash_after, results_per_call};
use crate::{
    agent::Agent,
    journal::Verdict,
    message::Conversation,
    operation::RunContext,
    run::{RunError, RunErrorKind, RunReport},
    store::MemoryStore,
    testing::Turn,
};

/// One turn of four calls, of which a person does not allow the last.
fn batch(world: &World) -> Agent {
    let agent = acting("a", world, |said| match said {
        0 => Turn::new()
            .tool_call("c1", "read", "{}")
            .tool_call("c2", "put", "{}")
            .tool_call("c3", "write", "{}")
            .tool_call("c4", "forbidden", "{}"),
        _ => Turn::from("over"),
    });
    let forbidden = crate::testing::CountingTool::new("forbidden");
    agent.tool(forbidden).build().unwrap()
}

/// Runs it until it is dropped or stopped, then looks at the conversation, resumes the run and looks again.
async fn stopped(
    case: &str,
    polls: usize,
    stop: impl AsyncFnOnce(CancellationToken),
    timeout: Duration,
) -> Option<Result<RunReport, RunError>> {
    let (world, store) = (World::default(), Arc::new(MemoryStore::new()));
    let context = RunContext::builder().run_id("r").build();
    let token = CancellationToken::new();
    let mut conversation = Conversation::from("go");
    let agent = batch(&world);
    let run = agent
        .run_with(&mut conversation)
        .context(&context)
        .cancellation(token.clone())
        .timeout(timeout)
        .store(store.clone())
        .ask_before(["forbidden"])
        .approver(world.person(|_| Verdict::deny("not today")));
    let ended = crash_after(polls, async {
        let (ended, ()) = tokio::join!(run, stop(token));
        ended
    });
    let ended = ended.await;
    let finished = matches!(ended, Some(Ok(_)));
    for (call, results) in results_per_call(&conversation) {
        let [result] = &results[..] else {
            panic!("{case}: call {call} has the results {results:?}");
        };
        let is_fine = match &*call {
            "c4" => result.starts_with("rejected: a person did not allow this call: not today"),
            _ => result == "done",
        };
        let was_stopped = result.starts_with("interrupted: ") && !finished;
        assert!(
            is_fine || was_stopped,
            "{case}: call {call} has the result {result}"
        );
    }

    if conversation.len() < 2 && world.notes().asked.is_empty() {
        return ended;
    }
    let resumed = batch(&world)
        .resume("r", store)
        .ask_before(["forbidden"])
        .approver(world.person(allow));
    let report = resumed
        .await
        .unwrap_or_else(|error| panic!("{case}: {error:?}"));
    assert_eq!(report.text, "over", "{case}");
    let notes = world.take();
    for (call, results) in notes.shown.iter().flat_map(results_per_call) {
        assert_eq!(
            results.len(),
            1,
            "{case}: call {call} has the results {results:?}"
        );
        assert!(
            !results[0].starts_with("interrupted"),
            "{case}: all was allowed"
        );
    }
    ended
}

fn paused_runtime() -> tokio::runtime::Runtime {
    let mut builder = Builder::new_current_thread();
    builder.enable_time().start_paused(true).build().unwrap()
}

#[test]
fn t5_dropped_at_any_point_of_a_batch_each_call_has_one_result_then_and_after_resuming() {
    for n in 0.. {
        let case = format!("dropped after {n} polls");
        let hour = Duration::from_hours(1);
        let run = stopped(&case, n, async |_| (), hour);
        if paused_runtime().block_on(run).is_some() {
            assert!(n > 5);
            break;
        }
    }
}

#[test]
fn t5_cancelled_at_any_time_of_a_batch_each_call_has_one_result_then_and_after_resuming() {
    for half_ms in 0..=12 {
        let wait = Duration::from_micros(500 * half_ms);
        let case = format!("cancelled after {wait:?}");
        let run = stopped(
            &case,
            usize::MAX,
            async |token| {
                tokio::time::sleep(wait).await;
                token.cancel();
            },
            Duration::from_hours(1),
        );
        match paused_runtime().block_on(run).unwrap() {
            Ok(report) => assert_eq!(report.text, "over", "{case}"),
            Err(error) => assert_eq!(error.kind(), RunErrorKind::Cancelled, "{case}"),
        }
    }
}

#[test]
fn t5_out_of_time_at_any_point_of_a_batch_each_call_has_one_result_then_and_after_resuming() {
    let mut timeouts = 0;
    for ms in 0..=6 {
        let case = format!("out of time after {ms} ms");
        let run = stopped(&case, usize::MAX, async |_| (), Duration::from_millis(ms));
        match paused_runtime().block_on(run).unwrap() {
            Ok(report) => assert_eq!(report.text, "over", "{case}"),
            Err(error) => {
                assert_eq!(error.kind(), RunErrorKind::Timeout, "{case}");
                timeouts += 1;
            }
        }
    }
    assert!(timeouts >= 3);
}
