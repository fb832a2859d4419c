//! `agent runs list`.

use agent_sdk::journal::StoredRun;
use jiff::Timestamp;

use super::json;
use agent_sdk::text::escape_json;

use crate::{
    args::ListArguments,
    columns::{Align, Columns},
    exit::Failure,
    home::{self, Home},
    output::Output,
    screen,
    terminal::{Paint, safe_line},
    text::{count, dollars, length, moment},
};

pub(super) fn run(
    home: &Home,
    arguments: &ListArguments,
    output: &mut Output,
) -> Result<(), Failure> {
    let limit = arguments.limit.get();
    // How a run stands depends on whether its process lives, so the store cannot choose by it.
    let wanted = if arguments.status.is_some() {
        usize::MAX
    } else {
        limit
    };
    let mut runs = home.wait(home.runs().list(arguments.user.as_deref(), wanted))?;
    let now = home::now();
    if let Some(status) = &arguments.status {
        runs.retain(|run| home::status(run, now) == status);
        runs.truncate(limit);
    }
    if arguments.json {
        for run in &runs {
            output.line(escape_json(&json(run, now)?.to_string()))?;
        }
        return Ok(());
    }
    if runs.is_empty() {
        output.note("no runs; `agent run` keeps one");
        return Ok(());
    }
    let style = output.out_style;
    let mut table = Columns::new([
        ("run", Align::Left),
        ("status", Align::Left),
        ("started", Align::Left),
        ("took", Align::Right),
        ("model", Align::Left),
        ("calls", Align::Right),
        ("cost", Align::Right),
        ("task", Align::Left),
    ]);
    for run in &runs {
        table.row(row(run, now, style.unicode));
    }
    let is_bad = |row: usize| {
        let status = runs.get(row).map(|run| home::status(run, now));
        match status {
            Some("ok" | "running") | None => None,
            Some("error" | "limit" | "budget" | "timeout") => Some(Paint::Bad),
            Some(_) => Some(Paint::Critical),
        }
    };
    output.write(table.draw(style, screen::width(), is_bad))
}

fn row(run: &StoredRun, now: Timestamp, unicode: bool) -> [String; 8] {
    let status = home::status(run, now);
    let until = if status == "running" {
        now
    } else {
        run.updated
    };
    let took = until.duration_since(run.created);
    let totals = &run.summary.totals;
    let cost = match totals.unpriced_calls {
        0 => dollars(totals.cost),
        _ if totals.cost.nanos() == 0 => "?".to_owned(),
        _ => format!("{}+?", dollars(totals.cost)),
    };
    // What a run used that was killed stands in its records alone.
    let is_known = totals.model_calls > 0 || !matches!(status, "running" | "interrupted");
    let known = |text: String| if is_known { text } else { String::new() };
    [
        safe_line(run.id.as_str()).into_owned(),
        status.to_owned(),
        moment(run.created),
        length(took.try_into().unwrap_or_default(), unicode),
        safe_line(&super::model(run)).into_owned(),
        known(count(totals.model_calls.into())),
        known(cost),
        safe_line(
            &run.summary
                .task
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" "),
        )
        .into_owned(),
    ]
}
