//! What one try must have before it is sent: a slot, its share of the minute, the breaker's consent.

use std::{
    num::NonZeroU32,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep_until, timeout_at},
};

use super::{
    breaker::{CircuitBreaker, Permit, State, Verdict},
    estimate::tokens,
    rate::{PerMinute, Reservation},
};
use crate::{
    budget::Spending,
    model::{ChatRequest, ChatResponse, ModelError, ModelErrorKind},
    operation::{Billed, Operation, RunContext, decision},
};

/// What every try of a handle's requests passes, in this order: slots, rates, breaker.
///
/// The breaker is asked twice: at first, so that nobody queues for a model that is not to be asked, and again at the end,
/// because it may have opened meanwhile.
#[derive(Clone, Debug, Default)]
pub(super) struct Gates {
    pub(super) breaker: Option<CircuitBreaker>,
    pub(super) requests: Option<PerMinute>,
    pub(super) tokens: Option<PerMinute>,
    pub(super) slots: Option<Arc<Semaphore>>,
}

/// The right to send one try. Dropped, it gives back what it can: the slot, the breaker's permit.
#[derive(Debug, Default)]
pub(in crate::model) struct Admission {
    breaker: Option<Permit<Mutex<State>>>,
    tokens: Option<Reservation>,
    slot: Option<OwnedSemaphorePermit>,
    /// What is put aside for it, the last to be asked for.
    spending: Spending,
    deadline: Option<Instant>,
}

impl Gates {
    pub(super) fn is_empty(&self) -> bool {
        self.breaker.is_none() && !self.may_queue()
    }

    fn may_queue(&self) -> bool {
        self.requests.is_some() || self.tokens.is_some() || self.slots.is_some()
    }

    /// For how long the breaker will let nothing through, where that is known.
    pub(super) fn refused_for(&self) -> Option<Duration> {
        self.breaker.as_ref()?.check().err()?.retry_after()
    }

    /// Waits until a try may be sent.
    pub(super) async fn admit(
        &self,
        operation: &Operation,
        request: &ChatRequest,
    ) -> Result<Admission, ModelError> {
        if self.is_empty() {
            return Ok(Admission::default());
        }
        if let Some(breaker) = &self.breaker {
            breaker.check()?;
        }
        let context = operation.context();
        let mut admission = Admission {
            deadline: context.deadline(),
            ..Admission::default()
        };
        if self.may_queue() {
            let _queued = Queued::new(operation);
            admission.slot = self.slot(context).await?;
            admission.tokens = self.share(context, request).await?;
        }
        if let Some(breaker) = &self.breaker {
            let permit = breaker.admit()?;
            if let Some(state) = permit.changed {
                decision::breaker_changed(operation, state);
            }
            admission.breaker = Some(permit);
        }
        if let Some(tokens) = &mut admission.tokens {
            tokens.begin();
        }
        Ok(admission)
    }

    async fn slot(&self, context: &RunContext) -> Result<Option<OwnedSemaphorePermit>, ModelError> {
        let Some(slots) = &self.slots else {
            return Ok(None);
        };
        let slot = slots.clone().acquire_owned();
        let acquired = async {
            match context.deadline() {
                Some(deadline) => timeout_at(deadline, slot).await.ok(),
                None => Some(slot.await),
            }
        };
        tokio::select! {
            biased;
            () = context.cancellation().cancelled() => Err(cancelled()),
            acquired = acquired => match acquired {
                Some(slot) => Ok(slot.ok()),
                None => Err(too_late("max_concurrent")),
            },
        }
    }

    /// Takes the request's share of the minute and waits for it; tokens that were taken are returned.
    async fn share(
        &self,
        context: &RunContext,
        request: &ChatRequest,
    ) -> Result<Option<Reservation>, ModelError> {
        let left = context.time_left();
        let reserve = |limit: &Option<PerMinute>, amount: &dyn Fn() -> u64, setting| {
            limit
                .as_ref()
                .map(|limit| limit.reserve(amount(), left))
                .transpose()
                .map_err(|wait| too_slow(setting, wait))
        };
        let mut one = reserve(&self.requests, &|| 1, "requests_per_minute")?;
        let many = reserve(&self.tokens, &|| tokens(request), "tokens_per_minute")?;
        let ready = [&one, &many].into_iter().flatten().map(Reservation::ready);
        if let Some(ready) = ready.max() {
            let wait = ready.saturating_duration_since(Instant::now());
            if !wait.is_zero() {
                decision::chat_rate_limited(context, wait);
            }
            pause_until(context, ready).await?;
        }
        if let Some(one) = &mut one {
            one.begin();
        }
        Ok(many)
    }
}

impl Admission {
    /// Adds what is put aside for the try.
    pub(super) fn spends(&mut self, spending: Spending) {
        self.spending = spending;
    }

    /// The try is sent now.
    pub(super) fn begin(&mut self) {
        self.spending.begin();
    }

    /// The try is over: it was answered, or failed.
    pub(in crate::model) fn settle(
        self,
        operation: &Operation,
        result: Result<&ChatResponse, &ModelError>,
    ) {
        let now = Instant::now();
        let (verdict, usage) = match result {
            Ok(response) => {
                self.spending.answered(&Billed::of(response));
                (Verdict::Works, Some(response.usage))
            }
            Err(error) => {
                self.spending.failed(error);
                let is_late = self.deadline.is_some_and(|deadline| deadline <= now);
                let partial = error.partial().map(|partial| partial.usage);
                (Verdict::of(error, is_late), partial)
            }
        };
        if let Some(permit) = self.breaker
            && let Some(state) = permit.settle(verdict, now)
        {
            decision::breaker_changed(operation, state);
        }
        if let (Some(tokens), Some(used)) = (self.tokens, usage.and_then(|u| u.total_tokens())) {
            tokens.correct(used);
        }
    }
}

/// Adds the time from its making to its end to what the operation waited, however that ends.
struct Queued<'a> {
    operation: &'a Operation,
    since: Instant,
}

impl<'a> Queued<'a> {
    fn new(operation: &'a Operation) -> Self {
        Self {
            operation,
            since: Instant::now(),
        }
    }
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        let waited = self.since.elapsed();
        self.operation.record(|facts| {
            facts.queued = Some(facts.queued.unwrap_or_default().saturating_add(waited));
        });
    }
}

/// Slots for so many requests at once.
pub(super) fn slots(limit: NonZeroU32) -> Arc<Semaphore> {
    let permits = usize::try_from(limit.get()).unwrap_or(usize::MAX);
    Arc::new(Semaphore::new(permits.min(Semaphore::MAX_PERMITS)))
}

/// Waits until a time, or until somebody cancels.
pub(super) async fn pause_until(context: &RunContext, at: Instant) -> Result<(), ModelError> {
    if at <= Instant::now() {
        return Ok(());
    }
    tokio::select! {
        biased;
        () = context.cancellation().cancelled() => Err(cancelled()),
        () = sleep_until(at) => Ok(()),
    }
}

fn cancelled() -> ModelError {
    ModelError::new(
        ModelErrorKind::Cancelled,
        "the run was cancelled while the request waited for its turn",
    )
}

fn too_late(setting: &str) -> ModelError {
    local(format!(
        "the run's deadline came before the request's turn (`{setting}`)"
    ))
}

fn too_slow(setting: &str, wait: Duration) -> ModelError {
    local(format!(
        "the request's turn comes in {wait:.1?}, after the run's deadline (`{setting}`)"
    ))
}

/// A limit of the SDK's own; the same request would meet it again.
fn local(message: String) -> ModelError {
    ModelError::new(ModelErrorKind::RateLimited, message).with_should_retry(Some(false))
}
