//! A directory for each run: the model writes files in it and nowhere else, and the report names them.
//!
//! The model is a scripted stand-in, so this runs offline. One of its calls tries to leave the directory.

use agent_sdk::{
    agent::Agent,
    message::{Conversation, Part},
    testing::{ScriptedModel, Turn},
    workspace::{Named, Workspaces},
};
use jiff::{Timestamp, tz::TimeZone};
use serde_json::json;

/// A call of the tool `write_file`.
fn write(turn: Turn, id: &str, path: &str, content: &str) -> Turn {
    let arguments = json!({ "path": path, "content": content });
    turn.tool_call(id, "write_file", arguments.to_string())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    println!("The model is a scripted stand-in; the files are real.\n");
    let turn = write(Turn::new(), "call-1", "../.bashrc", "evil");
    let turn = write(turn, "call-2", "report/summary.md", "# Summary\n");
    // What could act on a terminal is left out.
    let turn = write(turn, "call-3", "report/log.txt", "\x1b[2Jall done\r\n");
    let model = ScriptedModel::new([turn, Turn::from("The report is in `report/`.")]);

    // A program would keep them, below its own folder for data.
    let root = tempfile::tempdir()?;
    let workspaces = Workspaces::new(root.path()).template("week-{week}/{date}/{slug}-{time}")?;
    let task = "Summarise the quarter, please!";
    let named = Named::new(task, Timestamp::now()).time_zone(TimeZone::UTC);
    let workspace = workspaces.create(&named)?;
    let below = workspace.path().strip_prefix(root.path())?;
    println!("workspace: {}\n", below.display());

    let agent = Agent::builder("analyst", model)
        .workspace(workspace.clone())
        .build()?;
    let mut conversation = Conversation::from(task);
    let report = agent.run_with(&mut conversation).await?;

    let parts = conversation
        .messages()
        .iter()
        .flat_map(|message| &message.parts);
    for part in parts {
        if let Part::ToolResult(result) = part {
            println!("{} answered: {}", result.name, result.content.as_str());
        }
    }
    println!("\nartifacts of the run:");
    for artifact in &report.artifacts {
        println!("  {:<18} {:>3} bytes", artifact.path, artifact.bytes);
    }
    println!("\nall files:");
    for file in workspace.files()?.entries {
        println!("  {:<18} {:>3} bytes", file.path, file.bytes);
    }
    Ok(())
}
