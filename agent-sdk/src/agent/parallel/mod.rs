//! Many runs at once.
//!
//! [`parallel`] takes runs that are about to start and makes one thing of them: a [`ParallelReport`] to wait for, or a
//! [`ParallelStream`] of all their events. They are children of one workflow, so they share its trace, its deadline, its
//! cancellation and its budgets; nothing is spawned, and dropping the whole drops each of them.
//!
//! `batch` polls the runs, `queues` keeps what their events' reader has not taken yet, one queue for each run.

mod batch;
mod queues;
mod report;
mod stream;
#[cfg(test)]
mod tests;

use std::{fmt, future::IntoFuture, num::NonZeroUsize, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;

pub use report::ParallelReport;
pub use stream::{ParallelEvent, ParallelStream};

use crate::{budget::Budget, cost::Usd, operation::RunContext, run::RunRequest};
use queues::Queues;

/// How many runs are under way at once, unless the user says otherwise.
const WIDTH: NonZeroUsize = NonZeroUsize::MIN.saturating_add(63);

/// Runs several agents at once: await it for its [`ParallelReport`], or [`stream`](Parallel::stream) its events.
///
/// # Example
///
/// ```
/// use agent_sdk::{agent::{Agent, parallel}, testing::ScriptedModel};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let reviewer = |name, says| Agent::builder(name, ScriptedModel::new([says])).build();
/// let (strict, kind) = (reviewer("strict", "No.")?, reviewer("kind", "Nice!")?);
/// let report = parallel([strict.run("Review this."), kind.run("Review this.")]).await;
/// let answers: Vec<_> = report.answers().map(|(_, text)| text.to_owned()).collect();
/// assert_eq!(answers, ["No.", "Nice!"]);
/// # Ok(())
/// # }
/// ```
pub fn parallel<'a>(runs: impl IntoIterator<Item = RunRequest<'a>>) -> Parallel<'a> {
    Parallel {
        name: "parallel".into(),
        runs: runs.into_iter().collect(),
        width: WIDTH,
        stops_on_failure: false,
        context: None,
        cancellation: None,
        timeout: None,
        budgets: Vec::new(),
    }
}

/// Runs that are about to start at once; made by [`parallel`].
///
/// Each keeps its settings: limits, tools, tags, its own token and budgets, its session or store. All are inside one `workflow`
/// operation, so what they come to counts in whatever is around it.
///
/// A run with a [store](RunRequest::store) or a [session](RunRequest::session) has an id of its own, to be found by, and hangs in the
/// same trace; its sums are in the [`ParallelReport`], and not in those of an agent around the whole.
#[must_use = "nothing runs until it is awaited or streamed"]
pub struct Parallel<'a> {
    name: Arc<str>,
    runs: Vec<RunRequest<'a>>,
    width: NonZeroUsize,
    stops_on_failure: bool,
    context: Option<RunContext>,
    cancellation: Option<CancellationToken>,
    timeout: Option<Duration>,
    budgets: Vec<Budget>,
}

impl<'a> Parallel<'a> {
    /// Adds a run.
    pub fn run(mut self, run: RunRequest<'a>) -> Self {
        self.runs.push(run);
        self
    }

    /// Names the workflow; its span is `invoke_workflow {name}`. Default: `parallel`.
    pub fn name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.name = name.into();
        self
    }

    /// Sets how many runs are under way at once; the others wait, and start in the order given. Default: 64.
    pub fn concurrency(mut self, width: NonZeroUsize) -> Self {
        self.width = width;
        self
    }

    /// Gives up the others once a run has failed: those under way end as cancelled, those that wait do not start. Default: all
    /// go on. One that pauses has not failed.
    pub fn stop_on_failure(mut self) -> Self {
        self.stops_on_failure = true;
        self
    }

    /// Runs inside a run that is under way, or in one with settings of its own: its observers, prices, budgets, deadline and
    /// cancellation hold for all of them. A context that a run was given itself is then not used.
    ///
    /// Default: the first context that one of the runs was given, and otherwise a new one with the first agent's observers and
    /// prices, in which each agent's own ledger admits what it spends.
    pub fn context(mut self, context: &RunContext) -> Self {
        self.context = Some(context.clone());
        self
    }

    /// Lets the caller cancel all of them with a token.
    pub fn cancellation(mut self, token: CancellationToken) -> Self {
        self.cancellation = Some(token);
        self
    }

    /// Sets the longest time for all of them together, from the start of the first. Default: as long as each may take.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Puts a budget on all of them together, beside those of the context's ledger. The ledger of the context then admits what
    /// is spent, and not those of the agents.
    pub fn budget(mut self, budget: Budget) -> Self {
        self.budgets.push(budget);
        self
    }

    /// Caps what all of them together may cost: the next request of any of them is refused that might pass it.
    pub fn max_cost(self, usd: Usd) -> Self {
        self.budget(Budget::new("parallel").max_usd(usd))
    }

    /// Runs and yields the events of all of them as they happen.
    ///
    /// The stream is lazy: nothing happens unless it is polled, and nothing is spawned. It loses nothing, as
    /// [`RunStream`](crate::run::RunStream) says of one run: each run has a queue, and waits once 64 of its events are in it. A run
    /// that waits for its turn starts when there are fewer than [`concurrency`](Self::concurrency) that are under way or have
    /// unread events, so about 64 times that many events wait at most. The queues are read in turn: between two
    /// events of a run that are there, each other run has at most one.
    ///
    /// Dropping it cancels all of them.
    pub fn stream(self) -> ParallelStream<'a> {
        let agents = self.runs.iter().map(|run| run.agent_name().clone());
        let queues = Arc::new(Queues::new(agents.collect()));
        let work = Box::pin(batch::drive(self, Some(queues.clone())));
        ParallelStream::new(work, queues)
    }
}

impl<'a> IntoFuture for Parallel<'a> {
    type Output = ParallelReport;
    type IntoFuture = BoxFuture<'a, ParallelReport>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(batch::drive(self, None))
    }
}

impl fmt::Debug for Parallel<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parallel")
            .field("name", &self.name)
            .field("runs", &self.runs)
            .field("width", &self.width)
            .finish_non_exhaustive()
    }
}
