//! A tool scheduler: what stands between many runs and the tools that they share.
//!
//! Shows a cap, a pool, coalescing of identical calls, retries, a fallback, and the numbers of it all.

use std::{
    num::NonZeroU32,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use agent_sdk::{
    model::Retry,
    operation::RunContext,
    testing::TraceCapture,
    tool::{Effect, FnTool, ToolError, ToolHandle, ToolOptions, ToolPolicy, ToolScheduler},
};
use futures_util::future::join_all;
use tokio::time::sleep;

const MS: Duration = Duration::from_millis(1);

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Query {
    words: String,
}

/// Fails the first time it is called.
async fn search(query: Query) -> Result<String, ToolError> {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    sleep(20 * MS).await;
    match CALLS.fetch_add(1, Ordering::Relaxed) {
        0 => Err(ToolError::failed("the index is being rebuilt")),
        _ => Ok(format!("3 pages about {}", query.words)),
    }
}

async fn translate(query: Query) -> Result<String, ToolError> {
    Err(ToolError::failed(format!(
        "no dictionary has `{}`",
        query.words
    )))
}

async fn dictionary(query: Query) -> Result<String, ToolError> {
    Ok(format!("{} in Latin", query.words))
}

async fn call(scheduler: &ToolScheduler, run: &RunContext, tool: &ToolHandle, words: &str) {
    let arguments = format!(r#"{{"words":"{words}"}}"#);
    match scheduler.call(run, tool, &arguments).await {
        Ok(output) => println!("  {words}: {}", output.content.as_str()),
        Err(error) => println!("  {words}: {error}"),
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let (two, one) = (NonZeroU32::MIN.saturating_add(1), NonZeroU32::MIN);
    let reads = ToolOptions::default().with_effect(Effect::ReadOnly);
    let search = ToolHandle::from(FnTool::new("search", "Searches.", search).options(reads));
    let translate = FnTool::new("translate", "Translates.", translate).options(reads);
    let translate = ToolHandle::from(translate);
    let dictionary = FnTool::new("dictionary", "Looks words up.", dictionary).options(reads);

    let searching = ToolPolicy::new()
        .concurrency(two)
        .takes("index", one)
        .retry(Retry::default().first_wait(50 * MS))
        .coalesce();
    let scheduler = ToolScheduler::builder()
        .pool("index", two)
        .tool("search", searching)
        .tool("translate", ToolPolicy::new().fallback(dictionary))
        .build()?;

    let trace = TraceCapture::new();
    let run = trace.context();
    println!("Five searches, two at once; two of them are the same:");
    let words = ["otters", "otters", "owls", "oaks", "oceans"];
    join_all(words.map(|words| call(&scheduler, &run, &search, words))).await;
    println!("\nA tool that fails, and another in its place:");
    call(&scheduler, &run, &translate, "otter").await;

    println!("\nOperations:\n{}", trace.tree());
    let stats = scheduler.stats();
    for (name, counts) in &stats.tools {
        println!(
            "{name}: {} calls, {} made again, {} shared, {} fell back, {:.0?} waited",
            counts.calls, counts.retries, counts.coalesced, counts.fallbacks, counts.waited
        );
    }
    println!("{:.1} tools ran at once on average.", stats.parallelism());
    Ok(())
}
