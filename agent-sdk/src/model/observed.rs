//! A stream that tells its operation what flows through it.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::Stream;
use tokio::time::Instant;

use super::{
    ChatEvent, ChatResponse, ChatStream, ModelError,
    around::{Admission, Slot},
    handle::{fail, learn},
};
use crate::operation::{Operation, Outcome, Payload};

/// How many gaps between the pieces of one answer are kept.
const MAX_CHUNK_GAPS: usize = 65_536;

/// A stream that tells its operation what flows through.
pub(super) struct Observed {
    inner: ChatStream,
    /// None once it has ended.
    open: Option<Open>,
    started: Instant,
    previous: Option<Instant>,
    handed_out: Option<Instant>,
    waited: Duration,
    gaps: Vec<u32>,
    /// A piece that has come already, and when.
    first: Option<(ChatEvent, Instant)>,
}

/// What is under way. Dropped, also by a panic, the layers hear of it before the operation ends: what was put aside for it is charged
/// to it.
struct Open {
    after: Option<Box<After>>,
    operation: Operation,
}

/// What the layers around a model want to know of the end of its stream.
pub(super) struct After {
    pub(super) admission: Admission,
    pub(super) slot: Option<Slot>,
}

impl Observed {
    pub(super) fn new(inner: ChatStream, operation: Operation) -> Self {
        Self {
            inner,
            started: operation.info().started_at,
            open: Some(Open {
                after: None,
                operation,
            }),
            previous: None,
            handed_out: None,
            waited: Duration::ZERO,
            gaps: Vec::new(),
            first: None,
        }
    }

    /// A stream whose first piece has come.
    pub(super) fn begun(
        rest: ChatStream,
        operation: Operation,
        first: (ChatEvent, Instant),
        after: After,
    ) -> Self {
        let mut stream = Self::new(rest, operation);
        stream.first = Some(first);
        if let Some(open) = &mut stream.open {
            open.after = Some(Box::new(after));
        }
        stream
    }

    /// The next piece and when it came, from the stream itself or from what has come before.
    fn next(
        &mut self,
        operation: &Operation,
        cx: &mut Context<'_>,
    ) -> Poll<(Result<ChatEvent, ModelError>, Instant)> {
        if let Some((first, arrived)) = self.first.take() {
            return Poll::Ready((Ok(first), arrived));
        }
        let inner = &mut self.inner;
        let polled = if inner.is_in_span() {
            operation.span().in_scope(|| Pin::new(inner).poll_next(cx))
        } else {
            Pin::new(inner).poll_next(cx)
        };
        polled.map(|item| {
            let item = item.unwrap_or_else(|| {
                Err(ModelError::truncated(
                    "the stream ended without its last event",
                ))
            });
            (item, Instant::now())
        })
    }

    /// Marks the time of a piece, without the time for which the reader kept it waiting.
    fn mark(&mut self, handle: &Operation, now: Instant) {
        match self.previous {
            None => {
                let first = now.saturating_duration_since(self.started);
                handle.record(|facts| facts.first_chunk = Some(first));
            }
            Some(previous) if self.gaps.len() < MAX_CHUNK_GAPS => {
                let gap = now.saturating_duration_since(previous);
                self.gaps
                    .push(u32::try_from(gap.as_micros()).unwrap_or(u32::MAX));
            }
            Some(_) => {}
        }
        self.previous = Some(now);
    }

    fn settle(&mut self, operation: &Operation) {
        let (gaps, waited) = (std::mem::take(&mut self.gaps), self.waited);
        operation.record(|facts| {
            facts.chunk_gaps_us = gaps;
            facts.consumer_wait = waited;
        });
    }
}

impl Open {
    /// Tells the layers that the stream ended.
    fn tell(&mut self, result: Result<&ChatResponse, &ModelError>) {
        let Some(after) = self.after.take() else {
            return;
        };
        let After { admission, slot } = *after;
        admission.settle(&self.operation, result);
        if let (Some(slot), Ok(response)) = (slot, result) {
            slot.keep(response);
        }
    }
}

impl Stream for Observed {
    type Item = Result<ChatEvent, ModelError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let Some(mut open) = this.open.take() else {
            return Poll::Ready(None);
        };
        if let Some(handed_out) = this.handed_out.take() {
            let waited = handed_out.elapsed();
            this.waited += waited;
            // The next gap counts from when the reader came back.
            this.previous = this.previous.map(|previous| previous + waited);
        }
        let (item, now) = match this.next(&open.operation, cx) {
            Poll::Ready(next) => next,
            Poll::Pending => {
                this.open = Some(open);
                return Poll::Pending;
            }
        };
        match &item {
            Ok(ChatEvent::Done(response)) => {
                if this.previous.is_none() {
                    this.mark(&open.operation, now);
                }
                this.settle(&open.operation);
                open.tell(Ok(response));
                learn(&open.operation, response);
                open.operation.end(Outcome::Ok, Payload::Response(response));
            }
            Ok(piece) => {
                this.mark(&open.operation, now);
                match piece {
                    ChatEvent::Text(text) => open.operation.text(text),
                    ChatEvent::Reasoning(text) => open.operation.reasoning(text),
                    _ => {}
                }
                this.handed_out = Some(now);
                this.open = Some(open);
            }
            Err(error) => {
                this.settle(&open.operation);
                open.tell(Err(error));
                fail(open.operation, error);
            }
        }
        Poll::Ready(Some(item))
    }
}

impl Drop for Observed {
    fn drop(&mut self) {
        if let Some(open) = self.open.take() {
            self.settle(&open.operation);
        }
    }
}
