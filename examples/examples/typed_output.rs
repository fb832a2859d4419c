//! A typed answer: the model is told the type's JSON schema, and what it says is validated against it.
//!
//! An answer that does not fit is sent back once, with what is wrong. Here the first one has a rating that is too high.

use agent_sdk::{agent::Agent, testing::ScriptedModel};
use schemars::JsonSchema;
use serde::Deserialize;

/// A review of a film.
#[derive(Debug, Deserialize, JsonSchema)]
struct Review {
    /// The film's title.
    title: String,
    /// From 1, bad, to 5, good.
    #[schemars(range(min = 1, max = 5))]
    rating: u8,
    /// What speaks for the rating.
    reasons: Vec<String>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    println!("The model is a scripted stand-in.\n");
    let model = ScriptedModel::new([
        r#"{"title": "Metropolis", "rating": 9, "reasons": ["the sets"]}"#,
        r#"{"title": "Metropolis", "rating": 5, "reasons": ["the sets", "the crowds"]}"#,
    ])
    .recording();
    let critic = Agent::builder("critic", model.clone()).build()?;

    let answer = critic.run_as::<Review>("Review Metropolis (1927).").await?;
    let Review {
        title,
        rating,
        reasons,
    } = &answer.output;
    println!("{title}: {rating} of 5, for {}", reasons.join(" and "));

    let requests = model.requests();
    let complaint = requests
        .last()
        .and_then(|request| request.conversation.last());
    if let Some(complaint) = complaint {
        println!(
            "\nIt took {} model calls. What the model was told after the first:",
            answer.report.model_calls
        );
        println!("{}", complaint.text());
    }
    Ok(())
}
