//! How the bytes of a stream are cut into events.

use crate::model::{
    ModelError, ModelErrorKind,
    sse::{SseDecoder, SseError, SseLimits},
};

#[cfg(feature = "bedrock")]
use super::event_stream::Messages;
use super::{Failed, Limits, lines::Lines};

/// How an API cuts its streams into events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::model) enum Framing {
    /// As server-sent events.
    Sse,
    /// As lines, each a JSON text of its own.
    Lines,
    /// As messages of `application/vnd.amazon.eventstream`, whose payloads are JSON texts.
    #[cfg(feature = "bedrock")]
    AwsEventStream,
}

impl Framing {
    /// The media type that is asked for.
    pub(in crate::model) const fn accept(self) -> &'static str {
        match self {
            Self::Sse => "text/event-stream",
            Self::Lines => "application/x-ndjson",
            #[cfg(feature = "bedrock")]
            Self::AwsEventStream => "application/vnd.amazon.eventstream",
        }
    }

    /// Whether an answer of this media type may be such a stream. Some servers send theirs under another type, or under none.
    pub(in crate::model) fn may_be(self, media_type: Option<&str>) -> bool {
        let Some(media_type) = media_type.map(str::to_ascii_lowercase) else {
            return true;
        };
        match self {
            Self::Sse => matches!(
                media_type.as_str(),
                "text/event-stream" | "text/plain" | "application/octet-stream"
            ),
            // A whole answer is a stream of one line.
            Self::Lines => matches!(
                media_type.as_str(),
                "application/x-ndjson"
                    | "application/ndjson"
                    | "application/jsonl"
                    | "application/json"
                    | "text/plain"
                    | "application/octet-stream"
            ),
            #[cfg(feature = "bedrock")]
            Self::AwsEventStream => matches!(
                media_type.as_str(),
                "application/vnd.amazon.eventstream" | "application/octet-stream"
            ),
        }
    }
}

/// One event of a stream, lent for the length of a call.
#[derive(Clone, Copy, Debug)]
pub(in crate::model) struct Frame<'a> {
    /// The event's name, where the framing has names.
    pub(in crate::model) event: &'a str,
    /// Its data, without white space around it.
    pub(in crate::model) data: &'a str,
}

/// A decoder of frames.
#[derive(Debug)]
pub(super) enum Frames {
    Sse(SseDecoder),
    Lines(Lines),
    #[cfg(feature = "bedrock")]
    Aws(Messages),
}

impl Frames {
    pub(super) fn new(framing: Framing, limits: &Limits) -> Self {
        match framing {
            Framing::Sse => {
                let limits = SseLimits::default()
                    .max_line_bytes(limits.line_bytes)
                    .max_event_bytes(limits.line_bytes);
                Self::Sse(SseDecoder::with_limits(limits))
            }
            Framing::Lines => Self::Lines(Lines::new(limits.line_bytes)),
            #[cfg(feature = "bedrock")]
            Framing::AwsEventStream => Self::Aws(Messages::new(limits.line_bytes)),
        }
    }

    /// Reads a chunk and calls `each` for every frame that it completes; empty ones are left out.
    pub(super) fn feed<E: From<SseError> + From<Failed>>(
        &mut self,
        chunk: &[u8],
        mut each: impl FnMut(Frame<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        match self {
            Self::Sse(decoder) => decoder.feed(chunk, |event| {
                let data = event.data.trim_ascii();
                if data.is_empty() {
                    return Ok(());
                }
                each(Frame {
                    event: event.event,
                    data,
                })
            }),
            Self::Lines(lines) => lines.feed(chunk, |data| each(Frame { event: "", data })),
            #[cfg(feature = "bedrock")]
            Self::Aws(messages) => messages.feed(chunk, each),
        }
    }

    /// What came after the last frame, where that may be a frame too.
    pub(super) fn rest(&mut self) -> Option<String> {
        match self {
            Self::Sse(decoder) => {
                // An event that no blank line ends is dropped by the letter of the format. Where its data can be read all the
                // same, nothing of it is missing, for no beginning of a JSON object is one.
                let mut rest = None;
                let ended: Result<(), SseError> = decoder.feed(b"\n\n", |event| {
                    rest = Some(event.data.trim_ascii().to_owned());
                    Ok(())
                });
                ended.ok()?;
                rest.filter(|data| !data.is_empty())
            }
            Self::Lines(lines) => lines.rest(),
            // A message is whole or not there.
            #[cfg(feature = "bedrock")]
            Self::Aws(_) => None,
        }
    }

    /// How many frames there were.
    pub(super) fn count(self) -> u64 {
        match self {
            Self::Sse(decoder) => decoder.finish().events,
            Self::Lines(lines) => lines.count(),
            #[cfg(feature = "bedrock")]
            Self::Aws(messages) => messages.count(),
        }
    }
}

impl From<SseError> for ModelError {
    fn from(error: SseError) -> Self {
        Self::new(ModelErrorKind::Decode, error.to_string()).with_source(error)
    }
}
