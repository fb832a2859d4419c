//! Tools: an `async fn` with a typed argument becomes one, with a name, a description and a JSON schema.
//!
//! Shows the `tool!` macro, the application's own state, progress, calls that run beside each other, and a call that fails:
//! the model is told, and the run goes on.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use agent_sdk::{
    agent::Agent,
    operation::EventKind,
    testing::{ScriptedModel, Turn},
    tool::ToolContext,
};
use anyhow::Context;
use schemars::JsonSchema;
use serde::Deserialize;

/// The application's state, given to every tool call.
struct Stations(BTreeMap<&'static str, f64>);

#[derive(Deserialize, JsonSchema)]
struct Place {
    /// The city's name, in English.
    city: String,
}

agent_sdk::tool! {
    /// The temperature in a city now, in degrees Celsius.
    async fn temperature(context: ToolContext, place: Place) -> anyhow::Result<f64> {
        context.progress(None, format!("asking the station in {}", place.city));
        tokio::time::sleep(Duration::from_millis(50)).await;
        let stations = context.state::<Stations>().context("no stations were given")?;
        let reading = stations.0.get(place.city.as_str()).copied();
        reading.with_context(|| format!("there is no station in {}; try a larger city", place.city))
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    println!("The model is a scripted stand-in; the tools are real.\n");
    let model = ScriptedModel::new([
        Turn::new()
            .tool_call("call-1", "temperature", r#"{"city":"Oslo"}"#)
            .tool_call("call-2", "temperature", r#"{"city":"Rome"}"#)
            .tool_call("call-3", "temperature", r#"{"city":"Atlantis"}"#),
        Turn::from("Rome is warmer than Oslo. I found no station in Atlantis."),
    ]);
    let stations = Stations(BTreeMap::from([("Oslo", 4.5), ("Rome", 17.0)]));
    let agent = Agent::builder("meteorologist", model)
        .tool(temperature())
        .state(Arc::new(stations))
        .build()?;

    let report = agent
        .run("Where is it warmer: Oslo, Rome or Atlantis?")
        .on_progress(|event| match &event.kind {
            EventKind::ToolProgress { message, .. } => println!("  … {}", message.as_str()),
            EventKind::ToolResult {
                tool,
                outcome,
                output,
                duration_ms,
                ..
            } => {
                let output = output.as_deref().unwrap_or_default();
                println!(
                    "  {tool}: {} after {duration_ms:.0} ms: {output}",
                    outcome.as_str()
                );
            }
            _ => {}
        })
        .await?;

    println!("\n{}", report.text.as_str());
    println!(
        "{} calls of 50 ms each took {:.0} ms together.",
        report.tool_calls,
        report.duration.as_secs_f64() * 1e3
    );
    Ok(())
}
