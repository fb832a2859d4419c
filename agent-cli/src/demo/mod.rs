//! `agent demo`: reviews a real folder with real tools, on a model that is scripted and says so.
//!
//! [`reviewer`] and [`summariser`] stand in for models, [`listing`] and [`findings`] understand what the tools answer, [`answer`]
//! counts it, [`price`] is what it would have cost.

mod answer;
mod findings;
mod listing;
mod price;
mod results;
mod reviewer;
mod summariser;

use std::{path::Path, time::Duration};

use agent_sdk::{
    agent::Agent,
    operation::{Clock, RunContext, SystemClock},
    tool::ToolHandle,
};

use self::price::Price;
use crate::{
    args::DemoArguments,
    exit::{Exit, Failure},
    interrupt::{self, Interrupt},
    output::Output,
    prices,
    screen::{Form, Screen},
    terminal::{Paint, safe_line},
    tools,
    watch::{Logs, Watch},
};

/// The agent's name, and its sub-agent's.
const NAME: &str = "reviewer";
const INNER: &str = "summariser";
/// The longest that a tool may work on a large folder.
const TOOL_TIME: Duration = Duration::from_secs(3);

/// Does what `agent demo` says.
///
/// # Errors
///
/// The folder cannot be opened.
pub(crate) fn run(arguments: DemoArguments, output: Output) -> Result<Exit, Failure> {
    let agent = agent(&arguments.workspace)?;
    interrupt::run(|interrupt| go(arguments, agent, output, interrupt))
}

fn agent(workspace: &Path) -> Result<Agent, Failure> {
    let failed = |error: agent_sdk::agent::BuildError| Failure::usage(error.to_string());
    let tools: Vec<ToolHandle> = tools::workspace(workspace)?
        .read_tools()
        .into_iter()
        .map(|tool| {
            let options = tool.options().with_timeout(TOOL_TIME);
            tool.with_options(options)
        })
        .collect();
    let inner = Agent::builder(INNER, summariser::model())
        .description("Reads one file and says what is in it.")
        .instructions("You summarise files.")
        .tools(
            tools
                .iter()
                .filter(|tool| &*tool.spec().name == "read_file")
                .cloned(),
        )
        .build()
        .map_err(failed)?;
    Agent::builder(NAME, reviewer::model())
        .instructions(
            "You review folders: look around, read what is worth it, and say what you found.",
        )
        .tools(tools)
        .tool(inner.as_tool())
        .build()
        .map_err(failed)
}

async fn go(
    arguments: DemoArguments,
    agent: Agent,
    mut output: Output,
    interrupt: Interrupt,
) -> Exit {
    let watch = match Watch::start(arguments.metrics, Logs::default()).await {
        Ok(watch) => watch,
        Err(failure) => {
            output.note(&failure);
            return failure.exit;
        }
    };
    watch.begin(&mut output, &interrupt);
    let mut screen = Screen::new(output, Form::Text, NAME, false, interrupt.clone());
    let shown = show(&mut screen, &agent, &arguments, &watch, &interrupt).await;
    let exit = shown.unwrap_or_else(|failure| {
        screen.output.note(&failure);
        failure.exit
    });
    let serves = watch.metrics_url().is_some() && exit == Exit::Ok && !screen.output.is_closed();
    if serves {
        interrupt.token().cancelled().await;
    }
    watch.end(&mut screen.output).await;
    exit
}

async fn show(
    screen: &mut Screen,
    agent: &Agent,
    arguments: &DemoArguments,
    watch: &Watch,
    interrupt: &Interrupt,
) -> Result<Exit, Failure> {
    let price = Price::at(&prices::book()?, SystemClock::default().now());
    let folder = arguments.workspace.canonicalize();
    let folder = folder.as_ref().unwrap_or(&arguments.workspace).display();
    let folder = folder.to_string();
    let output = &mut screen.output;
    output.line(output.out_style.paint(
        Paint::Strong,
        "The model is scripted: no model is asked. Files, tools and trace are real.",
    ))?;
    screen.aside("Delays stand for a model's latency, and tokens are counted as words.")?;
    if let Some(price) = &price {
        screen.aside(&format!(
            "Costs are what so many tokens would cost with {}.",
            price.words
        ))?;
    }
    screen
        .output
        .line(format_args!("\nReviewing {}\n", safe_line(&folder)))?;

    let observers = watch.observers().with_shared(screen.observer());
    let mut context = RunContext::builder()
        .observers(observers)
        .cancellation(interrupt.token().clone());
    if let Some(price) = price {
        context = context.prices(price.book);
    }
    let context = context.build();
    let run = agent.run("Review this folder.").context(&context).stream();
    let ended = screen.follow(run).await?;
    let report = match &ended {
        Ok(report) => report,
        Err(error) => error.report(),
    };
    let exit = screen.report(report)?;
    match &ended {
        Ok(_) => ending(screen, watch, &report.trace_id.to_string())?,
        Err(_) if exit == Exit::Ok => {}
        Err(error) => {
            let failure = Failure::new(exit, error.to_string()).because(error);
            screen.output.note(&failure);
        }
    }
    Ok(exit)
}

/// Where to look next.
fn ending(screen: &mut Screen, watch: &Watch, trace: &str) -> Result<(), Failure> {
    screen.output.write("\n")?;
    if watch.exports_traces() {
        screen.output.line(format_args!(
            "Trace:   {trace}, where OTEL_EXPORTER_OTLP_ENDPOINT points"
        ))?;
    } else {
        screen
            .output
            .line("Traces:  OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318 agent demo")?;
    }
    if watch.metrics_url().is_none() {
        screen
            .output
            .line("Metrics: agent demo --metrics 127.0.0.1:9464")?;
    }
    screen
        .output
        .line("A model: agent run \"Review it.\" --workspace . --model openai:gpt-5-mini")?;
    if let Some(url) = watch.metrics_url() {
        screen
            .output
            .line(format_args!("Metrics: {url}, served until Ctrl-C"))?;
    }
    Ok(())
}
