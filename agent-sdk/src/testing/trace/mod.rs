//! An observer that keeps the operations of runs.

mod check;
mod render;
#[cfg(test)]
mod tests;

use std::{
    borrow::Cow,
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    cost::Usd,
    model::{FinishReason, Usage},
    operation::{
        Facts, FixedClock, Kind, Observer, Observers, OperationId, OperationInfo, OperationRecord,
        Outcome, Payload, RunContext, RunId, Totals, TraceContext,
    },
};

/// An [`Observer`] that keeps every operation, without content, and shows them as a tree. Clones share what is kept.
///
/// It may watch several runs, one after the other or at once; each has its own tree, in the order of their starts.
///
/// # Example
///
/// ```
/// use agent_sdk::{operation::{trace_agent, trace_tool}, testing::TraceCapture};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let trace = TraceCapture::new();
/// let result = trace_agent(&trace.context(), "triage")
///     .run(async |agent| {
///         trace_tool(agent.context(), "search")
///             .run(async |tool| {
///                 tool.fail("not_found", "no such page");
///                 Err::<(), _>("no such page")
///             })
///             .await
///             .or(Ok::<_, ()>(()))
///     })
///     .await;
/// assert!(result.is_ok());
/// assert_eq!(trace.tree(), "\
/// invoke_agent triage
///   execute_tool search  error=not_found
/// ");
/// # }
/// ```
#[derive(Clone, Default)]
pub struct TraceCapture(Arc<Mutex<Log>>);

/// An operation that a [`TraceCapture`] has seen. What is only known at its end is empty while it is open.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CapturedOperation {
    /// The run.
    pub run_id: RunId,
    /// Its number within the run.
    pub id: OperationId,
    /// The operation around it.
    pub parent: Option<OperationId>,
    /// How many operations are around it.
    pub depth: usize,
    /// What it is.
    pub kind: Kind,
    /// The agent's, model's or tool's name.
    pub name: Arc<str>,
    /// The name of its span, for example `execute_tool search`.
    pub span_name: String,
    /// Its place in the trace.
    pub trace: TraceContext,
    /// The span it hangs under.
    pub parent_trace: Option<TraceContext>,
    /// The operations that it waited for or replaces.
    pub links: Vec<TraceContext>,
    /// The agent that it belongs to.
    pub agent: Option<Arc<str>>,
    /// The run's and its own tags, in the order in which they were given.
    pub tags: Vec<(Arc<str>, Arc<str>)>,
    /// When it started, from the first start that was seen.
    pub start: Duration,
    /// When it ended, from the first start that was seen.
    pub end: Option<Duration>,
    /// The place of its start among all starts and ends that were seen, from 0.
    pub started_as: usize,
    /// The place of its end among all starts and ends that were seen.
    pub ended_as: Option<usize>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// The class of its failure.
    pub error: Option<Cow<'static, str>>,
    /// What it used itself.
    pub usage: Usage,
    /// What it cost itself; `None` where unknown.
    pub cost: Option<Usd>,
    /// Sums over it and everything inside it.
    pub totals: Totals,
    /// Why the model stopped.
    pub finish_reasons: Vec<FinishReason>,
    /// From its start to the first piece of the answer.
    pub first_chunk: Option<Duration>,
    /// How long it waited for its turn.
    pub queued: Option<Duration>,
    /// All that was learnt of it.
    pub facts: Facts,
}

#[derive(Default)]
struct Log {
    origin: Option<Instant>,
    operations: Vec<CapturedOperation>,
    /// The place in `operations` of each.
    places: HashMap<(RunId, OperationId), usize>,
    /// How many starts and ends there were.
    seen: usize,
    /// What must never happen, in words.
    problems: Vec<String>,
}

impl TraceCapture {
    /// An empty capture.
    pub fn new() -> Self {
        Self::default()
    }

    /// This capture as the only observer.
    pub fn observers(&self) -> Observers {
        Observers::none().with(self.clone())
    }

    /// A new run that only this capture watches, whose wall clock begins at 2027-01-15 08:00 UTC.
    pub fn context(&self) -> RunContext {
        RunContext::builder()
            .observers(self.observers())
            .clock(FixedClock::at(1_800_000_000))
            .build()
    }

    /// All operations so far, in the order of their starts.
    pub fn operations(&self) -> Vec<CapturedOperation> {
        self.lock().operations.clone()
    }

    /// The first operation whose span has this name, for example `execute_tool search`.
    pub fn find(&self, span_name: &str) -> Option<CapturedOperation> {
        let log = self.lock();
        let found = log.operations.iter().find(|op| op.span_name == span_name);
        found.cloned()
    }

    /// How many operations are open.
    pub fn open(&self) -> usize {
        let log = self.lock();
        log.operations.iter().filter(|op| op.is_open()).count()
    }

    /// Forgets everything.
    pub fn clear(&self) {
        *self.lock() = Log::default();
    }

    fn lock(&self) -> MutexGuard<'_, Log> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CapturedOperation {
    /// Whether it has not ended.
    pub fn is_open(&self) -> bool {
        self.ended_as.is_none()
    }

    /// From its start to its end.
    pub fn duration(&self) -> Option<Duration> {
        Some(self.end?.saturating_sub(self.start))
    }
}

impl Log {
    fn parent(&self, operation: &CapturedOperation) -> Option<&CapturedOperation> {
        let place = self
            .places
            .get(&(operation.run_id.clone(), operation.parent?))?;
        self.operations.get(*place)
    }

    fn next(&mut self) -> usize {
        self.seen += 1;
        self.seen - 1
    }
}

impl Observer for TraceCapture {
    fn started(&self, info: &OperationInfo, _: Payload<'_>) {
        let mut log = self.lock();
        let origin = *log.origin.get_or_insert(info.started_at);
        let mut operation = CapturedOperation {
            run_id: info.run_id.clone(),
            id: info.id,
            parent: info.parent,
            depth: 0,
            kind: info.kind,
            name: info.name.clone(),
            span_name: info.span_name().into_owned(),
            trace: info.trace,
            parent_trace: info.parent_trace,
            links: info.links.clone(),
            agent: info.agent.clone(),
            tags: info.labels.tags.clone(),
            start: info.started_at.saturating_duration_since(origin),
            end: None,
            started_as: log.next(),
            ended_as: None,
            outcome: None,
            error: None,
            usage: Usage::unknown(),
            cost: None,
            totals: Totals::default(),
            finish_reasons: Vec::new(),
            first_chunk: None,
            queued: None,
            facts: Facts::default(),
        };
        operation.depth = log.parent(&operation).map_or(0, |parent| parent.depth + 1);
        log.check_start(&operation);
        let place = log.operations.len();
        log.places.insert((info.run_id.clone(), info.id), place);
        log.operations.push(operation);
    }

    fn ended(&self, record: &OperationRecord<'_>, _: Payload<'_>) {
        let mut log = self.lock();
        let OperationRecord { info, facts, .. } = record;
        let ended_as = log.next();
        let origin = *log.origin.get_or_insert(info.started_at);
        log.check_end(info);
        let place = log.places.get(&(info.run_id.clone(), info.id)).copied();
        let Some(operation) = place.and_then(|place| log.operations.get_mut(place)) else {
            return;
        };
        let end = info.started_at + record.duration;
        operation.end = Some(end.saturating_duration_since(origin));
        operation.ended_as = Some(ended_as);
        operation.outcome = Some(record.outcome);
        operation.error = facts.error.as_ref().map(|failure| failure.class.clone());
        operation.usage = facts.usage;
        operation.cost = record.cost.map(|cost| cost.total);
        operation.totals = *record.totals;
        operation.finish_reasons.clone_from(&facts.finish_reasons);
        operation.first_chunk = facts.first_chunk;
        operation.queued = facts.queued;
        operation.facts = (*facts).clone();
    }
}

impl fmt::Debug for TraceCapture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TraceCapture")
            .field("operations", &self.lock().operations.len())
            .finish_non_exhaustive()
    }
}
