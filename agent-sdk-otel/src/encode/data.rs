//! Spans that the OpenTelemetry SDK made: the user's own.

use opentelemetry_sdk::trace::SpanData;

use super::{Ids, Limits, SpanWriter};

/// Appends the message of a finished span. Says how many attributes, events and links were left out.
pub(crate) fn encode_span(span: &SpanData, limits: Limits, out: &mut Vec<u8>) -> u32 {
    let ids = Ids {
        span: &span.span_context,
        parent: span.parent_span_id,
        parent_is_remote: span.parent_span_is_remote,
    };
    let times = (span.start_time, span.end_time);
    let name = (&*span.name, "");
    let mut writer = SpanWriter::new(out, limits, ids, name, &span.span_kind, times);
    writer.attributes(|attributes| {
        for attribute in &span.attributes {
            attributes.any(attribute);
        }
    });
    for event in span.events.iter() {
        writer.event(event);
    }
    for link in span.links.iter() {
        writer.link(link);
    }
    writer.dropped_before(
        span.dropped_attributes_count,
        span.events.dropped_count,
        span.links.dropped_count,
    );
    writer.end(&span.status)
}
