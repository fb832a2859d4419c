//! Polling several runs until all are over.

use std::{
    future::poll_fn,
    iter::Enumerate,
    panic::AssertUnwindSafe,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use tokio::time::Instant;

use super::{Parallel, ParallelReport, Queues};
use crate::{
    budget::{Budget, BudgetError, Ledger},
    operation::{Failure, Kind, Member, Operation, Outcome, Payload, RunContext},
    run::{Cause, Feed, RunError, RunReport, RunRequest},
};

/// What a run came to.
type Ended = Result<RunReport, RunError>;

/// A run that is over: which, how long it took, and what it came to.
type Over = (usize, Duration, Ended);

/// Runs all of them to their ends; with queues, no faster than those are read.
pub(super) async fn drive(parallel: Parallel<'_>, queues: Option<Arc<Queues>>) -> ParallelReport {
    let Parallel {
        name,
        runs,
        width,
        stops_on_failure,
        context,
        cancellation,
        timeout,
        budgets,
    } = parallel;
    let given = context.or_else(|| runs.iter().find_map(|run| run.given_context().cloned()));
    let asks_agents = given.is_none() && budgets.is_empty();
    let context = given.unwrap_or_else(|| {
        let first = runs.first();
        first.map_or_else(RunContext::new, RunRequest::agents_context)
    });
    let (context, refused) = admit(context, budgets);
    let operation = context.start(Kind::Workflow, name).begin();
    let mut inner = operation.context().clone().with_child_cancellation();
    if let Some(timeout) = timeout {
        inner = inner.with_timeout(timeout);
    }
    // Whatever the runs have set going learns that all is over, also where all is dropped.
    let _over = inner.cancellation().clone().drop_guard();
    let id: Arc<str> = operation.info().trace.span_id.to_string().into();
    if let Some(queues) = &queues {
        queues.open(&id, &inner);
    }
    let stop = cancellation.unwrap_or_default();
    let mut results = Results::new(runs.len());
    let mut batch = Batch {
        id,
        agents: runs.iter().map(|run| run.agent_name().clone()).collect(),
        waiting: runs.into_iter().enumerate(),
        running: FuturesUnordered::new(),
        width: width.get(),
        asks_agents,
        context: &inner,
        queues: queues.as_deref(),
        refused,
        operation: &operation,
    };
    loop {
        let cancelled = inner.cancellation().is_cancelled();
        let over = tokio::select! {
            biased;
            () = stop.cancelled(), if !cancelled => {
                inner.cancellation().cancel();
                continue;
            }
            over = poll_fn(|cx| batch.poll(cx, &results)) => over,
        };
        let Some(over) = over else { break };
        if results.add(over) && stops_on_failure {
            inner.cancellation().cancel();
        }
    }
    let (batch_id, agents) = (batch.id, batch.agents);
    results.report(operation, batch_id, agents)
}

/// Puts budgets on a context, as far as they are ones.
fn admit(mut context: RunContext, budgets: Vec<Budget>) -> (RunContext, Option<BudgetError>) {
    for budget in budgets {
        let ledger = match context.ledger() {
            Some(ledger) => ledger.with_budget(budget),
            None => Ledger::builder().budget(budget).build(),
        };
        match ledger {
            Ok(ledger) => context = context.with_ledger(Some(ledger)),
            Err(error) => return (context, Some(error)),
        }
    }
    (context, None)
}

struct Batch<'b, 'a> {
    id: Arc<str>,
    agents: Vec<Arc<str>>,
    waiting: Enumerate<std::vec::IntoIter<RunRequest<'a>>>,
    running: FuturesUnordered<BoxFuture<'a, Over>>,
    width: usize,
    asks_agents: bool,
    context: &'b RunContext,
    queues: Option<&'b Queues>,
    /// A budget that is none.
    refused: Option<BudgetError>,
    operation: &'b Operation,
}

impl<'a> Batch<'_, 'a> {
    /// Starts what may start, and waits for a run to be over; `None` where all are.
    fn poll(&mut self, cx: &mut Context<'_>, results: &Results) -> Poll<Option<Over>> {
        while self.has_place(results) {
            let Some((index, run)) = self.waiting.next() else {
                break;
            };
            match self.why_not() {
                Some(cause) => return Poll::Ready(Some(self.not_begun(index, cause))),
                None => self.running.push(self.begin(index, run)),
            }
        }
        match self.running.poll_next_unpin(cx) {
            // What has ended is not read yet: whoever reads it polls again.
            Poll::Ready(None) if self.waiting.len() > 0 => Poll::Pending,
            other => other,
        }
    }

    /// Whether one more may be under way: with a reader, those with events to read count too.
    fn has_place(&self, results: &Results) -> bool {
        if self.waiting.len() == 0 {
            return false;
        }
        if self.context.cancellation().is_cancelled() {
            return true;
        }
        let unread = self
            .queues
            .map_or(0, |queues| queues.unread(|index| results.is_over(index)));
        self.running.len().saturating_add(unread) < self.width
    }

    /// Why a run must not begin.
    fn why_not(&self) -> Option<Cause> {
        if let Some(error) = &self.refused {
            return Some(Cause::Budget(error.clone()));
        }
        if self.context.cancellation().is_cancelled() {
            return Some(Cause::Cancelled);
        }
        let is_late = self.context.time_left() == Some(Duration::ZERO);
        is_late.then_some(Cause::Timeout)
    }

    fn not_begun(&self, index: usize, cause: Cause) -> Over {
        (index, Duration::ZERO, Err(self.error(index, cause)))
    }

    /// The error of a run that has no report of its own.
    fn error(&self, index: usize, cause: Cause) -> RunError {
        error(self.operation, self.agents.get(index), cause)
    }

    fn begin(&self, index: usize, run: RunRequest<'a>) -> BoxFuture<'a, Over> {
        let mut context = self.context.clone();
        if self.asks_agents {
            context = run.admitted_by_agent(context);
        }
        let member = Arc::new(Member {
            batch: self.id.clone(),
            index,
            around: context.labels().member.clone(),
        });
        let feed = self.queues.and_then(|queues| {
            let pace = queues.pace(index)?;
            let router = queues.router()?;
            Some(Feed { pace, router })
        });
        let panicked = self.error(index, Cause::Panic);
        let work = run.join(context, member, feed);
        Box::pin(async move {
            let begun = Instant::now();
            // What it had borrowed is dropped with it, or behind a lock that is never left half way.
            let result = AssertUnwindSafe(work).catch_unwind().await;
            let result = result.unwrap_or(Err(panicked));
            (index, begun.elapsed(), result)
        })
    }
}

fn error(operation: &Operation, agent: Option<&Arc<str>>, cause: Cause) -> RunError {
    let report = RunReport::of_nothing(operation.info(), cause.outcome(), cause.class());
    RunError::new(agent.map_or("", |name| &**name), cause, report)
}

/// What the runs came to so far.
struct Results {
    ended: Vec<Option<Ended>>,
    work: Duration,
    failed: usize,
    /// The first failure, by time; where there is none, the first pause.
    first: Option<(Outcome, &'static str)>,
}

impl Results {
    fn new(runs: usize) -> Self {
        Self {
            ended: (0..runs).map(|_| None).collect(),
            work: Duration::ZERO,
            failed: 0,
            first: None,
        }
    }

    fn is_over(&self, index: usize) -> bool {
        self.ended.get(index).is_some_and(Option::is_some)
    }

    /// Adds one; answers whether it failed.
    fn add(&mut self, (index, took, result): Over) -> bool {
        self.work = self.work.saturating_add(took);
        let mut failed = false;
        if let Err(error) = &result {
            let outcome = error.report().outcome;
            failed = outcome != Outcome::Paused;
            self.failed += usize::from(failed);
            if self.first.is_none_or(|(first, _)| first == Outcome::Paused) {
                self.first = Some((outcome, error.kind().as_str()));
            }
        }
        if let Some(place) = self.ended.get_mut(index) {
            *place = Some(result);
        }
        failed
    }

    /// Ends the workflow and sums up.
    fn report(
        self,
        operation: Operation,
        batch_id: Arc<str>,
        agents: Vec<Arc<str>>,
    ) -> ParallelReport {
        let outcome = self.first.map_or(Outcome::Ok, |(outcome, _)| outcome);
        if let Some((_, class)) = self.first.filter(|_| outcome.is_failure()) {
            let said = format!("{} of {} runs failed", self.failed, self.ended.len());
            operation.record(|facts| facts.error = Some(Failure::new(class, said)));
        }
        let results = self.ended.into_iter().zip(&agents);
        let runs: Vec<Ended> = results
            .map(|(result, agent)| {
                // Each is over by now.
                result.unwrap_or_else(|| Err(error(&operation, Some(agent), Cause::Cancelled)))
            })
            .collect();
        let whole = operation.report(outcome, Payload::None);
        ParallelReport::new(&whole, batch_id, agents, runs, self.work)
    }
}
