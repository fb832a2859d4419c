//! What is done with budgets.

use agent_sdk::{
    budget::{Scope, Window},
    cost::Usd,
};
use clap::{Args, Subcommand};

use super::{ModelName, values::money};

const BUDGET_HELP: &str = "\
Budgets are kept in budgets.toml in the folder of the store, and may be changed there by hand. They hold for all that asks a
model: `agent run` and `agent resume`, of all processes together, also with `--no-store`. What might pass a cap is refused before
it is sent (exit code 3).

Examples:
  agent budget set day --usd 5 --window day@Europe/Berlin
  agent budget set team --usd 200 --window month --scope tag:team --degrade-at 80 --degrade-to openai:gpt-5-nano
  agent budget set calls --requests 1000 --window rolling:1h --soft
  agent budget list
  agent budget reset team --scope search";

const SET_HELP: &str = "\
Of a budget that there is already, what is not given stays as it is.

Scopes: `global`, or an account for each `user`, `session`, `conversation`, `run`, `agent`, `step` or `tag:KEY`; with `:VALUE`
behind it one of them alone, such as `user:alice` or `tag:team:search`.
Windows: `lifetime`, `hour`, `day`, `month`, `day@ZONE`, `month@ZONE`, `rolling:TIME`.

Examples:
  agent budget set day --usd 5 --window day@Europe/Berlin
  agent budget set day --usd 7.50
  agent budget set each-user --usd 1 --tokens 500000 --scope user --window day --alerts 80,100";

/// What `budget` takes.
#[derive(Debug, Args)]
#[command(arg_required_else_help = true, after_help = BUDGET_HELP)]
pub(crate) struct BudgetArguments {
    #[command(subcommand)]
    pub(crate) what: BudgetCommand,
}

/// What is done with budgets.
#[derive(Debug, Subcommand)]
pub(crate) enum BudgetCommand {
    /// Makes a budget, or changes one.
    Set(Box<SetBudgetArguments>),
    /// Lists budgets and how their accounts stand, and charges in doubt.
    List {
        /// Prints one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Begins a budget's period anew: nothing was spent. What is under way stays put aside.
    Reset {
        /// The budget; `run` for the cap of a run.
        name: String,
        /// One account alone, as `list` names it; of `run` the run's id. Default: all of the budget's.
        #[arg(long, value_name = "ACCOUNT")]
        scope: Option<String>,
    },
    /// Takes what a budget owes, because a provider billed more than was put aside, as spent: it blocks nothing more.
    AcceptDebt {
        /// The budget; `run` for the cap of a run.
        name: String,
        /// One account alone, as `list` names it; of `run` the run's id. Default: all of the budget's.
        #[arg(long, value_name = "ACCOUNT")]
        scope: Option<String>,
    },
    /// Removes a budget and what was spent of it.
    Remove {
        /// The budget.
        name: String,
    },
}

/// What `budget set` takes.
#[derive(Debug, Args)]
#[command(after_help = SET_HELP)]
pub(crate) struct SetBudgetArguments {
    /// Its name.
    pub(crate) name: String,
    /// The most money, in US dollars.
    #[arg(long, value_name = "X", value_parser = money)]
    pub(crate) usd: Option<Usd>,
    /// The most tokens, input and output together.
    #[arg(long, value_name = "N")]
    pub(crate) tokens: Option<u64>,
    /// The most model requests, each try of one counted.
    #[arg(long, value_name = "N")]
    pub(crate) requests: Option<u64>,
    /// The most tool calls.
    #[arg(long, value_name = "N")]
    pub(crate) tool_calls: Option<u64>,
    /// Whose spending counts together. Default: everything.
    #[arg(long, value_name = "SCOPE")]
    pub(crate) scope: Option<Scope>,
    /// Over which time. Default: all time.
    #[arg(long, value_name = "WINDOW")]
    pub(crate) window: Option<Window>,
    /// Refuses nothing: alerts only.
    #[arg(long)]
    pub(crate) soft: bool,
    /// Refuses what might pass a cap. This is the default.
    #[arg(long, conflicts_with = "soft")]
    pub(crate) hard: bool,
    /// At which parts of a cap an alert is given, in percent. Default: 50,80,100.
    #[arg(long, value_name = "PERCENTS", value_delimiter = ',', value_parser = clap::value_parser!(u8).range(1..=100))]
    pub(crate) alerts: Option<Vec<u8>>,
    /// From which part of a cap on another model is asked, in percent.
    #[arg(long, value_name = "PERCENT", requires = "degrade_to", value_parser = clap::value_parser!(u8).range(1..=100))]
    pub(crate) degrade_at: Option<u8>,
    /// The model that is asked then.
    #[arg(long, value_name = "PROVIDER:NAME", requires = "degrade_at")]
    pub(crate) degrade_to: Option<ModelName>,
}
