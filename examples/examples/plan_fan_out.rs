//! Fan-out and join: three reviewers read the same text beside each other, and a writer joins what they found.
//!
//! Shows how a reference makes an edge, how the plan is drawn, and how long it took beside how much work was in it.

use std::time::Duration;

use agent_sdk::{
    agent::Agent,
    orchestrator::Orchestrator,
    plan::{Param, Plan, Step},
    registry::Registry,
    testing::{ScriptedModel, Turn},
};
use serde_json::json;

/// An agent that takes 40 ms to say something.
fn agent(name: &str, says: &'static str) -> anyhow::Result<Agent> {
    let delay = Duration::from_millis(40);
    let model = ScriptedModel::from_fn(move |_, _| Turn::from(says).delay(delay));
    Ok(Agent::builder(name, model).build()?)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    println!("The models are scripted stand-ins.\n");
    let registry = Registry::new();
    registry
        .agent(agent("facts", "The second figure has no source.")?)?
        .agent(agent("style", "The first sentence is too long.")?)?
        .agent(agent("law", "Nothing to object to.")?)?
        .agent(agent(
            "editor",
            "Add a source, and cut the first sentence in two.",
        )?)?;

    let plan = Plan::builder("review")
        .param("text", Param::new())
        .step(Step::agent("facts", "facts").input("${params.text}"))
        .step(Step::agent("style", "style").input("${params.text}"))
        .step(Step::agent("law", "law").input("${params.text}"))
        .step(
            Step::agent("advice", "editor")
                .action("Sum up what is to be done.")
                .input(json!({
                    "facts": "${steps.facts}",
                    "style": "${steps.style}",
                    "law": "${steps.law}",
                })),
        )
        .build()?;
    println!("{}", plan.to_text());

    let run = Orchestrator::new(registry).run(&plan);
    let report = run
        .param("text", "Heat pumps are loud. 40 % say so.")
        .await?;
    for step in &report.steps {
        println!("{:>8}  {}", step.id, step.end.as_str());
    }
    println!("\n{}", report.run.text.as_str());
    let (work, took) = (
        report.work().as_secs_f64(),
        report.run.duration.as_secs_f64(),
    );
    println!("\n{:.1} times as fast as one after the other.", work / took);
    Ok(())
}
