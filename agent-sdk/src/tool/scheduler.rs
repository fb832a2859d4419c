//! The calls of one turn, run beside each other.
//!
//! At most so many at once, exclusive ones as barriers in call order, each within its own time. They are polled inside the run's
//! own future, so dropping the run drops them first. Whatever a tool does, its call has exactly one result.

use std::{
    collections::{HashMap, VecDeque},
    panic::AssertUnwindSafe,
    sync::Arc,
    time::Duration,
};

use crate::operation::InSpan;
use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use tokio::time::Instant;

use super::{
    Concurrency, Effect, State, ToolContext, ToolError, ToolErrorKind, ToolHandle, ToolOutput,
};
use crate::{
    budget::{Amounts, BudgetError, Measure, Reservation},
    journal::{Journal, Record},
    message::{ToolCall, ToolResult},
    model::ToolSpec,
    operation::{
        Details, Kind, Operation, Outcome, Payload, RunContext, ToolDetails, Totals, decision,
    },
    redact,
    run::Within,
    session::{SharedState, StateChange},
    store::StoreError,
};

/// The longest result that a model is shown, in bytes; a longer one loses its middle.
pub(crate) const MAX_OUTPUT_BYTES: usize = 256 * 1024;

/// What the words in the place of a middle take at most, in bytes.
const CUT_BYTES: usize = 64;

/// The tools of an agent. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct ToolSet {
    specs: Arc<[ToolSpec]>,
    by_name: Arc<HashMap<Arc<str>, ToolHandle>>,
}

impl ToolSet {
    /// `Err` is the name that two of them share.
    pub(crate) fn new(tools: Vec<ToolHandle>) -> Result<Self, Arc<str>> {
        let specs = tools.iter().map(|tool| tool.spec().clone()).collect();
        let mut by_name = HashMap::with_capacity(tools.len());
        for tool in tools {
            let name = tool.spec().name.clone();
            if by_name.insert(name.clone(), tool).is_some() {
                return Err(name);
            }
        }
        Ok(Self {
            specs,
            by_name: Arc::new(by_name),
        })
    }

    pub(crate) fn specs(&self) -> &Arc<[ToolSpec]> {
        &self.specs
    }

    pub(crate) fn get(&self, name: &str) -> Option<&ToolHandle> {
        self.by_name.get(name)
    }

    /// Other tools in the place of these, with the same specs.
    pub(crate) fn map(&self, other: impl Fn(&ToolHandle) -> ToolHandle) -> Self {
        let by_name = self.by_name.iter();
        let by_name = by_name.map(|(name, tool)| (name.clone(), other(tool)));
        Self {
            specs: self.specs.clone(),
            by_name: Arc::new(by_name.collect()),
        }
    }

    /// These as well, in place of those of the same names.
    #[cfg(feature = "workspace")]
    pub(crate) fn with(&self, tools: Vec<ToolHandle>) -> Self {
        let mut by_name = HashMap::clone(&self.by_name);
        let is_kept = |spec: &&ToolSpec| tools.iter().all(|tool| tool.spec().name != spec.name);
        let kept = self.specs.iter().filter(is_kept).cloned();
        let specs = kept.chain(tools.iter().map(|tool| tool.spec().clone()));
        let specs = specs.collect();
        by_name.extend(
            tools
                .into_iter()
                .map(|tool| (tool.spec().name.clone(), tool)),
        );
        Self {
            specs,
            by_name: Arc::new(by_name),
        }
    }

    /// Only the named ones.
    pub(crate) fn only(&self, names: &[Arc<str>]) -> Self {
        let specs: Arc<[_]> = self
            .specs
            .iter()
            .filter(|spec| names.contains(&spec.name))
            .cloned()
            .collect();
        let mut by_name = HashMap::clone(&self.by_name);
        by_name.retain(|name, _| names.contains(name));
        Self {
            specs,
            by_name: Arc::new(by_name),
        }
    }
}

/// The calls of one turn while they run; yields what comes of each, with the place of its call.
pub(crate) struct Batch<'a> {
    turn: Turn<'a>,
    waiting: VecDeque<Admitted>,
    running: FuturesUnordered<BoxFuture<'a, (usize, Returned)>>,
    alone: bool,
    queued: Instant,
    /// Whether it was said who waits.
    has_said: bool,
}

/// What the calls of a turn have in common.
#[derive(Clone, Copy)]
pub(crate) struct Turn<'a> {
    pub(crate) context: &'a RunContext,
    pub(crate) tools: &'a ToolSet,
    pub(crate) state: &'a State,
    /// How many run at once.
    pub(crate) width: usize,
    /// The number of the turn, from 1.
    pub(crate) number: u32,
    pub(crate) calls: &'a [ToolCall],
}

/// A call that is to be made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Admitted {
    pub(crate) place: usize,
    /// Whether a person allowed it.
    pub(crate) is_approved: bool,
}

/// What came of a call.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly every call ends in the large one"
)]
pub(crate) enum Returned {
    /// Its result.
    Result(Finished),
    /// The tool asks a person first.
    Asks(String),
    /// An agent inside it paused: it gives its result when the run goes on.
    Paused,
    /// That it begins could not be journaled, so it did not.
    NotJournaled(StoreError),
    /// A budget did not admit it, so it did not begin.
    Refused(BudgetError),
}

/// A call that gave its result.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) result: ToolResult,
    pub(crate) took: Duration,
    /// What it came to, without what agents inside it have kept themselves.
    pub(crate) spent: Totals,
    /// How it changed the shared state.
    pub(crate) changes: Vec<StateChange>,
}

impl<'a> Batch<'a> {
    pub(crate) fn new(turn: Turn<'a>, calls: impl IntoIterator<Item = Admitted>) -> Self {
        Self {
            turn,
            waiting: calls.into_iter().collect(),
            running: FuturesUnordered::new(),
            alone: false,
            queued: Instant::now(),
            has_said: false,
        }
    }

    /// What comes of the next call; `None` when none is left.
    pub(crate) async fn next(&mut self) -> Option<(usize, Returned)> {
        self.admit();
        self.say_who_waits();
        let returned = self.running.next().await;
        self.alone = false;
        returned
    }

    /// Whether nothing is left to wait for.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.running.is_empty()
    }

    /// Adds a call behind the others.
    pub(crate) fn add(&mut self, call: Admitted) {
        self.waiting.push_back(call);
    }

    /// Begins no more calls; those that wait are dropped.
    pub(crate) fn hold(&mut self) {
        self.waiting.clear();
    }

    /// Says once which calls of the turn wait, and for what.
    fn say_who_waits(&mut self) {
        if std::mem::replace(&mut self.has_said, true) {
            return;
        }
        for admitted in &self.waiting {
            let Some(call) = self.turn.calls.get(admitted.place) else {
                continue;
            };
            let behind = if self.alone {
                "an exclusive call is under way"
            } else if self.running.len() < self.turn.width.max(1) {
                "an exclusive call comes first"
            } else {
                "as many calls as may are under way"
            };
            decision::tool_queued(self.turn.context, call, behind);
        }
    }

    fn admit(&mut self) {
        while !self.alone && self.running.len() < self.turn.width.max(1) {
            let Some(&admitted) = self.waiting.front() else {
                return;
            };
            let Some(call) = self.turn.calls.get(admitted.place) else {
                self.waiting.pop_front();
                continue;
            };
            let tool = self.turn.tools.get(&call.name);
            let exclusive =
                tool.is_some_and(|tool| tool.options().concurrency == Concurrency::Exclusive);
            if exclusive && !self.running.is_empty() {
                return;
            }
            self.waiting.pop_front();
            self.alone = exclusive;
            let work = run(self.turn, tool, call, admitted, self.queued);
            self.running
                .push(work.map(move |returned| (admitted.place, returned)).boxed());
        }
    }
}

/// Runs one call to what comes of it.
async fn run(
    turn: Turn<'_>,
    tool: Option<&ToolHandle>,
    call: &ToolCall,
    admitted: Admitted,
    queued: Instant,
) -> Returned {
    let within = turn.context.within();
    let journal = within.and_then(|within| Some((within, within.journal.as_ref()?)));
    let path = turn.context.call_path(turn.number, call.id.as_str());
    let mut seat = match seat(turn.context, call).await {
        Ok(seat) => seat,
        Err(error) => return Returned::Refused(error),
    };
    if let Some((within, journal)) = journal
        && let Err(error) = Box::pin(announce(journal, within, tool, admitted.place)).await
    {
        return Returned::NotJournaled(error);
    }
    let details = ToolDetails {
        call_id: Some(call.id.clone()),
        description: tool.map(|tool| tool.spec().description.clone()),
        tool_type: None,
    };
    let context = turn.context.clone().with_child_cancellation();
    let context = context.inside_tool(&path);
    // A call that is over, or dropped, tells whatever it has set going.
    let over = context.cancellation().clone().drop_guard();
    let timeout = tool.map_or(Duration::ZERO, |tool| tool.options().timeout);
    let context = if tool.is_some() {
        context.with_timeout(timeout)
    } else {
        context
    };
    let operation = context
        .start(Kind::Tool, shown_name(tool, call))
        .details(Details::Tool(details))
        .payload(Payload::Arguments(&call.arguments))
        .begin();
    // It counts from now on, however it ends.
    if let Some(seat) = &mut seat {
        seat.begin();
    }
    let started = operation.info().started_at;
    let waited = started.saturating_duration_since(queued);
    operation.record(|facts| facts.queued = Some(waited));
    let (state, shared) = forked(turn.state);
    let result = match tool {
        Some(tool) => {
            let context = ToolContext::new(
                operation.handle(),
                call.id.clone(),
                state,
                path.clone(),
                admitted.is_approved,
            );
            guarded(tool, &operation, context, call, timeout).await
        }
        None => Err(ToolError::new(
            ToolErrorKind::UnknownTool,
            "there is no such tool here; use one of those that were offered",
        )),
    };
    drop(over);
    let returned = |operation: Operation, outcome, result: ToolResult| {
        let all = operation.close(outcome, Payload::Result(&result.content));
        let kept = journal.map(|(_, journal)| journal.kept_inside(&path));
        let spent = all.since(&kept.unwrap_or_default());
        Returned::Result(Finished {
            result,
            took: started.elapsed(),
            spent,
            changes: shared
                .map(|shared| shared.take_changes())
                .unwrap_or_default(),
        })
    };
    let error = match result {
        Ok(output) => {
            let result = ToolResult::ok(call, shorten(output.content.into_string()));
            return returned(operation, Outcome::Ok, result);
        }
        Err(error) => error,
    };
    match error.kind() {
        ToolErrorKind::Paused if within.is_some_and(|within| within.pausing().is_some()) => {
            operation.end(Outcome::Paused, Payload::None);
            give_back(seat);
            return Returned::Paused;
        }
        // A tool that asks again although it was allowed has failed.
        ToolErrorKind::NeedsApproval if !admitted.is_approved => {
            operation.end(Outcome::Paused, Payload::None);
            give_back(seat);
            return Returned::Asks(error.message().to_owned());
        }
        _ => {}
    }
    let class = error.kind().as_str();
    operation
        .handle()
        .fail(class, format!("the tool call failed: {class}"));
    let result = ToolResult::error(call, shorten(error.to_string()));
    returned(operation, outcome_of(error.kind()), result)
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
async fn seat(context: &RunContext, call: &ToolCall) -> Result<Option<Reservation>, BudgetError> {
    let ledger = context.ledger();
    let Some(ledger) = ledger.filter(|ledger| ledger.caps(Measure::ToolCalls)) else {
        return Ok(None);
    };
    let one = ledger.reserve(context, Amounts::one_tool_call(), call.name.clone());
    let seat = Box::pin(one).await.map(Some);
    seat.inspect_err(|refused| {
        decision::budget_refused(context, refused.budget(), "the tool call");
    })
}

/// A call that paused counts when it goes on.
fn give_back(seat: Option<Reservation>) {
    if let Some(seat) = seat {
        seat.release();
    }
}

/// Journals that a call which writes is about to begin: without a result after it, it is in doubt.
async fn announce(
    journal: &Journal,
    within: &Within,
    tool: Option<&ToolHandle>,
    place: usize,
) -> Result<(), StoreError> {
    if !tool.is_some_and(|tool| tool.options().effect == Effect::Write) {
        return Ok(());
    }
    let record = Record::ToolStarted { place };
    journal
        .commit(&within.path, &[record], Totals::default())
        .await
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

/// Calls a tool so that it can neither panic nor take for ever.
async fn guarded(
    tool: &ToolHandle,
    operation: &Operation,
    context: ToolContext,
    call: &ToolCall,
    timeout: Duration,
) -> Result<ToolOutput, ToolError> {
    // A tool's own code may panic when it is called, not only when it is polled.
    let work = AssertUnwindSafe(async { tool.call(context, &call.arguments).await }).catch_unwind();
    let limit = operation
        .context()
        .time_left()
        .map_or(timeout, |left| left.min(timeout));
    match tokio::time::timeout(limit, work.in_span(operation.span())).await {
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
    match shown(&call.name) {
        other if tool.is_none() && *other != *call.name => other.into(),
        _ => call.name.clone(),
    }
}

/// A name that a model gave a tool, or `other` where it could not be a tool's and so may say anything.
pub(crate) fn shown(name: &str) -> &str {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    let is_name =
        (1..=64).contains(&name.len()) && name.bytes().all(letter) && redact::keys(name) == *name;
    if is_name { name } else { "other" }
}

/// Cuts the middle out of a result that is too long for a model; what comes out is not.
fn shorten(text: String) -> String {
    if text.len() <= MAX_OUTPUT_BYTES {
        return text;
    }
    let half = (MAX_OUTPUT_BYTES - CUT_BYTES) / 2;
    let head = text.floor_char_boundary(half);
    let tail = text.ceil_char_boundary(text.len() - half);
    let (head, tail) = (
        text.get(..head).unwrap_or(""),
        text.get(tail..).unwrap_or(""),
    );
    let cut = text.len() - head.len() - tail.len();
    format!("{head}\n[… {cut} bytes cut …]\n{tail}")
}
