//! One HTTP request as an operation, and the times by which it must be done.

use std::{borrow::Cow, sync::Arc, time::Duration};

use http::{HeaderName, HeaderValue};
use reqwest::Url;
use tokio::time::Instant;
use tracing::Span;

use super::Timeouts;
use crate::{
    model::{
        ModelError, ModelErrorKind, ModelInfo,
        cassette::{Recording, Tape},
    },
    operation::{
        AttemptDetails, Details, Failure, Kind, Operation, OperationHandle, Outcome, Payload,
        RunContext,
    },
};

/// The `attempt` operation of one HTTP request. Dropping it ends it as cancelled.
#[derive(Debug)]
pub(super) struct Attempt {
    operation: Operation,
    /// The request that it is a try of.
    request: Option<OperationHandle>,
    status: Option<u16>,
    recording: Option<Recording>,
}

impl Attempt {
    /// Starts it under the context's operation.
    pub(super) fn start(context: &RunContext, model: Arc<ModelInfo>) -> Self {
        let details = AttemptDetails {
            model,
            number: context.attempt_number(),
        };
        Self {
            operation: context
                .start(Kind::Attempt, "")
                .details(Details::Attempt(details))
                .begin(),
            request: context
                .operation()
                .filter(|handle| handle.info().kind.is_priced()),
            status: None,
            recording: None,
        }
    }

    /// The headers by which the server that is asked continues the trace, where it is told of it.
    pub(super) fn propagated(&self, url: &Url) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
        let headers = match url.host_str() {
            Some(host) => self.operation.context().headers_for(host),
            None => Vec::new(),
        };
        headers.into_iter().filter_map(|(name, value)| {
            let value = HeaderValue::try_from(value).ok()?;
            Some((HeaderName::from_static(name), value))
        })
    }

    /// Writes the exchange on a tape; it ends as the attempt does.
    pub(super) fn record_on(&mut self, tape: Option<Tape>) {
        self.recording = tape.map(Recording::new);
    }

    /// What the exchange is written on.
    pub(super) fn tape(&self) -> Option<&Tape> {
        self.recording.as_ref().map(Recording::tape)
    }

    pub(super) fn span(&self) -> &Span {
        self.operation.span()
    }

    /// The answer's status has come.
    pub(super) fn status(&mut self, status: u16) {
        self.status = Some(status);
        self.operation
            .record(|facts| facts.http_status = Some(status));
    }

    /// The answer is whole; its last byte was read at this time.
    pub(super) fn succeed(self, last_byte: Instant) {
        self.operation
            .record(|facts| facts.last_byte = Some(last_byte));
        if let Some(request) = &self.request {
            request.record(|facts| facts.last_byte = Some(last_byte));
        }
        if let Some(recording) = &self.recording {
            recording.succeed();
        }
        self.operation.end(Outcome::Ok, Payload::None);
    }

    /// It failed: with the status that says so, or else with the error's own class.
    pub(super) fn fail(self, error: &ModelError) {
        let class: Cow<'static, str> = match self.status {
            Some(status) if !(200..300).contains(&status) => status.to_string().into(),
            _ => error.kind().as_str().into(),
        };
        if let Some(recording) = &self.recording {
            recording.fail(error);
        }
        let failure = Failure::new(class, Failure::of(error).message);
        self.operation.record(|facts| facts.error = Some(failure));
        let outcome = match error.kind() {
            ModelErrorKind::Timeout => Outcome::Timeout,
            ModelErrorKind::Cancelled => Outcome::Cancelled,
            _ => Outcome::Error,
        };
        self.operation.end(outcome, Payload::None);
    }
}

/// A time by which something must have come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline {
    pub(super) at: Instant,
    limit: Duration,
    /// What is missing, and the setting's name.
    what: (&'static str, &'static str),
}

impl Deadline {
    pub(super) fn error(&self) -> ModelError {
        let (what, setting) = self.what;
        let limit = self.limit;
        let message = format!("{what} within {limit:?} (`{setting}`)");
        ModelError::new(ModelErrorKind::Timeout, message)
    }

    fn after(from: Instant, limit: Duration, what: (&'static str, &'static str)) -> Self {
        // As good as never, for limits that no clock reaches.
        let never = Duration::from_hours(24 * 365 * 30);
        let at = from.checked_add(limit).unwrap_or(from + never);
        Self { at, limit, what }
    }

    fn earlier(self, other: Self) -> Self {
        if other.at < self.at { other } else { self }
    }
}

/// The deadlines of one request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadlines {
    first: Option<Deadline>,
    inter_chunk: Duration,
    total: Deadline,
}

impl Deadlines {
    /// Starts the clocks. The answer to a request that is not streamed begins only once it is whole, so that it has no
    /// deadline for its first byte.
    pub(super) fn start(timeouts: &Timeouts, context: &RunContext, stream: bool) -> Self {
        let now = Instant::now();
        let first = stream.then(|| {
            let what = ("no answer began", "first_chunk");
            Deadline::after(now, timeouts.first_chunk, what)
        });
        let mut total = Deadline::after(now, timeouts.total, ("the answer did not end", "total"));
        if let Some(at) = context.deadline() {
            let limit = at.saturating_duration_since(now);
            total = total.earlier(Deadline {
                at,
                limit,
                what: ("the answer did not end", "the run's deadline"),
            });
        }
        Self {
            first,
            inter_chunk: timeouts.inter_chunk,
            total,
        }
    }

    /// By when the whole answer must have come.
    pub(super) fn total(&self) -> Deadline {
        self.total
    }

    /// By when the first byte must have come.
    pub(super) fn first(&self) -> Deadline {
        self.first
            .map_or(self.total, |first| self.total.earlier(first))
    }

    /// By when the next byte must have come, waited for since this time.
    pub(super) fn next(&self, since: Instant) -> Deadline {
        let what = ("nothing more came", "inter_chunk");
        self.total
            .earlier(Deadline::after(since, self.inter_chunk, what))
    }
}
