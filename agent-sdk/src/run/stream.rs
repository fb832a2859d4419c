//! A run as a stream of its events.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::{Stream, StreamExt, future::BoxFuture};

use super::{Pace, RunError, RunReport};
use crate::operation::Event;

/// A run as a stream of its events; made by [`RunRequest::stream`](super::RunRequest::stream), and of plans by
/// [`PlanRequest::stream`](crate::orchestrator::PlanRequest::stream) and
/// [`PlannerRequest::stream`](crate::plan::PlannerRequest::stream).
///
/// It is lazy and loses nothing, except that a reader who is more than 1,024 events behind sees only the newest progress of each
/// tool call. Dropping it cancels the run. Once it has ended, [`report`](Self::report) gives the result: a `T`, or an `E`.
#[must_use = "a run does nothing unless it is polled"]
pub struct RunStream<'a, T = RunReport, E = RunError> {
    work: Option<BoxFuture<'a, Result<T, E>>>,
    result: Option<Result<T, E>>,
    pace: Arc<Pace>,
}

impl<'a, T, E> RunStream<'a, T, E> {
    pub(crate) fn new(work: BoxFuture<'a, Result<T, E>>, pace: Arc<Pace>) -> Self {
        Self {
            work: Some(work),
            result: None,
            pace,
        }
    }
}

impl<T: Unpin, E: Unpin> RunStream<'_, T, E> {
    /// Reads what is left and returns what the run came to.
    pub async fn report(mut self) -> Result<T, E> {
        while self.next().await.is_some() {}
        match (self.result.take(), self.work.take()) {
            (Some(result), _) => result,
            (None, Some(work)) => work.await,
            (None, None) => std::future::pending().await,
        }
    }
}

impl<T: Unpin, E: Unpin> Stream for RunStream<'_, T, E> {
    type Item = Arc<Event>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Arc<Event>>> {
        loop {
            if let Some(event) = self.pace.take() {
                return Poll::Ready(Some(event));
            }
            let Some(work) = &mut self.work else {
                return Poll::Ready(None);
            };
            match work.as_mut().poll(cx) {
                Poll::Ready(result) => {
                    self.result = Some(result);
                    self.work = None;
                    // What else happens in a run that this is a part of is not its own.
                    self.pace.close();
                }
                // Threads of the run's own tell something too.
                Poll::Pending => return self.pace.poll_take(cx).map(Some),
            }
        }
    }
}

impl<T, E> Drop for RunStream<'_, T, E> {
    fn drop(&mut self) {
        self.pace.close();
        while self.pace.take().is_some() {}
    }
}

impl<T, E> fmt::Debug for RunStream<'_, T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunStream")
            .field("ended", &self.work.is_none())
            .finish_non_exhaustive()
    }
}
