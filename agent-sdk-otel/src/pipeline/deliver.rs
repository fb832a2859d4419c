//! How one batch is delivered: attempts, waits between them, and what is known at the end.
//!
//! OTLP's rules: 429, 502, 503 and 504 are asked again, after the time that the collector names or
//! after an exponential backoff; other refusals are final, and what a success says it rejected is
//! never sent again. A connection that ended without a reply is tried again as well, as OTLP wants
//! it: the collector may then have the batch twice, which is better than not at all. A reply that
//! did not come in time is not: a collector that is too slow would only get more to do.
//!
//! What became of a batch is certain or `unknown`: once a reply was lost, only an acceptance counts
//! as an answer. What could be asked again but was not, because time was up, goes to disk where
//! that is wanted.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::account::{Delivery, Fate};
use super::queue::Chunk;
use super::spill::{Content, file_size};
use super::worker::{Flight, PAUSE};
use super::{Shared, Transport};
use crate::otlp::Answer;

/// How long and how often a batch is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Retries {
    /// The wait after the first attempt; it doubles from then on.
    pub(crate) first: Duration,
    /// The longest wait, also where the collector asks for more.
    pub(crate) longest: Duration,
    /// No attempt begins later than this after the first.
    pub(crate) total: Duration,
}

impl Default for Retries {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(500),
            longest: Duration::from_secs(10),
            total: Duration::from_mins(1),
        }
    }
}

/// Sends a batch until its fate is known.
pub(super) async fn deliver(
    transport: Arc<impl Transport>,
    chunks: Vec<Chunk>,
    mut flight: Flight,
) {
    let shared = Arc::clone(&flight.shared);
    let body = wrap(&shared, chunks);
    let outcome = attempts(&*transport, &shared, &body, false, |so_far| {
        flight.fate = Fate::Delivered(so_far);
    });
    match outcome.await {
        Outcome::Known(delivery) => flight.fate = Fate::Delivered(delivery),
        Outcome::Undelivered { uncertain } => store(&mut flight, body, uncertain).await,
    }
}

/// Puts a batch into a file.
pub(super) async fn spill(chunks: Vec<Chunk>, mut flight: Flight) {
    let body = wrap(&flight.shared, chunks);
    store(&mut flight, body, false).await;
}

/// Sends a batch from its file until its fate is known; if that is not possible now, it stays.
pub(super) async fn redeliver(transport: Arc<impl Transport>, mut flight: Flight) {
    let shared = Arc::clone(&flight.shared);
    let Some(file) = flight.file.take() else {
        return;
    };
    let (file, content) = blocking(move || {
        let content = file.read();
        (file, content)
    })
    .await;
    let fate = match content {
        // What is damaged will never be delivered.
        None => Fate::Delivered(Delivery::Failed),
        Some(Content { body, uncertain }) => {
            match attempts(&*transport, &shared, &body, uncertain, |_| {}).await {
                Outcome::Known(delivery) => Fate::Delivered(delivery),
                Outcome::Undelivered { .. } => Fate::Spilled,
            }
        }
    };
    flight.file = Some(if fate == Fate::Spilled {
        shared.lock().resend_at = Some(Instant::now() + PAUSE);
        file
    } else {
        blocking(move || {
            if file.remove().is_err() {
                tracing::warn!(target: "agent_sdk_otel", "a spilled batch was sent and cannot be removed");
            }
            file
        })
        .await
    });
    flight.fate = fate;
}

enum Outcome {
    Known(Delivery),
    /// It could be tried again, but not now.
    Undelivered {
        uncertain: bool,
    },
}

/// Attempts until there is an answer, no time is left or no attempt makes sense. `so_far` is told
/// before each wait what would be known if it were the last.
async fn attempts(
    transport: &impl Transport,
    shared: &Shared,
    message: &Bytes,
    mut uncertain: bool,
    mut so_far: impl FnMut(Delivery),
) -> Outcome {
    let Some(body) = transport.body(message) else {
        return Outcome::Known(not_accepted(uncertain));
    };
    let began = Instant::now();
    let retries = shared.limits.retries;
    let mut wait = retries.first;
    loop {
        so_far(Delivery::Unknown);
        let answer = tokio::select! {
            answer = transport.send(body.clone()) => answer,
            () = time_up(shared) => Answer::Late,
        };
        let asked = match answer {
            Answer::Accepted { rejected } => {
                return Outcome::Known(Delivery::Accepted { rejected });
            }
            Answer::Late => return Outcome::Known(Delivery::Unknown),
            Answer::Refused => return Outcome::Known(not_accepted(uncertain)),
            Answer::Busy { after } => after,
            Answer::Lost => {
                uncertain = true;
                None
            }
            Answer::Unreached => None,
        };
        so_far(not_accepted(uncertain));
        let next = asked.unwrap_or_else(|| jittered(wait)).min(retries.longest);
        wait = (wait * 2).min(retries.longest);
        let closing = *shared.closing.borrow();
        let too_late = closing.is_some_and(|closing| {
            // A program must not end slowly because nobody listens.
            answer == Answer::Unreached || Instant::now() + next >= closing.send_until
        });
        if too_late || began.elapsed() + next > retries.total {
            return Outcome::Undelivered { uncertain };
        }
        tokio::select! {
            () = tokio::time::sleep(next) => {}
            () = time_up(shared) => return Outcome::Undelivered { uncertain },
        }
    }
}

fn not_accepted(uncertain: bool) -> Delivery {
    if uncertain {
        Delivery::Unknown
    } else {
        Delivery::Failed
    }
}

/// The request of these chunks, whose buffers go back to the queue.
fn wrap(shared: &Shared, chunks: Vec<Chunk>) -> Bytes {
    let body = shared.envelope.wrap(&chunks);
    shared.lock().queue.recycle(chunks);
    body.into()
}

/// Puts a request that was not delivered into a file, where that is wanted and there is room.
async fn store(flight: &mut Flight, body: Bytes, uncertain: bool) {
    let shared = Arc::clone(&flight.shared);
    let Some(store) = shared.store.clone() else {
        return;
    };
    let (items, size) = (flight.items, file_size(&body));
    {
        let mut state = shared.lock();
        let now = Instant::now();
        if !shared.has_disk_room(&state, size, now) {
            // What comes next is not taken out of the queue for nothing.
            state.disk_again_at.get_or_insert(now + PAUSE);
            return;
        }
        state.disk_bytes += size;
    }
    match blocking(move || store.write(&body, items, uncertain)).await {
        Ok(file) => {
            flight.file = Some(file);
            flight.fate = Fate::Spilled;
        }
        Err(error) => {
            let mut state = shared.lock();
            state.disk_bytes = state.disk_bytes.saturating_sub(size);
            state.disk_again_at = Some(Instant::now() + PAUSE);
            drop(state);
            tracing::warn!(target: "agent_sdk_otel", %error, "telemetry cannot be spilled to disk");
        }
    }
}

/// Runs what waits for the disk off the thread that sends.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // The thread ends, and this task with it.
        Err(_) => std::future::pending().await,
    }
}

/// Between half of a wait and all of it, so that batches that failed together do not return
/// together.
fn jittered(wait: Duration) -> Duration {
    wait.mul_f64(0.5 + 0.5 * fastrand::f64())
}

/// Returns when the pipeline's time to send is up, which may be never.
async fn time_up(shared: &Shared) {
    let mut closing = shared.closing.subscribe();
    // The sender is in `shared` and cannot be gone.
    let closing = closing
        .wait_for(Option::is_some)
        .await
        .ok()
        .and_then(|set| *set);
    match closing {
        Some(closing) => tokio::time::sleep_until(closing.send_until.into()).await,
        None => std::future::pending().await,
    }
}
