//! An agent inside an agent: `as_tool` makes one a tool of the other.
//!
//! The inner agents inherit deadline, cancellation and observers, hang under the call in the one trace, and what they cost
//! counts in the outer report. Both run at once here, so the slower one is on the critical path.

use std::time::Duration;

use agent_sdk::{
    agent::Agent,
    model::Usage,
    testing::{ScriptedModel, Turn},
};

/// A specialist that takes a while; scripted, and priced as the model whose name it borrows.
fn specialist(name: &str, finding: &str, millis: u64) -> anyhow::Result<Agent> {
    let turn = Turn::from(finding)
        .usage(Usage::new(1_200, 60))
        .delay(Duration::from_millis(millis));
    let model = ScriptedModel::new([turn]).named("openai", "gpt-4o-mini");
    let agent = Agent::builder(name, model)
        .description(format!("Knows about {name}."))
        .build()?;
    Ok(agent)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    println!("The models are scripted stand-ins.\n");
    let history = specialist("history", "The harbour was dug in 1842.", 40)?;
    let geology = specialist("geology", "The rock below is granite.", 120)?;
    let model = ScriptedModel::new([
        Turn::new()
            .tool_call(
                "call-1",
                "history",
                r#"{"task":"When was the harbour dug?"}"#,
            )
            .tool_call("call-2", "geology", r#"{"task":"What rock is it in?"}"#)
            .usage(Usage::new(300, 40)),
        Turn::from("The harbour was dug into granite in 1842.").usage(Usage::new(420, 12)),
    ])
    .named("openai", "gpt-4o");
    let editor = Agent::builder("editor", model)
        .tool(history.as_tool())
        .tool(geology.as_tool())
        .build()?;

    let report = editor.run("Write a sentence about the harbour.").await?;
    println!("{}\n", report.text.as_str());
    for node in report.profile.tree() {
        let mark = if node.on_critical_path { '*' } else { ' ' };
        let cost = node.operation.cost.map(|cost| format!("{cost} USD"));
        println!(
            "{mark} {:width$}{:<name$} {:>5} ms  {}",
            "",
            node.operation.span_name(),
            node.total_time.as_millis(),
            cost.unwrap_or_default(),
            width = 2 * node.depth,
            name = 30 - 2 * node.depth,
        );
    }
    println!("\n* critical path. {}", report.profile.bottleneck());
    println!(
        "{} model calls, {} USD in all.",
        report.model_calls, report.cost
    );
    Ok(())
}
