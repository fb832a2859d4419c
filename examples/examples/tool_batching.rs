//! Tool batching: calls that many agents make at about the same time become one request.
//!
//! Shows a `BatchTool`, how a scheduler gathers the calls of several runs, and that each call has its own result.

use std::time::Duration;

use agent_sdk::{
    agent::Agent,
    model::ToolSpec,
    testing::{ScriptedModel, Turn},
    tool::{
        BatchCall, BatchTool, BatchedTool, Effect, ToolError, ToolHandle, ToolOptions, ToolOutput,
        ToolScheduler,
    },
};
use futures_util::future::try_join_all;
use serde::Deserialize;
use serde_json::value::RawValue;

/// A warehouse that answers any number of questions in one request of 30 ms.
struct Stock;

#[derive(Deserialize)]
struct Article {
    article: String,
}

fn in_stock(call: &BatchCall) -> Result<ToolOutput, ToolError> {
    let read = serde_json::from_str(&call.arguments);
    let Article { article } =
        read.map_err(|error| ToolError::invalid_arguments(error.to_string()))?;
    match article.as_str() {
        "unicorn" => Err(ToolError::failed(
            "there is no such article; ask for another",
        )),
        other => Ok(format!("{} of {other}", other.len() * 7).into()),
    }
}

impl BatchTool for Stock {
    fn spec(&self) -> ToolSpec {
        let schema = r#"{"type":"object","properties":{"article":{"type":"string"}},"required":["article"]}"#;
        let schema = RawValue::from_string(schema.to_owned()).unwrap_or_default();
        ToolSpec::new("stock", "How many of an article there are.", schema)
    }

    fn options(&self) -> ToolOptions {
        ToolOptions::default().with_effect(Effect::ReadOnly)
    }

    fn window(&self) -> Duration {
        Duration::from_millis(10)
    }

    async fn call_batch(&self, calls: Vec<BatchCall>) -> Vec<Result<ToolOutput, ToolError>> {
        println!("  one request for {} articles", calls.len());
        tokio::time::sleep(Duration::from_millis(30)).await;
        calls.iter().map(in_stock).collect()
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    println!("The models are scripted; the tool and its batches are real.\n");
    let scheduler = ToolScheduler::builder().build()?;
    let stock = ToolHandle::from(BatchedTool::new(Stock));
    let mut agents = Vec::new();
    for (name, articles) in [
        ("buyer", ["chair", "table"]),
        ("seller", ["lamp", "unicorn"]),
    ] {
        let [first, second] = articles.map(|article| format!(r#"{{"article":"{article}"}}"#));
        let model = ScriptedModel::new([
            Turn::new()
                .tool_call("call-1", "stock", first)
                .tool_call("call-2", "stock", second),
            Turn::from(format!(
                "I know about {} and {} now.",
                articles[0], articles[1]
            )),
        ]);
        let agent = Agent::builder(name, model).tools([stock.clone()]);
        agents.push(agent.tool_scheduler(scheduler.clone()).build()?);
    }
    let reports = try_join_all(
        agents
            .iter()
            .map(|agent| async { agent.run("Look it up.").await }),
    );
    for (agent, report) in agents.iter().zip(reports.await?) {
        println!("  {}: {}", agent.name(), report.text.as_str());
    }
    for (name, counts) in &scheduler.stats().tools {
        println!(
            "\n{name}: {} calls in {} requests",
            counts.calls, counts.batches
        );
    }
    Ok(())
}
