//! The one seam: everything that happens is an operation, everything that watches is an observer.
//!
//! An [`Operation`] is a guard. Starting it opens a `tracing` span and tells every [`Observer`]; ending, failing or dropping it
//! tells them again, with exactly one [`Outcome`], and closes the span. Agents, models and tools open theirs through a
//! [`RunContext`]; [`trace_agent`], [`trace_chat`] and [`trace_tool`] do it around code that knows nothing of this crate.
//!
//! Promises, whatever happens, a panic or a dropped future included:
//! - each operation that starts ends exactly once, and ends its open descendants first;
//! - observers hear of it in order, one call at a time within a run;
//! - nothing is built for an observer that is not there.

mod asked;
mod builder;
mod carried;
mod clock;
mod context;
pub mod decision;
mod details;
mod event;
mod foreign;
mod handed;
mod id;
mod in_span;
mod incoming;
mod inside;
mod kind;
mod member;
mod observer;
mod plan_event;
mod propagation;
mod record;
mod run;
mod shared;
#[cfg(test)]
mod tests;
mod watching;

use std::{
    borrow::Cow,
    sync::{Arc, atomic::Ordering},
};

pub use tokio_util::sync::CancellationToken;
use tracing::Span;

pub use builder::RunContextBuilder;
pub use carried::{Baggage, TraceState};
pub use clock::{Clock, FixedClock, SystemClock};
pub use context::{RunContext, Start};
pub use details::{
    AgentDetails, AttemptDetails, ChatDetails, Details, EmbeddingDetails, MemoryDetails,
    MemoryOperation, RetrievalDetails, StepDetails, ToolDetails, WorkflowDetails,
};
pub use event::{Event, EventKind};
pub use foreign::{
    Traced, TracedStream, trace_agent, trace_chat, trace_embeddings, trace_memory, trace_plan,
    trace_retrieval, trace_step, trace_tool, trace_workflow,
};
pub(crate) use handed::Attempt;
pub use id::{
    IdSource, Identity, InvalidTraceparent, Opening, OperationId, RandomIds, RunId, SpanId,
    TraceContext, TraceId,
};
pub(crate) use in_span::InSpan;
pub use incoming::{Ignored, Incoming};
pub(crate) use inside::{Inside, Joined};
pub use kind::{Kind, Outcome};
pub(crate) use member::Member;
pub use observer::{Interests, Observer, Observers};
pub use plan_event::{PlannedStep, StepEnded, StepStarted, WorkflowEnded, WorkflowStarted};
pub use propagation::{InvalidHost, Propagation};
pub use record::{
    Facts, Failure, Labels, OperationInfo, OperationRecord, Payload, PlanTimes, Totals, Try,
};
use run::Ended;
pub(crate) use run::{Billed, Closed, Run};
pub(crate) use shared::Shared;
pub(crate) use watching::Watching;

use crate::{
    cost::{Cost, PriceBook, UsageBound, Usd},
    model::{ModelInfo, Usage},
    run::RunReport,
};

/// Something that runs, from its start to its one end.
///
/// Dropping it without ending it ends it as cancelled, or as a panic while the thread unwinds.
#[derive(Debug)]
#[must_use = "an operation that is dropped at once ends at once, as cancelled"]
pub struct Operation {
    handle: OperationHandle,
}

/// A handle to an operation that adds what is learnt of it. Cheap to clone; after the operation's end it does nothing.
#[derive(Clone)]
pub struct OperationHandle {
    run: Arc<Run>,
    shared: Arc<Shared>,
    context: RunContext,
    /// Of a request inside a request, whose operation `shared` is.
    joined: Option<Arc<Joined>>,
}

impl Operation {
    /// What was known at its start.
    pub fn info(&self) -> &OperationInfo {
        &self.handle.shared.info
    }

    /// Its tracing span, to instrument futures with.
    pub fn span(&self) -> &Span {
        &self.handle.shared.info.span
    }

    /// The context in which its children start.
    pub fn context(&self) -> &RunContext {
        &self.handle.context
    }

    /// A handle that outlives the guard's borrow.
    pub fn handle(&self) -> OperationHandle {
        self.handle.clone()
    }

    /// Adds what is learnt of it.
    pub fn record(&self, learn: impl FnOnce(&mut Facts)) {
        self.handle.record(learn);
    }

    /// Hands on a piece of text that it wrote.
    pub fn text(&self, delta: &str) {
        self.handle.text(delta, false);
    }

    /// Hands on a piece of reasoning that it showed.
    pub fn reasoning(&self, delta: &str) {
        self.handle.text(delta, true);
    }

    /// The prices that were in place when it began.
    pub(crate) fn prices(&self) -> &PriceBook {
        let own = self.handle.shared.prices.as_ref();
        own.unwrap_or(&self.handle.run.prices)
    }

    /// Ends it.
    pub fn end(self, outcome: Outcome, payload: Payload<'_>) {
        self.handle.end(outcome, payload, false);
    }

    /// Ends it and answers with the sums over it and everything inside it, and when that was.
    pub(crate) fn close(self, outcome: Outcome, payload: Payload<'_>) -> Closed {
        let ended = self.handle.end(outcome, payload, false);
        // Where something else ended it before, nobody here knows what it came to.
        ended.map_or_else(Closed::now, |ended| ended.closed)
    }

    /// Ends it as failed.
    pub fn fail(self, class: impl Into<Cow<'static, str>>, message: impl Into<String>) {
        self.handle.fail(class, message);
        self.end(Outcome::Error, Payload::None);
    }

    /// Ends it and sums up what happened inside. If something else ended it before, there is nothing to sum up: the report
    /// is empty and says that it was cancelled.
    pub fn report(self, outcome: Outcome, payload: Payload<'_>) -> RunReport {
        let report = self.handle.end(outcome, payload, true);
        let report = report.and_then(|ended| ended.report);
        report.map_or_else(|| RunReport::given_up(self.info()), |report| *report)
    }
}

impl Drop for Operation {
    fn drop(&mut self) {
        let outcome = if std::thread::panicking() {
            self.handle.fail("panic", "the code inside panicked");
            Outcome::Error
        } else {
            Outcome::Cancelled
        };
        self.handle.end(outcome, Payload::None, false);
    }
}

impl OperationHandle {
    fn end(&self, outcome: Outcome, payload: Payload<'_>, report: bool) -> Option<Ended> {
        match &self.joined {
            Some(joined) => {
                let run = &self.run;
                run.end_joined(&self.shared, joined, outcome, payload, report)
            }
            None => self.run.end(&self.shared, outcome, payload, report),
        }
    }

    /// Of a request inside a request only where the outer one says nothing itself.
    fn text(&self, delta: &str, reasoning: bool) {
        if self.joined.is_none() || !self.shared.speaks {
            self.run.text(&self.shared.info, delta, reasoning);
        }
    }

    /// The model that is asked.
    fn model(&self) -> Option<&Arc<ModelInfo>> {
        match &self.joined {
            Some(joined) => joined.model.as_ref(),
            None => self.shared.info.details.model(),
        }
    }

    /// Whether a budget has put something aside already for the request that this is a part of.
    pub(crate) fn is_admitted_around(&self) -> bool {
        self.joined.is_some() && self.shared.admitted.load(Ordering::Relaxed)
    }

    /// Says that a budget has put something aside for the request.
    pub(crate) fn admitted(&self) {
        self.shared.admitted.store(true, Ordering::Relaxed);
    }

    /// What was known at its start.
    pub fn info(&self) -> &OperationInfo {
        &self.shared.info
    }

    /// The context in which its children start.
    pub fn context(&self) -> &RunContext {
        &self.context
    }

    /// The same operation, whose children start in a context that was changed.
    #[must_use]
    pub(crate) fn in_context(mut self, change: impl FnOnce(RunContext) -> RunContext) -> Self {
        self.context = change(self.context);
        self
    }

    /// Adds what is learnt of the operation. From inside an observer it does nothing.
    pub fn record(&self, learn: impl FnOnce(&mut Facts)) {
        match &self.joined {
            _ if run::is_observing() => {}
            Some(joined) => joined.record(learn),
            None => self.shared.record(learn),
        }
    }

    /// What the request that this is would cost.
    pub(crate) fn price(&self, billed: &Billed<'_>) -> Option<Cost> {
        self.run.price(&self.shared, self.model(), billed)
    }

    /// The cost of so much use, with another total: the most that it can have been.
    pub(crate) fn estimated(&self, bound: &UsageBound, most: Usd) -> Option<Cost> {
        let usage = Usage::new(bound.input_tokens, bound.output_tokens);
        let billed = Billed {
            usage: &usage,
            side_usage: &[],
            response_model: None,
            service_tier: None,
            provider_cost: None,
        };
        Some(self.price(&billed)?.estimated(most))
    }

    /// Says what the try is charged, where nobody knows what it used.
    pub(crate) fn estimate(&self, cost: Option<Cost>) {
        self.record(|facts| facts.estimate = cost.map(Box::new));
    }

    /// Adds to what a model request used.
    pub fn record_usage(&self, usage: Usage) {
        self.record(|facts| facts.usage.add(&usage));
    }

    /// Names the class and the words of a failure; a later one does not replace an earlier one.
    pub fn fail(&self, class: impl Into<Cow<'static, str>>, message: impl Into<String>) {
        self.record(|facts| {
            facts
                .error
                .get_or_insert_with(|| Failure::new(class, message));
        });
    }
}

/// Shows what an operation came to so far. It holds the run but no context of it.
pub(crate) struct Meter {
    run: Arc<Run>,
    id: OperationId,
}

impl Meter {
    pub(crate) fn of(operation: &Operation) -> Self {
        Self {
            run: operation.handle.run.clone(),
            id: operation.info().id,
        }
    }

    pub(crate) fn totals(&self) -> Totals {
        self.run.totals(self.id)
    }

    /// The number of the last event.
    pub(crate) fn seq(&self) -> u64 {
        self.run.seq()
    }

    /// The number that the last event will have once the operation has ended.
    pub(crate) fn seq_after(&self) -> u64 {
        self.run.seq_after(self.id)
    }
}

impl std::fmt::Debug for OperationHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OperationHandle")
            .field("info", &self.shared.info)
            .finish_non_exhaustive()
    }
}
