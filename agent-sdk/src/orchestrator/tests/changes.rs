//! Changing a plan while it runs.

use std::time::Duration;

use serde_json::json;

use super::{Deeds, echo, ends, orchestrator, plan, wait};
use crate::plan::{Retry, Step, StepState};

#[tokio::test(start_paused = true)]
async fn steps_are_added_changed_skipped_and_taken_out_between_steps() {
    let deeds = Deeds::default();
    let steps = [
        wait("a", 50),
        wait("b", 50).after(["a"]),
        wait("c", 50).after(["a"]),
        wait("d", 50).after(["a"]),
    ];
    let mut run = orchestrator(&deeds).run(&plan(steps));
    let handle = run.handle().by("somebody");
    let changing = async {
        tokio::time::sleep(Duration::from_millis(10)).await;
        handle.add(echo("e", json!("${steps.b}"))).await.unwrap();
        handle.modify(wait("c", 5).after(["a"])).await.unwrap();
        handle.remove("d").await.unwrap();
        let wrong = handle.remove("a").await.unwrap_err();
        assert_eq!(
            wrong.to_string(),
            "the plan is wrong: step `a` cannot be removed: it has begun"
        );
        let far = handle.steps().await.unwrap();
        let far: Vec<_> = far.iter().map(|step| (&*step.id, step.state)).collect();
        let (running, waiting) = (StepState::Running, StepState::Waiting);
        assert_eq!(
            far,
            [
                ("a", running),
                ("b", waiting),
                ("c", waiting),
                ("e", waiting)
            ]
        );
        assert_eq!(handle.plan().await.unwrap().steps.len(), 4);
        tokio::time::sleep(Duration::from_millis(60)).await;
        handle.skip("b").await.unwrap();
    };
    let (report, ()) = tokio::join!(run.into_future(), changing);
    let report = report.unwrap();
    assert_eq!(
        ends(&report),
        json!({"a": "ok", "b": "skipped", "c": "ok", "e": "skipped"})
    );
    assert_eq!(
        deeds.take(),
        ["begin a", "end a", "begin b", "begin c", "end c"]
    );
    assert_eq!(
        handle.pause().await.unwrap_err().to_string(),
        "the plan is wrong: the plan does not run any more"
    );
}

#[tokio::test(start_paused = true)]
async fn a_paused_plan_goes_on_when_it_is_resumed_and_a_step_that_rests_is_tried_at_once() {
    let deeds = Deeds::default();
    let rests = Step::function("rests", "fail")
        .retry(Retry::attempts(2).with_backoff(Duration::from_hours(1)));
    let mut run = orchestrator(&deeds).run(&plan([
        wait("a", 10),
        wait("b", 10).after(["a"]),
        rests.priority(1),
    ]));
    let handle = run.handle();
    let steering = async {
        handle.pause().await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(deeds.take(), ["fail rests", "begin a", "end a"]);
        handle.resume().await.unwrap();
        handle.retry("rests").await.unwrap();
    };
    let (failed, ()) = tokio::join!(run.into_future(), steering);
    assert_eq!(
        ends(failed.unwrap_err().report().unwrap()),
        json!({"a": "ok", "b": "ok", "rests": "failed"})
    );
    assert_eq!(deeds.take(), ["begin b", "fail rests", "end b"]);
}
