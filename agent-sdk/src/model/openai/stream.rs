//! A streamed answer: bytes in, events out.
//!
//! It is polled by its reader and never ahead of it, with one exception: once the model has said why it stopped, what has
//! arrived already is read on to the end, so that the end is known before the last piece is handed out.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use futures_util::{Stream, StreamExt, stream};
use tokio::time::{Instant, Sleep, sleep_until};

use super::{
    Client,
    assemble::Assembler,
    attempt::{Attempt, Deadlines},
    error::Report,
    events::Events,
    exchange::{Body, Exchange, Head, not_ours, too_long},
    wire::Completion,
};
use crate::model::{
    ChatEvent, ChatResponse, ModelError, ModelErrorKind,
    sse::{SseDecoder, SseError, SseEvent, SseLimits},
};

/// The last data of a stream.
const DONE: &str = "[DONE]";

/// A streamed answer.
pub(super) struct Reply {
    client: std::sync::Arc<Client>,
    head: Head,
    body: Body,
    decoder: SseDecoder,
    assembler: Option<Assembler>,
    events: Events,
    end: Option<Result<Box<ChatResponse>, ModelError>>,
    attempt: Option<Attempt>,
    deadlines: Deadlines,
    /// Ends the wait for the next byte. It is set again only when it fires too early, not with every byte.
    alarm: Pin<Box<Sleep>>,
    /// Since when the next byte is waited for.
    waiting: Option<Instant>,
    received: usize,
    last_byte: Instant,
}

/// Why no more bytes are wanted.
enum Stop {
    /// The server says that this was all.
    Done,
    /// The server says that it failed.
    Report(Report),
    Failed(ModelError),
}

impl From<SseError> for Stop {
    fn from(error: SseError) -> Self {
        let message = error.to_string();
        Self::Failed(ModelError::new(ModelErrorKind::Decode, message).with_source(error))
    }
}

impl Reply {
    pub(super) fn new(exchange: Exchange) -> Self {
        let Exchange {
            client,
            attempt,
            deadlines,
            head,
            body,
        } = exchange;
        let limits = SseLimits::default()
            .max_line_bytes(client.limits.line_bytes)
            .max_event_bytes(client.limits.line_bytes);
        Self {
            decoder: SseDecoder::with_limits(limits),
            assembler: Some(Assembler::new(client.limits.tool_argument_bytes)),
            events: Events::queue(),
            end: None,
            attempt: Some(attempt),
            alarm: Box::pin(sleep_until(deadlines.first().at)),
            deadlines,
            waiting: None,
            received: 0,
            last_byte: Instant::now(),
            client,
            head,
            body,
        }
    }

    /// Whether the answer is whole and only its end, and perhaps its usage, is still to be read.
    fn is_at_tail(&self) -> bool {
        self.assembler.as_ref().is_some_and(Assembler::has_finished)
    }

    /// Reads what has arrived, or waits.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self.body.poll_next_unpin(cx) {
            Poll::Ready(Some(Ok(bytes))) => {
                self.waiting = None;
                self.last_byte = Instant::now();
                self.read(&bytes);
            }
            Poll::Ready(Some(Err(error))) => {
                self.cut(|broken| broken.with_source(error));
            }
            Poll::Ready(None) => self.cut(|broken| broken),
            Poll::Pending => {
                let since = *self.waiting.get_or_insert_with(Instant::now);
                let deadline = if self.received == 0 {
                    self.deadlines.first()
                } else {
                    self.deadlines.next(since)
                };
                if deadline.at < self.alarm.deadline() {
                    self.alarm.as_mut().reset(deadline.at);
                }
                while self.alarm.as_mut().poll(cx).is_ready() {
                    if Instant::now() >= deadline.at {
                        self.cut(|_| deadline.error());
                        return Poll::Ready(());
                    }
                    self.alarm.as_mut().reset(deadline.at);
                }
                return Poll::Pending;
            }
        }
        Poll::Ready(())
    }

    fn read(&mut self, bytes: &[u8]) {
        self.received = self.received.saturating_add(bytes.len());
        let limit = self.client.limits.reply_bytes;
        if self.received > limit {
            return self.fail(too_long(limit));
        }
        let total = self.deadlines.total();
        if self.last_byte >= total.at {
            return self.cut(|_| total.error());
        }
        let (Some(assembler), events, head) = (&mut self.assembler, &mut self.events, &self.head)
        else {
            return;
        };
        let stopped = self
            .decoder
            .feed(bytes, |event| take(event, assembler, events, head));
        match stopped {
            Ok(()) => {}
            Err(Stop::Done) => self.whole(),
            Err(Stop::Report(report)) => {
                let error = report.into_error(None, &self.client.secrets());
                self.fail(error);
            }
            Err(Stop::Failed(error)) => self.fail(error),
        }
    }

    /// No more bytes come. Where the model has said why it stopped, the answer is whole all the same.
    fn cut(&mut self, describe: impl FnOnce(ModelError) -> ModelError) {
        if self.is_at_tail() {
            return self.whole();
        }
        let finish = self.decoder.finish();
        let broken = ModelError::truncated(format!(
            "the stream broke off after {} bytes and {} events ({}), before its finish reason",
            self.received,
            finish.events,
            self.head.content_type()
        ));
        self.fail(describe(broken));
    }

    fn whole(&mut self) {
        let Some(assembler) = self.assembler.take() else {
            return;
        };
        match assembler.finish(&mut self.events) {
            Ok(response) => {
                if let Some(attempt) = self.attempt.take() {
                    attempt.succeed(self.last_byte);
                }
                self.close(Ok(Box::new(response)));
            }
            Err(error) => self.fail(error),
        }
    }

    fn fail(&mut self, error: ModelError) {
        let error = self.client.dress(error, &self.head);
        if let Some(attempt) = self.attempt.take() {
            attempt.fail(&error);
        }
        self.close(Err(error));
    }

    /// Keeps how it ended until the events before that have been handed out, and lets go of the connection.
    fn close(&mut self, end: Result<Box<ChatResponse>, ModelError>) {
        self.assembler = None;
        self.body = stream::empty().boxed();
        self.end = Some(end);
    }
}

/// Takes one event of the stream.
fn take(
    event: SseEvent<'_>,
    assembler: &mut Assembler,
    events: &mut Events,
    head: &Head,
) -> Result<(), Stop> {
    let data = event.data.trim_ascii();
    match data {
        "" => return Ok(()),
        DONE => return Err(Stop::Done),
        _ => {}
    }
    if event.event == "error" {
        let report = Report::of_body(data).unwrap_or_else(|| Report::of_value(data));
        return Err(Stop::Report(report));
    }
    let piece = Completion::read(data).map_err(|error| Stop::Failed(not_ours(head, &error)))?;
    if let Some(error) = piece.error {
        return Err(Stop::Report(Report::of_value(error.get())));
    }
    assembler.piece(piece, events).map_err(Stop::Failed)
}

impl Stream for Reply {
    type Item = Result<ChatEvent, ModelError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            if !this.is_at_tail()
                && let Some(event) = this.events.pop()
            {
                return Poll::Ready(Some(Ok(event)));
            }
            if let Some(end) = this.end.take() {
                return Poll::Ready(Some(end.map(ChatEvent::Done)));
            }
            if this.assembler.is_none() {
                return Poll::Ready(None);
            }
            if this.poll_read(cx).is_pending() {
                return match this.events.pop() {
                    Some(event) => Poll::Ready(Some(Ok(event))),
                    None => Poll::Pending,
                };
            }
        }
    }
}
