//! Fallbacks: a step is tried again, another tool stands in for it, and another plan for a plan that failed.
//!
//! Every failure is kept, in order, also where the plan succeeded in the end.

use std::time::Duration;

use agent_sdk::{
    orchestrator::{Orchestrator, PlanOutcome},
    plan::{Plan, Retry, Step, StepEnd, Work},
    registry::Registry,
};
use serde_json::{Value, json};

fn show(outcome: &PlanOutcome) {
    println!("plan {}: {}", outcome.plan, outcome.end.as_str());
    for step in &outcome.steps {
        let by = match &step.end {
            StepEnd::Ok { fallback: 0, .. } => "",
            StepEnd::Ok { .. } => ", by its fallback",
            _ => "",
        };
        println!(
            "  {}: {}{by}, {} tries",
            step.id,
            step.end.as_str(),
            step.attempts
        );
        for cause in step.end.causes() {
            println!("    {cause}");
        }
    }
    if let Some(other) = &outcome.fallback {
        println!("in its place:");
        show(other);
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let registry = Registry::new();
    registry
        .function("newest prices", async |_: Value| {
            Err::<Value, _>("the exchange does not answer")
        })?
        .function("yesterday's prices", async |_: Value| {
            Ok::<_, String>(json!({"copper": 9_412}))
        })?
        .function("forecast", async |_: Value| {
            Err::<Value, _>("there is no model for copper")
        })?
        .function("say it plainly", async |price: Value| {
            Ok::<_, String>(format!(
                "Copper was at {price} yesterday; nobody knows more."
            ))
        })?;

    let prices = Step::function("prices", "newest prices")
        .retry(Retry::attempts(2).with_backoff(Duration::from_millis(5)))
        .fallback(Work::function("yesterday's prices"));
    let instead = Plan::builder("plain answer")
        .step(Step::function("prices", "yesterday's prices"))
        .step(Step::function("answer", "say it plainly").input("${steps.prices/copper}"))
        .output("${steps.answer}")
        .build()?;
    let plan = Plan::builder("outlook")
        .step(prices)
        .step(Step::function("outlook", "forecast").input("${steps.prices}"))
        .fallback(instead)
        .build()?;

    let report = Orchestrator::new(registry).run(&plan).await?;
    show(&report);
    println!("\n{}", report.output.as_str().unwrap_or_default());
    Ok(())
}
