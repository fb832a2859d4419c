//! `OpenAI`'s Chat Completions API: an answer that is shown as it is written, what it used, and what that cost.
//!
//! With `OPENAI_API_KEY` it asks `OpenAI`, or the server at `OPENAI_BASE_URL`; without, it replays a recording.

use std::io::Write;

use agent_sdk::{agent::Agent, model::provider::OpenAi, operation::EventKind};
use futures_util::StreamExt;

const MODEL: &str = "gpt-4o-mini";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let model = match agent_sdk_examples::recording("openai_chat", &["OPENAI_API_KEY"])? {
        // As slowly as it was recorded.
        Some(recording) => OpenAi::builder(MODEL)
            .replay(recording.in_real_time())
            .build()?,
        None => OpenAi::from_env(MODEL)?,
    };
    let keeper = Agent::builder("keeper", model)
        .instructions("You keep a lighthouse, and answer in one sentence.")
        .build()?;

    let mut stream = keeper.stream("What did you see tonight?");
    while let Some(event) = stream.next().await {
        match &event.kind {
            EventKind::TextChunk { content } => {
                print!("{}", content.as_str());
                std::io::stdout().flush()?;
            }
            EventKind::ChatCompleted {
                time_to_first_chunk_ms: Some(first),
                duration_ms,
                ..
            } => println!("\n[the first words after {first:.0} ms of {duration_ms:.0}]"),
            _ => {}
        }
    }
    agent_sdk_examples::spent(&stream.report().await?);
    Ok(())
}
