//! `agent runs show`.

use agent_sdk::journal::{Question, StoredRecord, StoredRun};
use jiff::Timestamp;
use serde_json::json;

use super::{timeline, to_value};
use agent_sdk::text::escape_json;

use crate::{
    args::ShowArguments,
    exit::Failure,
    home::{self, Home},
    output::Output,
    questions,
    recipe::Recipe,
    screen,
    terminal::{Paint, safe, safe_line},
    text::{bytes, count, counted, moment},
    tree,
};

pub(super) fn run(
    home: &Home,
    arguments: &ShowArguments,
    output: &mut Output,
) -> Result<(), Failure> {
    let run = home.run(&arguments.id)?;
    let id = run.id.as_str();
    let records = home.wait(home.runs().records(id))?;
    let open = home.wait(home.runs().questions(id))?;
    let now = home::now();
    if arguments.json {
        let json = json!({
            "run": super::json(&run, now)?,
            "questions": to_value(&open)?,
            "records": to_value(&records)?,
        });
        return output.line(escape_json(&json.to_string()));
    }
    about(&run, &records, now, output)?;
    let style = output.out_style;
    output.write("\n")?;
    output.write(timeline::draw(&run, &records, style, screen::width()))?;
    asked(&run, &open, now, output)
}

/// What is at hand of a run.
fn about(
    run: &StoredRun,
    records: &[StoredRecord],
    now: Timestamp,
    output: &mut Output,
) -> Result<(), Failure> {
    let status = home::status(run, now);
    let summary = &run.summary;
    let style = output.out_style;
    let lives = timeline::lives(records);
    let error = summary.error.as_deref().filter(|_| status != "ok");
    let mut stands = match error {
        Some(error) if error != status => format!("{status} ({})", safe_line(error)),
        _ => status.to_owned(),
    };
    if let Some(holder) = &run.holder {
        stands = format!(
            "{stands}, in the hands of {}",
            safe_line(&holder.to_string())
        );
    }
    let mut facts = vec![
        ("status", stands),
        (
            if Recipe::is_of_plan(run) {
                "plan"
            } else {
                "agent"
            },
            safe_line(&summary.agent).into_owned(),
        ),
    ];
    let model = super::model(run);
    if !model.is_empty() {
        facts.push(("model", safe_line(&model).into_owned()));
    }
    for (label, value) in [("user", &summary.user), ("session", &summary.session)] {
        facts.extend(
            value
                .iter()
                .map(|value| (label, safe_line(value).into_owned())),
        );
    }
    facts.extend([
        ("started", moment(run.created)),
        ("changed", moment(run.updated)),
        (
            "kept",
            format!(
                "{}, {}; run by {}",
                counted(run.records, "record"),
                bytes(run.bytes),
                match lives.len() {
                    0 | 1 => "one process".to_owned(),
                    lives => format!("{} processes, one after the other", count(lives as u64)),
                }
            ),
        ),
    ]);
    let title = format!("Run {}", safe_line(run.id.as_str()));
    output.line(style.paint(Paint::Strong, &title))?;
    for (label, value) in facts {
        output.line(format_args!("  {label:<8} {value}"))?;
    }
    if !summary.task.is_empty() {
        output.line(format_args!("  task     {}", hanging(&summary.task)))?;
    }
    if let Some(answer) = &summary.answer {
        output.line(format_args!("  answer   {}", hanging(answer)))?;
    }
    let totals = records.last().map_or(summary.totals, |last| last.totals);
    let time = lives.iter().sum();
    let line = tree::Totals::of(&totals, time).line(style);
    output.line(format_args!("  {line}"))
}

/// A text whose lines stand under each other behind a label.
fn hanging(text: &str) -> String {
    safe(text.trim()).replace('\n', "\n           ")
}

fn asked(
    run: &StoredRun,
    open: &[Question],
    now: Timestamp,
    output: &mut Output,
) -> Result<(), Failure> {
    let id = run.id.as_str();
    let status = home::status(run, now);
    if !open.is_empty() {
        let waits = questions::waits(open).replacen("it", "\nIt", 1) + ":";
        output.line(output.out_style.paint(Paint::Strong, &waits))?;
        output.write(questions::list(id, open))?;
    }
    match status {
        "ok" => Ok(()),
        "running" => output.line(format_args!("\nPause it with: agent interrupt {id}")),
        _ => output.line(format_args!("\nGo on with: agent resume {id}")),
    }
}
