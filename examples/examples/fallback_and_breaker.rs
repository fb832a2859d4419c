//! When a model cannot be reached: it is tried again, then another one answers, and soon the broken one is left alone.
//!
//! The primary here is a port on this machine at which nobody listens; its requests are real and fail. The model that stands in
//! is scripted, and priced as the one whose name it borrows.

use std::{num::NonZeroU32, time::Duration};

use agent_sdk::{
    agent::Agent,
    model::{CircuitBreaker, ModelHandle, Retry, Usage, provider::OpenAi},
    operation::EventKind,
    testing::{ScriptedModel, TraceCapture, Turn},
};
use tokio::{net::TcpListener, time::sleep};

/// An address at which nobody listens.
async fn nobody() -> std::io::Result<String> {
    let address = TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
    Ok(format!("http://{address}/v1"))
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let unreachable = OpenAi::builder("gpt-4o")
        .base_url(nobody().await?)
        .without_key()
        .build()?;
    let stand_in = ScriptedModel::from_fn(|_, turn| {
        Turn::from(format!("(scripted) Answer {turn}.")).usage(Usage::new(120, 15))
    });
    let two = NonZeroU32::new(2).unwrap_or(NonZeroU32::MIN);
    let breaker = CircuitBreaker::builder()
        .min_calls(two)
        .open_for(Duration::from_millis(200))
        .build();
    let model = ModelHandle::builder(unreachable)
        .retry(
            Retry::default()
                .max_attempts(two)
                .first_wait(Duration::from_millis(40)),
        )
        .breaker(breaker.clone())
        .fallback(stand_in.named("openai", "gpt-4o-mini"))
        .build();
    let trace = TraceCapture::new();
    let agent = Agent::builder("steady", model)
        .observers(trace.observers())
        .build()?;

    for question in [
        "The first question: the model is tried twice.",
        "The second: nothing is sent to it any more.",
        "The third, later: one request probes whether it is back.",
    ] {
        println!("{question}");
        let report = agent
            .run(question)
            .on_progress(|event| {
                if let EventKind::ChatRetry {
                    model,
                    attempt,
                    reason,
                    delay_ms,
                    ..
                } = &event.kind
                {
                    println!("  {model}: {reason}; try {attempt} follows in {delay_ms:.0} ms");
                }
            })
            .await?;
        for line in trace.timeline().lines() {
            println!("  {line}");
        }
        trace.clear();
        println!(
            "  {} The breaker is {:?}. {} model calls, {} USD.\n",
            report.text.as_str(),
            breaker.state(),
            report.model_calls,
            report.cost
        );
        if question.starts_with("The second") {
            sleep(Duration::from_millis(210)).await;
        }
    }
    Ok(())
}
