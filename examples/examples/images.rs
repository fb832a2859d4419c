//! An image in a message: the same message goes to two providers, each of which is sent it in its own form.
//!
//! It always replays a recording. An image at an address is `Media::image_url`; one that was uploaded to the provider, a
//! `MediaSource::FileId`.

use agent_sdk::{
    agent::Agent,
    message::{Conversation, Media, MediaKind, Message, Part, Role},
    model::{
        ModelHandle,
        provider::{Anthropic, OpenAi},
    },
};

/// A PNG of 16 by 16 pixels in base64: orange on top, blue below.
const PICTURE: &str = "iVBORw0KGgoAAAANSUhEUgAAABAAAAAQAQMAAAAlPW0iAAAABlBMVEX/jAAA\
    PMjT+XztAAAAD0lEQVR42mNgwAH+/8eKAL9wD/HGWCA9AAAAAElFTkSuQmCC";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let recording = agent_sdk_examples::replay("images")?;
    let models: [ModelHandle; 2] = [
        OpenAi::builder("gpt-4o-mini")
            .replay(recording.clone())
            .build()?
            .into(),
        Anthropic::builder("claude-haiku-4-5")
            .replay(recording.clone())
            .build()?
            .into(),
    ];
    let question = "Which two colours are in this picture, from top to bottom?";
    let parts = vec![
        Part::Text(question.into()),
        Part::Media(Media::base64(MediaKind::Image, "image/png", PICTURE)),
    ];
    let message = Message::new(Role::User, parts);

    for model in models {
        let name = model.info().model.clone();
        let painter = Agent::builder("painter", model).build()?;
        let conversation: Conversation = [message.clone()].into_iter().collect();
        let report = painter.run(conversation).await?;
        println!("{name}: {}", report.text.as_str());
        agent_sdk_examples::spent(&report);
        println!();
    }
    Ok(())
}
