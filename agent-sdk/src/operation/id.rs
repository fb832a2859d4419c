//! Names for runs and operations, and where they come from.

use std::{any::Any, fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize, Serializer};

use crate::ids::text_id;

use super::{Details, Kind, OperationInfo};

text_id! {
    /// The id of a run: 128 bits, sortable by time (a version 7 UUID) unless the caller chose another. Cheap to clone.
    RunId
}

impl RunId {
    /// A new id.
    pub fn random() -> Self {
        let mut buffer = uuid::Uuid::encode_buffer();
        Self::from(&*uuid::Uuid::now_v7().simple().encode_lower(&mut buffer))
    }
}

/// The number of an operation within its run, from 1 in the order in which they started.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OperationId(pub(crate) u64);

impl OperationId {
    /// The number.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// The id of a trace: 16 bytes, not all zero; prints as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId(pub u128);

/// The id of a span: 8 bytes, not all zero; prints as 16 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SpanId(pub u64);

macro_rules! hexadecimal {
    ($name:ident, $width:literal) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!("{:0", $width, "x}"), self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    };
}

hexadecimal!(TraceId, "32");
hexadecimal!(SpanId, "16");

/// Where an operation stands in a distributed trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TraceContext {
    /// The trace.
    pub trace_id: TraceId,
    /// The span in it.
    pub span_id: SpanId,
    /// Whether the trace is recorded.
    pub sampled: bool,
    /// Whether it came from another process.
    pub remote: bool,
}

impl TraceContext {
    /// A local context of these ids.
    pub const fn new(trace_id: TraceId, span_id: SpanId, sampled: bool) -> Self {
        Self {
            trace_id,
            span_id,
            sampled,
            remote: false,
        }
    }

    /// A new trace of random ids.
    pub fn random_root() -> Self {
        Self::new(TraceId(nonzero(|| fastrand::u128(..))), random_span(), true)
    }

    /// A new span in this trace.
    #[must_use]
    pub fn random_child(&self) -> Self {
        Self::new(self.trace_id, random_span(), self.sampled)
    }

    /// The W3C `traceparent` header value.
    pub fn traceparent(&self) -> String {
        format!(
            "00-{}-{}-{:02x}",
            self.trace_id,
            self.span_id,
            u8::from(self.sampled)
        )
    }
}

fn random_span() -> SpanId {
    SpanId(nonzero(|| fastrand::u64(..)))
}

fn nonzero<T: Default + PartialEq>(mut draw: impl FnMut() -> T) -> T {
    loop {
        let drawn = draw();
        if drawn != T::default() {
            return drawn;
        }
    }
}

/// A `traceparent` header that is not one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidTraceparent;

impl fmt::Display for InvalidTraceparent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "not a W3C traceparent: expected 00-<32 hex>-<16 hex>-<2 hex>, ids not all zero",
        )
    }
}

impl std::error::Error for InvalidTraceparent {}

impl FromStr for TraceContext {
    type Err = InvalidTraceparent;

    /// Reads a W3C `traceparent` header value of any version; the context is remote.
    fn from_str(header: &str) -> Result<Self, Self::Err> {
        let lower_hex = |text: &str, width: usize| {
            text.len() == width
                && text
                    .bytes()
                    .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        };
        let mut fields = header.trim().split('-');
        let mut next = |width| {
            fields
                .next()
                .filter(|text| lower_hex(text, width))
                .ok_or(InvalidTraceparent)
        };
        let (version, trace, span, flags) = (next(2)?, next(32)?, next(16)?, next(2)?);
        if version == "ff" || (version == "00" && fields.next().is_some()) {
            return Err(InvalidTraceparent);
        }
        let trace_id = u128::from_str_radix(trace, 16).map_err(|_| InvalidTraceparent)?;
        let span_id = u64::from_str_radix(span, 16).map_err(|_| InvalidTraceparent)?;
        let flags = u8::from_str_radix(flags, 16).map_err(|_| InvalidTraceparent)?;
        if trace_id == 0 || span_id == 0 {
            return Err(InvalidTraceparent);
        }
        Ok(Self {
            trace_id: TraceId(trace_id),
            span_id: SpanId(span_id),
            sampled: flags & 1 == 1,
            remote: true,
        })
    }
}

/// What an [`IdSource`] says of a new operation.
#[derive(Clone, Debug)]
#[allow(
    clippy::exhaustive_structs,
    reason = "the whole answer of the trait below"
)]
pub struct Identity {
    /// The operation's own place in the trace.
    pub trace: TraceContext,
    /// The span it hangs under, of this process or another.
    pub parent: Option<TraceContext>,
    /// What the source wants to find again on the operation: [`OperationInfo::attachment`](super::OperationInfo::attachment).
    pub attachment: Option<Arc<dyn Any + Send + Sync>>,
}

/// An operation that is about to start, as an [`IdSource`] is shown it.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Opening<'a> {
    /// What it is.
    pub kind: Kind,
    /// The agent's, model's or tool's name.
    pub name: &'a str,
    /// What only its kind has.
    pub details: &'a Details,
    /// The agent that it belongs to.
    pub agent: Option<&'a str>,
    /// The operation around it.
    pub parent: Option<&'a OperationInfo>,
    /// The place in a trace that the run's caller named, for an operation without a parent.
    pub caller: Option<TraceContext>,
}

impl Opening<'_> {
    /// The span that it hangs under by the run's own knowledge: the operation around it, or else the caller's.
    pub fn above(&self) -> Option<TraceContext> {
        self.parent.map(|parent| parent.trace).or(self.caller)
    }
}

/// Makes the ids of operations.
///
/// The default draws them at random. A bridge to a tracing system returns the ids of the span that it opened itself, so that
/// reports, events, exemplars and logs all name the same span.
pub trait IdSource: fmt::Debug + Send + Sync + 'static {
    /// Names a new operation, just before its `tracing` span is opened on the same thread.
    fn identify(&self, operation: &Opening<'_>) -> Identity;

    /// The `tracing` span of the operation that was named last on this thread was opened; it is disabled where no subscriber wants it.
    fn opened(&self, identity: &Identity, span: &tracing::Span) {
        let _ = (identity, span);
    }
}

/// Ids drawn at random, sampled unless the parent is not.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct RandomIds;

impl IdSource for RandomIds {
    fn identify(&self, operation: &Opening<'_>) -> Identity {
        let parent = operation.above();
        let trace = parent
            .as_ref()
            .map_or_else(TraceContext::random_root, TraceContext::random_child);
        Identity {
            trace,
            parent,
            attachment: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traceparent_is_read_back() {
        let mut context = TraceContext::random_root();
        context.remote = true;
        assert_eq!(context.traceparent().parse(), Ok(context));
    }

    #[test]
    fn hostile_traceparents_are_refused() {
        for header in [
            "",
            "00",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(
                header.parse::<TraceContext>(),
                Err(InvalidTraceparent),
                "{header}"
            );
        }
    }
}
