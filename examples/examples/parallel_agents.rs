//! Many agents at once, and one stream of what all of them do.
//!
//! The stream is lossless and fair: a slow reader slows them down, and all are heard in turn. They share one trace, one time
//! limit and one budget. One that fails leaves the others alone, and the report has each of them once.

use std::time::Duration;

use agent_sdk::{
    agent::{Agent, parallel},
    cost::Usd,
    model::{ModelError, ModelErrorKind, Usage},
    operation::EventKind,
    registry::Registry,
    testing::{ScriptedModel, Turn},
};
use futures_util::StreamExt;

/// A reviewer that takes its time; scripted, and priced as the model whose name it borrows.
fn reviewer(name: &str, says: &'static str, millis: u64) -> anyhow::Result<Agent> {
    let model = ScriptedModel::from_fn(move |_, _| {
        Turn::from(says)
            .usage(Usage::new(800, 40))
            .chunk_words(4)
            .chunk_delay(Duration::from_millis(millis))
    });
    let agent = Agent::builder(name, model.named("openai", "gpt-4o-mini"))
        .description(format!("Reviews with an eye on {name}."))
        .capability("review")
        .build()?;
    Ok(agent)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    println!("The models are scripted stand-ins.\n");
    let overloaded = ScriptedModel::from_fn(|_, _| {
        Turn::new().fail(ModelError::new(ModelErrorKind::Overloaded, "busy"))
    });
    let agents = Registry::new();
    agents
        .agent(reviewer(
            "safety",
            "The token is logged in plain text on line 12.",
            20,
        )?)?
        .agent(reviewer(
            "speed",
            "The loop asks the database once for each row.",
            30,
        )?)?
        .agent(reviewer(
            "style",
            "Two names say the opposite of what they hold.",
            10,
        )?)?
        .agent(
            Agent::builder("tests", overloaded)
                .capability("review")
                .build()?,
        )?;

    let reviewers = agents.capable("review");
    let runs = reviewers
        .iter()
        .map(|agent| agent.run("Review the change."));
    let mut stream = parallel(runs)
        .name("review")
        .timeout(Duration::from_mins(1))
        .max_cost("0.50".parse::<Usd>()?)
        .stream();
    while let Some(item) = stream.next().await {
        let line = match &item.event.kind {
            EventKind::AgentInitialized { .. } => "begins".to_owned(),
            EventKind::TextChunk { content } => format!("… {}", content.as_str().trim()),
            EventKind::AgentCompleted(end) => format!("is done: {} words", end.total_words),
            EventKind::AgentError(_) => "failed".to_owned(),
            _ => continue,
        };
        println!("{:>7}  {line}", item.agent);
    }

    let report = stream.report().await;
    println!();
    for (agent, answer) in report.answers() {
        println!("{agent}: {answer}");
    }
    for (_, error) in report.errors() {
        println!("{error}");
    }
    println!(
        "\n{} model calls, {} USD; {:.1} times as fast as one after the other.",
        report.model_calls,
        report.cost,
        report.speedup()
    );
    Ok(())
}
