//! The encoded form of a span.

use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_sdk::trace::SpanData;
use prost::Message;

/// Appends a span as an encoded OTLP `Span`, without tag and length.
pub(crate) fn encode_span(span: &SpanData, to: &mut Vec<u8>) {
    to.extend_from_slice(&Span::from(span.clone()).encode_to_vec());
}
