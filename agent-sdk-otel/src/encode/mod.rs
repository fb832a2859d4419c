//! Spans as OTLP protobuf, written straight into bytes.
//!
//! A finished span is encoded once, on the thread that ends it, into a buffer that the thread keeps: no list of attributes, no copy of a
//! name or a text is made on the way to the wire. What others wrote on an operation's span before its end waits in the same form, see
//! [`Parts`].

mod attributes;
mod clean;
mod data;
mod span;
#[cfg(test)]
mod tests;
mod wire;

pub(crate) use attributes::{AttributeSink, Attributes};
pub(crate) use data::encode_span;
pub(crate) use span::{Ids, Limits, Parts, SpanWriter, nanos};
