//! The command line.

use std::{fmt, net::SocketAddr, num::NonZeroU32, path::PathBuf, str::FromStr};

use agent_sdk::model::provider::Api;
use clap::{Args, Parser, Subcommand, builder::NonEmptyStringValueParser};
use jiff::Timestamp;

/// Runs an agent and shows what it did, how long it took and what it cost.
#[derive(Debug, Parser)]
#[command(name = "agent", version, arg_required_else_help = true)]
#[command(
    after_help = "Exit codes: 0 ok, 1 the run failed, 2 bad usage or configuration, 3 budget, 4 limit, 130 interrupted (Ctrl-C), \
        143 terminated (SIGTERM)."
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const RUN_HELP: &str = "\
Standard output gets the answer as it is written, then the trace, the totals and the bottleneck; piped, the same without colours.
With `--json` it gets the events alone. Errors, logs and warnings go to standard error. If nobody reads standard output any more,
the run is cancelled, and that is no error. The first Ctrl-C cancels the run and shows what was spent, the second ends at once.

Variables:
  AGENT_MODEL                  the model, where `--model` is not given
  OPENAI_API_KEY               the key of the provider `openai`; of others it is ANTHROPIC_API_KEY, GROQ_API_KEY, …; of one that is not
                               known, ACME, it is ACME_API_KEY. A server on this machine may need none.
  OPENAI_BASE_URL              the address of `openai`, where `--base-url` is not given; of others GROQ_BASE_URL, …
  OTEL_EXPORTER_OTLP_ENDPOINT  where traces and metrics go, such as http://localhost:4318; not set: nowhere
  RUST_LOG                     what `-v` logs, such as `warn,agent_sdk=debug`
  NO_COLOR                     no colours";

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Asks a model, lets it use tools, and shows where time and money went.
    Run(RunArguments),
    /// Reviews a folder with a scripted model: no key and no network needed.
    Demo(DemoArguments),
    /// Says what a usage costs, and which price that is.
    Cost(CostArguments),
    /// Reads recorded bytes as a client would.
    Inspect(InspectArguments),
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

/// What `run` takes.
#[derive(Debug, Args)]
#[command(after_help = RUN_HELP)]
pub(crate) struct RunArguments {
    /// What to ask; `-` reads it from standard input.
    pub(crate) prompt: String,
    /// The model, for example `openai:gpt-5-mini`. Default: the variable `AGENT_MODEL`.
    #[arg(long, value_name = "PROVIDER:NAME")]
    pub(crate) model: Option<ModelName>,
    /// Where the provider's API is. A provider that is not known is taken to speak OpenAI's. Default: the provider's own address.
    #[arg(long, value_name = "URL")]
    pub(crate) base_url: Option<String>,
    /// Instructions for the model.
    #[arg(long, value_name = "TEXT")]
    pub(crate) system: Option<String>,
    /// The most model calls to make.
    #[arg(long, value_name = "N")]
    pub(crate) max_turns: Option<NonZeroU32>,
    /// A tag on the run and everything in it; may be given again.
    #[arg(long = "tag", value_name = "KEY=VALUE")]
    pub(crate) tags: Vec<Pair>,
    /// A folder that the model may read, and nothing outside of it. Default: none.
    #[arg(long, value_name = "DIR")]
    pub(crate) workspace: Option<PathBuf>,
    /// Lets the model write in the folder too: it makes files and replaces them.
    #[arg(long, requires = "workspace")]
    pub(crate) write: bool,
    /// Asks for whole answers instead of streams, for servers that cannot stream.
    #[arg(long)]
    pub(crate) no_stream: bool,
    /// Writes the exchanges with the provider to this file, without the key; one that exists goes on. It holds what was said.
    #[arg(long, value_name = "FILE", conflicts_with = "replay")]
    pub(crate) record: Option<PathBuf>,
    /// Answers from a file that `--record` wrote, in place of the provider: without a network and without a key.
    #[arg(long, value_name = "FILE")]
    pub(crate) replay: Option<PathBuf>,
    /// Prints one JSON event a line; the last one is `run_report`.
    #[arg(long)]
    pub(crate) json: bool,
    /// Serves metrics for Prometheus at this address while it runs.
    #[arg(long, value_name = "ADDR")]
    pub(crate) metrics: Option<SocketAddr>,
    /// Shows what happens inside, on standard error.
    #[arg(short, long)]
    pub(crate) verbose: bool,
}

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

/// A model and who runs it, written `openai:gpt-5-mini`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ModelName {
    pub(crate) provider: String,
    pub(crate) name: String,
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.provider, self.name)
    }
}

impl FromStr for ModelName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // Names may hold colons of their own, as in `ollama:qwen3:4b`.
        match text.split_once(':') {
            Some((provider, name)) if !provider.trim().is_empty() && !name.trim().is_empty() => {
                Ok(Self {
                    provider: provider.trim().to_lowercase(),
                    name: name.trim().to_owned(),
                })
            }
            _ => Err("expected PROVIDER:NAME, such as `openai:gpt-5-mini`".to_owned()),
        }
    }
}

/// A key and a value, written `key=value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) key: String,
    pub(crate) value: String,
}

impl FromStr for Pair {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((key, value)) if !key.trim().is_empty() => Ok(Self {
                key: key.trim().to_owned(),
                value: value.to_owned(),
            }),
            _ => Err("expected KEY=VALUE, with a key that is not empty".to_owned()),
        }
    }
}

fn moment(text: &str) -> Result<Timestamp, String> {
    text.parse().map_err(|_| {
        "expected a date, a time and an offset as RFC 3339 has them, such as `2026-11-20T12:00:00Z`"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, error::ErrorKind};

    use super::*;

    fn parse(line: &str) -> Result<Arguments, clap::Error> {
        Arguments::try_parse_from(line.split_whitespace())
    }

    #[test]
    fn the_definition_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_run_takes_all_its_flags() {
        let parsed = parse(
            "agent run - --model ollama:qwen3:4b --base-url http://x/v1 --system s --max-turns 3 --tag a=1 --tag b=x=y \
             --workspace . --write --json --metrics 127.0.0.1:9464 -v",
        );
        let Command::Run(run) = parsed.unwrap().command else {
            panic!("not a run");
        };
        let model = run.model.unwrap();
        assert_eq!((&*model.provider, &*model.name), ("ollama", "qwen3:4b"));
        assert_eq!((&*run.tags[1].key, &*run.tags[1].value), ("b", "x=y"));
        assert_eq!(run.max_turns.map(NonZeroU32::get), Some(3));
        assert!(run.json && run.verbose && run.metrics.is_some());
        assert!(run.workspace.is_some() && run.write);
    }

    #[test]
    fn wrong_values_are_refused_with_the_right_form() {
        for (line, form) in [
            ("agent run x --model gpt-5", "expected PROVIDER:NAME"),
            ("agent run x --model :gpt-5", "expected PROVIDER:NAME"),
            ("agent run x --tag novalue", "expected KEY=VALUE"),
            ("agent run x --tag =v", "expected KEY=VALUE"),
            ("agent run x --max-turns 0", "zero"),
            ("agent run x --metrics here", "socket address"),
            (
                "agent cost --provider p --model m --usage {} --at 2026-11-20",
                "expected a date",
            ),
            ("agent cost --provider= --model m --usage {}", "value"),
            (
                "agent cost --provider p --model m --usage {} --context x",
                "expected KEY=VALUE",
            ),
        ] {
            let error = parse(line).unwrap_err();
            let kinds = [ErrorKind::ValueValidation, ErrorKind::InvalidValue];
            assert!(kinds.contains(&error.kind()), "{line}: {error}");
            assert!(error.to_string().contains(form), "{line}: {error}");
        }
    }

    #[test]
    fn the_demo_needs_nothing() {
        let Command::Demo(demo) = parse("agent demo").unwrap().command else {
            panic!("not a demo");
        };
        assert_eq!(demo.workspace, PathBuf::from("."));
    }
}
