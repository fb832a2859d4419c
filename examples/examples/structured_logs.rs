//! Structured logs: one JSON object a line, with the ids of the trace, the place in the run, and what was decided there.
//!
//! The model is scripted: it fails once, is asked again, calls a tool, and answers. No line holds what was said.

use std::{convert::Infallible, time::Duration};

use agent_sdk::{
    agent::Agent,
    model::{ModelError, ModelErrorKind, ModelHandle, Retry, Usage},
    run::Evaluation,
    testing::{ScriptedModel, Turn},
    tool::{FnTool, ToolContext},
};
use agent_sdk_otel::{JsonLogs, Telemetry};
use schemars::JsonSchema;
use serde::Deserialize;
use tracing_subscriber::prelude::*;

#[derive(Deserialize, JsonSchema)]
struct City {
    name: String,
}

async fn weather(_: ToolContext, city: City) -> Result<String, Infallible> {
    // Whatever a tool logs has the ids of its call.
    tracing::info!(letters = city.name.len(), "looking at the sky");
    Ok("sunny".to_owned())
}

fn model() -> ModelHandle {
    let busy = ModelError::new(ModelErrorKind::Overloaded, "too many requests");
    let script = ScriptedModel::new([
        Turn::new().fail(busy),
        Turn::new()
            .tool_call("call-1", "weather", serde_json::json!({"name": "Oslo"}))
            .usage(Usage::new(90, 12)),
        Turn::from("It is sunny in Oslo.").usage(Usage::new(120, 8)),
    ]);
    let retry = Retry::default().first_wait(Duration::from_millis(20));
    ModelHandle::builder(script.named("openai", "gpt-4o-mini"))
        .retry(retry)
        .build()
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // `JsonLogs::stderr()` and `JsonLogs::file("agent.log")`, which gives way by size and by day, are made the same way.
    let logs = JsonLogs::writer(std::io::stdout())
        .service_name("weather-bot")
        .filter("info")
        .start()?;
    let telemetry = Telemetry::builder().service_name("weather-bot").build()?;
    let subscriber = tracing_subscriber::registry()
        .with(telemetry.layer())
        .with(logs.layer()?)
        // Sent to a collector as well, where OTLP has an address.
        .with(telemetry.log_layer()?);
    tracing::subscriber::set_global_default(subscriber)?;

    let agent = Agent::builder("weather", model())
        .tool(FnTool::new(
            "weather",
            "Tells the weather of a city.",
            weather,
        ))
        .observers(telemetry.observers())
        .build()?;
    let report = agent.run("What is the weather in Oslo?").await?;
    report.record_evaluation(&Evaluation::new("relevance").score(0.9).label("pass"));

    let _ = telemetry.shutdown();
    logs.flush(Duration::from_secs(2));
    println!("{:?}", logs.lines());
    Ok(())
}
