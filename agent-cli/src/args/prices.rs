//! What is done with prices.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand};
use jiff::Timestamp;

use super::values::day_or_moment;

const PRICES_HELP: &str = "\
Prices come from the first of these that knows a model:
  1. the file that AGENT_SDK_PRICES names, in JSON or TOML
  2. the table that `agent prices refresh` wrote, prices.json in the folder of AGENT_SDK_HOME
  3. the table that comes with this command

Amounts are US dollars per million tokens, and for fees per thousand requests or searches.

Examples:
  agent prices list --provider openai --search mini
  agent prices show anthropic/claude-sonnet-4-5
  agent prices diff new-prices.json
  agent prices refresh --file new-prices.json";

/// What `prices` takes.
#[derive(Debug, Args)]
#[command(arg_required_else_help = true, after_help = PRICES_HELP)]
pub(crate) struct PricesArguments {
    #[command(subcommand)]
    pub(crate) what: PricesCommand,
}

/// What is done with prices.
#[derive(Debug, Subcommand)]
pub(crate) enum PricesCommand {
    /// Lists models and what they cost now.
    List(ListPricesArguments),
    /// Shows all prices of a model, since when they hold, and where they are from.
    Show(ShowPricesArguments),
    /// Says what a price file would change.
    Diff(DiffPricesArguments),
    /// Puts a newer price table in place, for this command and later ones.
    Refresh(RefreshPricesArguments),
}

/// What `prices list` takes.
#[derive(Debug, Args)]
pub(crate) struct ListPricesArguments {
    /// Only the models of this provider, as the list names it.
    #[arg(long, value_name = "P")]
    pub(crate) provider: Option<String>,
    /// Only models with this in their names.
    #[arg(long, value_name = "TEXT")]
    pub(crate) search: Option<String>,
    /// Prints one model as JSON a line.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What `prices show` takes.
#[derive(Debug, Args)]
pub(crate) struct ShowPricesArguments {
    /// The provider and the model, as a request names them, such as `openai/gpt-5-mini`.
    #[arg(value_name = "PROVIDER/MODEL")]
    pub(crate) model: String,
    /// Marks the prices that hold then, such as `2026-11-20`. Default: now.
    #[arg(long, value_name = "DATE", value_parser = day_or_moment)]
    pub(crate) at: Option<Timestamp>,
    /// Prints JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What `prices diff` takes.
#[derive(Debug, Args)]
pub(crate) struct DiffPricesArguments {
    /// A price file in JSON or TOML. Default: the table that comes with this command.
    pub(crate) file: Option<PathBuf>,
    /// Lists also the models that only what is in use has.
    #[arg(long)]
    pub(crate) all: bool,
    /// Prints JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What `prices refresh` takes.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("source").required(true))]
pub(crate) struct RefreshPricesArguments {
    /// A price file in JSON or TOML.
    #[arg(long, value_name = "FILE", group = "source")]
    pub(crate) file: Option<PathBuf>,
    /// The address of one: https, or http on this machine.
    #[arg(long, value_name = "URL", group = "source")]
    pub(crate) url: Option<String>,
    /// LiteLLM's `model_prices_and_context_window.json`.
    #[arg(long, value_name = "FILE", group = "source")]
    pub(crate) litellm: Option<PathBuf>,
    /// Drops the table that was put in place.
    #[arg(long, group = "source")]
    pub(crate) remove: bool,
    /// Takes a table that is older than the one in place.
    #[arg(long)]
    pub(crate) older: bool,
}

/// What `doctor` takes.
#[derive(Debug, Args)]
pub(crate) struct DoctorArguments {
    /// Prints JSON.
    #[arg(long)]
    pub(crate) json: bool,
}
