//! Traces as text, to be compared whole.

use std::fmt::Write;

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;

/// Attributes whose values differ from run to run.
const MASKED: &[&str] = &[
    "agent_sdk.bottleneck",
    "agent_sdk.cost.price_snapshot",
    "agent_sdk.critical_path",
    "agent_sdk.run.id",
    "agent_sdk.tool.queue_ms",
    "gen_ai.response.time_to_first_chunk",
    "server.port",
];

pub(super) fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        write!(text, "{byte:02x}").unwrap();
    }
    text
}

/// The value of an attribute as text, with its type to be seen; `None` where the span does not have it.
pub(super) fn attribute(span: &Span, name: &str) -> Option<String> {
    let mut found = span.attributes.iter().filter(|pair| pair.key == name);
    let value = found.next().map(value_of);
    assert!(found.next().is_none(), "{name} is on {} twice", span.name);
    value
}

fn value_of(pair: &KeyValue) -> String {
    let value = pair.value.as_ref().and_then(|value| value.value.as_ref());
    value.map(text_of).unwrap_or_default()
}

fn text_of(value: &Value) -> String {
    match value {
        Value::StringValue(text) => format!("{text:?}"),
        Value::IntValue(number) => number.to_string(),
        Value::DoubleValue(number) => format!("{number:?}"),
        Value::BoolValue(truth) => truth.to_string(),
        Value::ArrayValue(list) => {
            let inner = |any: &AnyValue| any.value.as_ref().map(text_of).unwrap_or_default();
            format!(
                "[{}]",
                list.values.iter().map(inner).collect::<Vec<_>>().join(", ")
            )
        }
        other => format!("{other:?}"),
    }
}

/// The spans as a tree: children indented under their parent in order of time, attributes by name.
pub(super) fn tree(mut spans: Vec<Span>) -> String {
    spans.sort_by_key(|span| {
        (
            span.start_time_unix_nano,
            std::cmp::Reverse(span.end_time_unix_nano),
        )
    });
    let known = |id: &[u8]| spans.iter().any(|span| span.span_id == id);
    let mut text = String::new();
    for span in spans.iter().filter(|span| !known(&span.parent_span_id)) {
        branch(span, &spans, 0, &mut text);
    }
    text
}

fn branch(span: &Span, spans: &[Span], depth: usize, text: &mut String) {
    let status = span.status.clone().unwrap_or_default();
    let status = match status.code {
        0 => String::new(),
        1 => " Ok".to_owned(),
        _ => format!(" Error({})", status.message),
    };
    let indent = "  ".repeat(depth);
    writeln!(
        text,
        "{indent}{} {}{status}",
        span.name,
        span.kind().as_str_name()
    )
    .unwrap();
    let mut attributes: Vec<_> = span.attributes.iter().collect();
    attributes.sort_by(|a, b| a.key.cmp(&b.key));
    for pair in attributes {
        let masked = MASKED.contains(&pair.key.as_str());
        let value = if masked {
            "…".to_owned()
        } else {
            value_of(pair)
        };
        writeln!(text, "{indent}  | {} = {value}", pair.key).unwrap();
    }
    assert!(span.events.is_empty(), "{:?}", span.events);
    for child in spans
        .iter()
        .filter(|child| child.parent_span_id == span.span_id)
    {
        branch(child, spans, depth + 1, text);
    }
}

/// Where a text occurs in bytes: as it is, or in base64 at any of its three alignments.
pub(super) fn occurs(bytes: &[u8], text: &str) -> bool {
    let within = |needle: &[u8]| memchr::memmem::find(bytes, needle).is_some();
    within(text.as_bytes()) || (0..3).any(|shift| within(base64_core(text, shift).as_bytes()))
}

/// The characters of base64 that a text decides by itself, after `shift` other bytes.
fn base64_core(text: &str, shift: usize) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bytes = vec![0; shift];
    bytes.extend(text.bytes());
    let whole = bytes.chunks_exact(3).map(|three| {
        let number = three
            .iter()
            .fold(0, |number, byte| number << 8 | usize::from(*byte));
        [18, 12, 6, 0]
            .map(|bits| char::from(ALPHABET[number >> bits & 63]))
            .iter()
            .collect::<String>()
    });
    whole.skip(usize::from(shift > 0)).collect()
}

#[test]
fn base64_is_found_at_every_alignment() {
    // "canary" behind zero, one and two other bytes.
    for encoded in ["Y2FuYXJ5", "eGNhbmFyeQ==", "eHljYW5hcnk="] {
        assert!(occurs(encoded.as_bytes(), "canary"), "{encoded}");
    }
    assert!(!occurs(b"Y2FuYXJz", "canary"));
}
