//! Running a stored run again, against what was recorded, to see whether it would go the same way.
//!
//! [`Agent::replay`](crate::agent::Agent::replay) gives a [`ReplayRequest`]; awaiting it gives a [`Replayed`]: the report of the run as
//! it went now, and in what that [differs](Difference) from the run as it was kept.
//!
//! The agent really runs: the machine, the limits, the check of the output, the operations, the prices. Only what reaches outside
//! is replaced. The models of the agent and of the agents inside its calls give the recorded answers of their path, in order;
//! tools give the recorded results; people decide as they did. Nothing goes over the network, no tool has an effect, no output
//! file is written, and the stored run is neither written nor leased: it may be under way.
//!
//! What is not recorded cannot be repeated: the tries of a model request and the pieces in which its answer came; what a tool
//! did inside, its progress and [what it said that it cost](crate::tool::ToolContext::record_cost). A run of several lives is
//! played as one.

mod compare;
mod difference;
mod recording;
mod source;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    future::{IntoFuture, poll_fn},
    pin::pin,
    sync::Arc,
    task::Poll,
};

use futures_util::future::BoxFuture;
use schemars::JsonSchema;
use tokio_util::sync::CancellationToken;

pub use difference::{Difference, DifferenceKind};
use recording::Recording;
pub(crate) use source::Source;
use source::{RecordedVerdicts, Standing};

use super::{Control, Durable, Launch, Limits, RunReport, Within, drive};
use crate::{
    agent::{Agent, Output, Settings},
    cost::PriceBook,
    journal::{Runs, VERSION, newer},
    message::Conversation,
    operation::{FixedClock, Observers, RunContext, RunId},
    store::{LogId, LogKind, MemoryStore, Store, StoreError, StoreErrorKind},
};

/// How often a replay in which nothing moves is looked at again before it is taken to be over.
const LOOKS: u32 = 16;

/// A replay that is about to start; made by [`Agent::replay`]. Await it.
///
/// By default it takes no time and nobody watches, not even the agent's own observers: a replay costs nothing, and belongs in no
/// sum. Dropping the future gives it up.
///
/// # Errors
///
/// Only the store's: there is no such run, it cannot be read, it is of a newer version of this library, or it stopped before its
/// agent began. That the run fails now is no error but a part of the report.
#[must_use = "a replay does nothing until it is awaited"]
pub struct ReplayRequest {
    settings: Arc<Settings>,
    run: RunId,
    store: Arc<dyn Store>,
    speed: Option<f64>,
    observers: Observers,
    prices: Option<PriceBook>,
}

/// What a replay came to.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Replayed {
    /// What the run came to now. It has an id of its own. Where the recording ends before the run does, because the run was
    /// killed, cancelled, or out of time, it ends as cancelled; where people did not answer, as paused.
    pub report: RunReport,
    /// In what that is not as it was, in the order of the run's records; none where all is as it was.
    pub differences: Vec<Difference>,
}

impl ReplayRequest {
    pub(crate) fn new(agent: &Agent, run: RunId, store: Arc<dyn Store>) -> Self {
        Self {
            settings: agent.settings().clone(),
            run,
            store,
            speed: None,
            observers: Observers::none(),
            prices: None,
        }
    }

    /// Takes the recorded times, this many times as fast: 1 is as it was. Default: no time at all.
    ///
    /// The times are Tokio's. On a current-thread runtime whose clock is paused (`tokio::time::pause`, with Tokio's feature
    /// `test-util`) a replay at speed 1 is over at once and shows the original times, each rounded up to a millisecond, in its trace and in
    /// its profile. What is no positive number is the default.
    pub fn speed(mut self, speed: f64) -> Self {
        self.speed = Some(speed);
        self
    }

    /// Sets who watches. Default: nobody. Whoever sums up costs, or keeps the events of runs, counts the replay as a run.
    pub fn observers(mut self, observers: Observers) -> Self {
        self.observers = observers;
        self
    }

    /// Sets the prices, as of the time at which the run began. Default: the agent's.
    pub fn prices(mut self, prices: PriceBook) -> Self {
        self.prices = Some(prices);
        self
    }

    /// Sets how far the run may go: those that it was given then, or others. Default: the agent's.
    pub fn limits(mut self, limits: Limits) -> Self {
        Arc::make_mut(&mut self.settings).limits = limits;
        self
    }

    /// Offers only these of the agent's tools, as [`RunRequest::allow_tools`](super::RunRequest::allow_tools) did.
    pub fn allow_tools<N: Into<Arc<str>>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        let names: Vec<Arc<str>> = names.into_iter().map(Into::into).collect();
        let settings = Arc::make_mut(&mut self.settings);
        settings.tools = settings.tools.only(&names);
        self
    }

    /// Offers the [file tools](crate::workspace::Workspace::tools) of this directory, as
    /// [`RunRequest::workspace`](super::RunRequest::workspace) did. Nothing is read or written there.
    #[cfg(feature = "workspace")]
    pub fn workspace(mut self, workspace: &crate::workspace::Workspace) -> Self {
        let settings = Arc::make_mut(&mut self.settings);
        settings.tools = settings.tools.with(workspace.tools());
        self
    }

    /// Checks the answers as those of this type, as [`RunRequest::output`](super::RunRequest::output) did.
    pub fn output_type<T: JsonSchema>(mut self) -> Self {
        Arc::make_mut(&mut self.settings).output = Output::of::<T>();
        self
    }

    async fn play(self) -> Result<Replayed, StoreError> {
        let (recording, mut conversation) = self.read().await?;
        let ask_before = recording.ask_before.clone();
        let context = self.context(&recording);
        let source = Arc::new(Source::new(recording, self.speed));
        let (stop, pausing) = (CancellationToken::new(), CancellationToken::new());
        let control = Control {
            pausing: pausing.clone(),
            approver: Some(Arc::new(RecordedVerdicts(source.clone()))),
            ask_before,
            accept_changes: true,
            source: Some(source.clone()),
            ..Control::default()
        };
        let scratch = Arc::new(MemoryStore::new());
        let launch = Launch {
            settings: &self.settings,
            context: context
                .clone()
                .with_within(Within::default().under(control)),
            stop: Some(stop.clone()),
            durable: Some(Durable {
                store: scratch.clone(),
                goes_on: None,
                session: None,
                application: serde_json::Value::Null,
            }),
        };
        let run = drive(launch, &mut conversation);
        let (result, ran_out) = play_out(run, &source, &stop, &pausing).await;
        let report = result.unwrap_or_else(|error| error.report().clone());
        let again = Runs::new(scratch)
            .records(context.run_id().as_str())
            .await?;
        let differences = compare::compare(&source.recording, &Recording::of(&again), ran_out);
        Ok(Replayed {
            report,
            differences,
        })
    }

    async fn read(&self) -> Result<(Recording, Conversation), StoreError> {
        let log = LogId::new(LogKind::Run, self.run.as_str())?;
        let records = Runs::new(self.store.clone()).records(log.id()).await?;
        let recording = Recording::of(&records);
        let Some(agent) = recording.agents.get("") else {
            return Err(StoreError::new(
                StoreErrorKind::NotFound,
                format!("{log} stopped before its agent began: there is nothing to replay"),
            ));
        };
        if agent.form > VERSION {
            return Err(newer(&log, u64::from(agent.form)));
        }
        let asked = match &agent.session {
            Some(session) => session.conversation(&self.store).await?,
            None => agent.conversation.clone(),
        };
        Ok((recording, asked))
    }

    fn context(&self, recording: &Recording) -> RunContext {
        let mut builder = RunContext::builder()
            .observers(self.observers.clone())
            .tag("replay_of", self.run.as_str());
        if let Some(began) = recording.began {
            builder = builder.clock(FixedClock::from(began));
        }
        match self.prices.as_ref().or(self.settings.prices.as_ref()) {
            Some(prices) => builder.prices(prices.clone()).build(),
            None => builder.build(),
        }
    }
}

/// Polls a run to its end; where it waits for what was not recorded and for nothing else, it is stopped, or paused if it is people
/// that it waits for. Says whether that was so.
async fn play_out<T>(
    run: impl Future<Output = T>,
    source: &Source,
    stop: &CancellationToken,
    pausing: &CancellationToken,
) -> (T, bool) {
    let mut run = pin!(run);
    // A run whose time was up comes to its deadline by itself.
    let runs_out_of_time = source.takes_time() && source.recording.is_out_of_time();
    let (mut seen, mut looks, mut is_over) = (0, 0, false);
    poll_fn(|cx| {
        if let Poll::Ready(result) = run.as_mut().poll(cx) {
            return Poll::Ready((result, is_over));
        }
        let Standing::Stuck { steps, for_people } = source.standing() else {
            return Poll::Pending;
        };
        if is_over || runs_out_of_time {
            return Poll::Pending;
        }
        // All that moves the run is inside the run: if it was polled again and again and took no step, none will come.
        looks = if steps == seen { looks + 1 } else { 0 };
        seen = steps;
        if looks >= LOOKS {
            is_over = true;
            if for_people {
                pausing.cancel();
            } else {
                stop.cancel();
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await
}

impl IntoFuture for ReplayRequest {
    type Output = Result<Replayed, StoreError>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.play())
    }
}

impl fmt::Debug for ReplayRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplayRequest")
            .field("agent", &self.settings.name)
            .field("run", &self.run)
            .finish_non_exhaustive()
    }
}
