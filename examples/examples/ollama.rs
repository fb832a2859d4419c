//! A model on this machine, by Ollama's own API: it thinks aloud, then answers, and both are shown as they are written.
//!
//! With `OLLAMA_HOST` (for example `localhost`) it asks that server, with `OLLAMA_API_KEY` Ollama's cloud if the host names it;
//! without both, it replays a recording. A model of your own has no price: its cost is unknown, not zero.

use std::io::Write;

use agent_sdk::{
    agent::Agent,
    model::{ChatSettings, provider::Ollama},
    operation::EventKind,
};
use futures_util::StreamExt;

const MODEL: &str = "qwen3:8b";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let variables = ["OLLAMA_HOST", "OLLAMA_API_KEY"];
    let model = match agent_sdk_examples::recording("ollama", &variables)? {
        Some(recording) => Ollama::builder(MODEL)
            .replay(recording.in_real_time())
            .build()?,
        None => Ollama::from_env(MODEL)?,
    };
    // What only this API knows goes into `extra`: here, to leave the model in memory afterwards.
    let settings = ChatSettings::new()
        .with_reasoning_effort("true")
        .with_extra("keep_alive", "5m");
    let gardener = Agent::builder("gardener", model)
        .instructions("You keep a garden, and answer in one sentence.")
        .chat_settings(settings)
        .build()?;

    let mut stream = gardener.stream("Is it too early for beans?");
    let mut is_thinking = false;
    while let Some(event) = stream.next().await {
        match &event.kind {
            EventKind::ReasoningChunk { content } => {
                if !is_thinking {
                    print!("(thinking: ");
                }
                is_thinking = true;
                print!("{}", content.as_str());
            }
            EventKind::TextChunk { content } => {
                if is_thinking {
                    println!(")");
                }
                is_thinking = false;
                print!("{}", content.as_str());
            }
            _ => {}
        }
        std::io::stdout().flush()?;
    }
    println!();
    agent_sdk_examples::spent(&stream.report().await?);
    Ok(())
}
