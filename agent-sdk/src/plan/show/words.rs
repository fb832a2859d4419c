//! What a drawing says of a plan and of a step.

use std::{borrow::Cow, fmt::Write};

use serde_json::Value;

use super::Layers;
use crate::{
    plan::{FailurePolicy, Join, Plan, Step, Work, time},
    text::{is_control, is_invisible},
};

/// The longest name that is shown, in characters. Those of a checked plan are no longer.
pub(super) const NAME: usize = 64;

/// The longest sentence that is shown, in characters.
pub(super) const SENTENCE: usize = 96;

/// Text on one line, of at most so many characters: what acts on whoever shows it, or is not seen, becomes visible (`\u{202e}`).
pub(super) fn line(text: &str, most: usize) -> String {
    let mut shown = String::new();
    let mut chars = 0;
    let mut is_after_space = true;
    for c in text.trim().chars() {
        let piece: Cow<'_, str> = match c {
            ' ' | '\n' | '\r' | '\t' if is_after_space => continue,
            ' ' | '\n' | '\r' | '\t' => " ".into(),
            c if is_control(c) || is_invisible(c) => c.escape_unicode().to_string().into(),
            c => c.to_string().into(),
        };
        is_after_space = &*piece == " ";
        chars += piece.chars().count();
        if chars > most {
            let kept = shown.trim_end().chars().take(most.saturating_sub(1));
            return kept.chain(['…']).collect();
        }
        shown.push_str(&piece);
    }
    shown
}

/// What runs: its kind and its name.
pub(super) fn work(work: &Work) -> String {
    format!("{} {}", work.kind().as_str(), name(work))
}

/// The name of what runs, and which of the things it can do.
pub(super) fn name(work: &Work) -> String {
    let name = line(work.name(), NAME);
    match work {
        Work::Tool {
            action: Some(action),
            ..
        }
        | Work::Function {
            action: Some(action),
            ..
        } => format!("{name}: {}", line(action, NAME)),
        _ => name,
    }
}

/// What a step is for: its description, or else what its agent is to do.
pub(super) fn purpose(step: &Step) -> Option<String> {
    let action = match &step.work {
        Work::Agent { action, .. } => action.as_ref(),
        _ => None,
    };
    let text = line(step.description.as_ref().or(action)?, SENTENCE);
    (!text.is_empty()).then_some(text)
}

/// Something special about a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mark {
    When,
    Approval,
    Map,
    Join,
    Retry,
    Timeout,
    Priority,
}

impl Mark {
    /// Its key in a file.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::When => "when",
            Self::Approval => "approval",
            Self::Map => "map",
            Self::Join => "join",
            Self::Retry => "retry",
            Self::Timeout => "timeout",
            Self::Priority => "priority",
        }
    }

    /// What it means, for the legend.
    pub(super) const fn meaning(self) -> &'static str {
        match self {
            Self::When => "runs only if the condition holds",
            Self::Approval => "a person is asked first",
            Self::Map => "runs once for each element of a list",
            Self::Join => "so many of those it waits for are enough",
            Self::Retry => "tries, the first included",
            Self::Timeout => "the longest it may take",
            Self::Priority => "a higher one begins first",
        }
    }
}

/// What is special about a step, with its value in words.
pub(super) fn marks(step: &Step) -> Vec<(Mark, String)> {
    let mut marks = Vec::new();
    if let Some(when) = &step.when {
        marks.push((Mark::When, line(when, SENTENCE)));
    }
    if let Some(question) = &step.approval {
        marks.push((Mark::Approval, line(question, SENTENCE)));
    }
    if let Some(map) = &step.map {
        let mut words = match &map.over {
            Value::String(reference) => line(reference, NAME),
            Value::Array(list) => format!("of {}", list.len()),
            _ => "of what is no list".to_owned(),
        };
        if let Some(most) = map.concurrency {
            // Writing to a `String` cannot fail.
            let _ = write!(words, ", {most} at once");
        }
        if map.join != Join::All {
            let _ = write!(words, ", {} must succeed", join(map.join));
        }
        marks.push((Mark::Map, words));
    }
    if step.join != Join::All {
        marks.push((Mark::Join, join(step.join)));
    }
    if step.retry.attempts.get() > 1 {
        marks.push((Mark::Retry, step.retry.attempts.to_string()));
    }
    if let Some(longest) = step.timeout {
        marks.push((Mark::Timeout, time::shown(longest)));
    }
    if step.priority != 0 {
        marks.push((Mark::Priority, step.priority.to_string()));
    }
    marks
}

fn join(join: Join) -> String {
    match join {
        Join::All => "all".to_owned(),
        Join::Any => "any".to_owned(),
        Join::Quorum(least) => format!("{least}"),
    }
}

/// How large a plan is: steps, layers, and how many run beside each other at the most.
pub(super) fn size(plan: &Plan, layers: &Layers) -> String {
    let widest = layers.layers.iter().map(Vec::len).max().unwrap_or(0);
    format!(
        "{}, {}, width {}",
        counted(plan.steps.len(), "step"),
        counted(layers.layers.len(), "layer"),
        widest.min(plan.width().get() as usize)
    )
}

/// What is special about a plan as a whole.
pub(super) fn settings(plan: &Plan) -> Vec<String> {
    let mut settings = Vec::new();
    if let Some(longest) = plan.timeout {
        settings.push(format!("timeout {}", time::shown(longest)));
    }
    if !plan.parallel {
        settings.push("one after the other".to_owned());
    }
    if plan.on_failure == FailurePolicy::Stop {
        settings.push("on_failure stop".to_owned());
    }
    settings
}

/// A number of things.
pub(super) fn counted(many: usize, thing: &str) -> String {
    match many {
        1 => format!("1 {thing}"),
        many => format!("{many} {thing}s"),
    }
}
