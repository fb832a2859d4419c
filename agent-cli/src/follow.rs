//! Work as a stream of the events of its run.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use agent_sdk::operation::{Event, Interests, Observer, RunContext};
use futures_util::{Stream, future::BoxFuture};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

/// Work and the events of the run that it is in, in their order. The work goes on only while nothing is left to be shown, so no more
/// waits here than one step of it tells.
pub(crate) struct Followed<'a, T> {
    events: UnboundedReceiver<Arc<Event>>,
    work: Option<BoxFuture<'a, T>>,
    result: Option<T>,
}

impl<'a, T> Followed<'a, T> {
    /// Follows work in the run of a context.
    pub(crate) fn new(context: &RunContext, work: BoxFuture<'a, T>) -> Self {
        let (teller, events) = mpsc::unbounded_channel();
        context.subscribe(Arc::new(Teller(teller)));
        Self {
            events,
            work: Some(work),
            result: None,
        }
    }

    /// What came of the work; `None` before the stream has ended.
    pub(crate) fn into_result(self) -> Option<T> {
        self.result
    }
}

impl<T: Unpin> Stream for Followed<'_, T> {
    type Item = Arc<Event>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Arc<Event>>> {
        loop {
            if let Ok(event) = self.events.try_recv() {
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
                // Threads of the run's own tell something too.
                Poll::Pending => return self.events.poll_recv(cx),
            }
        }
    }
}

struct Teller(UnboundedSender<Arc<Event>>);

impl Observer for Teller {
    fn interests(&self) -> Interests {
        Interests::EVENTS
    }

    fn event(&self, event: &Arc<Event>) {
        // Nobody follows any more.
        let _ = self.0.send(event.clone());
    }
}
