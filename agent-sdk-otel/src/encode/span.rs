//! One span's message.

use std::borrow::Cow;
use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry::trace::{Event, Link, SpanContext, SpanId, SpanKind, Status};

use super::attributes::Attributes;
use super::{clean, wire};

// `Span` of OTLP's trace.proto.
const TRACE_STATE: u32 = 3;
const PARENT_SPAN_ID: u32 = 4;
const NAME: u32 = 5;
const KIND: u32 = 6;
const ATTRIBUTES: u32 = 9;
const DROPPED_ATTRIBUTES: u32 = 10;
const EVENTS: u32 = 11;
const DROPPED_EVENTS: u32 = 12;
const LINKS: u32 = 13;
const DROPPED_LINKS: u32 = 14;
const STATUS: u32 = 15;

// The tags of the fields that every span has.
const TRACE_ID_TAG: u8 = 0x0A;
const SPAN_ID_TAG: u8 = 0x12;
const START_TAG: u8 = 0x39;
const END_TAG: u8 = 0x41;
const FLAGS_TAG: [u8; 2] = [0x85, 0x01];

/// How many bytes those fields take.
const FIXED: usize = 52;

/// Set where the next bit says whether the parent is of another process.
const HAS_IS_REMOTE: u32 = 0x100;
const IS_REMOTE: u32 = 0x200;

/// How much one span may hold; what is over is dropped and counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) attributes: u32,
    pub(crate) events: u32,
    pub(crate) links: u32,
    /// The longest text of one attribute, in bytes.
    pub(crate) text: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            attributes: 128,
            events: 128,
            links: 128,
            // Above everything that content capture lets through.
            text: 512 * 1024,
        }
    }
}

impl Limits {
    /// A text as it may leave: without what looks like a key, and of one that is too long the beginning, cut between characters.
    ///
    /// Every text of a message passes through here, but content, which was redacted with more care.
    pub(super) fn text(self, text: &str) -> Cow<'_, str> {
        clean::keys(self.cut(text))
    }

    /// The beginning of a text that is too long, cut between characters.
    pub(super) fn cut(self, text: &str) -> &str {
        if text.len() <= self.text {
            return text;
        }
        text.get(..text.floor_char_boundary(self.text))
            .unwrap_or(text)
    }
}

/// Where a span is in its trace.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ids<'a> {
    pub(crate) span: &'a SpanContext,
    /// The span it hangs under; invalid for a root.
    pub(crate) parent: SpanId,
    pub(crate) parent_is_remote: bool,
}

/// What was written on a span before its end: encoded fields of its message, in the order in which they came.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    bytes: Vec<u8>,
    attributes: Count,
    events: Count,
    links: Count,
    /// The status that somebody set.
    pub(crate) status: Option<Status>,
}

/// How many of something there are, and how many found no room.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    kept: u32,
    dropped: u32,
}

impl Count {
    /// Whether there is room for one more, which is counted either way.
    fn admit(&mut self, limit: u32) -> bool {
        let admitted = self.kept < limit;
        let counter = if admitted {
            &mut self.kept
        } else {
            &mut self.dropped
        };
        *counter = counter.saturating_add(1);
        admitted
    }
}

impl Parts {
    /// Adds the name and the kind.
    pub(crate) fn head(&mut self, limits: Limits, name: (&str, &str), kind: &SpanKind) {
        write_head(&mut self.bytes, limits, name, kind);
    }

    /// Adds attributes.
    pub(crate) fn attributes(&mut self, limits: Limits, write: impl FnOnce(&mut Attributes<'_>)) {
        attributes(&mut self.bytes, &mut self.attributes, limits, write);
    }

    /// Adds an event.
    pub(crate) fn event(&mut self, limits: Limits, event: &Event) {
        if self.events.admit(limits.events) {
            write_event(&mut self.bytes, limits, event);
        }
    }

    /// Adds a link.
    pub(crate) fn link(&mut self, limits: Limits, link: &Link) {
        if self.links.admit(limits.links) {
            write_link(&mut self.bytes, limits, link);
        }
    }
}

fn attributes(
    out: &mut Vec<u8>,
    count: &mut Count,
    limits: Limits,
    write: impl FnOnce(&mut Attributes<'_>),
) {
    let mut attributes = Attributes::new(out, ATTRIBUTES, limits, count.kept);
    write(&mut attributes);
    let (written, dropped) = attributes.counts();
    count.kept += written;
    count.dropped = count.dropped.saturating_add(dropped);
}

/// Writes one span's message, without a length before it.
#[derive(Debug)]
pub(crate) struct SpanWriter<'a> {
    out: &'a mut Vec<u8>,
    limits: Limits,
    attributes: Count,
    events: Count,
    links: Count,
}

impl<'a> SpanWriter<'a> {
    /// Begins a span with its [head](Self::head).
    pub(crate) fn new(
        out: &'a mut Vec<u8>,
        limits: Limits,
        ids: Ids<'_>,
        name: (&str, &str),
        kind: &SpanKind,
        (start, end): (SystemTime, SystemTime),
    ) -> Self {
        let mut writer = Self::begin(out, limits, ids, (nanos(start), nanos(end)));
        writer.head(name, kind);
        writer
    }

    /// Begins a span that lasted from one moment to the other, both in nanoseconds since 1970.
    pub(crate) fn begin(
        out: &'a mut Vec<u8>,
        limits: Limits,
        ids: Ids<'_>,
        (start, end): (u64, u64),
    ) -> Self {
        let mut flags = u32::from(ids.span.trace_flags().to_u8()) | HAS_IS_REMOTE;
        if ids.parent_is_remote {
            flags |= IS_REMOTE;
        }
        // Put together first, so that the buffer grows once.
        let mut fixed = [0; FIXED];
        fixed[0..2].copy_from_slice(&[TRACE_ID_TAG, 16]);
        fixed[2..18].copy_from_slice(&ids.span.trace_id().to_bytes());
        fixed[18..20].copy_from_slice(&[SPAN_ID_TAG, 8]);
        fixed[20..28].copy_from_slice(&ids.span.span_id().to_bytes());
        fixed[28] = START_TAG;
        fixed[29..37].copy_from_slice(&start.to_le_bytes());
        fixed[37] = END_TAG;
        fixed[38..46].copy_from_slice(&end.to_le_bytes());
        fixed[46..48].copy_from_slice(&FLAGS_TAG);
        fixed[48..52].copy_from_slice(&flags.to_le_bytes());
        out.extend_from_slice(&fixed);
        if ids.parent != SpanId::INVALID {
            wire::bytes(out, PARENT_SPAN_ID, &ids.parent.to_bytes());
        }
        let state = ids.span.trace_state();
        if *state != opentelemetry::trace::TraceState::NONE {
            wire::bytes(out, TRACE_STATE, state.header().as_bytes());
        }
        Self {
            out,
            limits,
            attributes: Count::default(),
            events: Count::default(),
            links: Count::default(),
        }
    }

    /// Adds the name, which is the two parts with a space between them, where both are there, and the kind.
    pub(crate) fn head(&mut self, name: (&str, &str), kind: &SpanKind) {
        write_head(self.out, self.limits, name, kind);
    }

    /// Adds attributes.
    pub(crate) fn attributes(&mut self, write: impl FnOnce(&mut Attributes<'_>)) {
        attributes(self.out, &mut self.attributes, self.limits, write);
    }

    /// Adds a head and attributes, or attributes alone, that were written once for many spans with the limits of this one. Where
    /// those are too many beside what is there already, nothing is added and the answer is `false`.
    pub(crate) fn shared(&mut self, parts: &Parts) -> bool {
        let kept = self.attributes.kept.saturating_add(parts.attributes.kept);
        if kept > self.limits.attributes {
            return false;
        }
        self.out.extend_from_slice(&parts.bytes);
        let dropped = self.attributes.dropped;
        self.attributes = Count {
            kept,
            dropped: dropped.saturating_add(parts.attributes.dropped),
        };
        true
    }

    /// Adds an event.
    pub(crate) fn event(&mut self, event: &Event) {
        if self.events.admit(self.limits.events) {
            write_event(self.out, self.limits, event);
        }
    }

    /// Adds a link.
    pub(crate) fn link(&mut self, link: &Link) {
        if self.links.admit(self.limits.links) {
            write_link(self.out, self.limits, link);
        }
    }

    /// Adds what was written before; call it before anything else, so that its attributes are counted first.
    pub(crate) fn parts(&mut self, parts: &Parts) {
        self.out.extend_from_slice(&parts.bytes);
        self.attributes = parts.attributes;
        self.events = parts.events;
        self.links = parts.links;
    }

    /// Adds what the writer of the span left out itself.
    pub(super) fn dropped_before(&mut self, attributes: u32, events: u32, links: u32) {
        self.attributes.dropped = self.attributes.dropped.saturating_add(attributes);
        self.events.dropped = self.events.dropped.saturating_add(events);
        self.links.dropped = self.links.dropped.saturating_add(links);
    }

    /// Ends the message. Says how many attributes, events and links were left out.
    pub(crate) fn end(self, status: &Status) -> u32 {
        for (field, count) in [
            (DROPPED_ATTRIBUTES, self.attributes),
            (DROPPED_EVENTS, self.events),
            (DROPPED_LINKS, self.links),
        ] {
            if count.dropped > 0 {
                wire::number(self.out, field, count.dropped.into());
            }
        }
        match status {
            Status::Unset => {}
            Status::Ok => {
                wire::open(self.out, STATUS, 2);
                wire::number(self.out, 3, 1);
            }
            Status::Error { description } => {
                let words = self.limits.text(description);
                let message = if words.is_empty() {
                    0
                } else {
                    wire::bytes_len(2, words.len())
                };
                wire::open(self.out, STATUS, message + 2);
                if message > 0 {
                    wire::bytes(self.out, 2, words.as_bytes());
                }
                wire::number(self.out, 3, 2);
            }
        }
        self.attributes
            .dropped
            .saturating_add(self.events.dropped)
            .saturating_add(self.links.dropped)
    }
}

fn write_head(out: &mut Vec<u8>, limits: Limits, name: (&str, &str), kind: &SpanKind) {
    match name {
        (name, "") | ("", name) => wire::bytes(out, NAME, limits.text(name).as_bytes()),
        (first, second) => {
            let second = limits.text(second);
            wire::open(out, NAME, first.len() + 1 + second.len());
            out.extend_from_slice(first.as_bytes());
            out.push(b' ');
            out.extend_from_slice(second.as_bytes());
        }
    }
    let kind = match kind {
        SpanKind::Internal => 1,
        SpanKind::Server => 2,
        SpanKind::Client => 3,
        SpanKind::Producer => 4,
        SpanKind::Consumer => 5,
    };
    wire::number(out, KIND, kind);
}

/// A message whose length is known only once it is written.
fn nested(out: &mut Vec<u8>, field: u32, write: impl FnOnce(&mut Vec<u8>)) {
    let mut inside = Vec::with_capacity(128);
    write(&mut inside);
    wire::bytes(out, field, &inside);
}

// `Span.Event`.
fn write_event(out: &mut Vec<u8>, limits: Limits, event: &Event) {
    nested(out, EVENTS, |out| {
        wire::fixed64(out, 1, nanos(event.timestamp));
        wire::bytes(out, 2, limits.text(&event.name).as_bytes());
        let mut attributes = Attributes::new(out, 3, limits, 0);
        for attribute in &event.attributes {
            attributes.any(attribute);
        }
        let (_, dropped) = attributes.counts();
        let dropped = dropped.saturating_add(event.dropped_attributes_count);
        if dropped > 0 {
            wire::number(out, 4, dropped.into());
        }
    });
}

// `Span.Link`.
fn write_link(out: &mut Vec<u8>, limits: Limits, link: &Link) {
    let to = &link.span_context;
    nested(out, LINKS, |out| {
        wire::bytes(out, 1, &to.trace_id().to_bytes());
        wire::bytes(out, 2, &to.span_id().to_bytes());
        let state = to.trace_state();
        if *state != opentelemetry::trace::TraceState::NONE {
            wire::bytes(out, 3, state.header().as_bytes());
        }
        let mut attributes = Attributes::new(out, 4, limits, 0);
        for attribute in &link.attributes {
            attributes.any(attribute);
        }
        let (_, dropped) = attributes.counts();
        let dropped = dropped.saturating_add(link.dropped_attributes_count);
        if dropped > 0 {
            wire::number(out, 5, dropped.into());
        }
        let mut flags = u32::from(to.trace_flags().to_u8()) | HAS_IS_REMOTE;
        if to.is_remote() {
            flags |= IS_REMOTE;
        }
        wire::fixed32(out, 6, flags);
    });
}

/// Nanoseconds since 1970; zero before, and the last instant that fits after 2554.
pub(crate) fn nanos(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| {
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    })
}
