//! How parallel a plan was.

use std::{num::NonZeroU32, time::Duration};

use super::{Deeds, orchestrator, plan, wait};
use crate::{
    orchestrator::PlanOutcome,
    plan::{Join, Plan, Retry, Step},
};

/// Work, duration and critical path in milliseconds, parallelism and speedup.
fn figures(outcome: &PlanOutcome) -> (u128, u128, u128, f64, f64) {
    (
        outcome.work().as_millis(),
        outcome.duration.as_millis(),
        outcome.critical_path.as_millis(),
        outcome.parallelism(),
        outcome.speedup(),
    )
}

#[tokio::test(start_paused = true)]
async fn a_plan_that_is_kept_narrow_takes_longer_than_its_critical_path() {
    let steps = (0..4).map(|n| wait(&format!("s{n}"), 100));
    let narrow = Plan::builder("test").steps(steps).concurrency(2).build();
    let report = orchestrator(&Deeds::default())
        .run(&narrow.unwrap())
        .await
        .unwrap();
    assert_eq!(figures(&report), (400, 200, 100, 2.0, 2.0));
}

#[tokio::test(start_paused = true)]
async fn the_critical_path_counts_waits_between_tries_and_only_what_was_waited_for() {
    let steps = [
        wait("quick", 20),
        wait("slow", 500),
        wait("either", 30).after(["quick", "slow"]).join(Join::Any),
        Step::function("again", "fail").retry(Retry {
            attempts: NonZeroU32::new(2).unwrap(),
            backoff: Duration::from_millis(300),
            jitter: 0.0,
            ..Retry::default()
        }),
        wait("never", 10).after(["again"]),
    ];
    let run = orchestrator(&Deeds::default()).run(&plan(steps));
    let error = run.await.unwrap_err();
    let report = error.report().unwrap();
    // 20 + 30 by `quick` is shorter than `slow` alone, of which `either` waited for nothing.
    assert_eq!(
        (report.work().as_millis(), report.critical_path.as_millis()),
        (550, 500)
    );
    assert_eq!(report.step("again").unwrap().duration.as_millis(), 300);
    // Something runs all the time, the wait between the tries aside only where nothing else does.
    assert_eq!((report.parallelism(), report.speedup()), (1.1, 1.1));
}

#[tokio::test(start_paused = true)]
async fn a_fallback_counts_as_a_part_of_its_plan() {
    let other = plan([wait("instead", 40)]);
    let first = Plan::builder("test")
        .steps([
            wait("before", 60),
            Step::function("bad", "fail").after(["before"]),
        ])
        .fallback(other)
        .build()
        .unwrap();
    let report = orchestrator(&Deeds::default()).run(&first).await.unwrap();
    assert_eq!(figures(&report), (100, 100, 100, 1.0, 1.0));
    let json = serde_json::to_value(&report.outcome).unwrap();
    assert_eq!(
        (&json["duration_ms"], &json["critical_path_ms"]),
        (&100.0.into(), &100.0.into())
    );
}

#[tokio::test(start_paused = true)]
async fn a_plan_that_takes_no_time_is_as_fast_as_one_after_the_other() {
    let report = orchestrator(&Deeds::default()).run(&plan([wait("now", 0)]));
    assert_eq!(figures(&report.await.unwrap()), (0, 0, 0, 1.0, 1.0));
}
