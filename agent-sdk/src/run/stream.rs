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

/// A run as a stream of its events; made by [`RunRequest::stream`](super::RunRequest::stream).
///
/// It is lazy and loses nothing, except that a reader who is more than 1,024 events behind sees only the newest progress of each
/// tool call. Dropping it cancels the run. Once it has ended, [`report`](Self::report) gives the result.
#[must_use = "a run does nothing unless it is polled"]
pub struct RunStream<'a> {
    work: Option<BoxFuture<'a, Result<RunReport, RunError>>>,
    result: Option<Result<RunReport, RunError>>,
    pace: Arc<Pace>,
}

impl<'a> RunStream<'a> {
    pub(crate) fn new(work: BoxFuture<'a, Result<RunReport, RunError>>, pace: Arc<Pace>) -> Self {
        Self {
            work: Some(work),
            result: None,
            pace,
        }
    }

    /// Reads what is left and returns what the run came to.
    pub async fn report(mut self) -> Result<RunReport, RunError> {
        while self.next().await.is_some() {}
        match (self.result.take(), self.work.take()) {
            (Some(result), _) => result,
            (None, Some(work)) => work.await,
            (None, None) => std::future::pending().await,
        }
    }
}

impl Stream for RunStream<'_> {
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
                }
                Poll::Pending => match self.pace.take() {
                    Some(event) => return Poll::Ready(Some(event)),
                    None => return Poll::Pending,
                },
            }
        }
    }
}

impl fmt::Debug for RunStream<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunStream")
            .field("ended", &self.work.is_none())
            .finish_non_exhaustive()
    }
}
