//! A hard cap over agents that work at the same time.
//!
//! What a request may cost at most is put aside before it is sent, in every account that it belongs to, or it is not sent. So the
//! cap holds whoever asks at the same time; what was put aside and not used is there for the next.

use std::time::Duration;

use agent_sdk::{
    agent::Agent,
    budget::{Budget, Dimension, Ledger, Scope},
    model::Usage,
    testing::{ScriptedModel, Turn},
};

/// A specialist that takes a while; scripted, and priced as the model whose name it borrows.
fn specialist(name: &str, millis: u64) -> anyhow::Result<Agent> {
    let turn = Turn::from(format!("What {name} says of it."))
        .usage(Usage::new(600, 700))
        .delay(Duration::from_millis(millis));
    let model = ScriptedModel::new([turn]).named("openai", "gpt-4o");
    let agent = Agent::builder(name, model)
        .description(format!("Knows about {name}."))
        .build()?;
    Ok(agent)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    println!("The models are scripted stand-ins.\n");
    let ledger = Ledger::builder()
        .budget(Budget::new("all").max_usd("0.11".parse()?))
        .budget(
            Budget::new("each agent")
                .scope(Scope::each(Dimension::Agent))
                .max_usd("0.1".parse()?),
        )
        .build()?;
    let names = ["history", "geology", "weather", "music"];
    let calls = names.iter().fold(Turn::new(), |turn, name| {
        turn.tool_call(format!("ask-{name}"), *name, r#"{"task":"The harbour?"}"#)
    });
    let model = ScriptedModel::new([
        calls.usage(Usage::new(400, 80)),
        Turn::from("A harbour, as far as the money went.").usage(Usage::new(500, 20)),
    ])
    .named("openai", "gpt-4o");
    let mut editor = Agent::builder("editor", model).ledger(&ledger);
    for (name, millis) in names.into_iter().zip([40, 80, 120, 160]) {
        editor = editor.tool(specialist(name, millis)?.as_tool());
    }
    let editor = editor.build()?;

    // Somebody looks at the account all the while.
    let seen = ledger.clone();
    let watcher = tokio::spawn(async move {
        loop {
            for standing in seen.standings().await.unwrap_or_default() {
                let all = standing.committed.plus(&standing.reserved).usd;
                if &*standing.budget == "all" {
                    let (spent, aside) = (standing.committed.usd, standing.reserved.usd);
                    println!("  {spent} USD spent + {aside} put aside = {all}, of 0.11");
                }
            }
            tokio::time::sleep(Duration::from_millis(35)).await;
        }
    });
    let report = editor.run("Write a sentence about the harbour.").await;
    watcher.abort();

    match report {
        Ok(report) => println!("\n{} It cost {} USD.", report.text.as_str(), report.cost),
        Err(error) => println!("\nRefused: {error}. It cost {} USD.", error.report().cost),
    }
    for standing in ledger.standings().await? {
        let whose = format!("{} {}", standing.budget, standing.scope);
        println!("{whose:20} spent {} USD", standing.committed.usd);
    }
    println!("Refused: {:?}", ledger.refusals());
    Ok(())
}
