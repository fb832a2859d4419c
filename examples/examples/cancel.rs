//! Runs that do not reach their end: a limit, a time limit, a cancellation.
//!
//! Nothing is unlimited by default. Each of these is an error that says what stopped the run, with a report of what was spent.

use std::{num::NonZeroU32, time::Duration};

use agent_sdk::{
    agent::Agent,
    model::Usage,
    run::{CancellationToken, RunError},
    testing::{CountingTool, ScriptedModel, Turn},
};

/// A model that calls a tool for ever; scripted, and priced as the model whose name it borrows.
fn restless() -> ScriptedModel {
    ScriptedModel::from_fn(|_, turn| {
        Turn::new()
            .tool_call(format!("call-{turn}"), "look_again", "{}")
            .usage(Usage::new(500, 20))
    })
    .named("openai", "gpt-4o-mini")
}

fn explain(what: &str, error: &RunError) {
    let report = error.report();
    println!("{what}: {error}");
    println!(
        "  outcome {}, {} model calls, {} tool calls, {} USD spent, {} ms",
        report.outcome.as_str(),
        report.model_calls,
        report.tool_calls,
        report.cost,
        report.duration.as_millis(),
    );
    if let Some(limit) = error.limit() {
        println!("  the limit that was reached: {limit}");
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    println!("The model is a scripted stand-in that never stops by itself.\n");
    let three = NonZeroU32::new(3).unwrap_or(NonZeroU32::MIN);
    let tool = CountingTool::new("look_again").taking(Duration::from_millis(30));
    let agent = Agent::builder("restless", restless()).tool(tool.clone());
    let agent = agent.max_turns(three).build()?;
    if let Err(error) = agent.run("Look until you find it.").await {
        explain("A limit", &error);
    }

    let slow = agent
        .run("Look until you find it.")
        .timeout(Duration::from_millis(50));
    if let Err(error) = slow.await {
        explain("A time limit", &error);
    }

    let token = CancellationToken::new();
    let caller = token.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(45)).await;
        caller.cancel();
    });
    let run = agent.run("Look until you find it.").cancellation(token);
    if let Err(error) = run.await {
        explain("A cancellation", &error);
    }
    // Tools run inside the run's own future: when it is given up, so are they.
    println!(
        "\n{} tool calls were started, {} are still inside.",
        tool.calls(),
        tool.inside()
    );
    Ok(())
}
