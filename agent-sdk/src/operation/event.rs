//! What happens, in the form in which it goes over the wire.
//!
//! One line of JSON each. Starts and ends of operations become events here and nowhere else, so that every stream of them
//! (the caller's, a log, a socket) shows the same.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use serde::{Serialize, Serializer};

use super::{
    Details, Facts, Kind, Member, OperationId, OperationInfo, OperationRecord, Outcome, Payload,
    PlannedStep, RunId, SpanId, StepEnded, StepStarted, TraceId, WorkflowEnded, WorkflowStarted,
};
use crate::{
    budget::{Alert, AlertKind},
    cost::Usd,
    journal::QuestionKind,
    message::{CallId, Content, Role},
    model::Usage,
    run::RunReport,
};

/// Something that happened in a run.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Event {
    /// What happened.
    #[serde(flatten)]
    pub kind: EventKind,
    /// Its number within the run, from 1, in the order in which things happened. A run that is resumed goes on after the last
    /// number of the life before: of the last event that was kept where that life was killed.
    pub seq: u64,
    /// When, by the wall clock; RFC 3339 with microseconds.
    #[serde(serialize_with = "rfc3339")]
    pub time: SystemTime,
    /// The run.
    pub run_id: RunId,
    /// The operation that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation_id: Option<OperationId>,
    /// The operation around that one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_id: Option<OperationId>,
    /// The trace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<TraceId>,
    /// The operation's span.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub span_id: Option<SpanId>,
    /// The agent that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<Arc<str>>,
    /// The session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<Arc<str>>,
    /// The step of a plan that it belongs to, the innermost one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step_id: Option<Arc<str>>,
    /// The [runs at once](crate::agent::parallel()) that it belongs to; of those inside each other, the innermost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_id: Option<Arc<str>>,
    #[serde(skip)]
    pub(crate) member: Option<Arc<Member>>,
}

/// What happened; the variant's name in snake case is the `type` on the wire.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum EventKind {
    /// A run began.
    RunStarted {
        /// What was asked, where somebody knows.
        #[serde(skip_serializing_if = "Option::is_none")]
        goal: Option<Content>,
    },
    /// A run is over; its last event.
    RunReport(Box<RunReport>),
    /// A plan's run began.
    WorkflowStarted(WorkflowStarted),
    /// A plan succeeded.
    WorkflowCompleted(WorkflowEnded),
    /// A plan did not succeed: it failed, was given up or paused, as its outcome says.
    WorkflowFailed(WorkflowEnded),
    /// A goal became a plan.
    PlanCreated {
        /// Its steps, in its order.
        steps: Vec<PlannedStep>,
    },
    /// A plan was changed while it ran.
    PlanChanged {
        /// What was done: the name of the [`Change`](crate::plan::Change).
        change: &'static str,
        /// The id of the step that it is about.
        #[serde(skip_serializing_if = "Option::is_none")]
        changed_step: Option<Arc<str>>,
        /// Who did it.
        #[serde(skip_serializing_if = "Option::is_none")]
        by: Option<Arc<str>>,
    },
    /// Another plan runs in the place of one that failed.
    PlanFallback {
        /// The class of the failure.
        reason: Arc<str>,
    },
    /// A step of a plan began.
    StepStarted(StepStarted),
    /// A step of a plan succeeded.
    StepCompleted(StepEnded),
    /// A step of a plan did not succeed: it failed, was given up or paused, as its outcome says.
    StepFailed(StepEnded),
    /// A step of a plan was skipped.
    StepSkipped(StepEnded),
    /// An agent began.
    AgentInitialized {
        /// The kind of agent.
        #[serde(skip_serializing_if = "Option::is_none")]
        agent_type: Option<Arc<str>>,
        /// What it was asked, where somebody knows.
        #[serde(skip_serializing_if = "Option::is_none")]
        task: Option<Content>,
    },
    /// An agent answered.
    AgentCompleted(AgentEnd),
    /// An agent failed.
    AgentError(AgentEnd),
    /// An agent was given up: cancelled, or paused.
    AgentInterrupted(AgentEnd),
    /// A model was asked.
    ChatStarted {
        /// Who runs the model.
        provider: Arc<str>,
        /// Which model.
        model: Arc<str>,
    },
    /// A model request is over, well or not.
    ChatCompleted {
        /// Who runs the model.
        provider: Arc<str>,
        /// Which model.
        model: Arc<str>,
        /// How it ended.
        outcome: Outcome,
        /// What it used, as far as known.
        usage: Usage,
        /// What it cost, where known.
        cost_usd: Option<Usd>,
        /// Why the model stopped.
        finish_reasons: Vec<String>,
        /// From the request to the first piece of the answer, in milliseconds.
        #[serde(skip_serializing_if = "Option::is_none")]
        time_to_first_chunk_ms: Option<f64>,
        /// The request's whole time, in milliseconds.
        duration_ms: f64,
        /// The failure's class.
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
    /// A model request failed and will be tried again.
    ChatRetry {
        /// Who runs the model.
        provider: Arc<str>,
        /// Which model.
        model: Arc<str>,
        /// The number of the try that comes, from 2.
        attempt: u32,
        /// The class of the failure.
        reason: &'static str,
        /// How long it waits before, in milliseconds.
        delay_ms: f64,
    },
    /// A model wrote more text.
    TextChunk {
        /// The text.
        content: Content,
    },
    /// A model showed more of its reasoning.
    ReasoningChunk {
        /// The reasoning.
        content: Content,
    },
    /// A tool was called.
    ToolUse {
        /// The tool.
        tool: Arc<str>,
        /// The model's id for the call.
        call_id: Option<CallId>,
        /// The arguments, where somebody knows: JSON text.
        #[serde(skip_serializing_if = "Option::is_none")]
        input: Option<Content>,
    },
    /// A tool says how far it is.
    ToolProgress {
        /// The tool.
        tool: Arc<str>,
        /// The model's id for the call.
        call_id: Option<CallId>,
        /// How much is done, 0 to 1.
        fraction: Option<f64>,
        /// What it does.
        message: Content,
    },
    /// A tool call is over, well or not.
    ToolResult {
        /// The tool.
        tool: Arc<str>,
        /// The model's id for the call.
        call_id: Option<CallId>,
        /// How it ended.
        outcome: Outcome,
        /// What it gave, where somebody knows.
        #[serde(skip_serializing_if = "Option::is_none")]
        output: Option<Content>,
        /// The failure's class.
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<String>,
        /// Whether it came out of a cache, and the tool was not called.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        cached: bool,
        /// Its whole time, in milliseconds.
        duration_ms: f64,
    },
    /// Somebody should know something, of a budget for example.
    Alert {
        /// The budget.
        name: Arc<str>,
        /// What it is: `threshold`, `exhausted`, `pace` or `debt`.
        alert: &'static str,
        /// Whose account of the budget it is.
        #[serde(skip_serializing_if = "Option::is_none")]
        scope: Option<Arc<str>>,
        /// The threshold, in percent, where one was reached.
        #[serde(skip_serializing_if = "Option::is_none")]
        threshold: Option<u8>,
        /// The part of the cap that is spent, in percent.
        value: u64,
        /// A sentence for people.
        message: String,
    },
    /// A tool call waits for a person's word.
    ApprovalRequested {
        /// The tool.
        tool: Arc<str>,
        /// The model's id for the call.
        call_id: CallId,
        /// The call's place in the run, to answer by.
        path: Arc<str>,
        /// Why it is asked.
        reason: QuestionKind,
        /// What is asked.
        question: Content,
        /// The call's arguments: JSON text.
        input: Content,
    },
    /// A person decided about a tool call.
    ApprovalGiven {
        /// The tool.
        tool: Arc<str>,
        /// The model's id for the call.
        call_id: CallId,
        /// The call's place in the run.
        path: Arc<str>,
        /// Whether it may be made.
        answer: bool,
        /// Who decided.
        #[serde(skip_serializing_if = "Option::is_none")]
        by: Option<Arc<str>>,
    },
}

/// What an agent's end says.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct AgentEnd {
    /// The kind of agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_type: Option<Arc<str>>,
    /// How it ended.
    pub outcome: Outcome,
    /// Words in its answer.
    pub total_words: usize,
    /// What it and those inside it used.
    pub usage: Usage,
    /// What it and those inside it cost, as far as known.
    pub cost_usd: Usd,
    /// Tool calls of it and those inside it.
    pub tool_calls: u32,
    /// The tools that it and those inside it called, each once, by name.
    pub tools_used: Vec<Arc<str>>,
    /// Where its answer was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_file: Option<Arc<Path>>,
    /// The failure's class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl From<&Alert> for EventKind {
    fn from(alert: &Alert) -> Self {
        let standing = &alert.standing;
        Self::Alert {
            name: standing.budget.clone(),
            alert: alert.kind.as_str(),
            scope: Some(standing.scope.clone()).filter(|scope| !scope.is_empty()),
            threshold: match alert.kind {
                AlertKind::Threshold { percent } => Some(percent),
                _ => None,
            },
            value: standing.percent,
            message: alert.to_string(),
        }
    }
}

impl Event {
    pub(crate) fn new(
        seq: u64,
        time: SystemTime,
        run_id: RunId,
        info: Option<&OperationInfo>,
        kind: EventKind,
    ) -> Self {
        let member = info.and_then(|info| info.labels.member.clone());
        Self {
            kind,
            seq,
            time,
            run_id,
            operation_id: info.map(|info| info.id),
            parent_id: info.and_then(|info| info.parent),
            trace_id: info.map(|info| info.trace.trace_id),
            span_id: info.map(|info| info.trace.span_id),
            agent_id: info.and_then(|info| info.agent.clone()),
            session_id: info.and_then(|info| info.labels.session.clone()),
            step_id: info.and_then(|info| info.step.clone()),
            batch_id: member.as_ref().map(|member| member.batch.clone()),
            member,
        }
    }
}

impl EventKind {
    pub(crate) fn run_started(payload: Payload<'_>) -> Self {
        Self::RunStarted {
            goal: task(payload),
        }
    }

    pub(crate) fn chunk(delta: &str, reasoning: bool) -> Self {
        let content = Content::from(delta);
        if reasoning {
            Self::ReasoningChunk { content }
        } else {
            Self::TextChunk { content }
        }
    }

    pub(crate) fn of_start(info: &OperationInfo, payload: Payload<'_>) -> Option<Self> {
        Some(match (info.kind, &info.details) {
            (Kind::Workflow, _) => Self::workflow_started(info),
            (Kind::Step, _) => Self::step_started(info),
            (Kind::Agent, _) => Self::AgentInitialized {
                agent_type: agent_type(info),
                task: task(payload),
            },
            (Kind::Chat, Details::Chat(chat)) => Self::ChatStarted {
                provider: chat.model.provider.clone(),
                model: chat.model.model.clone(),
            },
            (Kind::Tool, _) => {
                let input = match payload {
                    Payload::Arguments(json) => Some(Content::from(json)),
                    _ => None,
                };
                Self::ToolUse {
                    tool: info.name.clone(),
                    call_id: call_id(info),
                    input,
                }
            }
            _ => return None,
        })
    }

    pub(crate) fn of_end(record: &OperationRecord<'_>, payload: Payload<'_>) -> Option<Self> {
        let OperationRecord { info, facts, .. } = record;
        let error = class(facts);
        Some(match (info.kind, &info.details) {
            (Kind::Workflow, _) => Self::workflow_ended(record),
            (Kind::Step, _) => Self::step_ended(record, payload),
            (Kind::Agent, _) => {
                let end = AgentEnd {
                    agent_type: agent_type(info),
                    outcome: record.outcome,
                    total_words: match payload {
                        Payload::Answer(text) => text.split_whitespace().count(),
                        _ => 0,
                    },
                    usage: record.totals.usage,
                    cost_usd: record.totals.cost,
                    tool_calls: record.totals.tool_calls,
                    tools_used: tools_used(record),
                    output_file: match &info.details {
                        Details::Agent(agent) if record.outcome == Outcome::Ok => {
                            agent.output_file.clone()
                        }
                        _ => None,
                    },
                    error,
                };
                match record.outcome {
                    Outcome::Ok => Self::AgentCompleted(end),
                    Outcome::Cancelled | Outcome::Paused => Self::AgentInterrupted(end),
                    _ => Self::AgentError(end),
                }
            }
            (Kind::Chat, Details::Chat(chat)) => Self::ChatCompleted {
                provider: chat.model.provider.clone(),
                model: chat.model.model.clone(),
                outcome: record.outcome,
                usage: facts.usage,
                cost_usd: record.cost.map(|cost| cost.total),
                finish_reasons: facts
                    .finish_reasons
                    .iter()
                    .map(ToString::to_string)
                    .collect(),
                time_to_first_chunk_ms: facts.first_chunk.map(millis),
                duration_ms: millis(record.duration),
                error,
            },
            (Kind::Tool, _) => Self::ToolResult {
                tool: info.name.clone(),
                call_id: call_id(info),
                outcome: record.outcome,
                output: match payload {
                    Payload::Result(text) => Some(Content::from(text)),
                    _ => None,
                },
                error,
                cached: facts.cached,
                duration_ms: millis(record.duration),
            },
            _ => return None,
        })
    }
}

fn task(payload: Payload<'_>) -> Option<Content> {
    let Payload::Prompt(conversation) = payload else {
        return None;
    };
    let asked = conversation
        .messages()
        .iter()
        .rev()
        .find(|message| message.role == Role::User)?;
    Some(Content::from(asked.text()))
}

fn tools_used(record: &OperationRecord<'_>) -> Vec<Arc<str>> {
    let shares = record
        .profile
        .map(|profile| profile.by_name())
        .unwrap_or_default();
    let tools = shares.iter().filter(|share| share.kind == Kind::Tool);
    let mut names: Vec<_> = tools.filter_map(|share| share.name.clone()).collect();
    names.sort_unstable();
    names
}

fn agent_type(info: &OperationInfo) -> Option<Arc<str>> {
    match &info.details {
        Details::Agent(agent) => agent.agent_type.clone(),
        _ => None,
    }
}

pub(crate) fn call_id(info: &OperationInfo) -> Option<CallId> {
    match &info.details {
        Details::Tool(tool) => tool.call_id.clone(),
        _ => None,
    }
}

/// The class of a failure.
pub(super) fn class(facts: &Facts) -> Option<String> {
    let failure = facts.error.as_ref()?;
    Some(failure.class.clone().into_owned())
}

pub(crate) fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

fn rfc3339<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    let time = jiff::Timestamp::try_from(*time).map_err(serde::ser::Error::custom)?;
    serializer.collect_str(&format_args!("{time:.6}"))
}
