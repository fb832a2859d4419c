//! The commands that keep nothing: `demo`, `inspect`.

use std::{net::SocketAddr, path::PathBuf};

use agent_sdk::model::provider::Api;
use clap::{Args, Subcommand};

/// What `demo` takes.
#[derive(Debug, Args)]
pub(crate) struct DemoArguments {
    /// The folder to review. Default: the current one.
    #[arg(
        long,
        value_name = "DIR",
        default_value = ".",
        hide_default_value = true
    )]
    pub(crate) workspace: PathBuf,
    /// Serves metrics for Prometheus at this address while it runs.
    #[arg(long, value_name = "ADDR")]
    pub(crate) metrics: Option<SocketAddr>,
}

/// What `inspect` takes.
#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct InspectArguments {
    #[command(subcommand)]
    pub(crate) what: Inspect,
}

/// What can be inspected.
#[derive(Debug, Subcommand)]
pub(crate) enum Inspect {
    /// Decodes the bytes of a provider's answer and prints what they say as JSON; what is not known is null.
    Response(InspectResponseArguments),
}

/// What `inspect response` takes.
#[derive(Debug, Args)]
pub(crate) struct InspectResponseArguments {
    /// The API that answered: openai.chat, openai.responses, anthropic.messages, gemini.generate, ollama.chat, bedrock.converse,
    /// openai.embeddings.
    #[arg(long, value_name = "API")]
    pub(crate) api: Api,
    /// The answer was asked for piece by piece.
    #[arg(long)]
    pub(crate) stream: bool,
    /// The answer's HTTP status.
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u16).range(100..600))]
    pub(crate) status: u16,
    /// The file with the answer's body; `-` reads standard input.
    pub(crate) file: PathBuf,
}
