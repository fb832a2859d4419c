//! Changing a plan while it runs.

use std::sync::Arc;

use serde::{Serialize, Serializer};
use tokio::sync::{mpsc, oneshot};

use crate::plan::{Change, Plan, PlanError, Problem, Step, StepState};

/// How many wishes may wait to be looked at.
const WAITING: usize = 64;

/// Changes a plan while it runs, and says how far it is. Cheap to clone; made by [`PlanRequest::handle`](super::PlanRequest::handle).
///
/// Its methods wait until the run looks at them, which it does between steps, while it is polled; once the plan is over, or where it
/// was never begun, they say so.
#[derive(Clone, Debug)]
pub struct PlanHandle {
    wishes: mpsc::Sender<Wish>,
    by: Option<Arc<str>>,
}

/// What somebody wants of a plan that runs.
#[derive(Debug)]
pub(super) enum Wish {
    Change {
        change: Change,
        by: Option<Arc<str>>,
        answer: oneshot::Sender<Result<(), PlanError>>,
    },
    Plan(oneshot::Sender<Plan>),
    Steps(oneshot::Sender<Vec<StepSnapshot>>),
}

pub(super) type Wishes = mpsc::Receiver<Wish>;

/// How far a step is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct StepSnapshot {
    /// Its id.
    pub id: Arc<str>,
    /// How far it is.
    #[serde(serialize_with = "state")]
    pub state: StepState,
    /// How it ended, once it has: `ok`, `failed`, `timed_out`, `cancelled` or `skipped`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<&'static str>,
    /// How many tries were begun.
    pub attempts: u32,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "what `serde` calls it with"
)]
fn state<S: Serializer>(state: &StepState, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(state.as_str())
}

pub(super) fn channel() -> (PlanHandle, Wishes) {
    let (wishes, heard) = mpsc::channel(WAITING);
    (PlanHandle { wishes, by: None }, heard)
}

impl PlanHandle {
    /// Says who makes the changes; it is kept with them.
    #[must_use]
    pub fn by(mut self, who: impl Into<Arc<str>>) -> Self {
        self.by = Some(who.into());
        self
    }

    /// Changes the plan.
    ///
    /// # Errors
    ///
    /// Why the change cannot be made: the plan would be wrong with it, the step is too far, or the plan is over.
    pub async fn change(&self, change: Change) -> Result<(), PlanError> {
        let by = self.by.clone();
        self.wish(|answer| Wish::Change { change, by, answer })
            .await?
    }

    /// Adds a step; it may wait for any that is there.
    pub async fn add(&self, step: impl Into<Step>) -> Result<(), PlanError> {
        let step = Box::new(step.into());
        self.change(Change::Add { step }).await
    }

    /// Puts another step in the place of one of the same id that has not begun.
    pub async fn modify(&self, step: impl Into<Step>) -> Result<(), PlanError> {
        let step = Box::new(step.into());
        self.change(Change::Modify { step }).await
    }

    /// Takes a step out that has not begun and that no other waits for.
    pub async fn remove(&self, id: impl Into<Arc<str>>) -> Result<(), PlanError> {
        self.change(Change::Remove { id: id.into() }).await
    }

    /// Gives a step up.
    pub async fn skip(&self, id: impl Into<Arc<str>>) -> Result<(), PlanError> {
        self.change(Change::Skip { id: id.into() }).await
    }

    /// Begins a step anew that failed, was skipped or waits for its next try.
    pub async fn retry(&self, id: impl Into<Arc<str>>) -> Result<(), PlanError> {
        self.change(Change::Retry { id: id.into() }).await
    }

    /// Begins no more steps; what runs goes on.
    pub async fn pause(&self) -> Result<(), PlanError> {
        self.change(Change::Pause).await
    }

    /// Begins steps again.
    pub async fn resume(&self) -> Result<(), PlanError> {
        self.change(Change::Resume).await
    }

    /// The plan as it stands.
    pub async fn plan(&self) -> Result<Plan, PlanError> {
        self.wish(Wish::Plan).await
    }

    /// How far every step is, in the plan's order.
    pub async fn steps(&self) -> Result<Vec<StepSnapshot>, PlanError> {
        self.wish(Wish::Steps).await
    }

    async fn wish<T>(&self, make: impl FnOnce(oneshot::Sender<T>) -> Wish) -> Result<T, PlanError> {
        let over = || PlanError::of(Problem::new("", "the plan does not run any more"));
        let (answer, heard) = oneshot::channel();
        let sent = self.wishes.send(make(answer)).await;
        sent.map_err(|_| over())?;
        heard.await.map_err(|_| over())
    }
}
