//! The commands that keep nothing: `demo`, `cost`, `inspect`.

use std::{net::SocketAddr, path::PathBuf};

use agent_sdk::model::provider::Api;
use clap::{Args, Subcommand, builder::NonEmptyStringValueParser};
use jiff::Timestamp;

use super::{Pair, values::moment};

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

/// What `cost` takes.
#[derive(Debug, Args)]
pub(crate) struct CostArguments {
    /// Who runs the model, for example `openai`.
    #[arg(long, value_name = "P", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) provider: String,
    /// The model, as the provider names it.
    #[arg(long, value_name = "M", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) model: String,
    /// The tokens used, for example `{"input_tokens": 1000, "output_tokens": 500}`.
    #[arg(long, value_name = "JSON")]
    pub(crate) usage: String,
    /// When, for example `2026-11-20T12:00:00Z`. Default: now.
    #[arg(long, value_name = "RFC3339", value_parser = moment)]
    pub(crate) at: Option<Timestamp>,
    /// What else decides the price, for example `processing=batch`; may be given again.
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) context: Vec<Pair>,
    /// Prints JSON.
    #[arg(long)]
    pub(crate) json: bool,
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
