//! The exporting thread.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use opentelemetry::Context;
use opentelemetry_sdk::trace::SpanData;

use super::{Delivery, Phase, Shared, SpanTransport};

/// Sends batches until the pipeline is closed and empty, or its time is up.
pub(super) fn run(shared: &Shared, mut transport: impl SpanTransport) {
    // Whatever the HTTP client records on this thread must not become spans to export.
    let _quiet = Context::enter_telemetry_suppressed_scope();
    let _end = EndGuard(shared);
    while let Some(batch) = next_batch(shared) {
        let unsettled = Unsettled {
            shared,
            spans: batch.spans.len() as u64,
            delivery: Delivery::Unknown,
        };
        let delivery = transport.send(batch.spans, batch.timeout);
        unsettled.settle(delivery);
    }
}

struct Batch {
    spans: Vec<SpanData>,
    timeout: Option<Duration>,
}

/// Waits for a reason to send: a full batch, one that waited long enough, a flush, the end.
///
/// `None` means that the pipeline is closed and there is nothing to send, or no time.
fn next_batch(shared: &Shared) -> Option<Batch> {
    let mut state = shared.lock();
    let mut oldest: Option<Instant> = None;
    let timeout = loop {
        if let Phase::Closing(deadline) = state.phase {
            let left = deadline.saturating_duration_since(Instant::now());
            if state.queue.is_empty() || left.is_zero() {
                return None;
            }
            break Some(left);
        }
        if state.queue.is_empty() {
            oldest = None;
            state = shared
                .work
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
            continue;
        }
        let due = *oldest.get_or_insert_with(Instant::now) + shared.limits.delay;
        let left = due.saturating_duration_since(Instant::now());
        let full = state.queue.len() >= shared.limits.batch;
        if full || left.is_zero() || state.settled < state.flush_to {
            break None;
        }
        state = shared
            .work
            .wait_timeout(state, left)
            .unwrap_or_else(PoisonError::into_inner)
            .0;
    };
    let count = state.queue.len().min(shared.limits.batch);
    let spans = state.queue.drain(..count).collect();
    Some(Batch { spans, timeout })
}

/// Settles a batch exactly once, also when the transport panics.
struct Unsettled<'a> {
    shared: &'a Shared,
    spans: u64,
    delivery: Delivery,
}

impl Unsettled<'_> {
    fn settle(mut self, delivery: Delivery) {
        self.delivery = delivery;
    }
}

impl Drop for Unsettled<'_> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.account.settle(self.spans, self.delivery);
        state.settled += self.spans;
        self.shared.progress.notify_all();
    }
}

/// Closes the pipeline when the thread ends, for whatever reason.
struct EndGuard<'a>(&'a Shared);

impl Drop for EndGuard<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.abandon_queue();
        state.phase = Phase::Closing(Instant::now());
        state.worker_running = false;
        self.0.progress.notify_all();
    }
}
