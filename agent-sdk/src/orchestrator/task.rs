//! One try of a step: its operation, what runs in it, and what comes of it.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;
use serde_json::{Map, Value};
use tokio::time::Instant;

use super::{
    PlanOutcome, Settings,
    error::Cause,
    kept,
    launch::{Finished, Launch, run_plan},
};
use crate::{
    agent::Agent,
    journal::{Journal, Record},
    message::{CallId, Conversation, ToolCall},
    model::ModelErrorKind,
    operation::{InSpan, Operation, Outcome, Payload, RunContext, Totals, TraceContext},
    plan::{AgentConfig, End, Ended, Fault, Params, Plan, Step, Task, Work},
    run::{RunError, RunErrorKind, RunRequest},
    tool::{Calling, Effect, ToolError, ToolErrorKind, ToolHandle, perform},
};

/// A try that is to be made. Its operation has begun.
pub(super) struct Try {
    pub(super) settings: Arc<Settings>,
    pub(super) step: Arc<Step>,
    pub(super) task: Task,
    pub(super) input: Value,
    pub(super) operation: Operation,
    /// The context of the plan, which tells what runs to stop.
    pub(super) journal: Option<Arc<Journal>>,
    /// The place of the plan in its run.
    pub(super) around: Arc<str>,
    /// The place of the try.
    pub(super) path: Arc<str>,
}

/// A try that was made.
pub(super) struct Made {
    pub(super) task: Task,
    pub(super) came: Came,
    pub(super) took: Duration,
    pub(super) trace: TraceContext,
    /// What became of the plan that the step is.
    pub(super) inner: Option<Box<PlanOutcome>>,
}

/// What came of a try.
pub(super) enum Came {
    /// It ended, and that is kept.
    Ended(Ended),
    /// It goes on when the run does.
    Paused,
    /// The whole run cannot go on.
    Halted(Cause),
}

/// What came of what runs in a step.
enum Did {
    Gave(Value),
    Failed(Fault, Outcome),
    Cancelled,
    Paused,
    Halted(Cause),
}

impl Try {
    pub(super) async fn make(self) -> Made {
        let began = self.operation.info().started_at;
        let trace = self.operation.info().trace;
        let mut inner = None;
        let did = self.limited(&mut inner).await;
        let took = began.elapsed();
        let came = self.close(did, took).await;
        let task = came.0;
        Made {
            task,
            came: came.1,
            took,
            trace,
            inner,
        }
    }

    /// Does it within its time, so that it cannot panic.
    async fn limited(&self, inner: &mut Option<Box<PlanOutcome>>) -> Did {
        let span = self.operation.span().clone();
        // What the code inside had borrowed is dropped with its future, so nothing half done is seen.
        let work = AssertUnwindSafe(self.work(inner)).catch_unwind();
        let work = work.in_span(span);
        let did = match self.step.retry.timeout {
            None => work.await,
            Some(time) => {
                let Ok(did) = tokio::time::timeout(time, work).await else {
                    let why = format!("this try took longer than {time:?}");
                    let fault = Fault::new("timeout", why).passing();
                    return Did::Failed(fault, Outcome::Timeout);
                };
                did
            }
        };
        did.unwrap_or_else(|_| Did::Failed(Fault::new("panic", "it panicked"), Outcome::Error))
    }

    /// Ends the operation and keeps what came of it.
    async fn close(self, did: Did, took: Duration) -> (Task, Came) {
        let Self {
            operation,
            task,
            step,
            journal,
            around,
            path,
            ..
        } = self;
        let (ended, outcome) = match did {
            Did::Gave(output) => (Ended::Ok { output }, Outcome::Ok),
            Did::Failed(fault, outcome) => {
                let class = fault.class.to_string();
                operation
                    .handle()
                    .fail(class.clone(), format!("the step failed: {class}"));
                (Ended::Failed { fault }, outcome)
            }
            Did::Cancelled => {
                // It goes on from here when the run is resumed.
                operation.end(Outcome::Cancelled, Payload::None);
                return (task, Came::Ended(Ended::Cancelled));
            }
            Did::Paused => {
                operation.end(Outcome::Paused, Payload::None);
                return (task, Came::Paused);
            }
            Did::Halted(cause) => {
                operation.end(cause.outcome(), Payload::None);
                return (task, Came::Halted(cause));
            }
        };
        let given = match &ended {
            Ended::Ok { output } => Payload::Given(output),
            _ => Payload::None,
        };
        let Some(journal) = journal else {
            operation.end(outcome, given);
            return (task, Came::Ended(ended));
        };
        let span = operation.span().clone();
        let spent = operation.close(outcome, given);
        let spent = spent.since(&journal.kept_inside(&path));
        let record = kept::step_ended(step.id.clone(), task, &ended, took.as_secs_f64() * 1e3);
        let records = [record];
        let kept = journal.commit(&around, &records, spent);
        match Box::pin(kept.in_span(span)).await {
            Ok(()) => (task, Came::Ended(ended)),
            Err(error) => (task, Came::Halted(Cause::Journal(error))),
        }
    }

    async fn work(&self, inner: &mut Option<Box<PlanOutcome>>) -> Did {
        match self.step.work_of(self.task.choice) {
            Work::Agent {
                name,
                action,
                config,
            } => match self.settings.registry.find_agent(name) {
                Ok(agent) => Box::pin(self.ask(&agent, action.as_deref(), config)).await,
                Err(unknown) => failed("unknown_agent", unknown.to_string()),
            },
            Work::Tool { name, action } => match self.settings.registry.find_tool(name) {
                Ok(tool) => Box::pin(self.call(&tool, action.as_deref())).await,
                Err(unknown) => failed("unknown_tool", unknown.to_string()),
            },
            Work::Function { name, action } => match self.settings.registry.find_function(name) {
                Ok(function) => {
                    if let Some(halted) = self.announce(Effect::Write).await {
                        return halted;
                    }
                    let context = self.inside().inside_tool(&self.path);
                    let input = with_action(self.input.clone(), action.as_deref());
                    match function.call(context, input).await {
                        Ok(output) => Did::Gave(output),
                        Err(error) => self.tool_failed(&error),
                    }
                }
                Err(unknown) => failed("unknown_function", unknown.to_string()),
            },
            Work::Plan(plan) => self.run(plan, inner).await,
        }
    }

    /// The context of what runs in the step.
    fn inside(&self) -> RunContext {
        self.operation.context().clone()
    }

    async fn ask(&self, agent: &Agent, action: Option<&str>, config: &AgentConfig) -> Did {
        let context = self.inside().inside_call(&self.path);
        let mut conversation = Conversation::new();
        conversation.push(crate::message::Message::user(prompt(action, &self.input)));
        let mut request = RunRequest::new(agent, conversation).context(&context);
        if let Err(fault) = self.configure(&mut request, config) {
            return Did::Failed(fault, Outcome::Error);
        }
        let is_json = request.settings_mut().output.is_json();
        match request.await {
            Ok(report) => {
                let text = report.text.into_string();
                let read = is_json.then(|| serde_json::from_str(&text).ok()).flatten();
                Did::Gave(read.unwrap_or(Value::String(text)))
            }
            Err(error) => agent_failed(error),
        }
    }

    fn configure(&self, request: &mut RunRequest<'_>, config: &AgentConfig) -> Result<(), Fault> {
        if config.is_empty() {
            return Ok(());
        }
        let settings = request.settings_mut();
        if let Some(name) = &config.model {
            let Some(models) = &self.settings.models else {
                let why = format!(
                    "the step asks model `{name}`, and this orchestrator finds no models by name"
                );
                return Err(Fault::new("unknown_model", why));
            };
            settings.model = models(name).map_err(|why| Fault::new("unknown_model", why))?;
        }
        if let Some(instructions) = &config.instructions {
            settings.instructions = Some(instructions.clone());
        }
        if let Some(turns) = config.max_turns {
            settings.limits.max_turns = turns;
        }
        if config.max_tokens.is_some() || config.temperature.is_some() {
            let chat = Arc::make_mut(&mut settings.chat);
            chat.max_output_tokens = config.max_tokens.or(chat.max_output_tokens);
            chat.temperature = config.temperature.or(chat.temperature);
        }
        if let Some(tools) = &config.tools {
            settings.tools = settings.tools.only(tools);
        }
        Ok(())
    }

    async fn call(&self, tool: &ToolHandle, action: Option<&str>) -> Did {
        if let Some(halted) = self.announce(tool.options().effect).await {
            return halted;
        }
        let input = match with_action(self.input.clone(), action) {
            Value::Null => Value::Object(Map::new()),
            input => input,
        };
        let call = ToolCall::new(
            CallId::from(&*self.step.id),
            tool.spec().name.clone(),
            input.to_string(),
        );
        let context = self.inside();
        let performed = perform(Calling {
            context: &context,
            tool: Some(tool),
            call: &call,
            path: self.path.clone(),
            is_approved: true,
            queued: Instant::now(),
            state: &self.settings.state,
            scheduler: self.settings.scheduler.as_ref(),
        })
        .await;
        match performed.result {
            Ok(output) => Did::Gave(read(output.content.into_string())),
            Err(error) => self.tool_failed(&error),
        }
    }

    async fn run(&self, plan: &Plan, inner: &mut Option<Box<PlanOutcome>>) -> Did {
        let params: Params = match &self.input {
            Value::Null => Params::new(),
            Value::Object(params) => {
                let params = params.iter();
                params
                    .map(|(name, value)| (name.as_str().into(), value.clone()))
                    .collect()
            }
            _ => {
                return failed(
                    "input",
                    "the input of a plan is an object of its parameters".to_owned(),
                );
            }
        };
        let launch = Launch {
            settings: self.settings.clone(),
            plan: Some(plan.clone()),
            params,
            context: self.inside(),
            path: self.path.clone(),
            is_root: false,
            workspace: None,
            stop: None,
            wishes: None,
            changes: Vec::new(),
        };
        let Finished {
            result, outcome, ..
        } = Box::pin(run_plan(launch)).await;
        let ended = outcome
            .as_ref()
            .map(|outcome| (outcome.end, outcome.output.clone()));
        let causes = outcome
            .as_ref()
            .and_then(|outcome| Some(outcome.failures().last()?.1.to_string()));
        *inner = outcome.map(Box::new);
        match (result, ended) {
            (Ok(()), Some((End::Ok, output))) => Did::Gave(output),
            (Ok(()) | Err(Cause::Failed), _) => {
                let what = causes.map_or_else(String::new, |cause| format!(": {cause}"));
                failed("step_failed", format!("plan `{}` failed{what}", plan.name))
            }
            (Err(Cause::Cancelled), _) => Did::Cancelled,
            (Err(Cause::Paused(_)), _) => Did::Paused,
            (Err(Cause::TimedOut), _) => {
                let fault = Fault::new(
                    "timeout",
                    format!("plan `{}` took longer than its time limit", plan.name),
                );
                Did::Failed(fault.passing(), Outcome::Timeout)
            }
            (Err(Cause::Invalid(error)), _) => failed("invalid_plan", error.to_string()),
            (Err(cause), _) => Did::Halted(cause),
        }
    }

    /// Keeps that something begins which nobody may do twice without being asked.
    async fn announce(&self, effect: Effect) -> Option<Did> {
        let journal = self.journal.as_ref().filter(|_| effect == Effect::Write)?;
        let record = Record::ToolStarted { place: 0 };
        let records = [record];
        let kept = journal.commit(&self.path, &records, Totals::default());
        let error = Box::pin(kept).await.err()?;
        Some(Did::Halted(Cause::Journal(error)))
    }

    fn tool_failed(&self, error: &ToolError) -> Did {
        let kind = error.kind();
        let within = self.operation.context().within();
        let outcome = match kind {
            ToolErrorKind::Paused if within.is_some_and(|within| within.pausing().is_some()) => {
                return Did::Paused;
            }
            ToolErrorKind::Cancelled => return Did::Cancelled,
            ToolErrorKind::Timeout => Outcome::Timeout,
            ToolErrorKind::Limit => Outcome::Limit,
            ToolErrorKind::Budget => Outcome::Budget,
            _ => Outcome::Error,
        };
        let fault = Fault::new(kind.as_str(), error.message());
        let fault = match kind {
            ToolErrorKind::Failed | ToolErrorKind::Timeout => fault.passing(),
            _ => fault,
        };
        Did::Failed(fault, outcome)
    }
}

fn failed(class: &str, why: String) -> Did {
    Did::Failed(Fault::new(class, why), Outcome::Error)
}

fn agent_failed(error: RunError) -> Did {
    let outcome = match error.kind() {
        RunErrorKind::Paused => return Did::Paused,
        RunErrorKind::Cancelled => return Did::Cancelled,
        RunErrorKind::Journal => {
            return Did::Halted(match error.into_cause() {
                crate::run::Cause::Journal(error) => Cause::Journal(error),
                _ => Cause::Cancelled,
            });
        }
        RunErrorKind::Changed => return Did::Halted(Cause::Changed(error.to_string())),
        RunErrorKind::Timeout => Outcome::Timeout,
        RunErrorKind::Budget => Outcome::Budget,
        RunErrorKind::LimitExceeded => Outcome::Limit,
        _ => Outcome::Error,
    };
    let model = error.model_error();
    let class = model.map_or(error.kind().as_str(), |model| model.kind().as_str());
    let may_pass = match error.kind() {
        RunErrorKind::Model => model
            .is_some_and(|model| model.kind() != ModelErrorKind::Budget && model.is_retryable()),
        RunErrorKind::Timeout | RunErrorKind::Truncated | RunErrorKind::InvalidOutput => true,
        _ => false,
    };
    let mut message = error.to_string();
    if let Some(model) = model {
        message = format!("{message}: {model}");
    }
    let fault = Fault::new(class, message);
    Did::Failed(if may_pass { fault.passing() } else { fault }, outcome)
}

/// What an agent is told: what it is to do, and below it what it is given.
fn prompt(action: Option<&str>, input: &Value) -> String {
    let input = match input {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(serde_json::to_string_pretty(other).unwrap_or_default()),
    };
    match (action, input) {
        (Some(action), Some(input)) => format!("{action}\n\n{input}"),
        (Some(action), None) => action.to_owned(),
        (None, input) => input.unwrap_or_default(),
    }
}

/// An input with the action that was named beside it.
fn with_action(input: Value, action: Option<&str>) -> Value {
    let Some(action) = action else {
        return input;
    };
    let mut object = match input {
        Value::Object(object) => object,
        Value::Null => Map::new(),
        other => Map::from_iter([("input".to_owned(), other)]),
    };
    object.insert("action".to_owned(), Value::from(action));
    Value::Object(object)
}

/// What a tool gave: an object or a list where it is one, and text otherwise.
fn read(text: String) -> Value {
    let is_json = text.trim_start().starts_with(['{', '[']);
    let read = is_json.then(|| serde_json::from_str(&text).ok()).flatten();
    read.unwrap_or(Value::String(text))
}
