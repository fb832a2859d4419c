//! The calls of one turn, run beside each other.
//!
//! At most so many at once, exclusive ones as barriers in call order, each within its own time. They are polled inside the run's
//! own future, so dropping the run drops them first. Whatever a tool does, its call has exactly one result.

use std::{collections::VecDeque, time::Duration};

use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use tokio::time::Instant;

use super::{
    Concurrency, Effect, State, ToolErrorKind, ToolHandle, ToolScheduler, ToolSet,
    perform::{Calling, Performed, seat, shorten},
};
use crate::{
    budget::BudgetError,
    journal::{Journal, Record},
    message::{ToolCall, ToolResult},
    operation::{RunContext, Totals, decision},
    run::Within,
    session::StateChange,
    store::StoreError,
};

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
    /// What each call passes first.
    pub(crate) scheduler: Option<&'a ToolScheduler>,
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
    let seat = match seat(turn.context, &call.name).await {
        Ok(seat) => seat,
        Err(error) => return Returned::Refused(error),
    };
    if let Some((within, journal)) = journal
        && let Err(error) = Box::pin(announce(journal, within, tool, admitted.place)).await
    {
        return Returned::NotJournaled(error);
    }
    let calling = Calling {
        context: turn.context,
        tool,
        call,
        path: path.clone(),
        is_approved: admitted.is_approved,
        queued,
        state: turn.state,
        scheduler: turn.scheduler,
    };
    let Performed {
        result,
        goes_on,
        took,
        spent,
        changes,
    } = calling.make(seat).await;
    let result = match result {
        Err(error) if goes_on && error.kind() == ToolErrorKind::NeedsApproval => {
            return Returned::Asks(error.message().to_owned());
        }
        Err(_) if goes_on => return Returned::Paused,
        Ok(output) => ToolResult::ok(call, shorten(output.content.into_string())),
        Err(error) => ToolResult::error(call, shorten(error.to_string())),
    };
    let kept = journal.map(|(_, journal)| journal.kept_inside(&path));
    Returned::Result(Finished {
        result,
        took,
        spent: spent.since(&kept.unwrap_or_default()),
        changes,
    })
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
