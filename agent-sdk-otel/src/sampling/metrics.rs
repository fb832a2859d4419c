//! What tail sampling did, among the metrics.

use std::sync::Arc;

use opentelemetry::metrics::Meter;

use super::{Outlet, TailCounts, TailSampler};
use crate::{attrs, metric};

impl<O: Outlet + Send + Sync + 'static> TailSampler<O>
where
    O::Scope: Send,
{
    /// Puts the counts among the metrics.
    pub(crate) fn observe(self: &Arc<Self>, meter: &Meter) {
        let tail = self.clone();
        let counts = move || {
            tail.tick();
            tail.counts()
        };
        for (def, read) in COUNTERS {
            let counts = counts.clone();
            def.u64_observable_counter(meter, move |counter| {
                for (reason, traces) in read(&counts()) {
                    counter.observe(traces, &[attrs::text(attrs::TAIL_SAMPLING_REASON, reason)]);
                }
            });
        }
        for (def, read) in GAUGES {
            let counts = counts.clone();
            def.u64_observable_gauge(meter, move |gauge| gauge.observe(read(&counts()), &[]));
        }
    }
}

/// Numbers of traces by reason.
type ByReason = Vec<(&'static str, u64)>;

/// A metric, and how what it shows is read.
type Shown<T> = (metric::MetricDef, fn(&TailCounts) -> T);

const COUNTERS: [Shown<ByReason>; 2] = [
    (metric::TAIL_SAMPLING_KEPT, |counts| {
        let reasons = counts.reasons;
        vec![
            ("error", reasons.error),
            ("budget", reasons.budget),
            ("slow", reasons.slow),
            ("cost", reasons.cost),
            ("requested", reasons.requested),
        ]
    }),
    (metric::TAIL_SAMPLING_LEFT_OUT, |counts| {
        vec![
            ("unremarkable", counts.left_out - counts.forced),
            ("memory", counts.forced),
        ]
    }),
];

const GAUGES: [Shown<u64>; 2] = [
    (metric::TAIL_SAMPLING_UNDECIDED, |counts| counts.undecided),
    (metric::TAIL_SAMPLING_HELD, |counts| counts.held_bytes),
];
