//! One call of a tool: its operation, and what comes of it.
//!
//! Whatever a tool does, its call has exactly one result.

use std::{borrow::Cow, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;
use tokio::time::Instant;

use super::scheduler::may_help;
use super::{State, ToolContext, ToolError, ToolErrorKind, ToolHandle, ToolOutput, ToolScheduler};
use crate::{
    budget::{Amounts, BudgetError, Measure, Reservation},
    message::ToolCall,
    operation::{
        Details, InSpan, Kind, Operation, Outcome, Payload, RunContext, ToolDetails, Totals,
        TraceContext, decision,
    },
    redact,
    session::{SharedState, StateChange},
};

/// The longest result that a model is shown, in bytes; a longer one loses its middle.
pub(crate) const MAX_OUTPUT_BYTES: usize = 256 * 1024;

/// The most that a model is told of why its arguments do not fit, in bytes: that may quote them, however long they are.
const MAX_UNFIT_BYTES: usize = 2_000;

/// What the words in the place of a middle take at most, in bytes.
const CUT_BYTES: usize = 64;

/// A call that is to be made.
#[derive(Clone)]
pub(crate) struct Calling<'a> {
    /// What the call's operation hangs under.
    pub(crate) context: &'a RunContext,
    /// `None` where there is no tool of that name.
    pub(crate) tool: Option<&'a ToolHandle>,
    pub(crate) call: &'a ToolCall,
    /// The call's place in the run, the same whenever it is made again: its idempotency key is made of it.
    pub(crate) path: Arc<str>,
    /// Whether a person allowed it.
    pub(crate) is_approved: bool,
    /// Since when it waits for its turn.
    pub(crate) queued: Instant,
    pub(crate) state: &'a State,
    /// What it passes before the tool is called.
    pub(crate) scheduler: Option<&'a ToolScheduler>,
}

/// What came of a call.
#[derive(Debug)]
pub(crate) struct Performed {
    pub(crate) result: Result<ToolOutput, ToolError>,
    /// Whether the call has no result yet: it asks a person first, or an agent inside it paused with the run. It is made again
    /// later, and counts then.
    pub(crate) goes_on: bool,
    pub(crate) took: Duration,
    /// What it came to, with everything inside it.
    pub(crate) spent: Totals,
    /// How it changed the shared state.
    pub(crate) changes: Vec<StateChange>,
}

/// Makes a call for whoever is no agent: counts it in the budgets that cap calls, opens its operation, and calls the tool.
///
/// The output is as long as the tool made it. A budget that does not admit the call is an error of the kind
/// [`Budget`](ToolErrorKind::Budget), without an operation. Dropping the future drops the tool's, and ends the operation as
/// cancelled.
pub(crate) async fn perform(calling: Calling<'_>) -> Performed {
    match seat(calling.context, &calling.call.name).await {
        Ok(seat) => calling.make(seat).await,
        Err(refused) => Performed {
            result: Err(refused.into()),
            goes_on: false,
            took: Duration::ZERO,
            spent: Totals::default(),
            changes: Vec::new(),
        },
    }
}

/// What a call takes the place of.
struct Instead {
    tool: Arc<str>,
    trace: TraceContext,
    class: &'static str,
}

impl Calling<'_> {
    /// Makes the call in its own operation, and where it fails and the scheduler knows a fallback, that in another. `seat` is its
    /// place in the budgets that cap calls, from [`seat`].
    pub(crate) async fn make(self, seat: Option<Reservation>) -> Performed {
        let (performed, trace) = self.once(seat, None).await;
        match (&performed.result, self.tool, self.scheduler) {
            (Err(error), Some(tool), Some(scheduler)) if !performed.goes_on => {
                let others = scheduler.fallbacks(tool, error.kind());
                if others.is_empty() {
                    return performed;
                }
                Box::pin(self.fall_back(performed, trace, others)).await
            }
            _ => performed,
        }
    }

    /// Calls one tool after the other in the place of one that failed.
    async fn fall_back(
        &self,
        mut last: Performed,
        mut trace: TraceContext,
        others: Vec<ToolHandle>,
    ) -> Performed {
        let (Some(first), Some(scheduler)) = (self.tool, self.scheduler) else {
            return last;
        };
        let mut before = first.spec().name.clone();
        for other in &others {
            let Err(error) = &last.result else { break };
            let context = self.context;
            let is_over = context.cancellation().is_cancelled()
                || context.time_left().is_some_and(|left| left.is_zero());
            if is_over || !may_help(error.kind()) {
                break;
            }
            // What the first one said is what the model is told.
            let Ok(seat) = seat(context, &other.spec().name).await else {
                break;
            };
            scheduler.falls_back(first);
            let instead = Instead {
                tool: before,
                trace,
                class: error.kind().as_str(),
            };
            let calling = Calling {
                tool: Some(other),
                queued: Instant::now(),
                ..self.clone()
            };
            let (mut performed, own) = calling.once(seat, Some(instead)).await;
            performed.took += last.took;
            performed.spent.add(&last.spent);
            last.changes.append(&mut performed.changes);
            performed.changes = last.changes;
            (last, trace, before) = (performed, own, other.spec().name.clone());
        }
        last
    }

    /// Makes the call of one tool in its own operation.
    async fn once(
        &self,
        mut seat: Option<Reservation>,
        instead: Option<Instead>,
    ) -> (Performed, TraceContext) {
        let context = self.context.clone().with_child_cancellation();
        let context = context.inside_tool(&self.path);
        // A call that is over, or dropped, tells whatever it has set going.
        let over = context.cancellation().clone().drop_guard();
        let operation = self.begin(context, instead);
        // It counts from now on, however it ends.
        if let Some(seat) = &mut seat {
            seat.begin();
        }
        let info = operation.info();
        let (started, trace) = (info.started_at, info.trace);
        let waited = started.saturating_duration_since(self.queued);
        operation.record(|facts| facts.queued = Some(waited));
        let (state, shared) = forked(self.state);
        let result = self.call(&operation, state).await.map_err(bounded);
        drop(over);
        let (outcome, goes_on) = self.judge(&result);
        let closed = match &result {
            _ if goes_on => operation.close(outcome, Payload::None),
            Ok(output) => operation.close(
                outcome,
                Payload::Result(&cut(output.content.as_str(), MAX_OUTPUT_BYTES)),
            ),
            Err(error) => {
                let class = error.kind().as_str();
                let handle = operation.handle();
                handle.fail(class, format!("the tool call failed: {class}"));
                operation.close(
                    outcome,
                    Payload::Result(&cut(&error.to_string(), MAX_OUTPUT_BYTES)),
                )
            }
        };
        if goes_on && let Some(seat) = seat {
            seat.release();
        }
        let performed = Performed {
            result,
            goes_on,
            took: started.elapsed(),
            spent: closed.totals(),
            changes: shared.map(|it| it.take_changes()).unwrap_or_default(),
        };
        (performed, trace)
    }

    fn begin(&self, context: RunContext, instead: Option<Instead>) -> Operation {
        let details = ToolDetails {
            call_id: Some(self.call.id.clone()),
            description: self.tool.map(|tool| tool.spec().description.clone()),
            tool_type: None,
        };
        let limit = self.tool.and_then(|tool| match self.scheduler {
            Some(scheduler) => scheduler.time_for(tool),
            None => Some(tool.options().timeout),
        });
        let context = match limit {
            Some(limit) => context.with_timeout(limit),
            None => context,
        };
        let start = context
            .start(Kind::Tool, shown_name(self.tool, self.call))
            .details(Details::Tool(details))
            .payload(Payload::Arguments(&self.call.arguments));
        let Some(instead) = instead else {
            return start.begin();
        };
        let operation = start.link(instead.trace).begin();
        decision::tool_fallback(&operation, &instead.tool, instead.class);
        operation.record(|facts| {
            facts.fallback_for = Some(instead.tool);
            facts.fallback_reason = Some(instead.class);
        });
        operation
    }

    async fn call(&self, operation: &Operation, state: State) -> Result<ToolOutput, ToolError> {
        let Some(tool) = self.tool else {
            return Err(ToolError::new(
                ToolErrorKind::UnknownTool,
                "there is no such tool here; use one of those that were offered",
            ));
        };
        let context = ToolContext::new(
            operation.handle(),
            self.call.id.clone(),
            state,
            self.path.clone(),
            self.is_approved,
        );
        match self.scheduler {
            Some(scheduler) => scheduler.pass(tool, context, &self.call.arguments).await,
            None => guarded(tool, context, &self.call.arguments).await,
        }
    }

    /// How the operation ends, and whether the call goes on later.
    fn judge(&self, result: &Result<ToolOutput, ToolError>) -> (Outcome, bool) {
        let within = self.context.within();
        let Err(error) = result else {
            return (Outcome::Ok, false);
        };
        match error.kind() {
            ToolErrorKind::Paused if within.is_some_and(|within| within.pausing().is_some()) => {
                (Outcome::Paused, true)
            }
            // A tool that asks again although it was allowed has failed.
            ToolErrorKind::NeedsApproval if !self.is_approved => (Outcome::Paused, true),
            kind => (outcome_of(kind), false),
        }
    }
}

fn outcome_of(error: ToolErrorKind) -> Outcome {
    match error {
        ToolErrorKind::Timeout => Outcome::Timeout,
        ToolErrorKind::Cancelled => Outcome::Cancelled,
        ToolErrorKind::Limit => Outcome::Limit,
        ToolErrorKind::Budget => Outcome::Budget,
        _ => Outcome::Error,
    }
}

/// Puts a call aside in the budgets that cap them.
pub(super) async fn seat(
    context: &RunContext,
    tool: &Arc<str>,
) -> Result<Option<Reservation>, BudgetError> {
    let ledger = context.ledger();
    let Some(ledger) = ledger.filter(|ledger| ledger.caps(Measure::ToolCalls)) else {
        return Ok(None);
    };
    let one = ledger.reserve(context, Amounts::one_tool_call(), tool.clone());
    let seat = Box::pin(one).await.map(Some);
    seat.inspect_err(|refused| {
        decision::budget_refused(context, refused.budget(), "the tool call");
    })
}

/// The application's state for one call, in which it has the shared state to itself.
fn forked(state: &State) -> (State, Option<Arc<SharedState>>) {
    let mut state = state.clone();
    let shared = state.get::<SharedState>().map(|all| Arc::new(all.fork()));
    if let Some(shared) = &shared {
        state.insert(shared.clone());
    }
    (state, shared)
}

/// Calls a tool so that it can neither panic nor take longer than its time and that of its context.
pub(super) async fn guarded(
    tool: &ToolHandle,
    context: ToolContext,
    arguments: &str,
) -> Result<ToolOutput, ToolError> {
    let (span, left) = (context.span().clone(), context.run().time_left());
    // A tool's own code may panic when it is called, not only when it is polled.
    let work = AssertUnwindSafe(async { tool.call(context, arguments).await }).catch_unwind();
    let timeout = tool.options().timeout;
    let limit = left.map_or(timeout, |left| left.min(timeout));
    match tokio::time::timeout(limit, work.in_span(span)).await {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => Err(ToolError::new(ToolErrorKind::Panic, "the tool panicked")),
        Err(_) => Err(ToolError::new(
            ToolErrorKind::Timeout,
            format!("the tool did not answer within {limit:?}"),
        )),
    }
}

/// What a call's operation is named. The name of a tool that is not there is a model's text, unless it could be one's name.
fn shown_name(tool: Option<&ToolHandle>, call: &ToolCall) -> Arc<str> {
    match tool {
        Some(tool) => tool.spec().name.clone(),
        None => match shown(&call.name) {
            other if *other != *call.name => other.into(),
            _ => call.name.clone(),
        },
    }
}

/// A name that a model gave a tool, or `other` where it could not be a tool's and so may say anything.
pub(crate) fn shown(name: &str) -> &str {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    let is_name =
        (1..=64).contains(&name.len()) && name.bytes().all(letter) && redact::keys(name) == *name;
    if is_name { name } else { "other" }
}

/// An error as it is told: one about arguments that do not fit is short, whatever the tool made of them.
fn bounded(error: ToolError) -> ToolError {
    if error.kind() != ToolErrorKind::InvalidArguments {
        return error;
    }
    match cut(error.message(), MAX_UNFIT_BYTES) {
        Cow::Borrowed(_) => error,
        Cow::Owned(short) => ToolError::invalid_arguments(short),
    }
}

/// Cuts the middle out of a result that is too long for a model; what comes out is not.
pub(super) fn shorten(text: String) -> String {
    match cut(&text, MAX_OUTPUT_BYTES) {
        Cow::Borrowed(_) => text,
        Cow::Owned(short) => short,
    }
}

/// A text of at most so many bytes; a longer one loses its middle.
fn cut(text: &str, most: usize) -> Cow<'_, str> {
    if text.len() <= most {
        return Cow::Borrowed(text);
    }
    let half = most.saturating_sub(CUT_BYTES) / 2;
    let head = text.floor_char_boundary(half);
    let tail = text.ceil_char_boundary(text.len() - half);
    let (head, tail) = (
        text.get(..head).unwrap_or(""),
        text.get(tail..).unwrap_or(""),
    );
    let cut = text.len() - head.len() - tail.len();
    Cow::Owned(format!("{head}\n[… {cut} bytes cut …]\n{tail}"))
}
