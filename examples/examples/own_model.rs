//! A model of one's own: implement `Model`, and everything else works with it.
//!
//! This one turns the question round and streams it word by word. It knows nothing of traces or prices: the `chat` operation
//! around each request is opened by the SDK.

use std::sync::Arc;

use agent_sdk::{
    agent::Agent,
    message::{Message, Part},
    model::{
        ChatEvent, ChatRequest, ChatResponse, ChatStream, FinishReason, Model, ModelError,
        ModelErrorKind, ModelInfo, Usage,
    },
    operation::RunContext,
};
use futures_util::stream;

/// Says the last message backwards.
#[derive(Debug)]
struct Mirror;

impl Model for Mirror {
    fn info(&self) -> Arc<ModelInfo> {
        Arc::new(ModelInfo::new("home", "mirror-1"))
    }

    async fn stream(&self, _: &RunContext, request: ChatRequest) -> Result<ChatStream, ModelError> {
        let Some(question) = request.conversation.last().map(Message::text) else {
            let message = "there is nothing to turn round";
            return Err(ModelError::new(ModelErrorKind::BadRequest, message));
        };
        let words: Vec<_> = question
            .split_whitespace()
            .rev()
            .map(str::to_owned)
            .collect();
        let count = words.len() as u64;
        let response = ChatResponse::new(
            vec![Part::Text(words.join(" ").into())],
            FinishReason::Stop,
            // What is not reported stays unknown, which is not the same as zero.
            Usage::new(count, count),
        );
        let pieces = words.into_iter().enumerate().map(|(place, word)| {
            let space = if place == 0 { "" } else { " " };
            Ok(ChatEvent::Text(format!("{space}{word}")))
        });
        let done = Ok(ChatEvent::Done(Box::new(response)));
        let events: Vec<_> = pieces.chain([done]).collect();
        Ok(ChatStream::new(stream::iter(events)))
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let agent = Agent::builder("mirror", Mirror).build()?;
    let report = agent.run("dog bites man").await?;
    println!("{}", report.text.as_str());
    println!(
        "{} tokens, {} USD, and {} request whose price nobody knows.",
        report.usage.total_tokens().unwrap_or_default(),
        report.cost,
        report.unpriced_calls
    );
    Ok(())
}
