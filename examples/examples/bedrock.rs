//! Amazon Bedrock's Converse API: a stream in AWS's own binary frames, whichever model is behind it.
//!
//! Needs the feature `bedrock`: `cargo run -p agent-sdk-examples --features bedrock --example bedrock`. With `AWS_ACCESS_KEY_ID` and
//! `AWS_SECRET_ACCESS_KEY`, or a key in `AWS_BEARER_TOKEN_BEDROCK`, and `AWS_REGION` it asks Amazon; without, it replays a
//! recording, whose pieces are hexadecimal numbers.

use std::io::Write;

use agent_sdk::{
    agent::Agent,
    model::{ChatSettings, provider::Bedrock},
    operation::EventKind,
};
use futures_util::StreamExt;

const MODEL: &str = "amazon.nova-lite-v1:0";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let variables = ["AWS_ACCESS_KEY_ID", "AWS_BEARER_TOKEN_BEDROCK"];
    let model = match agent_sdk_examples::recording("bedrock", &variables)? {
        Some(recording) => Bedrock::builder(MODEL)
            .region("eu-west-1")
            .replay(recording.in_real_time())
            .build()?,
        None => Bedrock::from_env(MODEL)?,
    };
    let ranger = Agent::builder("ranger", model)
        .instructions("You look after a mountain pass, and answer in one sentence.")
        .chat_settings(ChatSettings::new().with_max_output_tokens(100))
        .build()?;

    let mut stream = ranger.stream("Can I cross tomorrow?");
    while let Some(event) = stream.next().await {
        if let EventKind::TextChunk { content } = &event.kind {
            print!("{}", content.as_str());
            std::io::stdout().flush()?;
        }
    }
    println!();
    agent_sdk_examples::spent(&stream.report().await?);
    Ok(())
}
