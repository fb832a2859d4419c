//! Live changes: somebody adds, modifies and skips steps of a plan while it runs.
//!
//! Each change is checked as a whole plan is, made between steps, and kept with who made it.

use std::{sync::Arc, time::Duration};

use agent_sdk::{
    journal::{Record, Runs},
    operation::EventKind,
    orchestrator::Orchestrator,
    plan::{Plan, Step},
    registry::Registry,
    store::MemoryStore,
};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let registry = Registry::new();
    registry.function("take", async |ms: u64| {
        tokio::time::sleep(Duration::from_millis(ms)).await;
        Ok::<_, String>(ms)
    })?;
    let plan = Plan::builder("move house")
        .step(Step::function("pack", "take").input(60))
        .step(Step::function("clean", "take").input(500).after(["pack"]))
        .step(Step::function("drive", "take").input(20).after(["pack"]))
        .build()?;

    let store = Arc::new(MemoryStore::new());
    let mut run = Orchestrator::new(registry)
        .run(&plan)
        .store(store.clone())
        .on_event(|event| {
            if let EventKind::PlanChanged {
                change,
                changed_step: Some(step),
                ..
            } = event
            {
                println!("changed: {change} {step}");
            }
        });
    let handle = run.handle().by("Ada");
    let live = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let water = Step::function("water", "take");
        let wrong = handle.add(water.input(1).after(["drve"])).await;
        if let Err(refused) = wrong {
            println!("refused: {refused}");
        }
        let lunch = Step::function("lunch", "take").input(10).after(["drive"]);
        handle.add(lunch).await?;
        let quick = Step::function("drive", "take").input(5).after(["pack"]);
        handle.modify(quick).await?;
        handle.skip("clean").await?;
        anyhow::Ok(())
    };
    let (report, changed) = tokio::join!(run.into_future(), live);
    changed?;
    let report = report?;

    println!();
    for step in &report.steps {
        println!("{:>6}: {}", step.id, step.end.as_str());
    }
    println!();
    let runs = Runs::new(store);
    for kept in runs.records(report.run.run_id.as_str()).await? {
        if let Record::PlanChanged { change, by } = &kept.record {
            let by = by.as_deref().unwrap_or("nobody");
            println!("kept: {} by {by}", change.as_str());
        }
    }
    Ok(())
}
