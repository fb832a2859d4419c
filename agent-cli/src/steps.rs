//! The steps of a plan, for people: a line for each while it runs, and all of them in a table when it is over.

use std::{collections::HashMap, fmt::Write, sync::Arc, time::Duration};

use agent_sdk::{
    operation::{Event, EventKind, Kind, OperationId, Outcome},
    orchestrator::{PlanOutcome, StepReport},
    plan::StepEnd,
    profile::Profile,
};

use crate::{
    columns::{Align, Columns},
    terminal::{Paint, Style, safe_line},
    text::length,
};

/// The most steps of a critical path that are named.
const NAMED: usize = 12;

/// The width of the word before a step.
const WORD: usize = 9;

/// What is known of the steps of a plan that runs.
#[derive(Debug, Default)]
pub(crate) struct Steps {
    /// Where the plans and steps are that are under way: a step in a plan in a step is `outer/inner`.
    places: HashMap<OperationId, Arc<str>>,
    /// A step that began, and was not told yet: it may be skipped in the same moment.
    begun: Option<(OperationId, String)>,
}

/// A line about a step.
pub(crate) type Line = (Option<Paint>, String);

impl Steps {
    /// What is to be said of an event; with `starts` also of the steps that begin.
    pub(crate) fn hear(&mut self, event: &Event, style: Style, starts: bool) -> Vec<Line> {
        let mut lines = Vec::new();
        let operation = event.operation_id;
        if let Some((begun, line)) = self.begun.take()
            && !(matches!(event.kind, EventKind::StepSkipped(_)) && operation == Some(begun))
        {
            lines.push((Some(Paint::Dim), line));
        }
        let Some(operation) = operation else {
            return lines;
        };
        match &event.kind {
            EventKind::WorkflowStarted(_) => {
                let around = self.around(event);
                self.places.insert(operation, around);
            }
            EventKind::WorkflowCompleted(_) | EventKind::WorkflowFailed(_) => {
                self.places.remove(&operation);
            }
            EventKind::StepStarted(start) => {
                let id = event.step_id.as_deref().unwrap_or_default();
                let place: Arc<str> = match &*self.around(event) {
                    "" => id.into(),
                    around => format!("{around}/{id}").into(),
                };
                let again = match start.attempt {
                    Some(attempt) if attempt > 1 => format!("  (try {attempt})"),
                    _ => String::new(),
                };
                if starts {
                    self.begun = Some((operation, line("started", &place, &again)));
                }
                self.places.insert(operation, place);
            }
            EventKind::StepCompleted(end) => {
                let took = length(millis(end.duration_ms), style.unicode);
                lines.push((None, self.ended(operation, "ok", &format!("  {took}"))));
            }
            EventKind::StepSkipped(_) => {
                lines.push((Some(Paint::Dim), self.ended(operation, "skipped", "")));
            }
            EventKind::StepFailed(end) => {
                let took = length(millis(end.duration_ms), style.unicode);
                let (word, paint) = match end.outcome {
                    Outcome::Paused => ("paused", Paint::Critical),
                    Outcome::Cancelled => ("cancelled", Paint::Critical),
                    Outcome::Timeout => ("timeout", Paint::Bad),
                    _ => ("failed", Paint::Bad),
                };
                let class = end.error.as_deref().filter(|class| *class != word);
                let class = class.map_or_else(String::new, |class| format!("  {class}"));
                let line = self.ended(operation, word, &format!("  {took}{class}"));
                lines.push((Some(paint), line));
            }
            EventKind::PlanFallback { reason } => {
                let said = format!("another plan runs in its place ({reason})");
                lines.push((Some(Paint::Critical), line("fallback", &said, "")));
            }
            _ => {}
        }
        lines
    }

    fn around(&self, event: &Event) -> Arc<str> {
        let around = event.parent_id.and_then(|id| self.places.get(&id));
        around.cloned().unwrap_or_else(|| "".into())
    }

    fn ended(&mut self, operation: OperationId, word: &str, rest: &str) -> String {
        let place = self.places.remove(&operation);
        line(word, &place.unwrap_or_else(|| "a step".into()), rest)
    }
}

fn line(word: &str, place: &str, rest: &str) -> String {
    safe_line(&format!("{word:<WORD$} {place}{rest}")).into_owned()
}

/// Every step once: how it ended, when it began, how long it took, and why it is not as it should be. Of a plan that is paused, what has
/// not ended is open.
pub(crate) fn table(outcome: &PlanOutcome, is_paused: bool, style: Style, width: usize) -> String {
    let mut table = Columns::new([
        ("step", Align::Left),
        ("ended", Align::Left),
        ("began", Align::Right),
        ("took", Align::Right),
        ("tries", Align::Right),
        ("", Align::Left),
    ]);
    let mut paints = Vec::new();
    rows(outcome, 0, is_paused, style, &mut table, &mut paints);
    table.draw(style, width, |row| paints.get(row).copied().flatten())
}

/// The rows of a plan; plans are in each other only so deep.
fn rows(
    outcome: &PlanOutcome,
    depth: usize,
    is_paused: bool,
    style: Style,
    table: &mut Columns<6>,
    paints: &mut Vec<Option<Paint>>,
) {
    let indent = "  ".repeat(depth);
    for step in &outcome.steps {
        let (word, paint) = match &step.end {
            StepEnd::Ok { .. } => ("ok", None),
            StepEnd::Skipped { .. } => ("skipped", Some(Paint::Dim)),
            StepEnd::Cancelled { .. } if is_paused => ("open", Some(Paint::Critical)),
            StepEnd::Cancelled { .. } => ("cancelled", Some(Paint::Critical)),
            StepEnd::TimedOut { .. } => ("timed out", Some(Paint::Bad)),
            _ => ("failed", Some(Paint::Bad)),
        };
        let shown = |time: Duration| length(time, style.unicode);
        table.row([
            format!("{indent}{}", safe_line(&step.id)),
            word.to_owned(),
            step.started
                .map_or_else(String::new, |at| format!("+{}", shown(at))),
            step.started
                .map_or_else(String::new, |_| shown(step.duration)),
            match step.attempts {
                0 => String::new(),
                attempts => attempts.to_string(),
            },
            safe_line(&remark(step)).into_owned(),
        ]);
        paints.push(paint);
        if let Some(inner) = &step.inner {
            rows(inner, depth + 1, is_paused, style, table, paints);
        }
    }
    if let Some(fallback) = &outcome.fallback {
        let name = format!("{indent}fallback plan {}", safe_line(&fallback.plan));
        let mut row: [String; 6] = std::array::from_fn(|_| String::new());
        row[0] = name;
        table.row(row);
        paints.push(Some(Paint::Dim));
        rows(fallback, depth + 1, is_paused, style, table, paints);
    }
}

/// What is worth saying of a step beside how it ended.
fn remark(step: &StepReport) -> String {
    let last = step.end.causes().last();
    match &step.end {
        StepEnd::Skipped { because, .. } => because.to_string(),
        StepEnd::Ok { fallback, .. } if *fallback > 0 => format!("by fallback {fallback}"),
        StepEnd::Ok { .. } if step.started.is_none() && step.attempts > 0 => {
            "done in an earlier life of the run".to_owned()
        }
        StepEnd::Ok { .. } => last.map_or_else(String::new, |cause| format!("after {cause}")),
        _ => last.map_or_else(String::new, ToString::to_string),
    }
}

/// What ran at once, where anything did: `up to 3 steps at once, 5.0 s of steps in 2.9 s`. Each try is counted, and each element of a
/// list.
pub(crate) fn together(profile: &Profile, style: Style) -> Option<String> {
    let tries = profile
        .tree()
        .filter(|node| node.depth == 1 && node.operation.kind == Kind::Step);
    let (mut edges, mut work) = (Vec::new(), Duration::ZERO);
    for node in tries {
        let (start, end) = (node.operation.start, node.operation.end);
        if start < end {
            work += node.total_time;
            edges.extend([(start, 1_i64), (end, -1)]);
        }
    }
    // Where one ends as another begins, they are not at once.
    edges.sort_unstable();
    let (mut now, mut most) = (0, 0);
    for (_, change) in &edges {
        now += change;
        most = most.max(now);
    }
    if most < 2 {
        return None;
    }
    let whole = edges.last()?.0.saturating_sub(edges.first()?.0);
    let faster = work.as_secs_f64() / whole.as_secs_f64().max(1e-9);
    let (work, whole) = (length(work, style.unicode), length(whole, style.unicode));
    let mut said = format!("up to {most} steps at once, {work} of steps in {whole}");
    if faster > 1.05 {
        // Writing to a `String` cannot fail.
        let _ = write!(said, " ({faster:.1} times as fast as one by one)");
    }
    Some(said)
}

/// The steps of the outermost plan that decided when it ended.
pub(crate) fn critical(profile: &Profile, style: Style) -> Option<String> {
    let nodes = profile.tree().filter(|node| {
        node.depth == 1 && node.on_critical_path && node.operation.kind == Kind::Step
    });
    let names: Vec<_> = nodes
        .map(|node| safe_line(&node.operation.name).into_owned())
        .collect();
    if names.is_empty() {
        return None;
    }
    let arrow = if style.unicode { " → " } else { " -> " };
    let shown: Vec<_> = names.iter().take(NAMED).map(String::as_str).collect();
    let mut said = shown.join(arrow);
    if names.len() > NAMED {
        let _ = write!(said, "{arrow}{} more", names.len() - NAMED);
    }
    Some(said)
}

fn millis(time: f64) -> Duration {
    Duration::from_secs_f64((time.max(0.0) / 1e3).min(1e9))
}
