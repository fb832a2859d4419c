//! `run` and `resume`.

use std::{net::SocketAddr, num::NonZeroU32, path::PathBuf};

use agent_sdk::cost::Usd;
use clap::{Args, ValueEnum};

use super::{AgentArguments, values::money};

const RUN_HELP: &str = "\
Standard output gets the answer as it is written, then the trace, the totals and the bottleneck; piped, the same without colours.
With `--json` it gets the events alone. Errors, logs and warnings go to standard error. If nobody reads standard output any more,
the run is cancelled, and that is no error. The first Ctrl-C cancels the run and shows what was spent, the second ends at once.

Each outcome is kept before the run goes on from it, so a run that was interrupted, killed or paused goes on where it was:
`agent resume ID`. What was said is kept with it, for this user alone; keys never are. `--no-store` keeps nothing.

With `--ask TOOL` a person decides about each call of that tool: on a terminal at once; elsewhere the run pauses (exit code 5)
and says how to answer.

With `--max-cost-usd X` a request that might take the run above X dollars is refused before it is sent: the run ends with exit
code 3, and can go on with a larger cap. Answers are asked for as long as what is left allows. The user's own budgets (`agent
budget`) hold beside it.

Examples:
  agent run 'Say something short.' --model openai:gpt-5-mini
  agent run 'Review this folder.' --workspace . --max-cost-usd 0.25
  agent run 'Tidy up the notes.' --workspace notes --write --ask write_file
  agent run 'What changed?' --workspace . --tool run_command --allow-program git
  git diff | agent run - --role reviewer --id review-17
  agent run --plan 'Find what this folder lacks, and write it into lacks.md.' --workspace . --write

Variables:
  AGENT_MODEL                  the model, where `--model` is not given
  OPENAI_API_KEY               the key of the provider `openai`; of others it is ANTHROPIC_API_KEY, GROQ_API_KEY, …; of one that is not
                               known, ACME, it is ACME_API_KEY. A server on this machine may need none.
  OPENAI_BASE_URL              the address of `openai`, where `--base-url` is not given; of others GROQ_BASE_URL, …
  AGENT_SDK_HOME               the folder in which runs are kept; not set: agent-sdk in the user's data folder
  OTEL_EXPORTER_OTLP_ENDPOINT  where traces and metrics go, such as http://localhost:4318; not set: nowhere
  RUST_LOG                     what `-v` and `--log-file` log, such as `warn,agent_sdk=debug`
  NO_COLOR                     no colours";

const RESUME_HELP: &str = "\
The agent is made again as it was: model, address, instructions, limits, tools, tags. The key comes from the provider's variable,
as with `agent run`. Nothing that has an outcome is done again: no model request, no tool call. A request that was under way is
sent again with the same idempotency key; a call that was under way of a tool that changes something is asked about first.

A run that has ended prints its answer again. One that another process has is left alone (exit code 1).

A plan goes on with the steps that have not ended. With `--from-step ID` that step and all that come after it begin again, also of a
plan that has ended; what the others gave is kept.

Examples:
  agent resume review-17
  agent resume review-17 --max-turns 40     # it had reached its limit
  agent resume review-17 --max-cost-usd 0.5 # it had spent what it may
  agent resume review-17 --json | tail -n 1 # its report
  agent resume digest --from-step write     # of a plan";

const REPLAY_HELP: &str = "\
The agent is made again as it was and really runs, with the limits, checks and prices of today; models, tools and people answer
what they answered then. Nothing goes over the network, no key is needed, no file is written, and the stored run stays as it is.

The exit code is 0 where the run goes as it went, and 1 where it differs; the differences are listed.

Examples:
  agent replay review-17
  agent replay review-17 --json | jq .differences";

/// How a run is shown.
#[derive(Debug, Args)]
pub(crate) struct Shown {
    /// Prints one JSON event a line; the last one is `run_report`.
    #[arg(long)]
    pub(crate) json: bool,
    /// Serves metrics for Prometheus at this address while it runs.
    #[arg(long, value_name = "ADDR")]
    pub(crate) metrics: Option<SocketAddr>,
    /// Shows what happens inside, on standard error.
    #[arg(short, long)]
    pub(crate) verbose: bool,
    /// How `-v` logs: as text, or as one JSON object a line with the ids of trace, span and run.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    pub(crate) log_format: LogFormat,
    /// Logs to this file as well, as JSON; at 64 MiB and each day it gives way to a new one. Also without `-v`.
    #[arg(long, value_name = "FILE")]
    pub(crate) log_file: Option<PathBuf>,
}

/// How logs are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

/// What `run` takes.
#[derive(Debug, Args)]
#[command(after_help = RUN_HELP)]
pub(crate) struct RunArguments {
    /// What to ask; with `--plan` the goal. `-` reads it from standard input.
    pub(crate) prompt: String,
    #[command(flatten)]
    pub(crate) with: AgentArguments,
    /// Instructions for the model.
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["role", "plan"])]
    pub(crate) system: Option<String>,
    /// The built-in role whose instructions the agent has: researcher, analyst, writer, coder or reviewer.
    #[arg(long, value_name = "NAME", conflicts_with = "plan")]
    pub(crate) role: Option<String>,
    /// Has the model make a plan that reaches the goal with the built-in roles and the tools that are there, shows it, and runs it once
    /// somebody has agreed.
    #[arg(long)]
    pub(crate) plan: bool,
    /// Runs the plan without asking, and answers what its steps and tools ask with yes.
    #[arg(long, requires = "plan")]
    pub(crate) yes: bool,
    /// The session that the run goes on with, or `new` for a new one, whose id is said on standard error. It must be the user's.
    #[arg(long, value_name = "ID", conflicts_with_all = ["no_store", "plan"])]
    pub(crate) session: Option<String>,
    #[command(flatten)]
    pub(crate) shown: Shown,
}

/// What `resume` takes.
#[derive(Debug, Args)]
#[command(after_help = RESUME_HELP)]
pub(crate) struct ResumeArguments {
    /// The run, as `agent runs list` names it.
    pub(crate) id: String,
    /// Goes on although tools or instructions are not what they were.
    #[arg(long)]
    pub(crate) accept_changes: bool,
    /// The most model calls to make, those made already included. Default: as the run began.
    #[arg(long, value_name = "N")]
    pub(crate) max_turns: Option<NonZeroU32>,
    /// The most that the run may cost in US dollars, what it has cost already included. Default: as the run began.
    #[arg(long, value_name = "X", value_parser = money)]
    pub(crate) max_cost_usd: Option<Usd>,
    /// Of a plan: a step that begins again, with all that come after it; may be given again.
    #[arg(long = "from-step", value_name = "ID")]
    pub(crate) from_steps: Vec<String>,
    /// Of a plan: answers what its steps and tools ask with yes.
    #[arg(long)]
    pub(crate) yes: bool,
    /// Where the provider's API is now. Default: where it was.
    #[arg(long, value_name = "URL")]
    pub(crate) base_url: Option<String>,
    #[command(flatten)]
    pub(crate) shown: Shown,
}

/// What `replay` takes.
#[derive(Debug, Args)]
#[command(after_help = REPLAY_HELP)]
pub(crate) struct ReplayArguments {
    /// The run, as `agent runs list` names it.
    pub(crate) id: String,
    /// The most model calls to make. Default: as the run began.
    #[arg(long, value_name = "N")]
    pub(crate) max_turns: Option<NonZeroU32>,
    /// Takes the recorded times, so many times as fast; 1 is as it was. Default: no time at all.
    #[arg(long, value_name = "X", value_parser = speed)]
    pub(crate) speed: Option<f64>,
    /// Prints one JSON object: the report and the differences.
    #[arg(long)]
    pub(crate) json: bool,
}

fn speed(text: &str) -> Result<f64, String> {
    let speed = text.parse().ok();
    speed
        .filter(|speed: &f64| speed.is_finite() && *speed > 0.0)
        .ok_or_else(|| "expected a number above 0".to_owned())
}
