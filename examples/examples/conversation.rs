//! A conversation that goes on: each run adds the agent's messages to it, also a run that fails.
//!
//! Its id is on every span of its runs (`gen_ai.conversation.id`), so that they are found together.

use agent_sdk::{
    agent::Agent,
    message::{Conversation, Message},
    testing::{ScriptedModel, Turn},
};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    println!("The model is a scripted stand-in; it only counts what it is shown.\n");
    let model = ScriptedModel::from_fn(|request, turn| {
        let seen = request.conversation.len();
        Turn::from(format!(
            "This is my answer {turn}; I was shown {seen} messages."
        ))
    });
    let agent = Agent::builder("counter", model).build()?;

    let mut conversation = Conversation::new().with_id("visit-42");
    for question in ["Good morning.", "How are you?", "Goodbye."] {
        conversation.push(Message::user(question));
        agent.run_with(&mut conversation).await?;
    }

    for message in conversation.messages() {
        println!("{:>9}: {}", message.role.as_str(), message.text());
    }
    let json = serde_json::to_string(&conversation)?;
    let read: Conversation = serde_json::from_str(&json)?;
    println!(
        "\nStored as {} bytes of JSON and read back: {} messages.",
        json.len(),
        read.len()
    );
    Ok(())
}
