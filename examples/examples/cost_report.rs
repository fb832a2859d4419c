//! Who spent what: a tracker that watches runs, and reports by agent, tool and user.
//!
//! A research agent pays for a search and asks a helper inside it. The keeper writes each line to a store too, where `agent cost
//! report` would find it, and any process can sum it up later.

use std::sync::Arc;

use agent_sdk::{
    agent::Agent,
    cost::{CostKeeper, CostLines, CostQuery, CostTracker, Dimension, Usd},
    model::Usage,
    operation::{Observers, RunContext},
    store::MemoryStore,
    testing::{ScriptedModel, Turn},
    tool,
    tool::ToolContext,
};

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Search {
    query: String,
}

tool! {
    /// Searches the web, for a cent.
    async fn search(context: ToolContext, search: Search) -> Result<String, String> {
        context.record_cost(Usd::from_nanos(10_000_000), "search-api");
        Ok(format!("three pages about {}", search.query))
    }
}

/// An agent with a helper; both are scripted and priced as the models whose names they borrow.
fn researcher(observers: Observers) -> anyhow::Result<Agent> {
    let turn = Turn::from("It was 1842.").usage(Usage::new(2_000, 20));
    let helper = ScriptedModel::new([turn]).named("openai", "gpt-4o-mini");
    let helper = Agent::builder("historian", helper).build()?;
    let turns = [
        Turn::new()
            .tool_call("c1", "search", r#"{"query":"harbours"}"#)
            .tool_call("c2", "historian", r#"{"task":"When was it dug?"}"#)
            .usage(Usage::new(900, 60)),
        Turn::from("The harbour was dug in 1842.").usage(Usage::new(1_100, 12)),
    ];
    let model = ScriptedModel::new(turns).named("openai", "gpt-4o");
    let agent = Agent::builder("researcher", model)
        .tool(search())
        .tool(helper.as_tool())
        .observers(observers)
        .build()?;
    Ok(agent)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    println!("The models are scripted stand-ins.\n");
    let store = Arc::new(MemoryStore::new());
    let (tracker, keeper) = (CostTracker::new(), CostKeeper::new(store.clone()));
    let writing = tokio::spawn(keeper.clone().run());

    for user in ["ada", "bob"] {
        let observers = tracker.observers().with(keeper.clone());
        let context = RunContext::builder()
            .observers(observers)
            .user(user)
            .build();
        let agent = researcher(Observers::none())?;
        let report = agent.run("How old is it?").context(&context).await?;
        println!("{user}'s run: {} USD", report.cost);
    }
    let total = tracker.totals();
    println!("{} requests so far, {} USD\n", total.requests, total.amount);

    for by in [Dimension::Agent, Dimension::Tool, Dimension::User] {
        println!("{}", tracker.report(&CostQuery::by([by])));
    }
    println!("What is inside the researcher counts as its own, too:");
    let query = CostQuery::by([Dimension::Agent]).inclusive_agents();
    println!("{}", tracker.report(&query));

    // What is kept in the store comes to the same.
    keeper.close().await?;
    writing.await?;
    let query = CostQuery::by([Dimension::Month, Dimension::Model]);
    let kept = CostLines::new(store).report(&query).await?;
    anyhow::ensure!(kept.total == total);
    print!("For a spreadsheet:\n{}", kept.csv());
    Ok(())
}
