//! A goal becomes a plan: the model is told what is registered, and answers with steps.
//!
//! Shows the registry that a plan's steps may name, the planner, a plan that is wrong at first and comes back corrected, and the plan
//! as TOML: a file that can be read, changed and run again.

use agent_sdk::{
    agent::Agent,
    operation::Observers,
    plan::Planner,
    registry::{FunctionHandle, Registry},
    testing::{ScriptedModel, TraceCapture},
};
use serde_json::json;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    println!("The models are scripted stand-ins; the check of the plan is real.\n");
    let registry = Registry::new();
    for (name, description) in [
        ("researcher", "Finds out what is known, with sources."),
        ("writer", "Writes texts that are easy to read."),
    ] {
        let model = ScriptedModel::new(["Done."]);
        let agent = Agent::builder(name, model).description(description);
        registry.agent(agent.build()?)?;
    }
    let count = async |text: String| Ok::<_, String>(text.split_whitespace().count());
    let count = FunctionHandle::new("count_words", count);
    registry.register(count.with_description("Counts the words of a text."))?;

    // The first plan names an agent that is not there. The model is told so, and answers again.
    let plan = |author: &str| {
        json!({
            "name": "heat pumps",
            "description": "A page on heat pumps in old houses, and its length.",
            "steps": [
                {"id": "cost", "agent": "researcher", "action": "Find out what a heat pump in an old house costs."},
                {"id": "noise", "agent": "researcher", "action": "Find out how loud heat pumps are."},
                {
                    "id": "page",
                    "agent": author,
                    "action": "Write one page for home owners, in plain words.",
                    "input": {"cost": "${steps.cost}", "noise": "${steps.noise}"},
                },
                {"id": "length", "function": "count_words", "input": "${steps.page}"},
            ],
        })
        .to_string()
    };
    let trace = TraceCapture::new();
    let planner = Planner::builder(ScriptedModel::new([plan("author"), plan("writer")]))
        .observers(Observers::none().with(trace.clone()))
        .build();

    let goal = "A page on heat pumps for owners of old houses, and how long it is";
    println!("Goal: {goal}\n");
    let made = planner.plan(goal, &registry).await?;
    println!("{}", made.plan.to_toml()?);
    let (rounds, steps) = (made.rounds, made.plan.steps.len());
    println!(
        "{steps} steps, planned in {rounds} rounds:\n{}",
        trace.tree()
    );
    Ok(())
}
