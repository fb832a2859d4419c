//! What the events of plans say, of their runs and of their steps.

use std::{path::Path, sync::Arc};

use serde::Serialize;
use serde_json::Value;

use super::{
    Details, EventKind, OperationInfo, OperationRecord, Outcome, Payload, StepDetails,
    WorkflowDetails,
    event::{class, millis},
};
use crate::{cost::Usd, message::Content, model::Usage};

/// A step of a plan that was just made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PlannedStep {
    /// Its id.
    pub id: Arc<str>,
    /// The kind of thing that runs: `agent`, `tool`, `function` or `plan`.
    pub kind: &'static str,
    /// The name of what runs.
    pub name: Arc<str>,
    /// What it is for, or what is to be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<Content>,
    /// The steps that it waits for, those that it refers to included.
    pub depends_on: Vec<Arc<str>>,
}

/// What the beginning of a plan's run says.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct WorkflowStarted {
    /// The plan's name.
    pub plan: Arc<str>,
    /// How many steps it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_steps: Option<u32>,
    /// The directory that it works in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workspace: Option<Arc<Path>>,
}

/// What the end of a plan's run says.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct WorkflowEnded {
    /// What its beginning said.
    #[serde(flatten)]
    pub start: WorkflowStarted,
    /// How it ended.
    pub outcome: Outcome,
    /// What everything inside it used.
    pub usage: Usage,
    /// What everything inside it cost, as far as known.
    pub cost_usd: Usd,
    /// Its whole time, in milliseconds.
    pub duration_ms: f64,
    /// The failure's class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What the beginning of a step says.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct StepStarted {
    /// Its number in the plan, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<u32>,
    /// How many steps the plan has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_steps: Option<u32>,
    /// What it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<Content>,
    /// The kind of agent that runs in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_type: Option<Arc<str>>,
    /// The number of the try, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
}

/// What the end of a step says.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct StepEnded {
    /// What its beginning said.
    #[serde(flatten)]
    pub start: StepStarted,
    /// How it ended.
    pub outcome: Outcome,
    /// What it gave, where somebody knows: text as it is, everything else as JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<Content>,
    /// Its whole time, in milliseconds.
    pub duration_ms: f64,
    /// The failure's class; of a step that was skipped, that of the reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl EventKind {
    pub(super) fn workflow_started(info: &OperationInfo) -> Self {
        Self::WorkflowStarted(WorkflowStarted::of(info))
    }

    pub(super) fn workflow_ended(record: &OperationRecord<'_>) -> Self {
        let end = WorkflowEnded {
            start: WorkflowStarted::of(record.info),
            outcome: record.outcome,
            usage: record.totals.usage,
            cost_usd: record.totals.cost,
            duration_ms: millis(record.duration),
            error: class(record.facts),
        };
        match record.outcome {
            Outcome::Ok => Self::WorkflowCompleted(end),
            _ => Self::WorkflowFailed(end),
        }
    }

    pub(super) fn step_started(info: &OperationInfo) -> Self {
        Self::StepStarted(StepStarted::of(info))
    }

    pub(super) fn step_ended(record: &OperationRecord<'_>, payload: Payload<'_>) -> Self {
        let end = StepEnded {
            start: StepStarted::of(record.info),
            outcome: record.outcome,
            result: match payload {
                Payload::Given(Value::String(text)) => Some(Content::from(text)),
                Payload::Given(value) => Some(Content::from(value.to_string())),
                _ => None,
            },
            duration_ms: millis(record.duration),
            error: class(record.facts),
        };
        match record.outcome {
            Outcome::Ok => Self::StepCompleted(end),
            Outcome::Skipped => Self::StepSkipped(end),
            _ => Self::StepFailed(end),
        }
    }
}

impl WorkflowStarted {
    fn of(info: &OperationInfo) -> Self {
        let details = match &info.details {
            Details::Workflow(details) => details.clone(),
            _ => WorkflowDetails::default(),
        };
        Self {
            plan: info.name.clone(),
            total_steps: details.total_steps,
            workspace: details.workspace,
        }
    }
}

impl StepStarted {
    fn of(info: &OperationInfo) -> Self {
        let details = match &info.details {
            Details::Step(details) => details.clone(),
            _ => StepDetails::default(),
        };
        Self {
            step: details.number,
            total_steps: details.total_steps,
            description: details.description.as_deref().map(Content::from),
            agent_type: details.agent_type,
            attempt: details.attempt,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        operation::{
            Event, FixedClock, Kind, Observers, RunContext, trace_agent, trace_step, trace_workflow,
        },
        testing::EventLog,
    };

    fn wire(event: &Event) -> Value {
        let mut wire = serde_json::to_value(event).unwrap();
        let fields = wire.as_object_mut().unwrap();
        // Ids and times are those of every event.
        for common in [
            "time",
            "run_id",
            "trace_id",
            "span_id",
            "parent_id",
            "usage",
        ] {
            fields.remove(common);
        }
        wire
    }

    #[tokio::test(start_paused = true)]
    async fn the_beginning_and_the_end_of_a_plan_and_of_its_steps_are_events() {
        let log = EventLog::new();
        let context = RunContext::builder()
            .observers(Observers::none().with(log.clone()))
            .clock(FixedClock::at(1_800_000_000))
            .build();
        let workflow = trace_workflow(&context, "review")
            .details(|details| {
                *details = Details::Workflow(WorkflowDetails {
                    total_steps: Some(2),
                    workspace: Some(Path::new("runs/1").into()),
                });
            })
            .begin();
        let step = |id: &str, number| {
            let details = Details::Step(StepDetails {
                id: Some(id.into()),
                step_kind: Some("agent".into()),
                attempt: Some(1),
                number: Some(number),
                total_steps: Some(2),
                description: Some("Reads.".into()),
                agent_type: Some("researcher".into()),
            });
            let start = workflow.context().start(Kind::Step, id);
            start.details(details).begin()
        };
        let read = step("read", 1);
        drop(trace_agent(read.context(), "researcher").begin());
        read.end(Outcome::Ok, Payload::Given(&json!({"found": 3})));
        let write = step("write", 2);
        write.handle().fail("upstream", "a step before it failed");
        write.end(Outcome::Skipped, Payload::None);
        workflow.context().publish(|| EventKind::PlanChanged {
            change: "add",
            changed_step: Some("more".into()),
            by: None,
        });
        let late = trace_step(workflow.context(), "late").step_id("late");
        late.begin().fail("timeout", "it took too long");
        workflow.fail("failed_steps", "a step failed");

        let events = log.events();
        let seen: Vec<_> = events.iter().map(|event| wire(event)).collect();
        let of_step = |kind: &str, seq: u64, id: &str, number: u64, operation: u64| {
            json!({"type": kind, "seq": seq, "operation_id": operation, "step_id": id, "step": number, "total_steps": 2,
                "description": "Reads.", "agent_type": "researcher", "attempt": 1})
        };
        let with = |mut event: Value, more: Value| {
            let fields = event.as_object_mut().unwrap();
            fields.extend(more.as_object().unwrap().clone());
            event
        };
        let started = json!({"type": "workflow_started", "seq": 2, "operation_id": 1, "plan": "review", "total_steps": 2,
            "workspace": "runs/1"});
        let expected = [
            json!({"type": "run_started", "seq": 1, "operation_id": 1}),
            started.clone(),
            of_step("step_started", 3, "read", 1, 2),
            json!({"type": "agent_initialized", "seq": 4, "operation_id": 3, "agent_id": "researcher", "step_id": "read"}),
            json!({"type": "agent_interrupted", "seq": 5, "operation_id": 3, "agent_id": "researcher", "step_id": "read",
                "outcome": "cancelled", "total_words": 0, "cost_usd": 0, "tool_calls": 0, "tools_used": []}),
            with(
                of_step("step_completed", 6, "read", 1, 2),
                json!({"outcome": "ok", "result": "{\"found\":3}", "duration_ms": 0.0}),
            ),
            of_step("step_started", 7, "write", 2, 4),
            with(
                of_step("step_skipped", 8, "write", 2, 4),
                json!({"outcome": "skipped", "error": "upstream", "duration_ms": 0.0}),
            ),
            json!({"type": "plan_changed", "seq": 9, "operation_id": 1, "change": "add", "changed_step": "more"}),
            json!({"type": "step_started", "seq": 10, "operation_id": 5, "step_id": "late"}),
            json!({"type": "step_failed", "seq": 11, "operation_id": 5, "step_id": "late", "outcome": "error",
                "duration_ms": 0.0, "error": "timeout"}),
            with(
                started,
                json!({"type": "workflow_failed", "seq": 12, "outcome": "error", "cost_usd": 0, "duration_ms": 0.0,
                    "error": "failed_steps"}),
            ),
        ];
        assert_eq!(seen[..12], expected);
        assert_eq!(events.len(), 13, "and the report");
        let result = format!("{:?}", events[5].kind);
        assert!(
            !result.contains("found"),
            "what a step gave is content: {result}"
        );
    }

    #[tokio::test]
    async fn text_that_a_step_gave_is_told_as_it_is() {
        let log = EventLog::new();
        let context = RunContext::builder()
            .observers(Observers::none().with(log.clone()))
            .build();
        let step = trace_step(&context, "write").begin();
        step.end(Outcome::Ok, Payload::Given(&json!("a \"word\"")));
        let events = log.events();
        let EventKind::StepCompleted(end) = &events[2].kind else {
            panic!("{events:?}");
        };
        assert_eq!(end.result.as_deref(), Some("a \"word\""));
    }
}
