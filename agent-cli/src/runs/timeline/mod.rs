//! The records of a run, as a timeline.

mod plan;

use std::{collections::HashSet, time::Duration};

use agent_sdk::{
    journal::{Record, StoredRecord, StoredRun, Verdict},
    message::{Message, Role, ToolCall},
};

use crate::{
    columns::{Align, Columns},
    terminal::{Paint, Style, safe_line},
    text::{dollars, length},
};

/// The most characters of what was said that stand in a line.
const SAID: usize = 400;

/// How long each process had the run.
pub(super) fn lives(records: &[StoredRecord]) -> Vec<Duration> {
    let mut lives = Vec::new();
    let mut began = None;
    for record in records {
        if matches!(record.record, Record::LifeBegan { .. }) {
            began = Some(record.at);
            lives.push(Duration::ZERO);
        } else if let (Some(life), Some(began)) = (lives.last_mut(), began) {
            *life = record
                .at
                .duration_since(began)
                .try_into()
                .unwrap_or_default();
        }
    }
    lives
}

/// A line for each record: when, how long it took, what all came to by then, what happened.
pub(super) fn draw(
    run: &StoredRun,
    records: &[StoredRecord],
    style: Style,
    width: usize,
) -> String {
    let mut table = Columns::new([
        ("at", Align::Right),
        ("took", Align::Right),
        ("cost so far", Align::Right),
        ("what happened", Align::Left),
    ]);
    let mut paints = Vec::new();
    let mut calls: Vec<(&str, &ToolCall)> = Vec::new();
    let mut begun: HashSet<&str> = HashSet::new();
    for record in records {
        let path = &*record.path;
        let depth = depth(path, &begun);
        if matches!(
            record.record,
            Record::Started { .. } | Record::PlanStarted { .. }
        ) {
            begun.insert(path);
        }
        if let Record::Answered(answered) = &record.record {
            // Places count the calls of the last answer.
            calls.retain(|(of, _)| *of != path);
            let made = answered.response.message.tool_calls();
            calls.extend(made.map(|call| (path, call)));
        }
        let name = |place: usize| {
            let mut own = calls.iter().filter(move |(of, _)| *of == path);
            // The call of a step has the step's place.
            let other = if path.is_empty() || own.clone().next().is_some() {
                "a tool"
            } else {
                path
            };
            own.nth(place).map_or(other, |(_, call)| &*call.name)
        };
        let (took, what, paint) = what(&record.record, &run.summary.task, name);
        let at = record.at.duration_since(run.created);
        let indent = "  ".repeat(depth);
        table.row([
            format!(
                "+{}",
                length(at.try_into().unwrap_or_default(), style.unicode)
            ),
            took.map_or_else(String::new, |took| length(took, style.unicode)),
            dollars(record.totals.cost),
            format!("{indent}{}", safe_line(&what)),
        ]);
        paints.push(paint);
    }
    table.draw(style, width, |row| paints.get(row).copied().flatten())
}

/// How many agents and plans are around the one of a path, of those that have begun.
fn depth(path: &str, begun: &HashSet<&str>) -> usize {
    let cuts = path.match_indices('/').map(|(cut, _)| cut);
    let around = cuts.filter_map(|cut| path.get(..cut));
    let outermost = (!path.is_empty()).then_some("");
    let around = around.chain(outermost);
    around.filter(|path| begun.contains(path)).count()
}

/// A time of a record.
fn millis(took: f64) -> Duration {
    Duration::from_secs_f64((took.max(0.0) / 1e3).min(1e9))
}

/// `allowed by somebody: for this reason`.
fn verdict_words(verdict: &Verdict) -> String {
    let by = verdict
        .by
        .as_deref()
        .map_or_else(String::new, |by| format!(" by {by}"));
    let word = if verdict.allowed {
        "allowed"
    } else {
        "refused"
    };
    let why = verdict
        .reason
        .as_deref()
        .map_or_else(String::new, |why| format!(": {}", said(why)));
    format!("{word}{by}{why}")
}

fn what<'a>(
    record: &'a Record,
    task: &str,
    name: impl Fn(usize) -> &'a str,
) -> (Option<Duration>, String, Option<Paint>) {
    if let Some(told) = plan::what(record) {
        return told;
    }
    match record {
        Record::LifeBegan { .. } => (None, "a process took it up".to_owned(), Some(Paint::Dim)),
        Record::Started {
            definition,
            conversation,
            ..
        } => {
            let asked = conversation
                .messages()
                .iter()
                .rfind(|it| it.role == Role::User);
            // In a session it stands there.
            let asked = asked.map_or_else(|| task.to_owned(), Message::text);
            let what = format!("agent {} began: {}", definition.agent, said(&asked));
            (None, what, None)
        }
        Record::Answered(answered) => {
            let message = &answered.response.message;
            let text = said(&message.text());
            let calls: Vec<_> = message
                .tool_calls()
                .map(|call| format!("{} {}", call.name, said(&call.arguments)))
                .collect();
            let parts = [text, calls.join(", ")];
            let parts: Vec<_> = parts
                .iter()
                .filter(|it| !it.is_empty())
                .map(String::as_str)
                .collect();
            (
                Some(millis(answered.took_ms)),
                format!("model: {}", parts.join(" -> ")),
                None,
            )
        }
        Record::ToolStarted { place } => (None, format!("{} began", name(*place)), None),
        Record::ApprovalRequested { question, .. } => (
            None,
            format!("asked about {} ({})", question.tool, question.call_id),
            Some(Paint::Critical),
        ),
        Record::ApprovalGiven { place, verdict } => {
            let what = format!("{} {}", name(*place), verdict_words(verdict));
            (None, what, None)
        }
        Record::ToolReturned {
            result, took_ms, ..
        } => {
            let (word, paint) = if result.is_error {
                ("failed", Some(Paint::Bad))
            } else {
                ("gave", None)
            };
            let what = format!("{} {word}: {}", result.name, said(&result.content));
            (Some(millis(*took_ms)), what, paint)
        }
        Record::OutputRejected { reason } => (
            None,
            format!("the answer was sent back: {}", said(reason)),
            Some(Paint::Bad),
        ),
        Record::Stopped { outcome, error } => {
            let error = error.as_deref().filter(|error| *error != outcome.as_str());
            let error = error.map_or_else(String::new, |error| format!(" ({error})"));
            let paint = if outcome.is_failure() {
                Paint::Bad
            } else {
                Paint::Dim
            };
            (
                None,
                format!("stopped: {}{error}", outcome.as_str()),
                Some(paint),
            )
        }
        _ => (
            None,
            "something that this version does not know".to_owned(),
            None,
        ),
    }
}

/// What was said, in one line.
fn said(text: &str) -> String {
    let mut line = String::new();
    for word in text.split_whitespace() {
        if line.len() > SAID {
            break;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.extend(word.chars().take(SAID));
    }
    line
}
