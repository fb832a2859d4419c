//! The journal: each outcome is kept before the run acts on it, and folds back into the run as it was.
//!
//! `MemoryJournal` is gone with the process; implement `Journal` to keep records elsewhere. Replaying asks no model and runs no
//! tool. Continuing a run from a journal by itself is not built yet.

use std::sync::Arc;

use agent_sdk::{
    agent::Agent,
    journal::{MemoryJournal, Record},
    message::Conversation,
    run::{Limits, Machine},
    testing::{CountingTool, ScriptedModel, Turn},
};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    println!("The model is a scripted stand-in.\n");
    let model = ScriptedModel::new([
        Turn::new()
            .tool_call("call-1", "measure", "{}")
            .tool_call("call-2", "measure", "{}"),
        Turn::from("Both measurements agree."),
    ]);
    let tool = CountingTool::new("measure");
    let agent = Agent::builder("surveyor", model.clone())
        .tool(tool.clone())
        .build()?;

    let journal = Arc::new(MemoryJournal::new());
    let report = agent.run("Measure twice.").journal(journal.clone()).await?;
    println!("{}\n", report.text.as_str());

    let mut machine = Machine::new(Conversation::new(), Limits::default());
    for (number, record) in journal
        .records(report.run_id.as_str())
        .into_iter()
        .enumerate()
    {
        let what = match &record {
            Record::Started { conversation, .. } => {
                format!("the run began with {} message", conversation.len())
            }
            Record::Answered(answer) => format!("the model answered: {}", answer.finish_reason),
            Record::ToolReturned { place, result } => {
                format!(
                    "call {place} of the turn gave {:?}",
                    result.content.as_str()
                )
            }
            _ => "something else".to_owned(),
        };
        // The machine decides without I/O: the same records give the same commands.
        let next = match machine.apply(record) {
            agent_sdk::run::Command::CallTools(_) => {
                format!("calls to make: {}", machine.pending().len())
            }
            next => format!("{next:?}"),
        };
        println!("{}. {what}\n   next: {next}", number + 1);
    }

    println!(
        "\nReplayed to {} messages. The model was asked {} times in all, the tool called {} times.",
        machine.conversation().len(),
        model.asked(),
        tool.calls()
    );
    Ok(())
}
