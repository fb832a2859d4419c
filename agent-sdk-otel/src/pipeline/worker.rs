//! What takes batches out of the queue.

use std::sync::Arc;
use std::time::Instant;

use super::deliver::deliver;
use super::queue::Chunk;
use super::{Delivery, REQUEST_BYTES, Shared, Transport};

/// Sends batches until the pipeline is closed and settled.
pub(super) async fn run(shared: Arc<Shared>, transport: impl Transport) {
    let _end = EndGuard(&shared);
    let transport = Arc::new(transport);
    loop {
        match next(&shared) {
            Next::Send(chunks, flight) => {
                let task = deliver(Arc::clone(&transport), chunks, flight);
                drop(tokio::spawn(task));
            }
            Next::WaitUntil(None) => shared.work.notified().await,
            Next::WaitUntil(Some(until)) => {
                let woken = shared.work.notified();
                let _ = tokio::time::timeout_at(until.into(), woken).await;
            }
            Next::End => return,
        }
    }
}

enum Next {
    Send(Vec<Chunk>, Flight),
    WaitUntil(Option<Instant>),
    End,
}

/// A batch leaves when it is full, when it waited long enough, for a flush, and at the end.
fn next(shared: &Arc<Shared>) -> Next {
    let limits = &shared.limits;
    let mut state = shared.lock();
    let closing = *shared.closing.borrow();
    let now = Instant::now();
    if closing.is_some_and(|deadline| deadline <= now) {
        state.abandon_queue();
    }
    let Some(oldest) = state.queue.oldest() else {
        return match closing {
            Some(_) if state.in_flight.is_empty() => Next::End,
            _ => Next::WaitUntil(None),
        };
    };
    if state.in_flight.len() >= limits.in_flight {
        return Next::WaitUntil(closing);
    }
    let due = oldest + limits.delay;
    let flushed = state
        .queue
        .first()
        .is_some_and(|first| first < state.flush_to);
    if closing.is_none() && state.queue.items() < limits.batch && due > now && !flushed {
        return Next::WaitUntil(Some(due));
    }
    let room = REQUEST_BYTES.saturating_sub(shared.envelope.len());
    let Some(batch) = state.queue.take(limits.largest, room) else {
        return Next::WaitUntil(closing);
    };
    state.in_flight.push(batch.first);
    let flight = Flight {
        shared: Arc::clone(shared),
        first: batch.first,
        items: batch.items,
        fate: Delivery::Unknown,
    };
    Next::Send(batch.chunks, flight)
}

/// A batch on its way; settles it exactly once, also when its task panics or is never finished.
pub(super) struct Flight {
    pub(super) shared: Arc<Shared>,
    first: u64,
    items: u64,
    /// What is counted if nothing more is learnt.
    pub(super) fate: Delivery,
}

impl Drop for Flight {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.account.settle(self.items, self.fate);
        let place = state
            .in_flight
            .iter()
            .position(|first| *first == self.first);
        if let Some(place) = place {
            state.in_flight.swap_remove(place);
        }
        drop(state);
        self.shared.progress.notify_all();
        self.shared.work.notify_one();
    }
}

/// Closes the pipeline when the worker ends, for whatever reason.
struct EndGuard<'a>(&'a Shared);

impl Drop for EndGuard<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.abandon_queue();
        state.open = false;
        state.worker_running = false;
        self.0.progress.notify_all();
    }
}
