//! A real provider: the OpenAI Chat Completions API, or any server that speaks it.
//!
//! `OPENAI_API_KEY` holds the key, `OPENAI_BASE_URL` another server's address if it is not OpenAI's; the model may be given as the
//! first argument. Without a key this says what to set, and ends.

use agent_sdk::{
    agent::Agent,
    model::{ModelErrorKind, provider::OpenAi},
    operation::EventKind,
};
use futures_util::StreamExt;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let name = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "gpt-4o-mini".to_owned());
    let model = match OpenAi::from_env(name) {
        Ok(model) => model,
        Err(error) if error.kind() == ModelErrorKind::Configuration => {
            println!("Nothing was asked: {error}");
            println!(
                "Set OPENAI_API_KEY, and OPENAI_BASE_URL for a server that is not OpenAI's, for example"
            );
            println!(
                "OPENAI_BASE_URL=http://localhost:11434/v1 OPENAI_API_KEY=none for a local Ollama."
            );
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    };
    let agent = Agent::builder("haiku", model)
        .instructions("You answer with one haiku.")
        .build()?;

    let mut stream = agent.stream("What is it like to be observed?");
    while let Some(event) = stream.next().await {
        if let EventKind::TextChunk { content } = &event.kind {
            print!("{}", content.as_str());
        }
    }
    let report = stream.report().await?;
    let known = |count: Option<u64>| count.map_or("unknown".to_owned(), |count| count.to_string());
    println!(
        "\n\n{} tokens in, {} out, {} USD{}, trace {}",
        known(report.usage.input_tokens),
        known(report.usage.output_tokens),
        report.cost,
        if report.unpriced_calls > 0 {
            " and calls without a known price"
        } else {
            ""
        },
        report.trace_id
    );
    Ok(())
}
