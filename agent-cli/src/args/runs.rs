//! What is done with runs that are kept.

use std::{num::NonZeroUsize, path::PathBuf};

use clap::{Args, Subcommand, ValueEnum};

const RUNS_HELP: &str = "\
Examples:
  agent runs list --status paused
  agent runs list --json | head -n 1
  agent runs show review-17
  agent runs export review-17 --output review-17.json";

const LIST_HELP: &str = "\
How a run stands:
  running      a process has it
  interrupted  no process has it although it did not end: it was killed
  paused       it waits for an answer, or to be resumed
  ok           it gave its answer
  error, cancelled, timeout, budget, limit
               it ended so; all of these can be resumed

The time that a run took is from its start to its last record, pauses included.";

const APPROVE_HELP: &str = "\
A run that is under way takes the answer at once; one that is paused takes it when it is resumed. Where two calls have the same
id, name one by its place in the run, such as `3/call_1`, as `agent runs show` lists it.

Examples:
  agent approve review-17 call_1 yes
  agent approve review-17 call_1 no --reason 'Not in this folder.'
  agent resume review-17";

const INTERRUPT_HELP: &str = "\
What the run has begun is finished and kept, nothing more is begun, and the process that runs it ends with exit code 5.
`agent resume ID` goes on.";

const CLEANUP_HELP: &str = "\
Runs that a process has are left. Each goes with its events and its inbox; questions that nobody answered go too.
What runs cost is kept for `agent cost report` when they are gone, by day, until a day is old itself.

Examples:
  agent cleanup --days 30 --dry-run
  agent cleanup --days 30";

/// What `runs` takes.
#[derive(Debug, Args)]
#[command(arg_required_else_help = true, after_help = RUNS_HELP)]
pub(crate) struct RunsArguments {
    #[command(subcommand)]
    pub(crate) what: RunsCommand,
}

/// What is done with runs.
#[derive(Debug, Subcommand)]
pub(crate) enum RunsCommand {
    /// Lists runs, those that changed last first.
    List(ListArguments),
    /// Shows what happened in a run, and what it asks.
    Show(ShowArguments),
    /// Writes a run with all that was said in it as JSON.
    Export(ExportArguments),
    /// Deletes a run and everything about it.
    Delete(DeleteArguments),
}

/// What `runs list` takes.
#[derive(Debug, Args)]
#[command(after_help = LIST_HELP)]
pub(crate) struct ListArguments {
    /// The most runs to list.
    #[arg(long, value_name = "N", default_value = "20")]
    pub(crate) limit: NonZeroUsize,
    /// Only the runs of this user.
    #[arg(long, value_name = "USER")]
    pub(crate) user: Option<String>,
    /// Only the runs that stand so, such as `paused`.
    #[arg(long, value_name = "STATUS", value_parser = [
        "running", "interrupted", "paused", "ok", "error", "cancelled", "timeout", "budget", "limit",
    ], hide_possible_values = true)]
    pub(crate) status: Option<String>,
    /// Prints one run as JSON a line.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What `runs show` takes.
#[derive(Debug, Args)]
pub(crate) struct ShowArguments {
    /// The run, as `agent runs list` names it.
    pub(crate) id: String,
    /// Prints JSON: the run, its questions and its records.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What `runs export` takes.
#[derive(Debug, Args)]
pub(crate) struct ExportArguments {
    /// The run, as `agent runs list` names it.
    pub(crate) id: String,
    /// The file to write, for this user alone; one that exists is replaced. Default: standard output.
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

/// What `runs delete` takes.
#[derive(Debug, Args)]
pub(crate) struct DeleteArguments {
    /// The run, as `agent runs list` names it.
    pub(crate) id: String,
}

/// What `interrupt` takes.
#[derive(Debug, Args)]
#[command(after_help = INTERRUPT_HELP)]
pub(crate) struct InterruptArguments {
    /// The run, as `agent runs list` names it.
    pub(crate) id: String,
}

/// What `approve` takes.
#[derive(Debug, Args)]
#[command(after_help = APPROVE_HELP)]
pub(crate) struct ApproveArguments {
    /// The run, as `agent runs list` names it.
    pub(crate) id: String,
    /// The call, as `agent runs show` names it.
    pub(crate) call: String,
    /// Whether it may be made.
    pub(crate) answer: Answer,
    /// What the model is told, where it may not.
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
}

/// Whether a call may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Answer {
    /// It may be made.
    Yes,
    /// It may not, and the model is told so.
    No,
}

/// What `cleanup` takes.
#[derive(Debug, Args)]
#[command(after_help = CLEANUP_HELP)]
pub(crate) struct CleanupArguments {
    /// Deletes what did not change for so many days.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(..=36_500))]
    pub(crate) days: u32,
    /// Deletes the days of cost that did not change for so many days. Default: 400.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(..=36_500))]
    pub(crate) cost_days: Option<u32>,
    /// Deletes sessions too, everybody's, with their files.
    #[arg(long)]
    pub(crate) sessions: bool,
    /// Says what would be deleted, and deletes nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
}
