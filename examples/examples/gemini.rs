//! Gemini: a function call that carries the signature of the thought behind it, and the answer.
//!
//! With `GEMINI_API_KEY` (or `GOOGLE_API_KEY`) it asks Google; without, it replays a recording. The signature goes back on its
//! call, untouched; another provider's model would not be shown it.

use agent_sdk::{
    agent::Agent,
    message::Conversation,
    model::{ChatSettings, provider::Gemini},
};
use schemars::JsonSchema;
use serde::Deserialize;

const MODEL: &str = "gemini-2.5-flash";

#[derive(Deserialize, JsonSchema)]
struct Room {
    /// The room's number.
    number: u16,
}

agent_sdk::tool! {
    /// What a thermometer in a room shows, in degrees Celsius.
    async fn thermometer(room: Room) -> Result<f64, String> {
        if room.number == 12 { Ok(27.5) } else { Err(format!("no thermometer in room {}", room.number)) }
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let variables = ["GEMINI_API_KEY", "GOOGLE_API_KEY"];
    let model = match agent_sdk_examples::recording("gemini", &variables)? {
        Some(recording) => Gemini::builder(MODEL).replay(recording).build()?,
        None => Gemini::from_env(MODEL)?,
    };
    let caretaker = Agent::builder("caretaker", model)
        .instructions("You look after a museum, and answer in one sentence.")
        .chat_settings(ChatSettings::new().with_reasoning_budget(512))
        .tool(thermometer())
        .build()?;

    let question = "Is room 12 too warm for the wax figures?";
    let mut conversation = Conversation::from(question);
    let report = caretaker.run_with(&mut conversation).await?;
    agent_sdk_examples::show(&conversation);
    agent_sdk_examples::spent(&report);
    Ok(())
}
