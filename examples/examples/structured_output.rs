//! A typed answer of two providers: by OpenAI's own schema mode, and by a tool whose arguments are the answer.
//!
//! Either way the answer is validated here, and one that does not fit goes back once, with what is wrong. It always replays a
//! recording, in which the first answer gives a rating that is too high.

use agent_sdk::{
    agent::Agent,
    message::Conversation,
    model::{
        IntoModel, StructuredOutput,
        provider::{Anthropic, OpenAi},
    },
};
use schemars::JsonSchema;
use serde::Deserialize;

/// A review of a film.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Review {
    /// The film's title.
    title: String,
    /// From 1, bad, to 5, good.
    #[schemars(range(min = 1, max = 5))]
    rating: u8,
}

async fn review(how: &str, model: impl IntoModel) -> anyhow::Result<()> {
    let critic = Agent::builder("critic", model).build()?;
    let mut conversation = Conversation::from("Review the film \"The Paper Lighthouse\".");
    let answer = critic
        .run_with(&mut conversation)
        .output::<Review>()
        .await?;

    let Review { title, rating } = &answer.output;
    println!("{how}: {title}, {rating} of 5.");
    for message in conversation.messages().iter().skip(1) {
        let text = message.text();
        println!(
            "  {}: {}",
            message.role.as_str(),
            text.replace('\n', "\n    ")
        );
    }
    agent_sdk_examples::spent(&answer.report);
    println!();
    Ok(())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let recording = agent_sdk_examples::replay("structured_output")?;
    let model = OpenAi::builder("gpt-4o-mini")
        .replay(recording.clone())
        .build()?;
    review("By a schema that the provider keeps to", model).await?;

    let model = Anthropic::builder("claude-haiku-4-5")
        .replay(recording.clone())
        .structured_output(StructuredOutput::Tool)
        .build()?;
    review("By a tool that takes the answer", model).await
}
