//! The command line.

mod agent;
mod budget;
mod cost;
mod plan;
mod prices;
mod run;
mod runs;
mod sessions;
#[cfg(test)]
mod tests;
mod tools;
mod values;

use clap::{Parser, Subcommand};

pub(crate) use self::{
    agent::{AgentArguments, BuiltinTool},
    budget::{BudgetArguments, BudgetCommand, SetBudgetArguments},
    cost::{CostArguments, CostCommand, ReportArguments, ReportFormat, UsageCostArguments},
    plan::{
        CheckPlanArguments, Drawing, GivenParams, PlanArguments, PlanCommand, RunPlanArguments,
        ShowPlanArguments,
    },
    prices::{
        DiffPricesArguments, DoctorArguments, ListPricesArguments, PricesArguments, PricesCommand,
        RefreshPricesArguments, ShowPricesArguments,
    },
    run::{LogFormat, ReplayArguments, ResumeArguments, RunArguments, Shown},
    runs::{
        Answer, ApproveArguments, CleanupArguments, ExportArguments, InterruptArguments,
        ListArguments, RunsArguments, RunsCommand, ShowArguments,
    },
    sessions::{SessionsArguments, SessionsCommand},
    tools::{DemoArguments, Inspect, InspectArguments, InspectResponseArguments},
    values::{ModelName, Pair, When},
};

/// Runs an agent and shows what it did, how long it took and what it cost.
#[derive(Debug, Parser)]
#[command(name = "agent", version, arg_required_else_help = true)]
#[command(after_help = HELP)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const HELP: &str = "\
Exit codes:
  0    ok
  1    the run failed, or something else did
  2    bad usage or configuration
  3    a budget refused to go on
  4    a limit was reached
  5    the run is paused: it waits for an answer, or to be resumed
  130  interrupted (Ctrl-C)
  143  terminated (SIGTERM)

Runs are kept in the file store.db of a folder: AGENT_SDK_HOME, or else agent-sdk in the user's data folder
(~/.local/share/agent-sdk).";

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Asks a model, lets it use tools, and shows where time and money went.
    Run(Box<RunArguments>),
    /// Goes on with a run that was paused, interrupted or failed.
    Resume(ResumeArguments),
    /// Runs a run that is kept again, against what was recorded, and says in what it differs.
    Replay(ReplayArguments),
    /// Asks a run that is under way to pause.
    Interrupt(InterruptArguments),
    /// Answers what a run asks about a tool call or a step.
    Approve(ApproveArguments),
    /// Lists, shows, exports and deletes the runs that are kept.
    Runs(RunsArguments),
    /// Lists, shows and changes sessions: conversations that outlive their runs.
    Sessions(SessionsArguments),
    /// Deletes what did not change for some time.
    Cleanup(CleanupArguments),
    /// Reviews a folder by a plan of scripted models: no key and no network needed.
    Demo(DemoArguments),
    /// Checks, draws and runs plans: steps that wait for each other.
    Plan(PlanArguments),
    /// Sets, lists and resets budgets: what may be spent, by whom, in which time.
    Budget(BudgetArguments),
    /// Says what a usage costs and which price that is, or reports what was spent.
    Cost(CostArguments),
    /// Lists, shows, compares and refreshes prices.
    Prices(PricesArguments),
    /// Says whether what this command needs is in order.
    Doctor(DoctorArguments),
    /// Reads recorded bytes as a client would.
    Inspect(InspectArguments),
}
