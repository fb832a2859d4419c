//! Failures, time limits, cancellation, fallbacks.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, SystemTime},
};

use serde_json::json;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Deeds, echo, ends, orchestrator, plan, registry, wait};
use crate::{
    operation::{Clock, Outcome, RunContext},
    orchestrator::{Orchestrator, PlanRunErrorKind},
    plan::{End, FailurePolicy, Param, Plan, Retry, Step, Work},
    testing::{TraceCapture, drop_at_every_poll},
};

#[tokio::test(start_paused = true)]
async fn p5_a_step_that_panics_skips_what_waits_for_it_and_its_siblings_finish() {
    let steps = [
        Step::function("bad", "panic").input(1),
        wait("good", 10),
        wait("after", 10).after(["bad"]),
        wait("last", 10).after(["good"]),
    ];
    let trace = TraceCapture::new();
    let run = orchestrator(&Deeds::default())
        .run(&plan(steps))
        .context(&trace.context());
    let failed = run.await.unwrap_err();
    assert_eq!(failed.kind(), PlanRunErrorKind::Failed);
    let report = failed.report().unwrap();
    assert_eq!(
        ends(report),
        json!({"bad": "failed", "good": "ok", "after": "skipped", "last": "ok"})
    );
    assert_eq!(
        failed.to_string(),
        "plan `test` failed: step `bad` failed (try 1: panic: the function panicked)"
    );
    assert_eq!(report.run.outcome, Outcome::Error);
    trace.well_formed().unwrap();
    assert_eq!(
        trace.find("step after").unwrap().outcome,
        Some(Outcome::Skipped)
    );
}

#[tokio::test(start_paused = true)]
async fn p6_a_chain_of_fallbacks_that_is_exhausted_keeps_every_cause_in_order() {
    let step = Step::function("s", "fail")
        .retry(Retry::attempts(2).with_jitter(0.0))
        .fallback(Work::function("panic"))
        .fallback(Work::function("fail"));
    let deeds = Deeds::default();
    let began = Instant::now();
    let failed = orchestrator(&deeds).run(&plan([step])).await.unwrap_err();
    assert_eq!(began.elapsed().as_millis(), 1_000);
    let report = failed.report().unwrap();
    let causes: Vec<_> = report
        .failures()
        .iter()
        .map(|(_, fault)| fault.to_string())
        .collect();
    let expected = [
        "try 1: tool_error: it broke",
        "try 2: tool_error: it broke",
        "fallback 1: panic: the function panicked",
        "fallback 2: tool_error: it broke",
    ];
    assert_eq!(causes, expected);
    assert_eq!(report.step("s").unwrap().attempts, 4);
}

#[tokio::test(start_paused = true)]
async fn a_fallback_plan_stands_in_for_one_that_failed() {
    let other = Plan::builder("other")
        .step(echo("plain", json!("instead")))
        .build()
        .unwrap();
    let whole = Plan::builder("test")
        .step(Step::function("s", "fail"))
        .fallback(other)
        .build()
        .unwrap();
    let report = orchestrator(&Deeds::default()).run(&whole).await.unwrap();
    assert_eq!((report.end, &report.output), (End::Ok, &json!("instead")));
    assert_eq!(ends(&report), json!({"s": "failed"}));
    assert_eq!(
        ends(report.fallback.as_ref().unwrap()),
        json!({"plain": "ok"})
    );
    assert_eq!(report.run.outcome, Outcome::Ok);
}

#[tokio::test]
async fn a_fallback_plan_is_given_those_parameters_that_it_has() {
    let other = Plan::builder("other")
        .param("kept", Param::new())
        .step(echo("plain", json!("${params.kept}")))
        .build()
        .unwrap();
    let whole = Plan::builder("test")
        .param("kept", Param::new())
        .param("own", Param::new())
        .step(Step::function("s", "fail").input("${params.own}"))
        .fallback(other)
        .build()
        .unwrap();
    let run = orchestrator(&Deeds::default()).run(&whole);
    let report = run.param("kept", 1).param("own", 2).await.unwrap();
    assert_eq!(report.output, 1);
}

#[tokio::test(start_paused = true)]
async fn p3_time_limits_of_tries_steps_and_plans_hold_and_drop_what_runs() {
    let deeds = Deeds::default();
    let tried = wait("tried", 100).retry(
        Retry::attempts(2)
            .with_timeout(Duration::from_millis(10))
            .with_backoff(Duration::from_millis(5))
            .with_jitter(0.0),
    );
    let limited = wait("limited", 100).timeout(Duration::from_millis(30));
    let began = Instant::now();
    let failed = orchestrator(&deeds)
        .run(&plan([tried, limited]))
        .await
        .unwrap_err();
    assert_eq!(began.elapsed().as_millis(), 30);
    assert_eq!(
        ends(failed.report().unwrap()),
        json!({"tried": "failed", "limited": "timed_out"})
    );
    assert_eq!(
        deeds.take(),
        ["begin tried", "begin limited", "begin tried"]
    );

    let whole = Plan::builder("test")
        .step(wait("slow", 100))
        .timeout(Duration::from_millis(20))
        .build()
        .unwrap();
    let failed = orchestrator(&deeds)
        .grace(Duration::from_millis(5))
        .run(&whole)
        .await
        .unwrap_err();
    assert_eq!(failed.kind(), PlanRunErrorKind::Timeout);
    assert_eq!(ends(failed.report().unwrap()), json!({"slow": "cancelled"}));
    assert_eq!(failed.report().unwrap().run.outcome, Outcome::Timeout);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_plan_gives_what_runs_its_grace_and_drops_what_goes_on() {
    let registry = registry(&Deeds::default());
    registry
        .function("polite", async |context: RunContext, ms: u64| {
            context.cancellation().cancelled().await;
            tokio::time::sleep(Duration::from_millis(ms)).await;
            Ok::<_, String>(json!("in time"))
        })
        .unwrap();
    let stop = CancellationToken::new();
    let steps = [
        Step::function("quick", "polite").input(20),
        Step::function("slow", "polite").input(2_000),
        echo("never", json!("${steps.quick}")),
    ];
    let run = Orchestrator::new(registry)
        .grace(Duration::from_millis(100))
        .run(&plan(steps))
        .cancellation(stop.clone());
    let stopping = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        stop.cancel();
    };
    let began = Instant::now();
    let (ended, ()) = tokio::join!(run.into_future(), stopping);
    let ended = ended.unwrap_err();
    assert!(
        (150..155).contains(&began.elapsed().as_millis()),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(ended.kind(), PlanRunErrorKind::Cancelled);
    let report = ended.report().unwrap();
    assert_eq!(
        ends(report),
        json!({"quick": "ok", "slow": "cancelled", "never": "skipped"})
    );
    assert_eq!(report.run.outcome, Outcome::Cancelled);
}

#[tokio::test(start_paused = true)]
async fn a_plan_that_stops_at_a_failure_interrupts_what_runs() {
    let steps = [
        Step::function("bad", "fail"),
        wait("long", 500),
        wait("next", 5).after(["long"]),
    ];
    let whole = Plan::builder("test")
        .steps(steps)
        .on_failure(FailurePolicy::Stop)
        .build()
        .unwrap();
    let began = Instant::now();
    let failed = orchestrator(&Deeds::default())
        .grace(Duration::ZERO)
        .run(&whole)
        .await
        .unwrap_err();
    assert!(began.elapsed() < Duration::from_millis(10));
    assert_eq!(
        ends(failed.report().unwrap()),
        json!({"bad": "failed", "long": "cancelled", "next": "skipped"})
    );
    assert_eq!(failed.kind(), PlanRunErrorKind::Failed);
}

#[tokio::test]
async fn a_plan_that_is_wrong_is_not_begun() {
    let whole = Plan::builder("test")
        .step(Step::function("s", "nothing"))
        .build()
        .unwrap();
    let wrong = orchestrator(&Deeds::default())
        .run(&whole)
        .param("x", 1)
        .await
        .unwrap_err();
    assert_eq!(wrong.kind(), PlanRunErrorKind::Invalid);
    assert_eq!(
        wrong.plan_error().unwrap().problems()[0].to_string(),
        "steps[0].function: there is no function `nothing`"
    );
    assert!(wrong.report().is_none());
}

#[test]
fn a_plan_that_is_dropped_at_any_poll_ends_all_of_its_operations() {
    let trace = TraceCapture::new();
    let polls = drop_at_every_poll(
        || {
            let steps = [
                wait("a", 5),
                wait("b", 5).after(["a"]),
                Step::function("c", "fail"),
                wait("d", 5).after(["c"]),
            ];
            let run = orchestrator(&Deeds::default()).run(&plan(steps));
            run.context(&trace.context()).into_future()
        },
        |_| {
            trace.well_formed().unwrap();
            assert_eq!(trace.open(), 0);
        },
    );
    assert!(polls.unwrap() > 2);
}

/// A clock that jumps an hour back or ahead each time it is asked.
#[derive(Debug, Default)]
struct Jumping(AtomicU64);

impl Clock for Jumping {
    fn now(&self) -> SystemTime {
        let times = self.0.fetch_add(1, Ordering::Relaxed);
        SystemTime::UNIX_EPOCH + Duration::from_secs(3_600 * (10 + times % 2 * 2))
    }
}

#[tokio::test(start_paused = true)]
async fn p7_waits_and_time_limits_follow_no_clock_that_jumps() {
    let context = RunContext::builder().clock(Jumping::default()).build();
    let tried = Step::function("tried", "fail").input("no luck").retry(
        Retry::attempts(3)
            .with_backoff(Duration::from_millis(10))
            .with_jitter(0.0),
    );
    let limited = wait("limited", 100).timeout(Duration::from_millis(50));
    let began = Instant::now();
    let run = orchestrator(&Deeds::default()).run(&plan([tried, limited]));
    let failed = run.context(&context).await.unwrap_err();
    assert_eq!(began.elapsed().as_millis(), 50);
    let report = failed.report().unwrap();
    assert_eq!(
        ends(report),
        json!({"tried": "failed", "limited": "timed_out"})
    );
    assert_eq!(report.step("tried").unwrap().attempts, 3);
    assert_eq!(report.run.duration, Duration::from_millis(50));
}

#[tokio::test(start_paused = true)]
async fn p7_a_plan_whose_time_was_up_before_it_began_ends_at_once() {
    let context = RunContext::builder().timeout(Duration::ZERO).build();
    let began = Instant::now();
    let deeds = Deeds::default();
    let run = orchestrator(&deeds).grace(Duration::from_millis(5));
    let failed = run.run(&plan([wait("slow", 100)])).context(&context);
    let failed = failed.await.unwrap_err();
    assert_eq!(failed.kind(), PlanRunErrorKind::Timeout);
    assert!(
        began.elapsed() <= Duration::from_millis(10),
        "{:?}",
        began.elapsed()
    );
    assert!(!deeds.take().contains(&"end slow".to_owned()));
}
