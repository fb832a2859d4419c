//! One event, as it is logged.

use std::borrow::Cow;
use std::fmt;
use std::time::SystemTime;

use agent_sdk::operation::{SpanId, TraceContext, TraceId};
use tracing::Metadata;
use tracing::field::{Field, Visit};

use super::redact::Redact;

/// The longest text of one field, in bytes; of a longer one the beginning is kept.
pub(super) const MAX_TEXT: usize = 16 * 1024;

/// How much of a text is looked at: what is cut after that could not be seen anyway.
const MAX_SEEN: usize = 4 * MAX_TEXT;

/// An event with all that is known of it.
pub(super) struct Entry {
    pub(super) time: SystemTime,
    pub(super) metadata: &'static Metadata<'static>,
    pub(super) message: Option<String>,
    pub(super) fields: Vec<(&'static str, Value)>,
    pub(super) trace: Option<TraceContext>,
    pub(super) run_id: Option<String>,
    /// The operations around it, from the outermost on.
    pub(super) path: Option<String>,
}

/// What a field holds.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Text(String),
    Int(i64),
    Float(f64),
    Flag(bool),
}

impl Entry {
    /// Its own name; `None` where it was given none and has only that of its line of code.
    pub(super) fn name(&self) -> Option<&'static str> {
        Some(self.metadata.name()).filter(|name| !name.starts_with("event "))
    }
}

/// Reads the fields of an event.
pub(super) struct Fields<'a> {
    redact: &'a Redact,
    /// Whether the event may say itself where it belongs.
    is_ours: bool,
    pub(super) message: Option<String>,
    pub(super) list: Vec<(&'static str, Value)>,
    trace_id: Option<TraceId>,
    span_id: Option<SpanId>,
    sampled: bool,
    pub(super) run_id: Option<String>,
}

impl<'a> Fields<'a> {
    pub(super) fn new(redact: &'a Redact, is_ours: bool) -> Self {
        Self {
            redact,
            is_ours,
            message: None,
            list: Vec::new(),
            trace_id: None,
            span_id: None,
            sampled: false,
            run_id: None,
        }
    }

    /// The span that the event itself says it is about.
    pub(super) fn trace(&self) -> Option<TraceContext> {
        let (trace, span) = (self.trace_id?, self.span_id?);
        (trace.0 != 0 && span.0 != 0).then(|| TraceContext::new(trace, span, self.sampled))
    }

    fn text(&mut self, field: &Field, text: &str) {
        let safe = self.redact.apply(head(text, MAX_SEEN).0);
        match field.name() {
            "message" => self.message = Some(cut(safe, text.len())),
            "trace_id" if self.is_ours => {
                self.trace_id = u128::from_str_radix(text, 16).ok().map(TraceId);
            }
            "span_id" if self.is_ours => {
                self.span_id = u64::from_str_radix(text, 16).ok().map(SpanId);
            }
            "run_id" if self.is_ours => self.run_id = Some(safe.into_owned()),
            name => self.list.push((name, Value::Text(cut(safe, text.len())))),
        }
    }
}

impl Visit for Fields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.list.push((field.name(), Value::Int(value)));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        let value =
            i64::try_from(value).map_or_else(|_| Value::Text(value.to_string()), Value::Int);
        self.list.push((field.name(), value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.list.push((field.name(), Value::Float(value)));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        if self.is_ours && field.name() == "trace_sampled" {
            self.sampled = value;
        } else {
            self.list.push((field.name(), Value::Flag(value)));
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = Bounded(String::new());
        // It ends early where the text is longer than anybody would see.
        let _ = fmt::write(&mut text, format_args!("{value:?}"));
        self.text(field, &text.0);
    }
}

/// Keeps no more than a text that is about to be cut needs.
struct Bounded(String);

impl fmt::Write for Bounded {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        let (kept, is_whole) = head(more, MAX_SEEN.saturating_sub(self.0.len()));
        self.0.push_str(kept);
        if is_whole { Ok(()) } else { Err(fmt::Error) }
    }
}

/// The beginning of a text, and whether that is all of it.
fn head(text: &str, most: usize) -> (&str, bool) {
    let head = text.get(..text.floor_char_boundary(most)).unwrap_or(text);
    (head, head.len() == text.len())
}

/// A text of at most [`MAX_TEXT`] bytes, with a mark where some are missing; `whole` is how long it was.
fn cut(text: Cow<'_, str>, whole: usize) -> String {
    match head(&text, MAX_TEXT) {
        (_, true) => text.into_owned(),
        (kept, false) => format!("{kept}[{} bytes cut]", whole.max(text.len()) - kept.len()),
    }
}
