//! Server-sent events: bytes in, events out.
//!
//! [`SseDecoder`] reads the event-stream format exactly as the
//! [WHATWG text](https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation)
//! says: a byte order mark at the start, lines that end in LF, CR or CRLF, comments, the fields
//! `data`, `event`, `id` and `retry`, and U+FFFD for bytes that are not UTF-8. It does no I/O: the
//! caller feeds whatever chunks the network delivers, and the events do not depend on the cuts.
//!
//! Invariants:
//!
//! - No byte is looked at again because a later chunk arrived, so the time is linear in the bytes.
//! - An event whose one `data` line lies inside one chunk is handed out without copying its data.
//! - What is held is at most one line and one event, both capped by [`SseLimits`].
//! - A stream that ends inside an event says so: [`SseFinish::unfinished`].

mod limits;
mod pending;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;
mod text;

use std::time::Duration;

pub use limits::{SseError, SseErrorKind, SseLimits};
use pending::{Pending, Room};

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// One event of the stream, lent for the length of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SseEvent<'a> {
    /// The value of the last `event` field, or `message` when there was none or it was empty.
    pub event: &'a str,
    /// The values of the `data` fields, joined with line feeds; may be empty.
    pub data: &'a str,
    /// The last event id the stream has set, in this event or an earlier one; empty when none.
    pub id: &'a str,
}

/// What a stream has amounted to; made by [`SseDecoder::finish`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SseFinish {
    /// Whether the stream ended inside an event, which the format says to discard.
    ///
    /// True when a field, or the start of a line that is no comment, came after the last blank
    /// line, and when a limit was hit. A cut connection is recognised by this, but not always: a
    /// stream cut between two events has no unfinished one.
    pub unfinished: bool,
    /// The events handed out.
    pub events: u64,
    /// The bytes fed, comments and line ends included.
    pub bytes: u64,
    /// The byte sequences that were not UTF-8 and were read as U+FFFD, outside of comments.
    pub replaced_utf8: u64,
}

/// Decodes one event stream.
///
/// # Example
///
/// ```
/// use agent_sdk::model::sse::{SseDecoder, SseError};
///
/// let mut decoder = SseDecoder::new();
/// let mut text = Vec::new();
/// for chunk in ["data: hel", "lo\n", "\n: ping\n\ndata: cut o"] {
///     decoder.feed(chunk.as_bytes(), |event| {
///         text.push(event.data.to_owned());
///         Ok::<(), SseError>(())
///     })?;
/// }
/// assert_eq!(text, ["hello"]);
/// assert!(decoder.finish().unfinished);
/// # Ok::<(), SseError>(())
/// ```
#[derive(Debug, Default)]
pub struct SseDecoder {
    limits: SseLimits,
    state: State,
    /// Whether the first line, which may start with a byte order mark, has been read.
    past_first_line: bool,
    /// Whether the last chunk ended in CR, so that a LF at the start of the next belongs to it.
    after_cr: bool,
    /// The start of a line that no chunk has ended yet.
    line: Vec<u8>,
    pending: Pending,
    last_id: String,
    retry: Option<Duration>,
    events: u64,
    bytes: u64,
    /// The bytes looked at or copied, so that a test can show the work to be linear.
    #[cfg(test)]
    work: usize,
}

/// Whether the decoder still reads.
#[derive(Clone, Copy, Debug, Default)]
enum State {
    #[default]
    Reading,
    /// The caller wanted no more events.
    Stopped,
    Failed(SseError),
}

impl SseDecoder {
    /// A decoder with the default [`SseLimits`].
    pub fn new() -> Self {
        Self::default()
    }

    /// A decoder with these limits.
    pub fn with_limits(limits: SseLimits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }

    /// Reads a chunk and calls `each` for every event that it completes, in order.
    ///
    /// When `each` fails, its error is returned, the rest of the chunk is not read, and later
    /// chunks are ignored with `Ok`.
    ///
    /// # Errors
    ///
    /// [`SseErrorKind::LineTooLong`] and [`SseErrorKind::EventTooLong`] once a limit is passed; the
    /// events before that point have been handed out. Later calls return the same error.
    pub fn feed<E: From<SseError>>(
        &mut self,
        chunk: &[u8],
        mut each: impl FnMut(SseEvent<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        match self.state {
            State::Reading => {}
            State::Stopped => return Ok(()),
            State::Failed(error) => return Err(error.into()),
        }
        self.bytes += chunk.len() as u64;
        let mut rest = self.without_second_half(chunk);
        let mut held = None;
        while let Some((line, tail)) = self.cut_line(rest) {
            rest = tail;
            let read = self.read_line(line, &mut held);
            if read.inspect_err(|&error| self.state = State::Failed(error))? == Line::Blank {
                self.end_event(held.take(), &mut each)?;
            }
        }
        if let Some(text) = held {
            self.keep(text);
        }
        let carried = self.carry(rest);
        carried.inspect_err(|&error| self.state = State::Failed(error))?;
        Ok(())
    }

    /// Says what the stream has amounted to, should it end here.
    ///
    /// May be called at any time; it changes nothing.
    pub fn finish(&self) -> SseFinish {
        let line = self.past_mark(&self.line);
        SseFinish {
            unfinished: self.pending.open
                || !(line.is_empty() || line.starts_with(b":"))
                || matches!(self.state, State::Failed(_)),
            events: self.events,
            bytes: self.bytes,
            replaced_utf8: self.pending.replaced,
        }
    }

    /// The id to resume after, as `Last-Event-ID` wants it; empty when the stream set none.
    ///
    /// Unlike the ids of the events it also knows an id that came without data.
    pub fn last_event_id(&self) -> &str {
        &self.last_id
    }

    /// How long the server asks to wait before connecting again, in whole milliseconds.
    ///
    /// It is as sent, up to `u64::MAX` milliseconds: clamp it before use.
    pub fn retry(&self) -> Option<Duration> {
        self.retry
    }

    /// Drops a LF that is the second half of a CRLF cut by the end of the last chunk.
    fn without_second_half<'c>(&mut self, chunk: &'c [u8]) -> &'c [u8] {
        if chunk.is_empty() || !std::mem::take(&mut self.after_cr) {
            return chunk;
        }
        chunk.strip_prefix(b"\n").unwrap_or(chunk)
    }

    /// Splits off the first line, without its end, when the chunk holds its end.
    fn cut_line<'c>(&mut self, rest: &'c [u8]) -> Option<(&'c [u8], &'c [u8])> {
        let end = match rest.first()? {
            // Blank lines are half of all lines and not worth a search.
            b'\n' | b'\r' => Some(0),
            _ => memchr::memchr2(b'\n', b'\r', rest),
        };
        self.count(end.unwrap_or(rest.len()));
        let (line, from_end) = rest.split_at_checked(end?)?;
        match from_end {
            [b'\r'] => {
                self.after_cr = true;
                Some((line, &[]))
            }
            [b'\r', b'\n', tail @ ..] | [_, tail @ ..] => Some((line, tail)),
            [] => None,
        }
    }

    /// Reads a line of which `end` is the part inside this chunk.
    ///
    /// A sole `data` value is put into `held` instead of being copied.
    fn read_line<'c>(
        &mut self,
        end: &'c [u8],
        held: &mut Option<&'c str>,
    ) -> Result<Line, SseError> {
        if self.line.is_empty() {
            self.check_line(end)?;
            return self.read_whole_line(end, held);
        }
        self.carry(end)?;
        // The line before the first end in a chunk is the only one to be carried, so nothing of
        // this chunk is held yet.
        let mut line = std::mem::take(&mut self.line);
        let mut held = None;
        let read = self.read_whole_line(&line, &mut held);
        if let Some(text) = held {
            self.keep(text);
        }
        line.clear();
        self.line = line;
        read
    }

    fn read_whole_line<'c>(
        &mut self,
        line: &'c [u8],
        held: &mut Option<&'c str>,
    ) -> Result<Line, SseError> {
        let line = self.past_mark(line);
        self.past_first_line = true;
        if line.is_empty() {
            return Ok(Line::Blank);
        }
        let colon = line.iter().position(|&byte| byte == b':');
        let (field, value) = match colon.and_then(|at| line.split_at_checked(at)) {
            Some(([], _comment)) => return Ok(Line::Read),
            Some((field, [_, b' ', value @ ..] | [_, value @ ..])) => (field, value),
            Some((field, [])) => (field, &[][..]),
            None => (line, &[][..]),
        };
        self.pending.open = true;
        self.count(value.len());
        let limit = self.limits.max_event_bytes;
        let room = Room { limit, held: *held };
        match field {
            b"data" => {
                self.count(held.map_or(0, str::len));
                self.pending.add_data(value, held, limit)?;
            }
            b"event" => self.pending.set_name(value, room)?,
            b"id" if !value.contains(&0) => self.pending.set_id(value, room)?,
            b"retry" => self.retry = milliseconds(value).or(self.retry),
            // Bad bytes may be why a field is not known, so they are counted here too.
            _ => self.pending.replaced += text::bad_sequences(line),
        }
        Ok(Line::Read)
    }

    /// Hands out the event that a blank line has ended, if it has data.
    fn end_event<E>(
        &mut self,
        held: Option<&str>,
        each: &mut impl FnMut(SseEvent<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.pending.sets_id {
            self.last_id.clone_from(&self.pending.id);
        }
        let event = self.pending.event(held);
        self.events += u64::from(event.is_some());
        let result = event.map_or(Ok(()), each);
        self.pending.clear();
        if result.is_err() {
            self.state = State::Stopped;
        }
        result
    }

    /// Copies the first `data` value of an event whose end is not in this chunk.
    fn keep(&mut self, text: &str) {
        self.count(text.len());
        self.pending.keep(text);
    }

    /// Keeps the start of a line for the next chunk.
    fn carry(&mut self, part: &[u8]) -> Result<(), SseError> {
        self.check_line(part)?;
        self.count(part.len());
        let (held, wanted) = (self.line.len(), self.line.len() + part.len());
        if wanted > self.line.capacity() {
            // Twice as much each time, so that the work stays linear, but never more than a line may have.
            let room = wanted.max(2 * held).min(self.limits.max_line_bytes);
            self.line.reserve_exact(room - held);
        }
        self.line.extend_from_slice(part);
        Ok(())
    }

    fn check_line(&self, part: &[u8]) -> Result<(), SseError> {
        let limit = self.limits.max_line_bytes;
        if part.len() > limit.saturating_sub(self.line.len()) {
            return Err(SseError::new(SseErrorKind::LineTooLong, limit));
        }
        Ok(())
    }

    /// The line without the byte order mark that the first one may start with.
    fn past_mark<'l>(&self, line: &'l [u8]) -> &'l [u8] {
        if self.past_first_line {
            return line;
        }
        line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line)
    }

    #[cfg(test)]
    fn count(&mut self, bytes: usize) {
        self.work += bytes;
    }

    #[cfg(not(test))]
    #[expect(clippy::unused_self, reason = "only tests count")]
    fn count(&mut self, _bytes: usize) {}
}

/// What a line was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    Blank,
    Read,
}

/// The value of a `retry` field: ASCII digits only, and at least one.
fn milliseconds(value: &[u8]) -> Option<Duration> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digits = std::str::from_utf8(value).ok()?;
    Some(Duration::from_millis(digits.parse().unwrap_or(u64::MAX)))
}
