//! One try of a step: its operation, what runs in it, and what comes of it.

use std::{panic::AssertUnwindSafe, pin::pin, sync::Arc, time::Duration};

use futures_util::FutureExt;
use serde_json::{Map, Value};
use tokio::time::Instant;

use super::{
    PlanOutcome, Settings,
    error::Cause,
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
    /// The place of the try.
    pub(super) path: Arc<str>,
    /// Whether a person allowed it.
    pub(super) is_approved: bool,
}

/// A try that was made.
pub(super) struct Made {
    pub(super) task: Task,
    pub(super) came: Came,
    /// When it ended.
    pub(super) at: Instant,
    pub(super) took: Duration,
    pub(super) trace: TraceContext,
    /// What it came to, without what was kept inside it; where it is to be kept.
    pub(super) spent: Option<Box<Totals>>,
    /// What became of the plan that the step is.
    pub(super) inner: Option<Box<PlanOutcome>>,
}

/// What came of a try.
pub(super) enum Came {
    /// It ended, which is to be kept.
    Ended(Ended),
    /// It was told to stop, and did: it goes on from here when the run is resumed.
    Stopped,
    /// It asks a person before it does anything. That is what it asks, and what it was given.
    Asks(String, Value),
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
    Asks(String, Value),
    Paused,
    Halted(Cause),
}

impl Try {
    pub(super) async fn make(mut self) -> Made {
        let task = self.task;
        let began = self.operation.info().started_at;
        let trace = self.operation.info().trace;
        let mut inner = None;
        let input = std::mem::take(&mut self.input);
        let did = self.limited(input, &mut inner).await;
        let (came, at, spent) = self.close(did);
        Made {
            task,
            came,
            at,
            took: at.saturating_duration_since(began),
            trace,
            spent,
            inner,
        }
    }

    /// Does it within its time, so that it cannot panic.
    async fn limited(&self, input: Value, inner: &mut Option<Box<PlanOutcome>>) -> Did {
        // What the code inside had borrowed is dropped with its future, so nothing half done is seen.
        let work = AssertUnwindSafe(self.work(input, inner)).catch_unwind();
        let work = pin!(work.in_span(self.operation.span()));
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

    /// Ends the operation.
    fn close(self, did: Did) -> (Came, Instant, Option<Box<Totals>>) {
        let Self {
            operation,
            journal,
            path,
            ..
        } = self;
        let was_told = operation.context().cancellation().is_cancelled();
        let (came, outcome) = match did {
            Did::Gave(output) => (Came::Ended(Ended::Ok { output }), Outcome::Ok),
            Did::Failed(fault, outcome) => {
                let class = fault.class.to_string();
                let why = format!("the step failed: {class}");
                operation.handle().fail(class, why);
                (Came::Ended(Ended::Failed { fault }), outcome)
            }
            Did::Cancelled if was_told => (Came::Stopped, Outcome::Cancelled),
            Did::Cancelled => (Came::Ended(Ended::Cancelled), Outcome::Cancelled),
            Did::Asks(text, input) => (Came::Asks(text, input), Outcome::Paused),
            Did::Paused => (Came::Paused, Outcome::Paused),
            Did::Halted(cause) => {
                let outcome = cause.outcome();
                (Came::Halted(cause), outcome)
            }
        };
        let given = match &came {
            Came::Ended(Ended::Ok { output }) => Payload::Given(output),
            _ => Payload::None,
        };
        let closed = operation.close(outcome, given);
        let at = closed.at;
        let kept = journal.filter(|_| matches!(came, Came::Ended(_)));
        let spent = kept.map(|journal| {
            let totals = closed.totals();
            Box::new(totals.since(&journal.kept_inside(&path)))
        });
        (came, at, spent)
    }

    async fn work(&self, input: Value, inner: &mut Option<Box<PlanOutcome>>) -> Did {
        match self.step.work_of(self.task.choice) {
            Work::Agent {
                name,
                action,
                config,
            } => match self.settings.registry.find_agent(name) {
                Ok(agent) => Box::pin(self.ask(&agent, action.as_deref(), config, &input)).await,
                Err(unknown) => failed("unknown_agent", unknown.to_string()),
            },
            Work::Tool { name, action } => match self.settings.registry.find_tool(name) {
                Ok(tool) => Box::pin(self.call(&tool, action.as_deref(), input)).await,
                Err(unknown) => failed("unknown_tool", unknown.to_string()),
            },
            Work::Function { name, action } => match self.settings.registry.find_function(name) {
                Ok(function) => {
                    if self.journal.is_some()
                        && let Some(halted) = Box::pin(self.announce(Effect::Write)).await
                    {
                        return halted;
                    }
                    let context = self.inside().inside_tool(&self.path);
                    let input = with_action(input, action.as_deref());
                    match function.call(context, input).await {
                        Ok(output) => Did::Gave(output),
                        Err(error) => self.tool_failed(&error),
                    }
                }
                Err(unknown) => failed("unknown_function", unknown.to_string()),
            },
            Work::Plan(plan) => Box::pin(self.run(plan, &input, inner)).await,
        }
    }

    /// The context of what runs in the step.
    fn inside(&self) -> RunContext {
        let context = self.operation.context().clone();
        // Fallbacks are tried once.
        if self.task.choice == 0 && self.step.retry.attempts.get() > 1 {
            return context.retried();
        }
        context
    }

    async fn ask(
        &self,
        agent: &Agent,
        action: Option<&str>,
        config: &AgentConfig,
        input: &Value,
    ) -> Did {
        let context = self.inside().inside_call(&self.path);
        let mut conversation = Conversation::new();
        conversation.push(crate::message::Message::user(prompt(action, input)));
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

    async fn call(&self, tool: &ToolHandle, action: Option<&str>, input: Value) -> Did {
        if let Some(halted) = self.announce(tool.options().effect).await {
            return halted;
        }
        let arguments = match (&input, action) {
            (Value::Null, None) => "{}".to_owned(),
            (input, None) => input.to_string(),
            (input, Some(_)) => with_action(input.clone(), action).to_string(),
        };
        let call = ToolCall::new(
            CallId::from(&*self.step.id),
            tool.spec().name.clone(),
            arguments,
        );
        let context = self.inside();
        let performed = perform(Calling {
            context: &context,
            tool: Some(tool),
            call: &call,
            path: self.path.clone(),
            is_approved: self.is_approved,
            queued: Instant::now(),
            state: &self.settings.state,
            scheduler: self.settings.scheduler.as_ref(),
        })
        .await;
        match performed.result {
            Err(error) if performed.goes_on && error.kind() == ToolErrorKind::NeedsApproval => {
                Did::Asks(error.message().to_owned(), input)
            }
            Ok(output) => Did::Gave(read(output.content.into_string())),
            Err(error) => self.tool_failed(&error),
        }
    }

    async fn run(&self, plan: &Plan, input: &Value, inner: &mut Option<Box<PlanOutcome>>) -> Did {
        let params: Params = match input {
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
        } = run_plan(launch).await;
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
