//! An observer of one's own: it hears of every operation's start and end, and of text as it is written.
//!
//! It must not block, and what it says changes nothing: one that panics is cut out of that call, and the run goes on.

use std::sync::atomic::{AtomicUsize, Ordering};

use agent_sdk::{
    agent::Agent,
    operation::{Interests, Observer, Observers, OperationInfo, OperationRecord, Payload},
    testing::{ScriptedModel, Turn},
};
use schemars::JsonSchema;
use serde::Deserialize;

/// Prints what it hears.
#[derive(Default)]
struct Narrator {
    letters: AtomicUsize,
}

impl Observer for Narrator {
    fn interests(&self) -> Interests {
        Interests::OPERATIONS | Interests::TEXT
    }

    fn started(&self, operation: &OperationInfo, _: Payload<'_>) {
        println!("> {} {}", operation.id, operation.span_name());
    }

    fn text(&self, _: &OperationInfo, delta: &str) {
        self.letters
            .fetch_add(delta.chars().count(), Ordering::Relaxed);
    }

    fn ended(&self, operation: &OperationRecord<'_>, _: Payload<'_>) {
        let class = operation.facts.error.as_ref().map(|error| &*error.class);
        println!(
            "< {} {}: {} {}",
            operation.info.id,
            operation.info.span_name(),
            operation.outcome.as_str(),
            class.unwrap_or_default()
        );
        if operation.info.parent.is_none() {
            let letters = self.letters.load(Ordering::Relaxed);
            println!("\nThe run is over. {letters} letters were streamed.");
        }
    }
}

#[derive(Deserialize, JsonSchema)]
struct Door {
    number: u8,
}

agent_sdk::tool! {
    /// Opens a door.
    async fn open(door: Door) -> Result<String, String> {
        if door.number == 1 { Ok("It opens.".into()) } else { Err("It is locked.".into()) }
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    println!("The model is a scripted stand-in.\n");
    let model = ScriptedModel::new([
        Turn::new()
            .tool_call("call-1", "open", r#"{"number":1}"#)
            .tool_call("call-2", "open", r#"{"number":2}"#),
        Turn::from("One door is open, one is locked.").chunk_words(1),
    ]);
    let porter = Agent::builder("porter", model)
        .tool(open())
        .observers(Observers::none().with(Narrator::default()))
        .build()?;
    porter.stream("Open both doors.").report().await?;
    Ok(())
}
