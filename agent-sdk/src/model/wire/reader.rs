//! A streamed answer: bytes in, events and the answer out.

use super::{Decode, Events, Failed, Flow, Frame, Limits, Report, Secrets, frames::Frames};
use crate::model::{ChatEvent, ChatResponse, ModelError, ModelErrorKind, sse::SseError};

/// Reads one streamed answer. It is fed bytes however they are cut, and the events do not depend on the cuts.
#[derive(Debug)]
pub(in crate::model) struct Reader<D> {
    frames: Option<Frames>,
    decoder: Option<D>,
    events: Events,
    received: usize,
    max_bytes: usize,
}

/// Why an answer could not be read, and what had come of it.
#[derive(Debug)]
pub(in crate::model) struct Broken {
    failed: Failed,
    partial: Option<Box<ChatResponse>>,
}

impl Broken {
    /// As an error for the caller.
    pub(in crate::model) fn into_error<D: Decode>(
        self,
        media_type: &str,
        secrets: &Secrets,
    ) -> ModelError {
        let error = self.failed.into_error(D::API, media_type, secrets);
        match self.partial {
            Some(partial) => error.with_partial(*partial),
            None => error,
        }
    }
}

/// Why no more frames of a chunk are wanted.
enum Stop {
    Done,
    Failed(Failed),
}

impl From<SseError> for Stop {
    fn from(error: SseError) -> Self {
        Self::Failed(Failed::Because(error.into()))
    }
}

impl From<Failed> for Stop {
    fn from(failed: Failed) -> Self {
        Self::Failed(failed)
    }
}

impl<D: Decode> Reader<D> {
    pub(in crate::model) fn new(limits: &Limits) -> Self {
        Self {
            frames: Some(Frames::new(D::FRAMING, limits)),
            decoder: Some(D::new(limits)),
            events: Events::queue(),
            received: 0,
            max_bytes: limits.reply_bytes,
        }
    }

    /// How many bytes were fed.
    pub(in crate::model) fn received(&self) -> usize {
        self.received
    }

    /// Whether the answer is still being read.
    pub(in crate::model) fn is_reading(&self) -> bool {
        self.decoder.is_some()
    }

    /// Whether the answer is whole and only its end, and perhaps its usage, is still to be read.
    pub(in crate::model) fn is_at_tail(&self) -> bool {
        self.decoder.as_ref().is_some_and(Decode::is_at_tail)
    }

    /// The oldest event that was not taken yet.
    pub(in crate::model) fn pop(&mut self) -> Option<ChatEvent> {
        self.events.pop()
    }

    /// Reads a chunk; `Some` once the answer is over.
    pub(in crate::model) fn feed(&mut self, chunk: &[u8]) -> Option<Result<ChatResponse, Broken>> {
        self.received = self.received.saturating_add(chunk.len());
        if self.received > self.max_bytes {
            return Some(Err(self.break_off(too_long(self.max_bytes).into())));
        }
        let (Some(frames), Some(decoder)) = (&mut self.frames, &mut self.decoder) else {
            return None;
        };
        let events = &mut self.events;
        let fed = frames.feed(chunk, |frame: Frame<'_>| {
            match decoder.event(frame, events) {
                Ok(Flow::More) => Ok(()),
                Ok(Flow::Done) => Err(Stop::Done),
                Err(failed) => Err(Stop::Failed(failed)),
            }
        });
        match fed {
            Ok(()) => None,
            Err(Stop::Done) => Some(self.finish()),
            Err(Stop::Failed(failed)) => Some(Err(self.break_off(failed))),
        }
    }

    /// No more bytes come, for this reason. Where the model has said why it stopped, the answer is whole all the same.
    pub(in crate::model) fn cut(
        &mut self,
        media_type: &str,
        describe: impl FnOnce(ModelError) -> ModelError,
    ) -> Result<ChatResponse, Broken> {
        match self.rest() {
            Some(Ok(Flow::Done)) => return self.finish(),
            Some(Err(failed)) => return Err(self.break_off(failed)),
            _ if self.is_at_tail() => return self.finish(),
            _ => {}
        }
        let frames = self.frames.take().map_or(0, Frames::count);
        let broken = ModelError::truncated(format!(
            "the stream broke off after {} bytes and {frames} events ({media_type}), before its end",
            self.received,
        ));
        Err(self.break_off(describe(broken).into()))
    }

    /// Reads what came after the last frame; what cannot be read is a frame that broke off.
    fn rest(&mut self) -> Option<Result<Flow, Failed>> {
        let data = self.frames.as_mut()?.rest()?;
        let frame = Frame {
            event: "",
            data: &data,
        };
        match self.decoder.as_mut()?.event(frame, &mut self.events) {
            Err(Failed::NotOurs(_)) => None,
            read => Some(read),
        }
    }

    fn finish(&mut self) -> Result<ChatResponse, Broken> {
        let Some(decoder) = self.decoder.take() else {
            let error = ModelError::truncated("the stream was read after its end");
            return Err(self.break_off(error.into()));
        };
        decoder.finish(&mut self.events).map_err(|error| Broken {
            failed: error.into(),
            partial: None,
        })
    }

    fn break_off(&mut self, failed: Failed) -> Broken {
        Broken {
            failed,
            partial: self
                .decoder
                .take()
                .map(|decoder| Box::new(decoder.partial())),
        }
    }
}

/// Reads an answer that came as one body.
pub(in crate::model) fn read_whole<D: Decode>(
    body: &[u8],
    media_type: &str,
    limits: &Limits,
    secrets: impl FnOnce() -> Secrets,
) -> Result<ChatResponse, ModelError> {
    read_body(D::API, body, media_type, secrets, |text| {
        D::new(limits).whole(text)
    })
}

/// Reads the body of an answer of this API.
pub(in crate::model) fn read_body<T>(
    api: &str,
    body: &[u8],
    media_type: &str,
    secrets: impl FnOnce() -> Secrets,
    read: impl FnOnce(&str) -> Result<T, Failed>,
) -> Result<T, ModelError> {
    let text = String::from_utf8_lossy(body);
    read(&text).map_err(|failed| {
        let secrets = secrets();
        match failed {
            Failed::NotOurs(error) => page(&text, media_type, &secrets)
                .unwrap_or_else(|| Failed::NotOurs(error).into_error(api, media_type, &secrets)),
            failed => failed.into_error(api, media_type, &secrets),
        }
    })
}

/// The error for an answer that came whole where a stream was asked for.
pub(in crate::model) fn not_a_stream(
    body: &[u8],
    media_type: &str,
    secrets: &Secrets,
) -> ModelError {
    let text = String::from_utf8_lossy(body);
    if let Some(report) = Report::of_body(&text) {
        return report.into_error(None, secrets);
    }
    page(&text, media_type, secrets).unwrap_or_else(|| {
        let message = format!("the reply is {media_type} and no event stream");
        ModelError::new(ModelErrorKind::Decode, message)
    })
}

/// The error for an answer that refuses the request: what the server says of it in the head, and in the body.
pub(in crate::model) fn refused(
    status: u16,
    media_type: &str,
    error_type: Option<String>,
    body: &[u8],
    secrets: &Secrets,
) -> ModelError {
    if (300..400).contains(&status) {
        return ModelError::new(
            ModelErrorKind::Configuration,
            "the server answered with a redirect, and none is followed: set `base_url` to its final address",
        )
        .with_status(status);
    }
    let text = String::from_utf8_lossy(body);
    if let Some(report) = Report::of_body(&text) {
        let report = report.with_kind(error_type);
        return report.into_error(Some(status), secrets);
    }
    let message = match text.trim() {
        "" => "the server refused the request and said nothing".to_owned(),
        said => format!(
            "the server answered with {media_type}: {}",
            secrets.scrub(said)
        ),
    };
    ModelError::new(ModelErrorKind::of_status(status), message).with_status(status)
}

/// A reply of more bytes than allowed.
pub(in crate::model) fn too_long(limit: usize) -> ModelError {
    let message = format!("the reply passed the {limit} bytes of `reply_bytes`");
    ModelError::new(ModelErrorKind::Decode, message)
}

/// The beginning of a web page that came in place of an answer, or the news that nothing came.
fn page(text: &str, media_type: &str, secrets: &Secrets) -> Option<ModelError> {
    let text = text.trim();
    let message = if text.is_empty() {
        format!("the reply is empty ({media_type})")
    } else if text.starts_with('<') {
        format!("the reply is {media_type}: {}", secrets.scrub(text))
    } else {
        return None;
    };
    Some(ModelError::new(ModelErrorKind::Decode, message))
}
