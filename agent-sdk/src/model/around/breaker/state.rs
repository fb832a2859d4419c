//! The breaker's decisions.
//!
//! [`State`] is told who wants in and what became of them, and when; it answers who may. It reads no clock and takes no lock.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

use super::Condition;

/// What a request that was let in says of the model at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It answers.
    Works,
    /// It does not.
    Fails,
    /// Nothing: the request was given up, or was refused for reasons of its own.
    Unknown,
}

/// The right to send one request, good for the period in which it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket {
    period: u64,
}

/// Why nobody is let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It is open for this much longer.
    Open(Duration),
    /// It is half-open, and as many requests as may try the model are under way.
    Probing,
}

/// What a breaker is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BreakerState {
    /// Requests pass.
    Closed,
    /// None passes.
    Open,
    /// A few pass, to find out.
    HalfOpen,
}

impl BreakerState {
    /// Its name, as it is recorded.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

/// A breaker without its lock and its clock.
#[derive(Clone, Debug)]
pub(crate) struct State {
    condition: Condition,
    phase: Phase,
    /// Counts the changes of phase: what was let in before the last one says nothing of what is now.
    period: u64,
}

#[derive(Clone, Debug)]
enum Phase {
    Closed(Window),
    Open { until: Instant },
    HalfOpen { under_way: u32, worked: u32 },
}

/// The newest outcomes.
#[derive(Clone, Debug, Default)]
struct Window {
    /// Whether each failed, oldest first.
    outcomes: VecDeque<bool>,
    failures: usize,
}

impl State {
    pub(in crate::model::around) fn new(condition: Condition) -> Self {
        Self {
            condition,
            phase: Phase::Closed(Window::default()),
            period: 0,
        }
    }

    /// What it is at this time.
    pub(in crate::model::around) fn at(&self, now: Instant) -> BreakerState {
        match self.phase {
            Phase::Closed(_) => BreakerState::Closed,
            Phase::Open { until } if now < until => BreakerState::Open,
            Phase::Open { .. } | Phase::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }

    /// What it was made by the last request that was let in or settled, whatever the time.
    pub(in crate::model::around) fn last(&self) -> BreakerState {
        match self.phase {
            Phase::Closed(_) => BreakerState::Closed,
            Phase::Open { .. } => BreakerState::Open,
            Phase::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }

    /// Whether a request would be let in; changes nothing.
    pub(in crate::model::around) fn would_admit(&self, now: Instant) -> Result<(), Refusal> {
        match self.phase {
            Phase::Open { until } if now < until => {
                Err(Refusal::Open(until.saturating_duration_since(now)))
            }
            Phase::HalfOpen { under_way, worked } if under_way + worked >= self.probes() => {
                Err(Refusal::Probing)
            }
            _ => Ok(()),
        }
    }

    /// Lets a request in, or not. Each ticket must be [settled](Self::settle) once.
    pub(in crate::model::around) fn admit(&mut self, now: Instant) -> Result<Ticket, Refusal> {
        self.would_admit(now)?;
        if matches!(self.phase, Phase::Open { .. }) {
            self.change(Phase::HalfOpen {
                under_way: 0,
                worked: 0,
            });
        }
        if let Phase::HalfOpen { under_way, .. } = &mut self.phase {
            *under_way += 1;
        }
        Ok(Ticket {
            period: self.period,
        })
    }

    /// A request that was let in is over.
    pub(in crate::model::around) fn settle(
        &mut self,
        ticket: Ticket,
        verdict: Verdict,
        now: Instant,
    ) {
        if ticket.period != self.period {
            return;
        }
        let probes = self.probes();
        let next = match (&mut self.phase, verdict) {
            (Phase::Open { .. }, _) | (Phase::Closed(_), Verdict::Unknown) => None,
            (Phase::Closed(window), _) => {
                window.push(verdict == Verdict::Fails, self.condition.window());
                let trips = self.condition.trips(window.outcomes.len(), window.failures);
                trips.then(|| self.open(now))
            }
            (Phase::HalfOpen { under_way, worked }, verdict) => {
                *under_way = under_way.saturating_sub(1);
                match verdict {
                    Verdict::Unknown => None,
                    Verdict::Fails => Some(self.open(now)),
                    Verdict::Works => {
                        *worked += 1;
                        (*worked >= probes).then(|| Phase::Closed(Window::default()))
                    }
                }
            }
        };
        if let Some(next) = next {
            self.change(next);
        }
    }

    fn open(&self, now: Instant) -> Phase {
        // As good as for ever, for durations that no clock reaches.
        let until = now
            .checked_add(self.condition.open_for)
            .unwrap_or(now + Duration::from_hours(24 * 365 * 30));
        Phase::Open { until }
    }

    fn change(&mut self, phase: Phase) {
        self.phase = phase;
        self.period += 1;
    }

    fn probes(&self) -> u32 {
        self.condition.probes.get()
    }
}

impl Window {
    fn push(&mut self, failed: bool, length: usize) {
        self.outcomes.push_back(failed);
        self.failures += usize::from(failed);
        if self.outcomes.len() > length {
            let oldest = self.outcomes.pop_front().unwrap_or_default();
            self.failures -= usize::from(oldest);
        }
    }
}
