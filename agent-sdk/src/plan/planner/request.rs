//! One plan in the making.

use std::{fmt::Write as _, future::IntoFuture, sync::Arc};

use futures_util::future::BoxFuture;
use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;

use super::{PlannerError, Settings, draft, error::Cause, listing};
use crate::{
    message::{Content, Conversation, Message, Part},
    model::{ChatRequest, FinishReason},
    operation::{EventKind, InSpan, Kind, Operation, Outcome, Payload, PlannedStep, RunContext},
    plan::{Plan, PlanError, Work, graph::Graph},
    registry::Registry,
    run::{Pace, RunReport, RunStream},
};

/// The form of a plan, in words.
const FORM: &str = include_str!("form.md");

/// A goal that became a plan.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Planned {
    /// The plan; it was checked against the registry.
    pub plan: Plan,
    /// What the planning used and cost, and where its time went; its text is what the model answered last.
    pub report: RunReport,
    /// How often the model was asked: 1 where its first plan was good.
    pub rounds: u32,
}

/// A plan that is about to be made; made by [`Planner::plan`](super::Planner::plan).
///
/// Await it for what was [`Planned`], or [`stream`](Self::stream) its events. It is one operation, `plan {name}`, with the model requests inside it, which are priced, counted and
/// admitted by budgets as all are; with the plan comes the event `plan_created`. Dropping the future gives it up.
///
/// # Errors
///
/// A [`PlannerError`], with what it spent.
#[must_use = "no plan is made until it is awaited or streamed"]
#[derive(Debug)]
pub struct PlannerRequest<'a> {
    settings: &'a Arc<Settings>,
    goal: Content,
    registry: &'a Registry,
    context: Option<RunContext>,
    cancellation: Option<CancellationToken>,
}

impl<'a> PlannerRequest<'a> {
    pub(super) fn new(settings: &'a Arc<Settings>, goal: Content, registry: &'a Registry) -> Self {
        Self {
            settings,
            goal,
            registry,
            context: None,
            cancellation: None,
        }
    }

    /// Plans inside a run that is under way. Default: a run of its own, with the planner's observers.
    pub fn context(mut self, context: &RunContext) -> Self {
        self.context = Some(context.clone());
        self
    }

    /// Lets the caller give it up with a token.
    pub fn cancellation(mut self, token: CancellationToken) -> Self {
        self.cancellation = Some(token);
        self
    }

    /// Makes the plan and yields the events meanwhile, as [`RunStream`] says. Dropping the stream gives it up.
    pub fn stream(mut self) -> RunStream<'a, Planned, PlannerError> {
        let pace = Arc::new(Pace::default());
        let context = self.context.take();
        let context = context.unwrap_or_else(|| self.settings.new_context());
        self.context = Some(context.with_pace(pace.clone()));
        RunStream::new(self.into_future(), pace)
    }

    async fn make(self) -> Result<Planned, PlannerError> {
        let settings = self.settings;
        let context = self.context.unwrap_or_else(|| settings.new_context());
        let asked = Conversation::from_iter([Message::user(self.goal)]);
        let operation = context
            .start(Kind::Plan, settings.name.clone())
            .payload(Payload::Prompt(&asked))
            .begin();
        let inner = operation.context().clone().with_timeout(settings.timeout);
        let inner = inner.with_child_cancellation();
        let mut work = Planning {
            settings,
            registry: self.registry,
            context: &inner,
            conversation: asked.clone(),
            answer: None,
            rounds: 0,
        };
        let span = operation.span().clone();
        let made = guarded(&mut work, self.cancellation.as_ref())
            .in_span(span)
            .await;
        let Planning { answer, rounds, .. } = work;
        let said = answer.as_deref().unwrap_or_default();
        match made {
            Ok((plan, graph)) => {
                created(&operation, &graph);
                let report = operation.report(Outcome::Ok, Payload::Answer(said));
                Ok(Planned {
                    plan,
                    report,
                    rounds,
                })
            }
            Err(cause) => {
                operation.record(|facts| facts.error = Some(cause.failure()));
                let report = operation.report(cause.outcome(), Payload::Answer(said));
                Err(PlannerError::new(cause, answer, rounds, report))
            }
        }
    }
}

impl<'a> IntoFuture for PlannerRequest<'a> {
    type Output = Result<Planned, PlannerError>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.make())
    }
}

/// What goes on while a plan is made.
struct Planning<'a> {
    settings: &'a Settings,
    registry: &'a Registry,
    context: &'a RunContext,
    conversation: Conversation,
    /// What the model answered last.
    answer: Option<Content>,
    rounds: u32,
}

/// Works until it is done, given up or too late.
async fn guarded(
    work: &mut Planning<'_>,
    stop: Option<&CancellationToken>,
) -> Result<(Plan, Graph), Cause> {
    let context = work.context;
    let time_is_up = async {
        match context.deadline() {
            Some(deadline) => sleep_until(deadline).await,
            None => std::future::pending().await,
        }
    };
    let stopped = async {
        match stop {
            Some(stop) => stop.cancelled().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        () = context.cancellation().cancelled() => Err(Cause::Cancelled),
        () = stopped => Err(Cause::Cancelled),
        () = time_is_up => Err(Cause::Timeout),
        made = work.make() => made,
    }
}

impl Planning<'_> {
    async fn make(&mut self) -> Result<(Plan, Graph), Cause> {
        if self.registry.is_empty() {
            return Err(Cause::NothingRegistered);
        }
        let settings = self.settings;
        let instructions: Arc<str> = self.instructions().into();
        let form = draft::form(self.registry, settings.max_steps);
        loop {
            self.rounds += 1;
            let request = ChatRequest::new(self.conversation.clone())
                .with_instructions(instructions.clone())
                .with_output(form.clone())
                .with_settings(settings.chat.clone());
            let answered = settings.model.chat(self.context, request).await;
            let response = answered.map_err(Cause::Model)?;
            let text = Content::from(response.text());
            let message = response.message;
            let answer = self.answer.insert(text);
            let may_ask_again = self.rounds < settings.max_turns.get();
            match response.finish_reason {
                FinishReason::Paused if may_ask_again => {
                    self.conversation.push(message);
                    continue;
                }
                FinishReason::Length | FinishReason::Paused => return Err(Cause::Truncated),
                FinishReason::ContentFilter | FinishReason::Error => return Err(Cause::Filtered),
                _ => {}
            }
            if message
                .parts
                .iter()
                .any(|it| matches!(it, Part::Refusal(_)))
            {
                return Err(Cause::Refused);
            }
            match draft::read(answer, settings.max_steps, self.registry) {
                Ok(made) => return Ok(made),
                Err(wrong) if !may_ask_again => return Err(Cause::Wrong(wrong)),
                Err(wrong) => {
                    // A model without tools may refuse calls in its history, and what is too long to be read is not paid for twice.
                    let text = (1..=draft::MAX_ANSWER_BYTES).contains(&answer.len());
                    if text && message.tool_calls().next().is_none() {
                        self.conversation.push(message);
                    }
                    self.conversation.push(Message::user(repair(&wrong)));
                }
            }
        }
    }

    /// What the model is told beside the goal.
    fn instructions(&self) -> String {
        let settings = self.settings;
        let most = settings.max_steps;
        format!(
            "{}\n\n{}\nA plan has at most {most} steps.\n\n# What can run\n{}",
            settings.instructions,
            FORM,
            listing::of(self.registry)
        )
    }
}

/// Tells a model what is wrong with its plan.
fn repair(wrong: &PlanError) -> String {
    let mut words = String::from("This plan cannot be run. What is wrong with it:\n");
    for problem in wrong.problems() {
        // Writing into a string does not fail.
        let _ = writeln!(words, "- {problem}");
    }
    words.push_str("Correct all of it, and answer with the whole plan: JSON of its form only.");
    words
}

/// Tells whoever listens what the plan is.
fn created(operation: &Operation, graph: &Graph) {
    operation.context().publish(|| EventKind::PlanCreated {
        steps: graph
            .nodes
            .iter()
            .map(|node| {
                let step = &node.step;
                let ids = node.waits_for.iter();
                let ids = ids.filter_map(|number| graph.nodes.get(*number as usize));
                let action = match &step.work {
                    Work::Agent { action, .. } => action.as_deref(),
                    _ => None,
                };
                PlannedStep {
                    id: step.id.clone(),
                    kind: step.work.kind().as_str(),
                    name: step.work.name().clone(),
                    description: step.description.as_deref().or(action).map(Content::from),
                    depends_on: ids.map(|other| other.step.id.clone()).collect(),
                }
            })
            .collect(),
    });
}
