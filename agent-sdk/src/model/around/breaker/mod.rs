//! A circuit breaker: after enough failures nothing is sent for a while, and then a little.

mod state;

use std::{
    fmt,
    num::NonZeroU32,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::time::Instant;

pub use self::state::BreakerState;
pub(crate) use self::state::{Refusal, Verdict};
pub(super) use self::state::{State, Ticket};

use crate::{
    guarded::Guarded,
    model::{ModelError, ModelErrorKind},
};

/// Stops asking a model that keeps failing. Clones share one state, so that several handles may stand behind one breaker.
///
/// - **Closed**: requests pass, and the outcomes of the newest 20 are remembered. Once there are 10 and half of them failed, it opens.
/// - **Open**: for 30 s nothing is sent; requests fail at once with [`ModelErrorKind::CircuitOpen`], whose
///   [`retry_after`](ModelError::retry_after) is the time left. That error is not tried again, but a fallback is asked.
/// - **Half-open**: exactly as many requests as there are [`probes`](CircuitBreakerBuilder::probes), 1 by default, are let through. Once that many
///   have worked it closes, forgetting the outcomes; the first that fails opens it again. A probe that is given up gives its
///   place back.
///
/// A failure is an error of the class [`Overloaded`](ModelErrorKind::Overloaded), [`Timeout`](ModelErrorKind::Timeout) (the run's own
/// deadline aside), [`Transport`](ModelErrorKind::Transport) or [`Truncated`](ModelErrorKind::Truncated), also where it comes in the
/// middle of a stream. Answers and refusals that the provider made of the request itself (a bad request, a wrong key, an empty
/// account) show that it works. What was given up, rate-limited or not understood counts as neither.
///
/// A stream holds its permit until it ends or is dropped. What was let through before a change of state has no say after it:
/// a late success closes nothing.
///
/// # Example
///
/// ```
/// use std::{num::NonZeroU32, time::Duration};
/// use agent_sdk::model::CircuitBreaker;
///
/// let breaker = CircuitBreaker::builder()
///     .failure_percent(30)
///     .open_for(Duration::from_secs(10))
///     .probes(NonZeroU32::new(2).unwrap())
///     .build();
/// ```
#[derive(Clone)]
pub struct CircuitBreaker(Arc<Core<Mutex<State>>>);

/// Settings for a [`CircuitBreaker`]; made by [`CircuitBreaker::builder`].
#[derive(Clone, Copy, Debug)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct CircuitBreakerBuilder(Condition);

/// When to open, for how long, and what it takes to close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Condition {
    pub(super) failure_percent: u32,
    pub(super) window: NonZeroU32,
    pub(super) min_calls: NonZeroU32,
    pub(super) open_for: Duration,
    pub(super) probes: NonZeroU32,
}

impl Condition {
    const DEFAULT: Self = Self {
        failure_percent: 50,
        window: of(20),
        min_calls: of(10),
        open_for: Duration::from_secs(30),
        probes: NonZeroU32::MIN,
    };

    fn window(&self) -> usize {
        usize::try_from(self.window.get()).unwrap_or(usize::MAX)
    }

    /// Whether so many failures among so many outcomes open it.
    fn trips(&self, outcomes: usize, failures: usize) -> bool {
        let enough = self.min_calls.min(self.window).get();
        outcomes as u64 >= u64::from(enough)
            && failures > 0
            && failures as u64 * 100 >= u64::from(self.failure_percent) * outcomes as u64
    }
}

const fn of(n: u32) -> NonZeroU32 {
    match NonZeroU32::new(n) {
        Some(n) => n,
        None => NonZeroU32::MIN,
    }
}

impl CircuitBreaker {
    /// The longest window of outcomes.
    pub const MAX_WINDOW: u32 = 10_000;

    /// A closed breaker with the default settings.
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// Settings for a breaker.
    pub fn builder() -> CircuitBreakerBuilder {
        CircuitBreakerBuilder(Condition::DEFAULT)
    }

    /// What it is now.
    pub fn state(&self) -> BreakerState {
        let now = Instant::now();
        self.0.state.with(|state| state.at(now))
    }

    /// Why nothing would be let through; takes no permit.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        let now = Instant::now();
        self.0.state.with(|state| state.would_admit(now)).err()
    }

    /// For how long nothing will be let through, where that is known.
    pub(crate) fn refused_for(&self) -> Option<Duration> {
        match self.refusal()? {
            Refusal::Open(left) => Some(left),
            Refusal::Probing => None,
        }
    }

    /// Lets something through, or not.
    pub(crate) fn enter(&self) -> Result<BreakerPermit, Refusal> {
        Core::admit(&self.0, Instant::now())
    }

    /// Whether a request would be let through; takes no permit.
    pub(super) fn check(&self) -> Result<(), ModelError> {
        self.refusal()
            .map_or(Ok(()), |refusal| Err(refused(refusal)))
    }

    /// Lets a request through, or not.
    pub(super) fn admit(&self) -> Result<BreakerPermit, ModelError> {
        self.enter().map_err(refused)
    }
}

impl Default for CircuitBreaker {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for CircuitBreaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CircuitBreaker")
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}

impl CircuitBreakerBuilder {
    /// Sets what share of the remembered outcomes opens it when they are failures, in percent. Default: 50. At 0 one failure is
    /// enough, once there are enough outcomes; above 100 it never opens.
    pub fn failure_percent(mut self, percent: u32) -> Self {
        self.0.failure_percent = percent;
        self
    }

    /// Sets how many outcomes are remembered, up to [`CircuitBreaker::MAX_WINDOW`]. Default: 20.
    pub fn window(mut self, calls: NonZeroU32) -> Self {
        self.0.window = calls.min(of(CircuitBreaker::MAX_WINDOW));
        self
    }

    /// Sets how many outcomes there must be before it opens; at most as many as are remembered. Default: 10.
    pub fn min_calls(mut self, calls: NonZeroU32) -> Self {
        self.0.min_calls = calls;
        self
    }

    /// Sets for how long it is open. Default: 30 s.
    pub fn open_for(mut self, duration: Duration) -> Self {
        self.0.open_for = duration;
        self
    }

    /// Sets how many requests are let through when it is half-open, and must work for it to close. Default: 1.
    pub fn probes(mut self, probes: NonZeroU32) -> Self {
        self.0.probes = probes;
        self
    }

    /// Makes the breaker, closed.
    pub fn build(self) -> CircuitBreaker {
        CircuitBreaker(Arc::new(Core::new(self.0)))
    }
}

/// A breaker over any lock.
#[derive(Debug)]
pub(crate) struct Core<L> {
    state: L,
}

impl<L: Guarded<State>> Core<L> {
    pub(super) fn new(condition: Condition) -> Self {
        Self {
            state: L::guard(State::new(condition)),
        }
    }

    pub(super) fn admit(core: &Arc<Self>, now: Instant) -> Result<Permit<L>, Refusal> {
        let (ticket, changed) = core.state.with(|state| {
            let before = state.last();
            let ticket = state.admit(now);
            ticket.map(|ticket| (ticket, changed(before, state)))
        })?;
        Ok(Permit {
            core: core.clone(),
            ticket: Some(ticket),
            changed,
        })
    }

    #[cfg(test)]
    pub(super) fn at(&self, now: Instant) -> BreakerState {
        self.state.with(|state| state.at(now))
    }
}

/// A permit of a [`CircuitBreaker`].
pub(crate) type BreakerPermit = Permit<Mutex<State>>;

/// The right to send one request. Dropped, it says nothing of the model, and a probe's place is free again.
#[derive(Debug)]
pub(crate) struct Permit<L: Guarded<State>> {
    core: Arc<Core<L>>,
    ticket: Option<Ticket>,
    /// What letting the request through made of the breaker, where that is something new.
    pub(crate) changed: Option<BreakerState>,
}

/// What a breaker is, if it was something else before.
fn changed(before: BreakerState, now: &State) -> Option<BreakerState> {
    Some(now.last()).filter(|now| *now != before)
}

impl<L: Guarded<State>> Permit<L> {
    /// The request is over; answers with what that made of the breaker, where that is something new.
    pub(crate) fn settle(mut self, verdict: Verdict, now: Instant) -> Option<BreakerState> {
        self.give_back(verdict, now)
    }

    fn give_back(&mut self, verdict: Verdict, now: Instant) -> Option<BreakerState> {
        let ticket = self.ticket.take()?;
        self.core.state.with(|state| {
            let before = state.last();
            state.settle(ticket, verdict, now);
            changed(before, state)
        })
    }
}

impl<L: Guarded<State>> Drop for Permit<L> {
    fn drop(&mut self) {
        if self.ticket.is_some() {
            self.give_back(Verdict::Unknown, Instant::now());
        }
    }
}

impl Verdict {
    /// What an error says of the model; `is_late` where the run's own deadline had passed.
    pub(super) fn of(error: &ModelError, is_late: bool) -> Self {
        use ModelErrorKind as Kind;
        match error.kind() {
            Kind::Timeout if is_late => Self::Unknown,
            Kind::Overloaded | Kind::Timeout | Kind::Transport | Kind::Truncated => Self::Fails,
            Kind::Authentication
            | Kind::Quota
            | Kind::ContextLength
            | Kind::ContentFilter
            | Kind::BadRequest
            | Kind::NotFound => Self::Works,
            Kind::RateLimited
            | Kind::Decode
            | Kind::Cancelled
            | Kind::Configuration
            | Kind::CircuitOpen
            | Kind::Budget => Self::Unknown,
        }
    }
}

fn refused(refusal: Refusal) -> ModelError {
    let (message, left) = match refusal {
        Refusal::Open(left) => (
            "the model kept failing: nothing is sent for now",
            Some(left),
        ),
        Refusal::Probing => (
            "the model kept failing: other requests are finding out whether it works again",
            None,
        ),
    };
    ModelError::new(ModelErrorKind::CircuitOpen, message)
        .with_retry_after(left)
        .with_should_retry(Some(false))
}
