//! Approval: a plan asks a person before it publishes, stops where nobody is there, and goes on with the answer.
//!
//! `MemoryStore` is gone with the process; with the feature `sqlite`, `SqliteStore` keeps the same in a file, and another process can
//! go on with the plan.

use std::sync::Arc;

use agent_sdk::{
    agent::Agent,
    journal::{Runs, Verdict},
    orchestrator::{Orchestrator, PlanRunErrorKind},
    plan::{Plan, Step},
    registry::Registry,
    store::MemoryStore,
    testing::{CountingTool, ScriptedModel},
};
use serde_json::json;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    println!("The model is a scripted stand-in.\n");
    let model = ScriptedModel::new(["Heat pumps hum, and that is all."]);
    let (post, mail) = (CountingTool::new("post"), CountingTool::new("mail"));
    let registry = Registry::new();
    registry
        .agent(Agent::builder("writer", model.clone()).build()?)?
        .tool(post.clone())?
        .tool(mail.clone())?;
    let send = |id: &str, tool: &str| Step::tool(id, tool).input(json!({"text": "${steps.text}"}));
    let plan = Plan::builder("announce")
        .step(Step::agent("text", "writer").input("Write one sentence."))
        .step(send("publish", "post").approval("May this be published?"))
        .step(send("tell", "mail").approval("May this be sent to everybody?"))
        .build()?;

    let orchestrator = Orchestrator::new(registry);
    let store = Arc::new(MemoryStore::new());
    let paused = match orchestrator.run(&plan).store(store.clone()).await {
        Err(error) if error.kind() == PlanRunErrorKind::Paused => error,
        other => anyhow::bail!("the plan should have stopped to ask: {other:?}"),
    };
    println!("{paused}");
    for question in paused.questions() {
        println!("  {}: {}", question.path, question.text.as_str());
    }
    let Some(report) = paused.report() else {
        anyhow::bail!("a plan that began has a report");
    };

    // Hours later, somebody answers, and whoever has the store goes on.
    let (id, runs) = (report.run.run_id.clone(), Runs::new(store.clone()));
    let by = |verdict: Verdict| verdict.by("Ada");
    runs.answer(id.as_str(), "publish", by(Verdict::allow()))
        .await?;
    let no = by(Verdict::deny("one place is enough"));
    runs.answer(id.as_str(), "tell", no).await?;
    match orchestrator.resume(id, store).await {
        Err(error) => {
            println!("\n{error}");
            for step in error.report().iter().flat_map(|report| &report.steps) {
                println!("  {}: {}", step.id, step.end.as_str());
            }
        }
        Ok(_) => anyhow::bail!("a step that is not allowed has failed"),
    }
    println!(
        "\nThe model was asked {} time; published {} time, sent {} times.",
        model.asked(),
        post.calls(),
        mail.calls()
    );
    Ok(())
}
