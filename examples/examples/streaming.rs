//! A run as a stream of its events: text as it is written, tool calls, and the report at the end.
//!
//! The stream is lazy and loses nothing. Dropping it cancels the run. Each event is also one line of JSON.

use std::{io::Write, time::Duration};

use agent_sdk::{
    agent::Agent,
    operation::EventKind,
    testing::{ScriptedModel, Turn},
};
use futures_util::StreamExt;
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Deserialize, JsonSchema)]
struct Query {
    /// What to look for.
    words: String,
}

agent_sdk::tool! {
    /// Looks for words in the library's catalogue.
    async fn search(query: Query) -> anyhow::Result<Vec<String>> {
        Ok(vec![format!("A history of {}", query.words)])
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    println!("The model is a scripted stand-in.\n");
    let text = "The library has one book on lighthouses. It is a history, and it is on the shelf.";
    let model = ScriptedModel::new([
        Turn::new().tool_call("call-1", "search", r#"{"words":"lighthouses"}"#),
        Turn::from(text)
            .chunk_words(1)
            .chunk_delay(Duration::from_millis(20)),
    ]);
    let librarian = Agent::builder("librarian", model).tool(search()).build()?;

    let mut stream = librarian
        .run("Do you have books on lighthouses?")
        // For those who need no stream: a callback, before the tool runs.
        .on_tool_use(|tool, arguments| println!("[calls {tool} with {arguments}]"))
        .stream();
    let mut last = None;
    while let Some(event) = stream.next().await {
        match &event.kind {
            EventKind::TextChunk { content } => {
                print!("{}", content.as_str());
                std::io::stdout().flush()?;
            }
            EventKind::ToolResult { tool, output, .. } => {
                println!("[{tool} gave {}]", output.as_deref().unwrap_or_default());
            }
            EventKind::AgentCompleted(end) => println!("\n[{} words]", end.total_words),
            EventKind::ChatCompleted { .. } => last = Some(event.clone()),
            _ => {}
        }
    }
    if let Some(event) = last {
        println!("\nThe last model request, as it goes over the wire:");
        println!("{}", serde_json::to_string(&*event)?);
    }

    let report = stream.report().await?;
    println!(
        "\n{} tool call, {} model calls.",
        report.tool_calls, report.model_calls
    );
    Ok(())
}
