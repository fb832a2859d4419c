//! What the records of plans say.

use std::{fmt::Write, time::Duration};

use agent_sdk::{
    journal::{QuestionKind, Record, StepTask, Verdict},
    plan::{Change, Ended},
};
use serde_json::Value;

use super::{millis, said, verdict_words};
use crate::{terminal::Paint, text::counted};

/// How long it took, what happened, and its colour; `None` for records of agents.
pub(super) fn what(record: &Record) -> Option<(Option<Duration>, String, Option<Paint>)> {
    Some(match record {
        Record::PlanStarted { plan, params, .. } => {
            let steps = counted(plan.steps.len() as u64, "step");
            let mut what = format!("plan {} began: {steps}", plan.name);
            for (name, value) in params {
                // Writing to a `String` cannot fail.
                let _ = write!(what, ", {name} = {}", said(&value.to_string()));
            }
            (None, what, None)
        }
        Record::StepEnded {
            task,
            ended,
            took_ms,
            ..
        } => {
            let (how, paint) = match ended {
                Ended::Ok { output } => (format!("gave: {}", said(&given(output))), None),
                Ended::Failed { fault } => {
                    let what = said(&fault.message);
                    (format!("failed: {}: {what}", fault.class), Some(Paint::Bad))
                }
                _ => ("was cancelled".to_owned(), Some(Paint::Critical)),
            };
            let what = format!("step {}{} {how}", task.step, which(task));
            (Some(millis(*took_ms)), what, paint)
        }
        Record::StepTimedOut { step, .. } => {
            let what = format!("step {step} ran out of time");
            (None, what, Some(Paint::Bad))
        }
        Record::StepAsked { step, question, .. } => {
            let about = match question.kind {
                QuestionKind::InDoubt => "asked whether to begin again",
                _ => "asked about",
            };
            let what = format!("{about} step {step}: {}", said(&question.text));
            (None, what, Some(Paint::Critical))
        }
        Record::StepDecided { step, verdict, .. } => (None, decided(step, verdict), None),
        Record::PlanChanged { change, by, .. } => {
            let by = by
                .as_deref()
                .map_or_else(String::new, |by| format!(" by {by}"));
            let what = format!("the plan was changed{by}: {}", changed(change));
            (None, what, Some(Paint::Critical))
        }
        _ => return None,
    })
}

fn decided(step: &str, verdict: &Verdict) -> String {
    format!("step {step} {}", verdict_words(verdict))
}

/// Which try it was, where it was not the only one.
fn which(task: &StepTask) -> String {
    let mut which = String::new();
    if let Some(item) = task.item {
        let _ = write!(which, ", element {item}");
    }
    if task.choice > 0 {
        let _ = write!(which, ", fallback {}", task.choice);
    }
    if task.attempt > 1 {
        let _ = write!(which, ", try {}", task.attempt);
    }
    if task.round > 0 {
        let _ = write!(which, ", round {}", task.round.saturating_add(1));
    }
    if !which.is_empty() {
        which.push(',');
    }
    which
}

fn given(output: &Value) -> String {
    match output {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn changed(change: &Change) -> String {
    match change.step() {
        Some(step) => format!("{} step {step}", change.as_str()),
        None => change.as_str().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(json: Value) -> String {
        let record: Record = serde_json::from_value(json).unwrap();
        what(&record).unwrap().1
    }

    #[test]
    fn each_record_of_a_plan_is_told() {
        let question = serde_json::json!({
            "path": "pay", "call_id": "pay", "tool": "pay", "arguments": "{}", "kind": "approval", "text": "Pay  it?",
        });
        for (record, told) in [
            (
                serde_json::json!({"type": "plan_started", "version": 3, "seed": 1, "params": {"topic": "bees"},
                    "plan": {"name": "p", "steps": [{"id": "a", "tool": "t"}], "params": {"topic": {}}}}),
                "plan p began: 1 step, topic = \"bees\"",
            ),
            (
                serde_json::json!({"type": "step_ended", "task": {"step": "a", "attempt": 1},
                    "ended": {"outcome": "ok", "output": {"n": 1}}, "took_ms": 5.0}),
                "step a gave: {\"n\":1}",
            ),
            (
                serde_json::json!({"type": "step_ended", "task": {"step": "a", "attempt": 2, "item": 3, "choice": 1, "round": 1},
                    "ended": {"outcome": "failed", "fault": {"class": "timeout", "message": "too slow"}}}),
                "step a, element 3, fallback 1, try 2, round 2, failed: timeout: too slow",
            ),
            (
                serde_json::json!({"type": "step_ended", "task": {"step": "a", "attempt": 1}, "ended": {"outcome": "cancelled"}}),
                "step a was cancelled",
            ),
            (
                serde_json::json!({"type": "step_timed_out", "step": "a"}),
                "step a ran out of time",
            ),
            (
                serde_json::json!({"type": "step_asked", "step": "pay", "question": question}),
                "asked about step pay: Pay it?",
            ),
            (
                serde_json::json!({"type": "step_decided", "step": "pay", "path": "pay", "verdict": {"allowed": false, "reason": "no", "by": "me"}}),
                "step pay refused by me: no",
            ),
            (
                serde_json::json!({"type": "plan_changed", "change": {"change": "skip", "id": "a"}, "by": "me"}),
                "the plan was changed by me: skip step a",
            ),
        ] {
            assert_eq!(line(record), told);
        }
    }
}
