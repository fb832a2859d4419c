//! Anthropic's Messages API: thinking that is signed, a tool call after it, and a prompt cache that the second request reads.
//!
//! With `ANTHROPIC_API_KEY` it asks Anthropic; without, it replays a recording. The signature goes back with the tool's result, or
//! else the API would refuse it; nothing is to be done for that. Prompts shorter than about 1,000 tokens are not kept.

use agent_sdk::{
    agent::Agent,
    message::Conversation,
    model::{ChatSettings, PromptCache, provider::Anthropic},
};
use schemars::JsonSchema;
use serde::Deserialize;

const MODEL: &str = "claude-sonnet-4-5";

#[derive(Deserialize, JsonSchema)]
struct Harbour {
    /// The harbour's name.
    name: String,
}

agent_sdk::tool! {
    /// The times of high water in a harbour today.
    async fn high_water(harbour: Harbour) -> Result<Vec<String>, String> {
        match harbour.name.as_str() {
            "Port Amber" => Ok(vec!["05:40".to_owned(), "18:05".to_owned()]),
            other => Err(format!("there is no table for {other}")),
        }
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let model = match agent_sdk_examples::recording("anthropic", &["ANTHROPIC_API_KEY"])? {
        Some(recording) => Anthropic::builder(MODEL).replay(recording).build()?,
        None => Anthropic::from_env(MODEL)?,
    };
    let settings = ChatSettings::new()
        .with_max_output_tokens(4_000)
        .with_reasoning_budget(1_024)
        .with_prompt_cache(PromptCache::default());
    // Long instructions are what a prompt cache is for.
    let rules =
        "A boat that draws more than two metres leaves within an hour of high water. ".repeat(70);
    let pilot = Agent::builder("pilot", model)
        .instructions(format!(
            "You are a harbour pilot. Answer in one sentence.\n{rules}"
        ))
        .chat_settings(settings)
        .tool(high_water())
        .build()?;

    let question = "My boat draws 2.4 m. When may I leave Port Amber this evening?";
    let mut conversation = Conversation::from(question);
    let report = pilot.run_with(&mut conversation).await?;
    agent_sdk_examples::show(&conversation);
    agent_sdk_examples::spent(&report);
    Ok(())
}
