//! What is done with plans.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

const PLAN_HELP: &str = "\
A plan is a file in TOML or JSON: steps, what they wait for, and what happens when they fail. `docs/plan-format.md` says what
can stand in it.

Examples:
  agent plan check review.toml
  agent plan show review.toml
  agent plan show review.toml --output review.svg
  agent plan schema > plan.schema.json";

/// What `plan` takes.
#[derive(Debug, Args)]
#[command(arg_required_else_help = true, after_help = PLAN_HELP)]
pub(crate) struct PlanArguments {
    #[command(subcommand)]
    pub(crate) what: PlanCommand,
}

/// What is done with a plan.
#[derive(Debug, Subcommand)]
pub(crate) enum PlanCommand {
    /// Says every mistake in a plan, each with its place.
    Check(CheckPlanArguments),
    /// Draws a plan: its steps by layers, what runs in each, and what it waits for.
    Show(ShowPlanArguments),
    /// Prints the JSON schema of plans, for editors and for models.
    Schema,
}

/// What `plan check` takes.
#[derive(Debug, Args)]
pub(crate) struct CheckPlanArguments {
    /// The plan, in TOML or JSON; `-` is standard input.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Prints JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What `plan show` takes.
#[derive(Debug, Args)]
pub(crate) struct ShowPlanArguments {
    /// The plan, in TOML or JSON; `-` is standard input.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// As what it is drawn. Default: what the ending of the written file says, or else text.
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<Drawing>,
    /// The file to write, for this user alone; one that exists is replaced. Default: standard output.
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

/// As what a plan is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Drawing {
    /// A tree of layers and steps, for a terminal.
    Text,
    /// A Mermaid flow chart, for documents.
    Mermaid,
    /// An SVG document, for a browser.
    Svg,
}
