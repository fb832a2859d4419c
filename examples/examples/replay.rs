//! Replay: a stored run goes again, against what was recorded, and says in what it would differ now.
//!
//! Nothing is asked and nothing is called: models give the recorded answers, tools the recorded results. On a runtime whose clock
//! is paused the recorded times pass at once, so the profile shows where the time went then.

use std::{sync::Arc, time::Duration};

use agent_sdk::{
    agent::{Agent, AgentBuilder},
    model::Usage,
    store::MemoryStore,
    testing::{CountingTool, ScriptedModel, Turn},
};

/// The agent, as one version of a program makes it.
fn carpenter(model: &ScriptedModel, saw: &CountingTool) -> AgentBuilder {
    Agent::builder("carpenter", model.clone())
        .instructions("Measure twice, cut once.")
        .tool(saw.clone())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    println!("The model is a scripted stand-in, and the clock is paused.\n");
    tokio::time::pause();
    let turn = |turn: Turn, ms| turn.delay(Duration::from_millis(ms));
    let model = ScriptedModel::new([
        turn(Turn::new().tool_call("call-1", "saw", "{}"), 800).usage(Usage::new(900, 40)),
        turn(Turn::from("Cut."), 300).usage(Usage::new(1000, 5)),
    ])
    .named("openai", "gpt-4o-mini");
    let saw = CountingTool::new("saw").taking(Duration::from_secs(4));
    let store = Arc::new(MemoryStore::new());
    let agent = carpenter(&model, &saw).build()?;
    let run = agent.run("Cut the board.").store(store.clone()).await?;
    println!("The run took {:?} and cost ${}.", run.duration, run.cost);

    let again = agent.replay(run.run_id.clone(), store.clone());
    let again = again.speed(1.0).await?;
    println!(
        "Its replay took {:?} of virtual time, with {} differences. {}\n",
        again.report.duration,
        again.differences.len(),
        again.report.profile.bottleneck()
    );

    println!("The next version of the program has other instructions and no saw:");
    let next = Agent::builder("carpenter", model.clone())
        .instructions("Cut twice.")
        .build()?;
    for difference in next.replay(run.run_id, store).await?.differences {
        println!("- {difference}");
    }
    println!(
        "\nThe model was asked {} times and the saw was used {} time, all of them by the run itself.",
        model.asked(),
        saw.calls()
    );
    Ok(())
}
