//! `OpenAI`'s Responses API: a summary of the reasoning, a function call, and the answer.
//!
//! With `OPENAI_API_KEY` it asks `OpenAI`; without, it replays a recording. Nothing is stored there: the reasoning comes along
//! encrypted and goes back with the function's result, so that the model need not think again.

use agent_sdk::{
    agent::Agent,
    message::Conversation,
    model::{ChatSettings, provider::OpenAiResponses},
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

const MODEL: &str = "gpt-5-mini";

#[derive(Deserialize, JsonSchema)]
struct Book {
    /// The book's title.
    title: String,
}

agent_sdk::tool! {
    /// How many copies of a book are on the shelf.
    async fn copies(book: Book) -> Result<u8, String> {
        if book.title == "The Salt Road" { Ok(2) } else { Err(format!("no such book: {}", book.title)) }
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let model = match agent_sdk_examples::recording("openai_responses", &["OPENAI_API_KEY"])? {
        Some(recording) => OpenAiResponses::builder(MODEL).replay(recording).build()?,
        None => OpenAiResponses::from_env(MODEL)?,
    };
    let settings = ChatSettings::new()
        .with_reasoning_effort("low")
        // Added to what is sent as `reasoning`.
        .with_extra("reasoning", json!({"summary": "auto"}));
    let librarian = Agent::builder("librarian", model)
        .instructions("You answer for a small library, in one sentence.")
        .chat_settings(settings)
        .tool(copies())
        .build()?;

    let question = "Three of us want to read The Salt Road this week. Will that work?";
    let mut conversation = Conversation::from(question);
    let report = librarian.run_with(&mut conversation).await?;
    agent_sdk_examples::show(&conversation);
    agent_sdk_examples::spent(&report);
    Ok(())
}
