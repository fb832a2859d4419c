//! How planning ends where there is no plan, and answers that nobody should believe.

use std::{future::IntoFuture, num::NonZeroU32, time::Duration};

use futures_util::FutureExt;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{Planner, model, registry, report};
use crate::{
    budget::{Budget, Ledger},
    cost::Usd,
    model::FinishReason,
    operation::{Event, EventKind, Outcome},
    plan::PlannerErrorKind,
    registry::Registry,
    testing::{EventLog, ScriptedModel, TraceCapture, Turn},
};

/// The problems that one answer has.
async fn wrong(answer: &str) -> Vec<String> {
    let planner = Planner::builder(model([answer.to_owned()])).max_turns(NonZeroU32::MIN);
    let error = planner.build().plan("x", &registry()).await.unwrap_err();
    assert_eq!(error.kind(), PlannerErrorKind::InvalidPlan, "{error}");
    let said: Vec<_> = error.problems().iter().map(ToString::to_string).collect();
    for problem in &said {
        assert!(
            problem.chars().count() < 600,
            "{} characters",
            problem.len()
        );
        assert!(!problem.chars().any(crate::text::is_control), "{problem:?}");
    }
    assert!(said.len() <= 64, "{} problems", said.len());
    said
}

#[tokio::test]
async fn an_answer_that_is_no_plan_is_refused_with_its_reason() {
    for (answer, reason) in [
        ("", "the answer has no text"),
        (
            "I cannot do that.",
            "the answer is not JSON of the form of a plan: expected value",
        ),
        (
            "[]",
            "the answer is not JSON of the form of a plan: invalid length 0, expected an object with `name` and `steps`",
        ),
        (
            "{}",
            "the answer is not JSON of the form of a plan: missing field `name`",
        ),
        (
            r#"{"name": "p", "steps": [], "budget": "none"}"#,
            "budget: the answer is not JSON of the form of a plan: unknown field `budget`, expected one of `name`, `description`, `steps`",
        ),
        (
            r#"{"name": "p", "steps": []}"#,
            "steps: a plan has at least one step",
        ),
        (
            r#"{"name": "p", "steps": [{"id": "a"}]}"#,
            "steps[0]: it does nothing: give one of `agent`, `tool` and `function`",
        ),
        (
            r#"{"name": "p", "steps": [{"id": "a", "agent": "writer", "tool": "search"}]}"#,
            "steps[0]: it has more than one of `agent`, `tool` and `function`",
        ),
        (
            r#"{"name": "p", "steps": [{"id": "a", "agent": "writer", "input": "${params.key}"}]}"#,
            "steps[0].input: there is no parameter `key`",
        ),
    ] {
        assert_eq!(wrong(answer).await, [reason], "{answer}");
    }
}

#[tokio::test]
async fn a_model_cannot_choose_models_retries_and_plans_inside() {
    for key in [
        "config", "retry", "timeout", "approval", "fallback", "plan", "priority", "join",
    ] {
        let answer = json!({"name": "p", "steps": [{"id": "a", "agent": "writer", key: {}}]});
        let said = wrong(&answer.to_string()).await;
        let expected = format!("steps[0].{key}: unknown field `{key}`");
        assert!(
            said.len() == 1 && said[0].starts_with(&expected),
            "{said:?}"
        );
    }
}

#[tokio::test]
async fn hostile_answers_are_refused_in_few_words() {
    let many: Vec<_> = (0..1_000)
        .map(|n| json!({"id": format!("s{n}"), "agent": "writer"}))
        .collect();
    let said = wrong(&json!({"name": "p", "steps": many}).to_string()).await;
    assert_eq!(said, ["steps: 1000 steps are more than 24: do with fewer"]);

    let evil = "\u{1b}]0;owned\u{7}\u{202e}".repeat(200);
    let answer = json!({"name": evil, "steps": [
        {"id": evil, "agent": evil, "input": format!("${{steps.{evil}}}")},
        {"id": "b", "agent": "writer", evil.as_str(): 1},
    ]});
    let said = wrong(&answer.to_string()).await;
    assert!(
        said[0].starts_with("steps[1].\\u{1b}]0;owned\\u{7}\\u{202e}"),
        "{said:?}"
    );

    let ids: Vec<_> = (0..5_000).map(|n| format!("{evil:.20}{n}")).collect();
    let answer = json!({"name": evil, "steps": [
        {"id": evil, "agent": evil, "depends_on": ids},
        {"id": "b", "function": "count", "input": [[evil]]},
    ]});
    let said = wrong(&answer.to_string()).await;
    assert_eq!(said.len(), 64);
    assert!(said[63].ends_with(" more are wrong"), "{}", said[63]);

    let deep = format!(
        r#"{{"name": "p", "steps": [{{"id": "a", "agent": "writer", "input": {}1{}}}]}}"#,
        "[".repeat(50_000),
        "]".repeat(50_000)
    );
    assert_eq!(wrong(&deep).await.len(), 1);
    let long = wrong(&"x".repeat(300_000)).await;
    assert_eq!(
        long,
        ["the answer is 300000 bytes long, and the longest plan is 262144"]
    );
}

#[tokio::test]
async fn an_answer_that_is_too_long_to_be_read_is_not_sent_again() {
    let model = model(["x".repeat(300_000), report().to_string()]);
    let planned = Planner::new(model.clone()).plan("x", &registry()).await;
    assert_eq!(planned.unwrap().rounds, 2);
    let [_, second] = model.requests().try_into().unwrap();
    assert_eq!(second.conversation.len(), 2, "the goal, and what is wrong");
}

#[tokio::test]
async fn a_goal_that_the_model_refuses_and_answers_that_are_not_whole_are_not_repaired() {
    let good = report().to_string();
    let cut = |reason| Turn::from(good.as_str()).finish(reason);
    for (turn, kind, class) in [
        (
            Turn::new().refusal("No."),
            PlannerErrorKind::Refused,
            "refused",
        ),
        (
            cut(FinishReason::Length),
            PlannerErrorKind::Truncated,
            "truncated",
        ),
        (
            cut(FinishReason::ContentFilter),
            PlannerErrorKind::ContentFilter,
            "content_filter",
        ),
    ] {
        let trace = TraceCapture::new();
        let model = ScriptedModel::new([turn, Turn::from(good.as_str())]);
        let planner = Planner::builder(model.clone())
            .observers(trace.observers())
            .build();
        let error = planner.plan("x", &registry()).await.unwrap_err();
        assert_eq!((error.kind(), error.kind().as_str()), (kind, class));
        assert!(error.problems().is_empty());
        assert_eq!(model.asked(), 1);
        assert_eq!(
            trace.tree().lines().next(),
            Some(format!("plan planner  error={class}").as_str())
        );
    }
}

#[tokio::test]
async fn a_model_that_pauses_is_asked_to_go_on() {
    let pause = Turn::from("Let me see.").finish(FinishReason::Paused);
    let model = model([pause, Turn::from(report().to_string())]);
    let planned = Planner::new(model.clone()).plan("x", &registry()).await;
    assert_eq!(planned.unwrap().rounds, 2);
    let pause = Turn::from("Let me see.").finish(FinishReason::Paused);
    let once = Planner::builder(super::model([pause])).max_turns(NonZeroU32::MIN);
    let error = once.build().plan("x", &registry()).await.unwrap_err();
    assert_eq!(error.kind(), PlannerErrorKind::Truncated);
}

#[tokio::test]
async fn a_failed_request_fails_the_planning_with_its_class() {
    let trace = TraceCapture::new();
    let planner = Planner::builder(ScriptedModel::new([""; 0])).observers(trace.observers());
    let error = planner.build().plan("x", &registry()).await.unwrap_err();
    assert_eq!(error.kind(), PlannerErrorKind::Model);
    assert_eq!(error.answer(), None);
    assert!(std::error::Error::source(&error).is_some());
    assert_eq!(
        trace.tree(),
        "plan planner  error=configuration\n  chat scripted-1  error=configuration\n"
    );
}

#[tokio::test]
async fn without_anything_to_run_no_model_is_asked() {
    let (model, trace) = (model([report().to_string()]), TraceCapture::new());
    let planner = Planner::builder(model.clone())
        .observers(trace.observers())
        .build();
    let error = planner.plan("x", &Registry::new()).await.unwrap_err();
    assert_eq!(error.kind(), PlannerErrorKind::NothingRegistered);
    assert_eq!((model.asked(), error.rounds()), (0, 0));
    assert_eq!(trace.tree(), "plan planner  error=nothing_registered\n");
}

#[tokio::test]
async fn a_budget_stops_the_next_round() {
    let wrong = r#"{"name": "p", "steps": []}"#;
    let budget = Budget::per_run("run").max_usd(Usd::from_nanos(180_000));
    let ledger = Ledger::builder().budget(budget).build().unwrap();
    let (model, trace) = (
        model([wrong.to_owned(), report().to_string()]),
        TraceCapture::new(),
    );
    let planner = Planner::builder(model.clone())
        .ledger(&ledger)
        .observers(trace.observers());
    let error = planner.build().plan("x", &registry()).await.unwrap_err();
    assert_eq!(error.kind(), PlannerErrorKind::Budget, "{error}");
    let operations = trace.operations();
    assert_eq!(operations[0].outcome, Some(Outcome::Budget));
}

#[tokio::test(start_paused = true)]
async fn planning_ends_when_its_time_is_up_or_it_is_given_up() {
    let slow = || Turn::from(report().to_string()).delay(Duration::from_mins(1));
    let trace = TraceCapture::new();
    let planner = |turn| Planner::builder(model([turn])).observers(trace.observers());
    let registry = registry();

    let late = planner(slow()).timeout(Duration::from_secs(30)).build();
    let error = late.plan("x", &registry).await.unwrap_err();
    assert_eq!(error.kind(), PlannerErrorKind::Timeout);
    assert_eq!(error.report().outcome, Outcome::Timeout);

    let token = CancellationToken::new();
    token.cancel();
    let planner = planner(slow()).build();
    let error = planner.plan("x", &registry).cancellation(token).await;
    assert_eq!(error.unwrap_err().kind(), PlannerErrorKind::Cancelled);

    let mut dropped = planner.plan("x", &registry).into_future();
    assert!((&mut dropped).now_or_never().is_none());
    drop(dropped);
    assert_eq!(
        trace.tree(),
        "\
plan planner  outcome=timeout  error=timeout
  chat gpt-4o-mini  outcome=cancelled
plan planner  outcome=cancelled  error=cancelled
plan planner  outcome=cancelled
  chat gpt-4o-mini  outcome=cancelled
"
    );
}

#[tokio::test]
async fn no_plan_is_told_where_there_is_none() {
    let log = EventLog::new();
    let planner = Planner::builder(model(["no", "no"])).observers(log.observers());
    planner.build().plan("x", &registry()).await.unwrap_err();
    let is_plan = |event: &Event| matches!(event.kind, EventKind::PlanCreated { .. });
    assert!(!log.events().iter().any(|event| is_plan(event)));
    assert_eq!(log.types().last().unwrap(), "run_report");
}
