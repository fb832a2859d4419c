//! `agent demo`: reviews a real folder with real tools, by a plan of scripted models that say so.
//!
//! [`team`] has the agents that `plan.toml` names. [`structure`], [`documentation`], [`code`], [`writer`] and [`summariser`] stand in for
//! models, with [`review`] in common; [`listing`] and [`findings`] understand what the tools answer, [`place`] is where the report
//! goes, [`price`] what it would have cost.

mod code;
mod documentation;
mod findings;
mod listing;
mod place;
mod price;
mod results;
mod review;
mod structure;
mod summariser;
mod team;
mod writer;

use std::path::Path;

use agent_sdk::{
    operation::{Clock, Outcome, RunContext, SystemClock},
    orchestrator::{Orchestrator, PlanReport},
    plan::Plan,
    workspace::Workspace,
};

use self::{place::Place, price::Price};
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

/// What is run; the steps name the agents of [`team`].
const PLAN: &str = include_str!("plan.toml");

/// Does what `agent demo` says.
///
/// # Errors
///
/// The folder cannot be opened.
pub(crate) fn run(arguments: DemoArguments, output: Output) -> Result<Exit, Failure> {
    let workspace = tools::workspace(&arguments.workspace)?;
    let orchestrator = Orchestrator::new(team::registry(&workspace)?);
    let plan = Plan::from_toml(PLAN).map_err(|error| Failure::usage(error.to_string()))?;
    let demo = Demo {
        orchestrator,
        plan,
        workspace,
    };
    interrupt::run(|interrupt| go(arguments, demo, output, interrupt))
}

struct Demo {
    orchestrator: Orchestrator,
    plan: Plan,
    workspace: Workspace,
}

async fn go(
    arguments: DemoArguments,
    demo: Demo,
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
    let mut screen = Screen::new(output, Form::Text, "", false, interrupt.clone());
    screen.show_steps();
    let shown = show(&mut screen, &demo, &arguments.workspace, &watch, &interrupt).await;
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
    demo: &Demo,
    folder: &Path,
    watch: &Watch,
    interrupt: &Interrupt,
) -> Result<Exit, Failure> {
    let price = Price::at(&prices::book()?, SystemClock::default().now());
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let shown = safe_line(&folder.display().to_string()).into_owned();
    let output = &mut screen.output;
    output.line(output.out_style.paint(
        Paint::Strong,
        "The models are scripted: no model is asked. Files, tools, plan and trace are real.",
    ))?;
    screen.aside("Delays stand for a model's latency, and tokens are counted as words.")?;
    if let Some(price) = &price {
        screen.aside(&format!(
            "Costs are what so many tokens would cost with {}.",
            price.words
        ))?;
    }
    screen.output.line(format_args!("\nReviewing {shown}\n"))?;
    screen
        .output
        .line(format_args!("{}", demo.plan.to_text()))?;

    let observers = watch.observers().with_shared(screen.observer());
    let mut context = RunContext::builder()
        .observers(observers)
        .cancellation(interrupt.token().clone());
    if let Some(price) = price {
        context = context.prices(price.book);
    }
    let context = context.build();
    let place = tokio::task::block_in_place(|| Place::find(&demo.workspace));
    let run = demo
        .orchestrator
        .run(&demo.plan)
        .context(&context)
        .workspace(folder)
        .param("folder", shown.as_str())
        .param("report", place.path.as_str())
        .param("replace", place.is_ours);
    let ended = screen.follow(run.stream()).await?;
    let (report, error) = match &ended {
        Ok(report) => (Some(report), None),
        Err(error) => (error.report(), Some(error)),
    };
    let exit = report.map_or(Ok(Exit::Failed), |report| screen.plan_report(report))?;
    match (error, report) {
        (None, Some(report)) => {
            saved(screen, &place, is_saved(report), &shown)?;
            ending(screen, watch, report)?;
        }
        (Some(error), _) if exit != Exit::Ok => {
            let was_stopped = report.is_some_and(|it| it.run.outcome == Outcome::Cancelled);
            let failure = Failure::new(exit, error.to_string()).because(error);
            if !was_stopped || !screen.output.is_closed() {
                screen.output.note(&failure);
            }
        }
        _ => {}
    }
    Ok(exit)
}

/// Whether the writer's tool did its work.
fn is_saved(report: &PlanReport) -> bool {
    let mut operations = report.run.profile.tree().map(|node| node.operation);
    operations.any(|it| &*it.name == "write_file" && it.outcome == Outcome::Ok)
}

/// Says where the report is, or that it is nowhere.
fn saved(screen: &mut Screen, place: &Place, is_saved: bool, folder: &str) -> Result<(), Failure> {
    let style = screen.output.out_style;
    let path = safe_line(&place.path);
    let (label, said) = match (is_saved, place.is_ours) {
        (true, false) => ("Report:", format!("{path} in {folder}, a new file")),
        (true, true) => (
            "Report:",
            format!("{path} in {folder}, in place of an earlier one of the demo"),
        ),
        (false, _) => (
            "No report:",
            format!("{path} could not be written in {folder}; the review above says why"),
        ),
    };
    let paint = if is_saved { Paint::Strong } else { Paint::Bad };
    let label = style.paint(paint, label);
    screen.output.line(format_args!("{label} {said}."))
}

/// Where to look next.
fn ending(screen: &mut Screen, watch: &Watch, report: &PlanReport) -> Result<(), Failure> {
    screen.output.write("\n")?;
    if watch.exports_traces() {
        screen.output.line(format_args!(
            "Trace:   {}, where OTEL_EXPORTER_OTLP_ENDPOINT points",
            report.run.trace_id
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
