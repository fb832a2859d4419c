//! Spans of operations that take long, before they end.

use std::collections::HashSet;
use std::time::Duration;

use agent_sdk::monitor::LiveOperations;
use agent_sdk::operation::{SpanId, TraceId};

use super::{Export, Exported, spans};

/// Exports one span for each operation that is older than a time.
pub(super) struct Pending {
    after: Duration,
    export: Export,
    /// Those that were shown and still run.
    shown: HashSet<(TraceId, SpanId)>,
}

impl Pending {
    pub(super) fn new(after: Duration, export: Export) -> Self {
        Self {
            after,
            export,
            shown: HashSet::new(),
        }
    }

    /// How often to look, so that a span is late by a quarter of its time, and by a second at most.
    pub(super) fn period(&self) -> Duration {
        (self.after / 4).clamp(Duration::from_millis(10), Duration::from_secs(1))
    }

    pub(super) fn look(&mut self, live: &LiveOperations) {
        let old = live.older_than(self.after).operations;
        let mut running = HashSet::with_capacity(old.len());
        for operation in old.iter().filter(|each| each.trace.sampled) {
            let key = (operation.trace.trace_id, operation.trace.span_id);
            if !self.shown.contains(&key) {
                (self.export)(&Exported {
                    trace: operation.trace.trace_id.0.to_be_bytes(),
                    message: &spans::pending(operation),
                });
            }
            running.insert(key);
        }
        self.shown = running;
    }
}
