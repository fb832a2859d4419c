//! The journal: each outcome is kept before the run acts on it, so a run can stop anywhere and go on.
//!
//! Here it stops because a tool asks for a person's approval and nobody is there. `MemoryStore` is gone with the process; with
//! the feature `sqlite`, `SqliteStore` keeps the same in a file, and another process can resume the run.

use std::sync::Arc;

use agent_sdk::{
    agent::Agent,
    journal::{Record, Runs, Verdict},
    run::RunErrorKind,
    store::MemoryStore,
    testing::{CountingTool, ScriptedModel, Turn},
};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    println!("The model is a scripted stand-in.\n");
    let model = ScriptedModel::new([
        Turn::new()
            .tool_call("call-1", "measure", "{}")
            .tool_call("call-2", "cut", "{}"),
        Turn::from("Measured, then cut."),
    ]);
    let (measure, cut) = (CountingTool::new("measure"), CountingTool::new("cut"));
    let agent = Agent::builder("carpenter", model.clone())
        .tool(measure.clone())
        .tool(cut.clone())
        .build()?;

    let store = Arc::new(MemoryStore::new());
    let run = agent.run("Make a shelf.").store(store.clone());
    let paused = match run.ask_before(["cut"]).await {
        Err(error) if error.kind() == RunErrorKind::Paused => error,
        other => anyhow::bail!("the run should have paused: {other:?}"),
    };
    let id = paused.report().run_id.clone();
    for question in paused.questions() {
        println!("It asks: {} ({})", question.text.as_str(), question.call_id);
    }

    let runs = Runs::new(store.clone());
    runs.answer(id.as_str(), "call-2", Verdict::allow().by("me"))
        .await?;
    let report = agent.resume(id.as_str(), store).await?;
    println!("{}\n", report.text.as_str());

    for kept in runs.records(id.as_str()).await? {
        let what = match &kept.record {
            Record::LifeBegan { .. } => "a process took the run up".to_owned(),
            Record::Started { conversation, .. } => {
                format!("the agent began with {} message", conversation.len())
            }
            Record::Answered(answer) => {
                format!("the model answered: {}", answer.response.finish_reason)
            }
            Record::ToolStarted { place } => {
                format!("call {place} of the turn is about to be made")
            }
            Record::ApprovalRequested { place, .. } => format!("call {place} waits for a person"),
            Record::ApprovalGiven { verdict, .. } => format!("allowed: {}", verdict.allowed),
            Record::ToolReturned { place, result, .. } => {
                format!(
                    "call {place} of the turn gave {:?}",
                    result.content.as_str()
                )
            }
            Record::Stopped { outcome, .. } => format!("the process stopped: {}", outcome.as_str()),
            _ => "something else".to_owned(),
        };
        println!("{:2}. {what}", kept.version);
    }
    println!(
        "\nIn {} lives the model was asked {} times, and each tool called once: {} and {}.",
        report.lives,
        model.asked(),
        measure.calls(),
        cut.calls()
    );
    Ok(())
}
