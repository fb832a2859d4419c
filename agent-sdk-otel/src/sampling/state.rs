//! What the sampler holds.

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use super::decided::Decided;
use super::{Reason, TailCounts, TailSampling};

/// What a held span takes beside its bytes: its place in the list, and the allocator's share.
const SPAN_OVERHEAD: usize = 64;

/// What a held trace takes beside its spans.
const TRACE_OVERHEAD: usize = 320;

/// How many decisions are remembered for each trace that may be held.
const REMEMBERED: usize = 4;

type Trace = [u8; 16];

/// A trace that is not decided.
#[derive(Debug)]
pub(super) struct Held<S> {
    pub(super) spans: Vec<(S, Box<[u8]>)>,
    /// Its place among those that are held, by the time of its first span.
    number: u64,
    /// When its grace is over, once its local root ended.
    due: Option<Instant>,
    spent: u64,
    bytes: usize,
}

#[derive(Debug)]
pub(super) struct State<S> {
    held: HashMap<Trace, Held<S>>,
    by_age: BTreeMap<u64, Trace>,
    by_due: BTreeMap<(Instant, u64), Trace>,
    decided: Decided,
    bytes: usize,
    next: u64,
    counts: TailCounts,
    closed: bool,
}

impl<S> State<S> {
    pub(super) fn new(rules: &TailSampling) -> Self {
        Self {
            held: HashMap::new(),
            by_age: BTreeMap::new(),
            by_due: BTreeMap::new(),
            decided: Decided::new(rules.traces.saturating_mul(REMEMBERED)),
            bytes: 0,
            next: 0,
            counts: TailCounts::default(),
            closed: false,
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    pub(super) fn decision(&mut self, trace: &Trace) -> Option<bool> {
        self.decided.get(trace)
    }

    /// What the held spans of a trace cost.
    pub(super) fn spent(&self, trace: &Trace) -> u64 {
        self.held.get(trace).map_or(0, |held| held.spent)
    }

    pub(super) fn hold(
        &mut self,
        trace: Trace,
        span: (S, Box<[u8]>),
        cost: u64,
        due: Option<Instant>,
    ) {
        let held = self.held.entry(trace).or_insert_with(|| {
            self.next += 1;
            self.by_age.insert(self.next, trace);
            self.bytes += TRACE_OVERHEAD;
            Held {
                spans: Vec::new(),
                number: self.next,
                due: None,
                spent: 0,
                bytes: TRACE_OVERHEAD,
            }
        });
        let bytes = span.1.len() + SPAN_OVERHEAD;
        held.bytes += bytes;
        self.bytes += bytes;
        held.spent = held.spent.saturating_add(cost);
        held.spans.push(span);
        if let Some(due) = due {
            // Where several parts of a trace run here, the last one that ended counts.
            if let Some(before) = held.due.replace(due) {
                self.by_due.remove(&(before, held.number));
            }
            self.by_due.insert((due, held.number), trace);
        }
    }

    /// Decides to keep a trace; what was held of it is the caller's to send.
    pub(super) fn keep(&mut self, trace: Trace, reason: Reason) -> Option<Held<S>> {
        self.counts.kept += 1;
        let reasons = &mut self.counts.reasons;
        *match reason {
            Reason::Error => &mut reasons.error,
            Reason::Budget => &mut reasons.budget,
            Reason::Slow => &mut reasons.slow,
            Reason::Cost => &mut reasons.cost,
            Reason::Requested => &mut reasons.requested,
        } += 1;
        self.decided.insert(trace, true);
        self.take(&trace)
    }

    pub(super) fn is_over(&self, rules: &TailSampling) -> bool {
        self.bytes > rules.bytes || self.held.len() > rules.traces
    }

    /// Leaves out the oldest undecided trace; answers with the number of its spans.
    pub(super) fn force_oldest(&mut self) -> u64 {
        let Some((_, &trace)) = self.by_age.first_key_value() else {
            return 0;
        };
        self.counts.forced += 1;
        self.leave_out(trace)
    }

    /// Leaves out what is due; answers with the number of spans.
    pub(super) fn leave_out_due(&mut self, now: Instant) -> u64 {
        let mut spans = 0;
        while let Some((&(due, _), &trace)) = self.by_due.first_key_value()
            && due <= now
        {
            spans += self.leave_out(trace);
        }
        spans
    }

    /// Leaves out every trace whose local root ended.
    pub(super) fn leave_out_ended(&mut self) -> u64 {
        let mut spans = 0;
        while let Some((_, &trace)) = self.by_due.first_key_value() {
            spans += self.leave_out(trace);
        }
        spans
    }

    /// Leaves out everything, and holds nothing from now on.
    pub(super) fn close(&mut self) -> u64 {
        self.closed = true;
        let mut spans = 0;
        while let Some((_, &trace)) = self.by_age.first_key_value() {
            spans += self.leave_out(trace);
        }
        spans
    }

    pub(super) fn counts(&self) -> TailCounts {
        TailCounts {
            undecided: self.held.len() as u64,
            held_bytes: self.bytes as u64,
            ..self.counts
        }
    }

    fn leave_out(&mut self, trace: Trace) -> u64 {
        self.counts.left_out += 1;
        self.decided.insert(trace, false);
        self.take(&trace).map_or(0, |held| held.spans.len() as u64)
    }

    fn take(&mut self, trace: &Trace) -> Option<Held<S>> {
        let held = self.held.remove(trace)?;
        self.by_age.remove(&held.number);
        if let Some(due) = held.due {
            self.by_due.remove(&(due, held.number));
        }
        self.bytes -= held.bytes;
        Some(held)
    }
}
