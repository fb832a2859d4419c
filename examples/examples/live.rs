//! What runs now: a table of the open operations, with their ages and what was spent inside each so far.
//!
//! `LiveOperations` is an observer of the core; with `agent-sdk-otel` a `Telemetry` brings one along and can serve it as JSON.

use std::time::Duration;

use agent_sdk::{
    agent::Agent,
    model::Usage,
    monitor::LiveOperations,
    operation::Observers,
    testing::{ScriptedModel, Turn},
};
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Deserialize, JsonSchema)]
struct Site {
    name: String,
}

agent_sdk::tool! {
    /// Crawls a site.
    async fn crawl(site: Site) -> Result<String, String> {
        tokio::time::sleep(Duration::from_millis(400)).await;
        Ok(format!("{} has 12 pages.", site.name))
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    println!("The model is a scripted stand-in.\n");
    let model = ScriptedModel::new([
        Turn::new()
            .tool_call("call-1", "crawl", r#"{"name":"example.org"}"#)
            .tool_call("call-2", "crawl", r#"{"name":"example.com"}"#)
            .usage(Usage::new(900, 60)),
        Turn::from("Both have 12 pages.").usage(Usage::new(1_100, 8)),
    ])
    .named("openai", "gpt-4o-mini");
    let live = LiveOperations::new();
    let librarian = Agent::builder("librarian", model)
        .tool(crawl())
        .observers(Observers::none().with(live.clone()))
        .build()?;

    let looking = tokio::spawn({
        let live = live.clone();
        async move {
            for _ in 0..2 {
                tokio::time::sleep(Duration::from_millis(200)).await;
                println!("{}\n", live.snapshot());
            }
        }
    });
    let report = librarian
        .run("How large are example.org and example.com?")
        .await?;
    looking.await?;
    println!("{} It cost {} USD.", report.text.as_str(), report.cost);
    Ok(())
}
