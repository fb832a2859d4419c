//! What a plan is told by whoever runs it, and what it tells.

use std::sync::{Arc, Mutex};

use super::*;
use crate::{
    operation::EventKind,
    orchestrator::PlanRunErrorKind,
    plan::{Plan, Step},
    registry::Registry,
    testing::ScriptedModel,
};

#[tokio::test]
async fn the_directory_that_it_works_in_is_told_when_it_begins() {
    let registry = Registry::new();
    registry
        .function("one", async |_: Value| Ok::<_, String>(1))
        .unwrap();
    let plan = Plan::builder("p").step(Step::function("a", "one"));
    let plan = plan.build().unwrap();
    let told = Arc::new(Mutex::new(Vec::new()));
    let heard = told.clone();
    let request = Orchestrator::new(registry)
        .run(&plan)
        .workspace(std::path::Path::new("some/where"))
        .on_event(move |event| {
            if let EventKind::WorkflowStarted(start) = event {
                heard.lock().unwrap().push(start.workspace.clone());
            }
        });
    request.await.unwrap();
    let told = told.lock().unwrap();
    let folders: Vec<_> = told.iter().map(|folder| folder.as_deref()).collect();
    assert_eq!(folders, [Some(std::path::Path::new("some/where"))]);
}

#[tokio::test]
async fn what_a_cancellation_cuts_short_is_cancelled_whenever_it_comes() {
    let registry = Registry::new();
    let agent = crate::agent::Agent::builder("writer", ScriptedModel::new(["Done."]));
    registry.agent(agent.build().unwrap()).unwrap();
    let plan = Plan::builder("p").step(Step::agent("a", "writer"));
    let plan = plan.build().unwrap();
    let context = crate::operation::RunContext::new();
    // Before it begins: its first step is cut short at its first look around.
    context.cancellation().cancel();
    let ended = Orchestrator::new(registry).run(&plan).context(&context);
    let error = ended.await.unwrap_err();
    assert_eq!(error.kind(), PlanRunErrorKind::Cancelled, "{error}");
}
