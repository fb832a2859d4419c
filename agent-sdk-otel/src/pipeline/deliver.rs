//! How one batch is delivered: attempts, waits between them, and what is known at the end.
//!
//! OTLP's rules: 429, 502, 503 and 504 are asked again, after the time that the collector names or
//! after an exponential backoff; other refusals are final, and what a success says it rejected is
//! never sent again. A connection that ended without a reply is tried again as well, as OTLP wants
//! it: the collector may then have the batch twice, which is better than not at all. A reply that
//! did not come in time is not: a collector that is too slow would only get more to do.
//!
//! What became of a batch is certain or `unknown`: once a reply was lost, only an acceptance counts
//! as an answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::queue::Chunk;
use super::worker::Flight;
use super::{Delivery, Shared, Transport};
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
    let body = Bytes::from(shared.envelope.wrap(&chunks));
    shared.lock().queue.recycle(chunks);
    let began = Instant::now();
    let retries = shared.limits.retries;
    let mut wait = retries.first;
    let mut lost = false;
    loop {
        flight.fate = Delivery::Unknown;
        let answer = tokio::select! {
            answer = transport.send(body.clone()) => answer,
            () = time_up(&shared) => Answer::Late,
        };
        let undelivered = if lost || matches!(answer, Answer::Lost) {
            Delivery::Unknown
        } else {
            Delivery::Failed
        };
        let asked = match answer {
            Answer::Accepted { rejected } => {
                flight.fate = Delivery::Accepted { rejected };
                return;
            }
            Answer::Late => return,
            Answer::Refused => {
                flight.fate = undelivered;
                return;
            }
            Answer::Busy { after } => after,
            Answer::Lost => {
                lost = true;
                None
            }
            Answer::Unreached => None,
        };
        flight.fate = undelivered;
        let closing = shared.closing.borrow().is_some();
        if closing && matches!(answer, Answer::Unreached) {
            // A program must not end slowly because nobody listens.
            return;
        }
        let next = asked.unwrap_or_else(|| jittered(wait)).min(retries.longest);
        wait = (wait * 2).min(retries.longest);
        if began.elapsed() + next > retries.total {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(next) => {}
            () = time_up(&shared) => return,
        }
    }
}

/// Between half of a wait and all of it, so that batches that failed together do not return
/// together.
fn jittered(wait: Duration) -> Duration {
    wait.mul_f64(0.5 + 0.5 * fastrand::f64())
}

/// Returns when the pipeline's time to close is up, which may be never.
async fn time_up(shared: &Shared) {
    let mut closing = shared.closing.subscribe();
    // The sender is in `shared` and cannot be gone.
    let deadline = closing
        .wait_for(Option::is_some)
        .await
        .ok()
        .and_then(|set| *set);
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}
