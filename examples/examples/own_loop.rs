//! An agent loop that is not ours: written by hand, with any client, and traced from outside.
//!
//! `trace_agent`, `trace_chat` and `trace_tool` wrap any future. Record what a request used, and it is priced. Out come the
//! tree, the cost and the critical path, and with the bridge the same spans and metrics as for an `Agent`.

use std::time::Duration;

use agent_sdk::{
    model::Usage,
    operation::{RunContext, trace_agent, trace_chat, trace_tool},
};
use tokio::time::sleep;

/// Stands in for your own client: it answers after a while, with the tokens that it used.
async fn ask_somebody(question: &str) -> anyhow::Result<(String, Usage)> {
    sleep(Duration::from_millis(80)).await;
    let words = question.split_whitespace().count() as u64;
    Ok((
        format!("an answer to {words} words"),
        Usage::new(1_000 + words, 50),
    ))
}

/// Stands in for your own tool.
async fn read_page(page: u64) -> anyhow::Result<String> {
    sleep(Duration::from_millis(20 * page)).await;
    Ok(format!("page {page}"))
}

/// The loop: ask, use two tools at once, ask again.
async fn research(context: &RunContext) -> anyhow::Result<String> {
    ask(context, "Which pages do I need?").await?;
    let page = |number| {
        trace_tool(context, "read_page")
            .call_id(format!("call-{number}"))
            .run(async move |_| read_page(number).await)
    };
    let (one, two) = tokio::try_join!(page(1), page(2))?;
    ask(context, &format!("Sum up {one} and {two}.")).await
}

async fn ask(context: &RunContext, question: &str) -> anyhow::Result<String> {
    trace_chat(context, "openai", "gpt-4o-mini")
        .run(async |chat| {
            let (answer, usage) = ask_somebody(question).await?;
            chat.record_usage(usage);
            Ok(answer)
        })
        .await
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    println!(
        "No agent and no model of the SDK here: a loop of one's own, with a stand-in for its client.\n"
    );
    let context = RunContext::builder().tag("team", "search").build();
    let (answer, report) = trace_agent(&context, "researcher")
        .run_reported(async |agent| research(agent.context()).await)
        .await;
    println!("{}\n", answer?);

    println!("trace {}", report.trace_id);
    for node in report.profile.tree() {
        let mark = if node.on_critical_path { '*' } else { ' ' };
        let (indent, name) = (2 * node.depth, node.operation.span_name());
        println!(
            "{mark} {:indent$}{name}  {} ms",
            "",
            node.total_time.as_millis()
        );
    }
    println!("\n* critical path. {}", report.profile.bottleneck());
    println!(
        "{} model calls, {} tool calls, {} tokens in, {} USD.",
        report.model_calls,
        report.tool_calls,
        report.usage.input_tokens.unwrap_or_default(),
        report.cost
    );
    Ok(())
}
