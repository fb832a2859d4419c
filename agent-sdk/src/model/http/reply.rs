//! A streamed answer: bytes in, events out.
//!
//! It is polled by its reader and never ahead of it, with one exception: once the model has said why it stopped, what has
//! arrived already is read on to the end, so that the end is known before the last piece is handed out.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use futures_util::{Stream, StreamExt, stream};
use tokio::time::{Instant, Sleep, sleep_until};

use super::{
    Http,
    attempt::{Attempt, Deadline, Deadlines},
    exchange::{Body, Exchange, Head},
};
use crate::model::{
    ChatEvent, ChatResponse, ModelError,
    cassette::Stalled,
    wire::{Broken, Decode, Reader},
};

/// A streamed answer.
pub(super) struct Reply<D> {
    http: std::sync::Arc<Http>,
    head: Head,
    body: Body,
    reader: Reader<D>,
    end: Option<Result<Box<ChatResponse>, ModelError>>,
    attempt: Option<Attempt>,
    deadlines: Deadlines,
    /// Ends the wait for the next byte. It is set again only when it fires too early, not with every byte.
    alarm: Pin<Box<Sleep>>,
    /// Whom the alarm wakes, as long as that is known without asking it.
    armed: Option<Waker>,
    /// Since when the next byte is waited for.
    waiting: Option<Instant>,
    last_byte: Instant,
}

impl<D: Decode> Reply<D> {
    pub(super) fn new(exchange: Exchange) -> Self {
        let Exchange {
            http,
            attempt,
            deadlines,
            head,
            body,
        } = exchange;
        Self {
            reader: Reader::new(&http.limits),
            end: None,
            attempt: Some(attempt),
            alarm: Box::pin(sleep_until(deadlines.first().at)),
            deadlines,
            armed: None,
            waiting: None,
            last_byte: Instant::now(),
            http,
            head,
            body,
        }
    }

    /// Reads what has arrived, or waits.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self.body.poll_next_unpin(cx) {
            Poll::Ready(Some(Ok(bytes))) => {
                self.waiting = None;
                self.last_byte = Instant::now();
                self.read(&bytes);
            }
            Poll::Ready(Some(Err(error))) if error.is::<Stalled>() => {
                let deadline = self.deadline(Instant::now());
                self.cut(|_| deadline.error());
            }
            Poll::Ready(Some(Err(error))) => self.cut(|broken| broken.with_source(error)),
            Poll::Ready(None) => self.cut(|broken| broken),
            Poll::Pending => {
                let since = *self.waiting.get_or_insert_with(Instant::now);
                let deadline = self.deadline(since);
                if deadline.at < self.alarm.deadline() {
                    self.alarm.as_mut().reset(deadline.at);
                    self.armed = None;
                }
                let is_armed = |waker: &Waker| waker.will_wake(cx.waker());
                if self.armed.as_ref().is_some_and(is_armed) && !self.alarm.is_elapsed() {
                    return Poll::Pending;
                }
                while self.alarm.as_mut().poll(cx).is_ready() {
                    if Instant::now() >= deadline.at {
                        self.cut(|_| deadline.error());
                        return Poll::Ready(());
                    }
                    self.alarm.as_mut().reset(deadline.at);
                }
                self.armed = Some(cx.waker().clone());
                return Poll::Pending;
            }
        }
        Poll::Ready(())
    }

    /// By when the next byte must have come, waited for since this time.
    fn deadline(&self, since: Instant) -> Deadline {
        if self.reader.received() == 0 {
            self.deadlines.first()
        } else {
            self.deadlines.next(since)
        }
    }

    fn read(&mut self, bytes: &[u8]) {
        let total = self.deadlines.total();
        if self.last_byte >= total.at {
            return self.cut(|_| total.error());
        }
        if let Some(end) = self.reader.feed(bytes) {
            self.close(end);
        }
    }

    /// No more bytes come. Where the model has said why it stopped, the answer is whole all the same.
    fn cut(&mut self, describe: impl FnOnce(ModelError) -> ModelError) {
        let end = self.reader.cut(self.head.content_type(), describe);
        self.close(end);
    }

    /// Keeps how it ended until the events before that have been handed out, and lets go of the connection.
    fn close(&mut self, end: Result<ChatResponse, Broken>) {
        let attempt = self.attempt.take();
        self.end = Some(match end {
            Ok(response) => {
                if let Some(attempt) = attempt {
                    if let Some(tape) = attempt.tape() {
                        tape.used(&response.usage);
                    }
                    attempt.succeed(self.last_byte);
                }
                Ok(Box::new(response))
            }
            Err(broken) => {
                let secrets = self.http.secrets();
                let error = broken.into_error::<D>(self.head.content_type(), &secrets);
                let error = self.http.dress(error, &self.head);
                if let Some(attempt) = attempt {
                    attempt.fail(&error);
                }
                Err(error)
            }
        });
        self.body = stream::empty().boxed();
    }
}

impl<D: Decode> Stream for Reply<D> {
    type Item = Result<ChatEvent, ModelError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            if !this.reader.is_at_tail()
                && let Some(event) = this.reader.pop()
            {
                return Poll::Ready(Some(Ok(event)));
            }
            if let Some(end) = this.end.take() {
                return Poll::Ready(Some(end.map(ChatEvent::Done)));
            }
            if !this.reader.is_reading() {
                return Poll::Ready(None);
            }
            if this.poll_read(cx).is_pending() {
                return match this.reader.pop() {
                    Some(event) => Poll::Ready(Some(Ok(event))),
                    None => Poll::Pending,
                };
            }
        }
    }
}
