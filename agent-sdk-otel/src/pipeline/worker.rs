//! What takes batches out of the queue, and files from the disk.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::account::{Delivery, Fate};
use super::deliver::{deliver, redeliver, spill};
use super::queue::{Batch, Chunk};
use super::spill::Spilled;
use super::{REQUEST_BYTES, Shared, State, Transport};

/// Files that are written at once, beside the requests in flight.
const WRITES: usize = 2;

/// How long a disk is left alone after it could not be written, or a collector after it took
/// nothing from disk.
pub(super) const PAUSE: Duration = Duration::from_secs(5);

/// Sends batches until the pipeline is closed and settled.
pub(super) async fn run(shared: Arc<Shared>, transport: impl Transport) {
    let _end = EndGuard(&shared);
    let transport = Arc::new(transport);
    loop {
        match next(&shared) {
            Next::Send(chunks, flight) => {
                drop(tokio::spawn(deliver(
                    Arc::clone(&transport),
                    chunks,
                    flight,
                )));
            }
            Next::Spill(chunks, flight) => drop(tokio::spawn(spill(chunks, flight))),
            Next::Resend(flight) => {
                drop(tokio::spawn(redeliver(Arc::clone(&transport), flight)));
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
    Spill(Vec<Chunk>, Flight),
    Resend(Flight),
    WaitUntil(Option<Instant>),
    End,
}

/// A batch leaves when it is full, when it waited long enough, for a flush, and at the end. It goes
/// to disk, where that is wanted, when all requests are busy and the queue is half full, and when
/// the time to send is up.
fn next(shared: &Arc<Shared>) -> Next {
    let limits = &shared.limits;
    let now = Instant::now();
    let closing = *shared.closing.borrow();
    let mut state = shared.lock();
    if closing.is_some_and(|closing| closing.end <= now) {
        state.abandon_queue();
    }
    let Some(oldest) = state.queue.oldest() else {
        return match closing {
            Some(_) if state.in_flight.is_empty() => Next::End,
            Some(_) => Next::WaitUntil(None),
            None => resend(shared, &mut state, now),
        };
    };
    let may_send = closing.is_none_or(|closing| now < closing.send_until);
    if may_send && state.sending < limits.in_flight {
        let due = oldest + limits.delay;
        let first = state.queue.first();
        let flushed = first.is_some_and(|first| first < state.flush_to);
        let full = state.queue.items() >= limits.batch;
        if closing.is_none() && !full && due > now && !flushed {
            return match resend(shared, &mut state, now) {
                Next::WaitUntil(until) => {
                    Next::WaitUntil(Some(until.map_or(due, |at| at.min(due))))
                }
                other => other,
            };
        }
        return match take(shared, &mut state) {
            Some(batch) => {
                state.sending += 1;
                let (chunks, flight) = Flight::of(shared, batch, true);
                Next::Send(chunks, flight)
            }
            None => Next::WaitUntil(closing.map(|closing| closing.end)),
        };
    }
    let behind =
        state.queue.items() >= limits.queue / 2 || state.queue.bytes() >= limits.queue_bytes / 2;
    if (behind || !may_send)
        && state.writing < WRITES
        && shared.has_disk_room(&state, 0, now)
        && let Some(batch) = take(shared, &mut state)
    {
        state.writing += 1;
        let (chunks, flight) = Flight::of(shared, batch, false);
        return Next::Spill(chunks, flight);
    }
    Next::WaitUntil(closing.map(|closing| {
        if may_send {
            closing.send_until
        } else {
            closing.end
        }
    }))
}

fn take(shared: &Shared, state: &mut State) -> Option<Batch> {
    let room = REQUEST_BYTES.saturating_sub(shared.envelope.len());
    let batch = state.queue.take(shared.limits.largest, room)?;
    state.in_flight.push(batch.first);
    if state.blocked > 0 {
        shared.room.notify_all();
    }
    Some(batch)
}

/// A file whose batch can be sent now, while nothing newer is due. One request at least stays free
/// for what is newer.
fn resend(shared: &Arc<Shared>, state: &mut State, now: Instant) -> Next {
    let most = shared.limits.in_flight.saturating_sub(1).max(1);
    if state.sending >= most || state.files.is_empty() {
        return Next::WaitUntil(None);
    }
    if let Some(at) = state.resend_at.filter(|at| *at > now) {
        return Next::WaitUntil(Some(at));
    }
    match state.files.pop_front() {
        None => Next::WaitUntil(None),
        Some(file) => {
            state.sending += 1;
            // A file keeps nobody who flushes waiting: it is settled as spilled.
            state.in_flight.push(u64::MAX);
            Next::Resend(Flight {
                shared: Arc::clone(shared),
                first: u64::MAX,
                items: file.items,
                recovered: !file.own,
                sends: true,
                fate: Fate::Spilled,
                file: Some(file),
            })
        }
    }
}

/// A batch on its way; settles it exactly once, also when its task panics or is never finished.
pub(super) struct Flight {
    pub(super) shared: Arc<Shared>,
    first: u64,
    pub(super) items: u64,
    /// Whether an earlier process left it.
    recovered: bool,
    sends: bool,
    /// What is counted if nothing more is learnt.
    pub(super) fate: Fate,
    /// Where the batch came from, or where it went.
    pub(super) file: Option<Spilled>,
}

impl Flight {
    fn of(shared: &Arc<Shared>, batch: Batch, sends: bool) -> (Vec<Chunk>, Self) {
        let flight = Self {
            shared: Arc::clone(shared),
            first: batch.first,
            items: batch.items,
            recovered: false,
            sends,
            fate: if sends {
                Fate::Delivered(Delivery::Unknown)
            } else {
                Fate::Dropped
            },
            file: None,
        };
        (batch.chunks, flight)
    }

    /// Whether the batch lay on disk before.
    fn was_spilled(&self) -> bool {
        self.first == u64::MAX
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        let account = if self.recovered {
            &mut state.recovered
        } else {
            &mut state.account
        };
        if self.was_spilled() {
            account.settle_spilled(self.items, self.fate);
        } else {
            account.settle(self.items, self.fate);
        }
        if let Some(file) = self.file.take() {
            if self.fate == Fate::Spilled && self.was_spilled() {
                state.files.push_front(file);
            } else if self.fate == Fate::Spilled {
                state.files.push_back(file);
            } else {
                state.disk_bytes = state.disk_bytes.saturating_sub(file.bytes);
                state.disk_again_at = None;
            }
        }
        if self.sends {
            state.sending -= 1;
        } else {
            state.writing -= 1;
        }
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
        self.0.room.notify_all();
    }
}
