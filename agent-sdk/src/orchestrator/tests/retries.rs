//! Tries of steps over models and tools that are tried again by policies of their own.

use std::{num::NonZeroU32, time::Duration};

use serde_json::json;

use super::plan;
use crate::{
    agent::Agent,
    model::{self, ModelError, ModelErrorKind, ModelHandle},
    orchestrator::Orchestrator,
    plan::{Plan, Retry, Step, Work},
    registry::Registry,
    testing::{CountingTool, ScriptedModel, Turn},
    tool::{Effect, FnTool, ToolHandle, ToolOptions, ToolPolicy, ToolScheduler},
};

fn times(times: u32) -> model::Retry {
    model::Retry::default()
        .max_attempts(NonZeroU32::new(times).unwrap())
        .budget(model::RetryBudget::new())
}

/// How often a model, whose handle asks 3 times, and a tool, whose policy calls 3 times, are asked by a plan that fails.
async fn asked(whole: Plan) -> (usize, usize) {
    let model = ScriptedModel::from_fn(|_, _| {
        Turn::new().fail(ModelError::new(ModelErrorKind::Overloaded, "busy"))
    });
    let handle = ModelHandle::builder(model.clone()).retry(times(3)).build();
    let registry = Registry::new();
    let agent = Agent::builder("agent", handle).build().unwrap();
    registry.agent(agent).unwrap();
    let calls = CountingTool::new("counted");
    let counted = ToolHandle::from(calls.clone());
    let fails = FnTool::new(
        "tool",
        "Fails.",
        move |context: crate::tool::ToolContext, _: crate::tool::NoArguments| {
            let counted = counted.clone();
            async move {
                counted.call(context, "{}").await?;
                Err::<u8, _>(crate::tool::ToolError::failed("no"))
            }
        },
    );
    let options = ToolOptions::default().with_effect(Effect::ReadOnly);
    registry.tool(fails.options(options)).unwrap();
    let policy = ToolPolicy::new().retry(times(3));
    let scheduler = ToolScheduler::builder()
        .tool("tool", policy)
        .build()
        .unwrap();
    let failed = Orchestrator::new(registry)
        .tool_scheduler(scheduler)
        .run(&whole)
        .await;
    failed.unwrap_err();
    (model.asked(), calls.calls())
}

fn retry(times: u32) -> Retry {
    Retry::attempts(times).with_backoff(Duration::from_millis(1))
}

#[tokio::test(start_paused = true)]
async fn p3_where_a_step_is_tried_again_nothing_inside_it_is() {
    let steps = |retry: Option<Retry>| {
        [
            Step::agent("a", "agent").input("x"),
            Step::tool("t", "tool"),
        ]
        .map(|step| {
            let retry = retry.clone();
            match retry {
                Some(retry) => step.retry(retry),
                None => step,
            }
        })
    };
    assert_eq!(asked(plan(steps(None))).await, (3, 3));
    assert_eq!(asked(plan(steps(Some(retry(2))))).await, (2, 2));

    // Nor the steps of a plan inside it.
    let inner = plan(steps(Some(retry(4))));
    let retried = Step::plan("p", inner.clone()).retry(retry(2).with_classes(["step_failed"]));
    assert_eq!(asked(plan([retried])).await, (2, 2));
    assert_eq!(asked(plan([Step::plan("p", inner)])).await, (4, 4));
}

#[tokio::test(start_paused = true)]
async fn p3_what_stands_in_for_a_step_is_tried_once_and_its_model_as_often_as_it_says() {
    let step = Step::tool("t", "tool").retry(retry(2));
    let whole = plan([step.fallback_with(Work::agent("agent"), json!("x"))]);
    assert_eq!(asked(whole).await, (3, 2));
}
