//! `agent cost report`: what was spent, as the store has it.

use agent_sdk::{
    cost::{CostLines, CostQuery, CostReport, Dimension},
    operation::Clock,
    text::escape_json,
};
use jiff::{Timestamp, Zoned, fmt::strtime, tz::TimeZone};

use crate::{
    args::{ReportArguments, ReportFormat, When},
    exit::{Exit, Failure},
    home::Home,
    output::Output,
    screen,
    terminal::safe_line,
};

/// Does what `agent cost report` says.
///
/// # Errors
///
/// A time is none, or the store cannot be read.
pub(super) fn run(
    arguments: &ReportArguments,
    clock: &dyn Clock,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let now = Timestamp::try_from(clock.now()).unwrap_or_default();
    let time_zone = arguments.tz.clone().unwrap_or_else(TimeZone::system);
    let query = query(arguments, now, &time_zone)?;
    let home = Home::open()?;
    let report = home.wait(CostLines::new(home.store()).report(&query))?;
    match arguments.format {
        ReportFormat::Json => {
            let json = serde_json::to_string(&report).map_err(|error| {
                Failure::new(Exit::Failed, format!("the report is no JSON: {error}"))
            })?;
            output.line(escape_json(&json))?;
        }
        ReportFormat::Csv => output.write(report.csv())?,
        ReportFormat::Table => {
            let window = window(&report, &time_zone);
            if report.total.lines() == 0 && report.undecided.lines() == 0 {
                output.note(format_args!(
                    "nothing was spent {window}, as far as it is kept; `agent run` keeps it"
                ));
                return Ok(Exit::Ok);
            }
            output.line(format_args!("Cost {window}"))?;
            output.write(report.table(screen::width()))?;
        }
    }
    Ok(Exit::Ok)
}

fn query(
    arguments: &ReportArguments,
    now: Timestamp,
    time_zone: &TimeZone,
) -> Result<CostQuery, Failure> {
    let moment = |flag: &str, when: &When| {
        when.moment(now, time_zone)
            .map_err(|error| Failure::usage(format!("`{flag}`: {error}")))
    };
    let since = match &arguments.since {
        Some(when) => moment("--since", when)?,
        None => Some(this_month(now, time_zone)),
    };
    let until = match &arguments.until {
        Some(when) => moment("--until", when)?,
        None => None,
    };
    let mut query = CostQuery::by(arguments.by.iter().cloned())
        .time_zone(time_zone.clone())
        .max_rows(arguments.max_rows.get());
    if let Some(since) = since {
        query = query.since(since);
    }
    if let Some(until) = until {
        query = query.until(until);
    }
    if arguments.inclusive_agents {
        query = query.inclusive_agents();
    }
    for (dimension, values) in [
        (Dimension::Model, &arguments.model),
        (Dimension::Provider, &arguments.provider),
        (Dimension::Agent, &arguments.agent),
        (Dimension::Tool, &arguments.tool),
        (Dimension::User, &arguments.user),
        (Dimension::Session, &arguments.session),
        (Dimension::Run, &arguments.run),
    ] {
        for value in values {
            query = query.only(dimension.clone(), value.as_str());
        }
    }
    for tag in &arguments.tag {
        query = query.only(Dimension::Tag(tag.key.as_str().into()), tag.value.as_str());
    }
    Ok(query)
}

/// The beginning of the month.
fn this_month(now: Timestamp, time_zone: &TimeZone) -> Timestamp {
    let first = now.to_zoned(time_zone.clone()).first_of_month();
    let start = first.and_then(|day| day.start_of_day());
    start.map_or(now, |start| start.timestamp())
}

/// `since 2026-11-01 00:00 until 2026-11-20 12:00, Europe/Berlin`.
fn window(report: &CostReport, time_zone: &TimeZone) -> String {
    let shown = |at: Timestamp| {
        let local: Zoned = at.to_zoned(time_zone.clone());
        strtime::format("%Y-%m-%d %H:%M", &local).unwrap_or_else(|_| at.to_string())
    };
    let since = report.since.map(|at| format!("since {}", shown(at)));
    let until = report.until.map(|at| format!("until {}", shown(at)));
    let limits: Vec<String> = since.into_iter().chain(until).collect();
    let limits = if limits.is_empty() {
        "of all that is kept".to_owned()
    } else {
        limits.join(" ")
    };
    format!("{limits}, {} time", safe_line(&report.time_zone))
}
