//! The smallest agent: a model, instructions, a question, and a report of what it took.
//!
//! The model is a scripted stand-in, so this runs offline; it is priced as the model whose name it borrows.

use agent_sdk::testing::{ScriptedModel, Turn};
use agent_sdk::{agent::Agent, model::Usage};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let answer = Turn::from("(scripted) Rust 1.0 came out in May 2015.").usage(Usage::new(31, 12));
    let model = ScriptedModel::new([answer]).named("openai", "gpt-4o-mini");
    let agent = Agent::builder("historian", model).build()?;
    let report = agent.run("When did Rust 1.0 come out?").await?;
    println!("{}", report.text.as_str());
    println!("{} USD, trace {}", report.cost, report.trace_id);
    Ok(())
}
