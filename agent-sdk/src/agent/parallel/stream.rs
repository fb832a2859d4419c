//! The events of several runs as one stream.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::{Stream, StreamExt, future::BoxFuture};
use serde::Serialize;

use super::{ParallelReport, Queues};
use crate::operation::Event;

/// An event of one of several runs.
///
/// As JSON it is the event with two fields more, `agent` and `index`.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ParallelEvent {
    /// The agent whose run it is. The event's own `agent_id` is the innermost agent, which may be one inside it.
    pub agent: Arc<str>,
    /// The run's place among those that were given, from 0.
    pub index: usize,
    /// What all of these runs have in common: the id of the workflow's span.
    #[serde(skip)]
    pub batch_id: Arc<str>,
    /// What happened.
    #[serde(flatten)]
    pub event: Arc<Event>,
}

/// Several runs as one stream of their events; made by [`Parallel::stream`](super::Parallel::stream), which says how it is paced.
///
/// Each run's events come in their order. Those of the workflow around them are not among them. Dropping it cancels all of
/// them. Once it has ended, [`report`](Self::report) gives the results.
#[must_use = "nothing runs unless it is polled"]
pub struct ParallelStream<'a> {
    work: Option<BoxFuture<'a, ParallelReport>>,
    report: Option<ParallelReport>,
    queues: Arc<Queues>,
}

impl<'a> ParallelStream<'a> {
    pub(super) fn new(work: BoxFuture<'a, ParallelReport>, queues: Arc<Queues>) -> Self {
        Self {
            work: Some(work),
            report: None,
            queues,
        }
    }

    /// Reads what is left and returns what the runs came to.
    pub async fn report(mut self) -> ParallelReport {
        while self.next().await.is_some() {}
        match (self.report.take(), self.work.take()) {
            (Some(report), _) => report,
            (None, Some(work)) => work.await,
            (None, None) => std::future::pending().await,
        }
    }
}

impl Stream for ParallelStream<'_> {
    type Item = ParallelEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<ParallelEvent>> {
        // The runs first: one that waits for room must not wait until the others' queues are empty.
        if let Some(work) = &mut self.work
            && let Poll::Ready(report) = work.as_mut().poll(cx)
        {
            self.report = Some(report);
            self.work = None;
        }
        if let Some(event) = self.queues.take() {
            return Poll::Ready(Some(event));
        }
        if self.work.is_none() {
            return Poll::Ready(None);
        }
        self.queues.register(cx.waker());
        match self.queues.take() {
            Some(event) => Poll::Ready(Some(event)),
            None => Poll::Pending,
        }
    }
}

impl fmt::Debug for ParallelStream<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParallelStream")
            .field("ended", &self.work.is_none())
            .finish_non_exhaustive()
    }
}
