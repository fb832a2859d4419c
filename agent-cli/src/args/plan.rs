//! What is done with plans.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::{AgentArguments, Pair, Shown};

const PLAN_HELP: &str = "\
A plan is a file in TOML or JSON: steps, what they wait for, and what happens when they fail. `docs/plan-format.md` says what
can stand in it.

Examples:
  agent plan check review.toml
  agent plan show review.toml
  agent plan run review.toml --param topic=bees --model openai:gpt-5-mini
  agent plan show review.toml --output review.svg
  agent plan schema > plan.schema.json";

const RUN_HELP: &str = "\
Steps may name the built-in roles (researcher, analyst, writer, coder, reviewer) as agents, which ask the model of `--model` or the one
that their `config` names; and the tools that flags give: those for files of `--workspace` and `--write`, and built-in ones of `--tool`.
Each role has those of the tools that help it. A plan in which no step has an agent needs no model and no key.

Standard output gets a line for each step as it begins and ends, then what the plan gave, every step once, the trace, the totals, and
what decided how long it took. With `--json` it gets the events alone; the last two lines are the `run_report` and the `plan_report`, which has
every step. The first Ctrl-C cancels the plan: what runs has 5 seconds to end. The second ends at once.

Each outcome is kept before the plan goes on, so `agent resume ID` goes on where it was; `agent resume ID --from-step STEP` begins there again.

Where a step has an `approval`, or a tool needs one, a person decides: on a terminal at once, elsewhere the run pauses (exit code 5)
and says how to answer. `--yes` answers yes.

Examples:
  agent plan run review.toml --workspace .
  agent plan run digest.toml --param topic=bees --param pages=3 --max-cost-usd 0.25
  agent plan run digest.toml --input '{\"topic\": \"bees\"}' --json | tail -n 1
  agent plan run notes.toml --workspace notes --write --yes --id notes-3";

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
    /// Runs a plan with the built-in roles and the tools that are named.
    Run(Box<RunPlanArguments>),
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
    #[command(flatten)]
    pub(crate) given: GivenParams,
}

/// What `plan run` takes.
#[derive(Debug, Args)]
#[command(after_help = RUN_HELP)]
pub(crate) struct RunPlanArguments {
    /// The plan, in TOML or JSON; `-` is standard input.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) given: GivenParams,
    /// Answers what steps and tools ask with yes.
    #[arg(long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) with: AgentArguments,
    #[command(flatten)]
    pub(crate) shown: Shown,
}

/// The parameters of a plan.
#[derive(Debug, Args)]
pub(crate) struct GivenParams {
    /// A parameter of the plan; may be given again. One that is no text is JSON: `pages=3`, `urls=[\"a\"]`.
    #[arg(long = "param", value_name = "NAME=VALUE")]
    pub(crate) params: Vec<Pair>,
    /// Parameters of the plan as one JSON object; those of `--param` go before them.
    #[arg(long, value_name = "JSON")]
    pub(crate) input: Option<String>,
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

impl GivenParams {
    /// Whether any are given.
    pub(crate) fn are_some(&self) -> bool {
        !self.params.is_empty() || self.input.is_some()
    }
}
