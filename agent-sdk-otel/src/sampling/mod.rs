//! Which traces are kept once it is known how they went.
//!
//! A finished span of a trace that is in the share, or already decided to be kept, goes straight on. Every other one is held until
//! its trace is decided: at once where the span is a reason to keep it, else a short grace after the local root ended. The decision
//! is remembered for what comes late. What is held is bounded in bytes and traces; where that is not enough, the oldest undecided
//! trace is decided by the share alone, which is to say that it goes.
//!
//! Metrics know nothing of this: they count every operation.

mod decided;
mod finished;
mod metrics;
mod rules;
mod state;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::builder::TelemetryBuilder;
pub use rules::TailSampling;
use state::{Held, State};

/// A span that ended, as the sampler is shown it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Finished<'a, S> {
    /// The instrumentation scope of the span.
    pub(crate) scope: &'a S,
    pub(crate) trace: [u8; 16],
    /// Whether no span of this process is around it.
    pub(crate) local_root: bool,
    pub(crate) failed: bool,
    pub(crate) duration: Duration,
    /// What the span cost itself, in nano-USD, without what is inside it: sums of the trace are made here.
    pub(crate) cost_nanos: u64,
    /// Whether it ended because a budget refused it.
    pub(crate) budget_refused: bool,
    /// The encoded span.
    pub(crate) message: &'a [u8],
}

/// Where spans go, and the account in which each is counted exactly once. The pipeline is one.
pub(crate) trait Outlet {
    type Scope: Clone;

    /// Takes over a span that ended now.
    fn push(&self, scope: &Self::Scope, message: &[u8]);

    /// Counts a span that ended now as unsampled.
    fn unsampled(&self);

    /// Counts a span that ended now as queued: it waits here.
    fn hold(&self);

    /// Takes over a span that was held.
    fn release(&self, scope: &Self::Scope, message: &[u8]);

    /// Counts so many spans that were held as unsampled.
    fn discard(&self, spans: u64);
}

/// What became of the traces that were decided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TailCounts {
    /// Kept for a reason. Those that are in the share are not among them: nothing has to be decided for them.
    pub kept: u64,
    /// Why those were kept.
    pub reasons: TailReasons,
    /// Left out, the ones in `forced` included.
    pub left_out: u64,
    /// Left out before their local root ended, because too much was held.
    pub forced: u64,
    /// Undecided now.
    pub undecided: u64,
    /// Bytes that are held now.
    pub held_bytes: u64,
}

/// How many traces were kept for each reason; where one has several, the first that was found counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TailReasons {
    /// A span failed.
    pub error: u64,
    /// A budget refused something.
    pub budget: u64,
    /// The local root took long.
    pub slow: u64,
    /// It cost much.
    pub cost: u64,
    /// It was asked for, or a part of it was shown before it ended.
    pub requested: u64,
}

/// Why a trace is kept.
#[derive(Clone, Copy, Debug)]
enum Reason {
    Error,
    Budget,
    Slow,
    Cost,
    Requested,
}

/// Holds finished spans until their trace is decided.
pub(crate) struct TailSampler<O: Outlet> {
    rules: TailSampling,
    /// Traces whose low bits are below it are in the share.
    threshold: u64,
    outlet: O,
    state: Mutex<State<O::Scope>>,
}

impl<O: Outlet> TailSampler<O> {
    pub(crate) fn new(rules: TailSampling, outlet: O) -> Self {
        Self {
            threshold: rules.threshold(),
            state: Mutex::new(State::new(&rules)),
            rules,
            outlet,
        }
    }

    /// Takes over a finished span. In the account it is queued, or unsampled, when this returns.
    pub(crate) fn offer(&self, span: &Finished<'_, O::Scope>) {
        self.offer_at(span, Instant::now());
    }

    fn offer_at(&self, span: &Finished<'_, O::Scope>, now: Instant) {
        if self.is_in_share(&span.trace) {
            self.outlet.push(span.scope, span.message);
            return;
        }
        let mut state = self.lock();
        self.expire(&mut state, now);
        match state.decision(&span.trace) {
            Some(true) => {
                drop(state);
                self.outlet.push(span.scope, span.message);
            }
            Some(false) => self.outlet.unsampled(),
            None => self.decide(state, span, now),
        }
    }

    /// Keeps the trace of a span, holds the span, or leaves it out.
    fn decide(
        &self,
        mut state: MutexGuard<'_, State<O::Scope>>,
        span: &Finished<'_, O::Scope>,
        now: Instant,
    ) {
        match self.reason(&state, span) {
            Some(reason) => {
                let held = state.keep(span.trace, reason);
                drop(state);
                self.release(held);
                self.outlet.push(span.scope, span.message);
            }
            None if state.is_closed() => self.outlet.unsampled(),
            None => {
                self.outlet.hold();
                let due = span.local_root.then(|| now + self.rules.grace);
                let message = (span.scope.clone(), span.message.into());
                state.hold(span.trace, message, span.cost_nanos, due);
                while state.is_over(&self.rules) {
                    let spans = state.force_oldest();
                    self.outlet.discard(spans);
                }
                self.expire(&mut state, now);
            }
        }
    }

    /// Decides to keep a trace, for example because a part of it was shown before it ended.
    pub(crate) fn keep(&self, trace: [u8; 16]) {
        if self.is_in_share(&trace) {
            return;
        }
        let mut state = self.lock();
        if state.decision(&trace).is_none() {
            let held = state.keep(trace, Reason::Requested);
            drop(state);
            self.release(held);
        }
    }

    /// Leaves out the traces whose grace is over. Offering a span does the same; this is for whoever reads the account.
    pub(crate) fn tick(&self) {
        let mut state = self.lock();
        self.expire(&mut state, Instant::now());
    }

    /// Decides every trace whose local root ended, without waiting for its grace: before a flush.
    pub(crate) fn settle(&self) {
        let mut state = self.lock();
        let spans = state.leave_out_ended();
        self.outlet.discard(spans);
    }

    /// Decides everything by what is known, and holds nothing from now on: before a shutdown.
    pub(crate) fn shutdown(&self) {
        let mut state = self.lock();
        let spans = state.close();
        self.outlet.discard(spans);
    }

    /// What was decided so far.
    pub(crate) fn counts(&self) -> TailCounts {
        self.lock().counts()
    }

    fn expire(&self, state: &mut State<O::Scope>, now: Instant) {
        let spans = state.leave_out_due(now);
        if spans > 0 {
            self.outlet.discard(spans);
        }
    }

    fn release(&self, held: Option<Held<O::Scope>>) {
        for (scope, message) in held.into_iter().flat_map(|held| held.spans) {
            self.outlet.release(&scope, &message);
        }
    }

    /// The same rule as that of `TraceIdRatioBased`, so that processes with the same share keep the same traces.
    fn is_in_share(&self, trace: &[u8; 16]) -> bool {
        let low = u128::from_be_bytes(*trace) & u128::from(u64::MAX);
        u64::try_from(low).is_ok_and(|low| low >> 1 < self.threshold)
    }

    fn reason(&self, state: &State<O::Scope>, span: &Finished<'_, O::Scope>) -> Option<Reason> {
        let rules = &self.rules;
        if rules.budget && span.budget_refused {
            return Some(Reason::Budget);
        }
        if rules.errors && span.failed {
            return Some(Reason::Error);
        }
        if span.local_root && rules.slower.is_some_and(|limit| span.duration > limit) {
            return Some(Reason::Slow);
        }
        let spent = state.spent(&span.trace).saturating_add(span.cost_nanos);
        let is_dear = rules.dearer.is_some_and(|limit| spent > limit.nanos());
        is_dear.then_some(Reason::Cost)
    }

    fn lock(&self) -> MutexGuard<'_, State<O::Scope>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TelemetryBuilder {
    /// Decides which traces are kept once it is known how they went. Default: all that the [sampler](Self::sampler) recorded. Leave that
    /// at its default: what it leaves out does not get here.
    pub fn tail_sampling(mut self, rules: TailSampling) -> Self {
        self.settings.tail = Some(rules);
        self
    }
}

impl<O: Outlet> fmt::Debug for TailSampler<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TailSampler")
            .field("rules", &self.rules)
            .field("counts", &self.counts())
            .finish_non_exhaustive()
    }
}
