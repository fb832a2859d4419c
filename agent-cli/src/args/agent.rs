//! What makes an agent, in whatever it takes part.

use std::{num::NonZeroU32, path::PathBuf};

use agent_sdk::cost::Usd;
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

use super::{ModelName, Pair, values::money};

/// A tool that comes with the SDK and is off unless it is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub(crate) enum BuiltinTool {
    /// Asks hosts that are allowed, with GET and HEAD.
    HttpRequest,
    /// Runs programs that are allowed, without a shell.
    RunCommand,
}

/// Which model is asked, what may be done, what that may cost, and where it is kept.
#[derive(Debug, Args)]
pub(crate) struct AgentArguments {
    /// The model, for example `openai:gpt-5-mini`. Default: the variable `AGENT_MODEL`.
    #[arg(long, value_name = "PROVIDER:NAME")]
    pub(crate) model: Option<ModelName>,
    /// Where the provider's API is. A provider that is not known is taken to speak OpenAI's. Default: the provider's own address.
    #[arg(long, value_name = "URL")]
    pub(crate) base_url: Option<String>,
    /// The most model calls that an agent makes.
    #[arg(long, value_name = "N")]
    pub(crate) max_turns: Option<NonZeroU32>,
    /// The most that the run may cost, with everything inside it, in US dollars. Default: no cap but those of `agent budget`.
    #[arg(long, value_name = "X", value_parser = money)]
    pub(crate) max_cost_usd: Option<Usd>,
    /// A tag on the run and everything in it, for budgets and reports too; may be given again.
    #[arg(long = "tag", value_name = "KEY=VALUE")]
    pub(crate) tags: Vec<Pair>,
    /// A folder that the model may read, and nothing outside of it. Default: none.
    #[arg(long, value_name = "DIR")]
    pub(crate) workspace: Option<PathBuf>,
    /// Lets the model write in the folder too: it makes files and replaces them. Without `--workspace` in a new folder of the run's
    /// own, in which the answer and the report are saved too.
    #[arg(long)]
    pub(crate) write: bool,
    /// A built-in tool that the model may use, with what is allowed to it; may be given again.
    #[arg(long = "tool", value_name = "TOOL", value_enum)]
    pub(crate) tools: Vec<BuiltinTool>,
    /// A host that `http_request` may ask over https: `api.example.com`, `*.example.com`, with `:PORT` where that is another; may be
    /// given again.
    #[arg(long = "allow-host", value_name = "HOST")]
    pub(crate) allow_hosts: Vec<String>,
    /// A program that `run_command` may run in the folder of `--workspace`, looked for in `PATH`; may be given again. A person approves
    /// each call.
    #[arg(long = "allow-program", value_name = "NAME")]
    pub(crate) allow_programs: Vec<String>,
    /// A tool whose calls a person approves, each; may be given again.
    #[arg(long, value_name = "TOOL")]
    pub(crate) ask: Vec<String>,
    /// The run's id: letters, digits, `-`, `_`, `.` and `:`. Default: a new one.
    #[arg(long, value_name = "ID")]
    pub(crate) id: Option<String>,
    /// The user on whose behalf it runs, in the store, in traces and for budgets. Default: none, and with `--session` the system's name for who
    /// runs the command.
    #[arg(long, value_name = "USER")]
    pub(crate) user: Option<String>,
    /// Keeps nothing of the run: it cannot be resumed.
    #[arg(long)]
    pub(crate) no_store: bool,
    /// Asks for whole answers instead of streams, for servers that cannot stream.
    #[arg(long)]
    pub(crate) no_stream: bool,
    /// Writes the exchanges with the provider to this file, without the key; one that exists goes on. It holds what was said.
    #[arg(long, value_name = "FILE", conflicts_with = "replay")]
    pub(crate) record: Option<PathBuf>,
    /// Answers from a file that `--record` wrote, in place of the provider: without a network and without a key.
    #[arg(long, value_name = "FILE")]
    pub(crate) replay: Option<PathBuf>,
}
