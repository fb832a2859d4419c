//! What things cost: of one usage, and of all that was kept.

use std::num::NonZeroUsize;

use agent_sdk::cost::Dimension;
use clap::{Args, Subcommand, ValueEnum, builder::NonEmptyStringValueParser};
use jiff::{Timestamp, tz::TimeZone};

use super::{
    Pair,
    values::{When, moment, time_zone},
};

const REPORT_HELP: &str = "\
Groups are model, provider, agent, tool, step, run, conversation, session, user, tag:KEY, hour, day and month; several
are given as `--by day,model` or one after the other. A line of cost counts in the row of the innermost agent around it, unless
`--inclusive-agents` says otherwise. A filter that is given again names an alternative; different filters must all fit.

A time is a span back from now (`12h`, `7d`, `2w`), a day, a time as RFC 3339 has it, or `all`. Days begin where
`--tz` says; `--until` itself is not part of the report.

Examples:
  agent cost report
  agent cost report --by day,model --since 7d
  agent cost report --by user --tag team=search --format csv > cost.csv
  agent cost report --by month --since all --tz Europe/Berlin";

/// What `cost` takes.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct CostArguments {
    #[command(subcommand)]
    pub(crate) what: Option<CostCommand>,
    #[command(flatten)]
    pub(crate) usage: Option<UsageCostArguments>,
}

/// What else is said about cost.
#[derive(Debug, Subcommand)]
pub(crate) enum CostCommand {
    /// Says what was spent, by model, agent, user, day and so on, as `agent run` and `agent resume` kept it.
    Report(Box<ReportArguments>),
}

/// What `cost` takes without a subcommand.
#[derive(Debug, Args)]
pub(crate) struct UsageCostArguments {
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

/// What `cost report` takes.
#[derive(Debug, Args)]
#[command(after_help = REPORT_HELP)]
pub(crate) struct ReportArguments {
    /// By what the rows are.
    #[arg(
        long,
        value_name = "GROUP",
        value_delimiter = ',',
        default_value = "model"
    )]
    pub(crate) by: Vec<Dimension>,
    /// From when on. Default: the beginning of this month.
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<When>,
    /// Until when. Default: now.
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<When>,
    /// The time zone of days and hours, for example `Europe/Berlin`. Default: the system's.
    #[arg(long, value_name = "ZONE", value_parser = time_zone)]
    pub(crate) tz: Option<TimeZone>,
    /// Only what this model was asked; may be given again, as may be the other filters.
    #[arg(long, value_name = "M")]
    pub(crate) model: Vec<String>,
    /// Only what this provider was asked.
    #[arg(long, value_name = "P")]
    pub(crate) provider: Vec<String>,
    /// Only what was spent in this agent.
    #[arg(long, value_name = "NAME")]
    pub(crate) agent: Vec<String>,
    /// Only what was spent in calls of this tool.
    #[arg(long, value_name = "NAME")]
    pub(crate) tool: Vec<String>,
    /// Only what was spent for this user.
    #[arg(long, value_name = "USER")]
    pub(crate) user: Vec<String>,
    /// Only this session.
    #[arg(long, value_name = "ID")]
    pub(crate) session: Vec<String>,
    /// Only this run.
    #[arg(long, value_name = "ID")]
    pub(crate) run: Vec<String>,
    /// Only what has this tag.
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) tag: Vec<Pair>,
    /// Counts a line in the row of each agent around it, so that rows add up to more than the total.
    #[arg(long)]
    pub(crate) inclusive_agents: bool,
    /// The most rows; what is left is in one row of the others.
    #[arg(long, value_name = "N", default_value = "10000")]
    pub(crate) max_rows: NonZeroUsize,
    /// How it is written.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = ReportFormat::Table)]
    pub(crate) format: ReportFormat,
}

/// How a report is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    /// For people.
    Table,
    /// One JSON document.
    Json,
    /// For a spreadsheet.
    Csv,
}
