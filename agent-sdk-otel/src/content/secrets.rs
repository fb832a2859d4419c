//! Secrets that were named by value, in a message that is about to leave.

use std::borrow::Cow;

use agent_sdk::redact::Redactor;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

/// The encoded span without secrets that were named; `None` where it cannot be read again, and so must not leave.
///
/// Nothing is done where none are named, and where none is found no more than looking for them. A message that has one is read,
/// redacted and written again: that is rare, and overwriting bytes in place could meet the bytes between two fields.
pub(crate) fn masked<'m>(redactor: &Redactor, message: &'m [u8]) -> Option<Cow<'m, [u8]>> {
    if !redactor.finds_secret(message) {
        return Some(Cow::Borrowed(message));
    }
    let mut span = Span::decode(message).ok()?;
    let redactor = redactor.for_keys();
    text(&redactor, &mut span.name);
    text(&redactor, &mut span.trace_state);
    pairs(&redactor, &mut span.attributes);
    for event in &mut span.events {
        text(&redactor, &mut event.name);
        pairs(&redactor, &mut event.attributes);
    }
    for link in &mut span.links {
        text(&redactor, &mut link.trace_state);
        pairs(&redactor, &mut link.attributes);
    }
    if let Some(status) = &mut span.status {
        text(&redactor, &mut status.message);
    }
    Some(Cow::Owned(span.encode_to_vec()))
}

/// The record, encoded without secrets that were named.
pub(crate) fn masked_record(redactor: &Redactor, mut record: LogRecord) -> Vec<u8> {
    let message = record.encode_to_vec();
    if !redactor.finds_secret(&message) {
        return message;
    }
    let redactor = redactor.for_keys();
    text(&redactor, &mut record.event_name);
    if let Some(body) = &mut record.body {
        any(&redactor, body);
    }
    pairs(&redactor, &mut record.attributes);
    record.encode_to_vec()
}

/// Takes keys out of the texts of attributes that are no content.
pub(crate) fn without_keys(redactor: &Redactor, all: &mut [KeyValue]) {
    for value in all.iter_mut().filter_map(|pair| pair.value.as_mut()) {
        value_without_keys(redactor, value);
    }
}

fn value_without_keys(redactor: &Redactor, value: &mut AnyValue) {
    match &mut value.value {
        Some(Value::StringValue(words)) => text(redactor, words),
        Some(Value::ArrayValue(list)) => {
            for value in &mut list.values {
                value_without_keys(redactor, value);
            }
        }
        Some(Value::KvlistValue(list)) => without_keys(redactor, &mut list.values),
        _ => {}
    }
}

/// Redacts names and values of attributes.
fn pairs(redactor: &Redactor, all: &mut [KeyValue]) {
    for pair in all {
        text(redactor, &mut pair.key);
        if let Some(value) = &mut pair.value {
            any(redactor, value);
        }
    }
}

fn any(redactor: &Redactor, value: &mut AnyValue) {
    match &mut value.value {
        Some(Value::StringValue(words))
            // Content is JSON already, and redacted: only what was named may still be in it.
            if redactor.finds_secret(words.as_bytes()) => {
                text(redactor, words);
            }
        Some(Value::ArrayValue(list)) => {
            for value in &mut list.values {
                any(redactor, value);
            }
        }
        Some(Value::KvlistValue(list)) => pairs(redactor, &mut list.values),
        _ => {}
    }
}

fn text(redactor: &Redactor, text: &mut String) {
    let clean = match redactor.text(text) {
        Cow::Borrowed(_) => return,
        Cow::Owned(clean) => clean,
    };
    *text = clean;
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::common::v1::{ArrayValue, KeyValueList};

    use super::*;

    #[test]
    fn a_named_secret_is_in_no_text_of_a_span() {
        let secret = "swordfish-42";
        let value = |text: &str| AnyValue {
            value: Some(Value::StringValue(text.into())),
        };
        let pair = |text: &str| KeyValue {
            key: text.into(),
            value: Some(value(text)),
            ..KeyValue::default()
        };
        let mut span = Span {
            name: secret.into(),
            trace_id: vec![7; 16],
            attributes: vec![pair(secret), pair("c3dvcmRmaXNoLTQy"), pair("plain")],
            ..Span::default()
        };
        span.status = Some(opentelemetry_proto::tonic::trace::v1::Status {
            message: format!("it was {secret}"),
            code: 2,
        });
        let message = span.encode_to_vec();
        let redactor = Redactor::new().with_secret(secret);
        let masked_bytes = masked(&redactor, &message).unwrap();
        assert!(!redactor.finds_secret(&masked_bytes));
        let read = Span::decode(&*masked_bytes).unwrap();
        assert_eq!(read.trace_id, span.trace_id);
        assert_eq!(read.attributes[2], span.attributes[2]);
        assert_eq!(read.status.unwrap().message, "it was [redacted:secret]");
        let other = Redactor::new().with_secret("something else");
        assert!(matches!(masked(&other, &message), Some(Cow::Borrowed(_))));
    }

    #[test]
    fn a_named_secret_is_in_no_text_of_a_log_record() {
        let secret = "swordfish-42";
        let words = |text: &str| AnyValue {
            value: Some(Value::StringValue(text.into())),
        };
        let pair = |key: &str, value: AnyValue| KeyValue {
            key: key.into(),
            value: Some(value),
            ..KeyValue::default()
        };
        let list = AnyValue {
            value: Some(Value::ArrayValue(ArrayValue {
                values: vec![words("plain"), words(secret)],
            })),
        };
        let map = AnyValue {
            value: Some(Value::KvlistValue(KeyValueList {
                values: vec![pair(secret, words("c3dvcmRmaXNoLTQy"))],
            })),
        };
        let record = LogRecord {
            body: Some(words("it was swordfish-42")),
            attributes: vec![pair("list", list), pair("map", map)],
            event_name: secret.into(),
            ..LogRecord::default()
        };
        let redactor = Redactor::new().with_secret(secret);
        let masked = masked_record(&redactor, record.clone());
        assert!(!redactor.finds_secret(&masked));
        let read = LogRecord::decode(&*masked).unwrap();
        assert_eq!(read.body, Some(words("it was [redacted:secret]")));
        let other = Redactor::new().with_secret("something else");
        assert_eq!(
            masked_record(&other, record.clone()),
            record.encode_to_vec()
        );
    }

    #[test]
    fn keys_are_taken_out_of_lists_too() {
        let list = |text: &str| AnyValue {
            value: Some(Value::ArrayValue(ArrayValue {
                values: vec![AnyValue {
                    value: Some(Value::StringValue(text.into())),
                }],
            })),
        };
        let pair = |text: &str| KeyValue {
            key: "reasons".into(),
            value: Some(list(text)),
            ..KeyValue::default()
        };
        let mut all = [pair("sk-proj-4f9a8b7c6d5e4f3a2b1c"), pair("stop")];
        without_keys(&Redactor::new().for_keys(), &mut all);
        assert_eq!(all, [pair("[redacted:key]"), pair("stop")]);
    }
}
