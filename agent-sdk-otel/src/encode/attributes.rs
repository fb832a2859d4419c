//! Attributes, as whoever takes them writes them.

use opentelemetry::{Array, KeyValue, Value};

use super::span::Limits;
use super::wire;
use crate::attrs;
use crate::content::Clean;

/// What takes attributes, one at a time, without keeping what it is lent.
pub(crate) trait AttributeSink {
    /// An attribute with text.
    fn text(&mut self, name: &str, value: &str);
    /// An attribute with a whole number.
    fn int(&mut self, name: &str, value: i64);
    /// An attribute with a fraction.
    fn float(&mut self, name: &str, value: f64);
    /// An attribute with a truth value.
    fn flag(&mut self, name: &str, value: bool);
    /// An attribute with a list of texts.
    fn texts(&mut self, name: &str, values: &[&str]);

    /// An attribute with a word of our own, in which nothing has to be looked for.
    fn word(&mut self, name: &str, value: &'static str) {
        self.text(name, value);
    }

    /// An attribute with a list of the ids of spans, in the digits in which they are written.
    fn span_ids(&mut self, name: &str, ids: &[[u8; 16]]) {
        let ids: Vec<_> = ids.iter().flat_map(|id| str::from_utf8(id)).collect();
        self.texts(name, &ids);
    }

    /// An attribute with a count; a count that an `i64` cannot hold becomes the largest one it can.
    fn count(&mut self, name: &str, value: u64) {
        self.int(name, i64::try_from(value).unwrap_or(i64::MAX));
    }
}

/// For samplers, and for tests.
impl AttributeSink for Vec<KeyValue> {
    fn text(&mut self, name: &str, value: &str) {
        self.push(attrs::custom(name.to_owned(), value.to_owned()));
    }

    fn int(&mut self, name: &str, value: i64) {
        self.push(attrs::custom(name.to_owned(), value));
    }

    fn float(&mut self, name: &str, value: f64) {
        self.push(attrs::custom(name.to_owned(), value));
    }

    fn flag(&mut self, name: &str, value: bool) {
        self.push(attrs::custom(name.to_owned(), value));
    }

    fn texts(&mut self, name: &str, values: &[&str]) {
        let values = values.iter().map(|value| (*value).to_owned().into());
        let values = Value::Array(Array::String(values.collect()));
        self.push(attrs::custom(name.to_owned(), values));
    }
}

// `KeyValue` and `AnyValue` of OTLP's common.proto.
const KEY: u32 = 1;
const VALUE: u32 = 2;
const STRING: u32 = 1;
const BOOL: u32 = 2;
const INT: u32 = 3;
const DOUBLE: u32 = 4;
const ARRAY: u32 = 5;
const VALUES: u32 = 1;

// The tags of a pair's two fields.
const KEY_TAG: u8 = 0x0A;
const VALUE_TAG: u8 = 0x12;

/// Writes attributes as one repeated field of a message, within limits.
#[derive(Debug)]
pub(crate) struct Attributes<'a> {
    out: &'a mut Vec<u8>,
    field: u32,
    limits: Limits,
    /// How many more are taken.
    left: u32,
    written: u32,
    dropped: u32,
}

impl<'a> Attributes<'a> {
    /// `before` have been written already.
    pub(super) fn new(out: &'a mut Vec<u8>, field: u32, limits: Limits, before: u32) -> Self {
        Self {
            out,
            field,
            limits,
            left: limits.attributes.saturating_sub(before),
            written: 0,
            dropped: 0,
        }
    }

    /// How many were written, and how many found no room.
    pub(super) fn counts(&self) -> (u32, u32) {
        (self.written, self.dropped)
    }

    /// Whether there is room for one more, which is counted either way.
    fn admit(&mut self) -> bool {
        if self.left == 0 {
            self.dropped = self.dropped.saturating_add(1);
            return false;
        }
        self.left -= 1;
        self.written += 1;
        true
    }

    /// The beginning of an attribute whose `AnyValue` takes `length` bytes; says whether there is room for it.
    fn begin(&mut self, name: &str, length: usize) -> bool {
        if !self.admit() {
            return false;
        }
        // The pair, where every length and every tag is one byte, as nearly always.
        let pair = 4 + name.len() + length;
        if pair < 0x80 && self.field < 16 {
            let [field, ..] = (self.field << 3 | wire::BYTES).to_le_bytes();
            let [[pair, ..], [key, ..], [length, ..]] =
                [pair, name.len(), length].map(usize::to_le_bytes);
            self.out.reserve(usize::from(pair) + 2);
            self.out.extend_from_slice(&[field, pair, KEY_TAG, key]);
            self.out.extend_from_slice(name.as_bytes());
            self.out.extend_from_slice(&[VALUE_TAG, length]);
        } else {
            let pair = wire::bytes_len(KEY, name.len()) + wire::bytes_len(VALUE, length);
            self.out.reserve(wire::bytes_len(self.field, pair));
            wire::open(self.out, self.field, pair);
            wire::bytes(self.out, KEY, name.as_bytes());
            wire::open(self.out, VALUE, length);
        }
        true
    }

    fn list<T>(
        &mut self,
        name: &str,
        items: &[T],
        length: impl Fn(&T) -> usize,
        write: impl Fn(&mut Vec<u8>, &T),
    ) {
        let inside = items
            .iter()
            .map(|item| wire::bytes_len(VALUES, length(item)));
        let inside = inside.sum();
        if self.begin(name, wire::bytes_len(ARRAY, inside)) {
            wire::open(self.out, ARRAY, inside);
            for item in items {
                wire::open(self.out, VALUES, length(item));
                write(self.out, item);
            }
        }
    }

    /// Content, which may leave as it is.
    pub(crate) fn clean(&mut self, name: &str, content: &Clean) {
        self.string(name, self.limits.cut(content.as_str()));
    }

    fn string(&mut self, name: &str, value: &str) {
        if self.begin(name, wire::bytes_len(STRING, value.len())) {
            wire::bytes(self.out, STRING, value.as_bytes());
        }
    }

    /// An attribute of OpenTelemetry's own kind.
    pub(crate) fn any(&mut self, attribute: &KeyValue) {
        let name = attribute.key.as_str();
        match &attribute.value {
            Value::Bool(value) => self.flag(name, *value),
            Value::I64(value) => self.int(name, *value),
            Value::F64(value) => self.float(name, *value),
            Value::String(value) => self.text(name, value.as_str()),
            Value::Array(Array::String(values)) => {
                let values: Vec<_> = values
                    .iter()
                    .map(opentelemetry::StringValue::as_str)
                    .collect();
                self.texts(name, &values);
            }
            Value::Array(Array::Bool(values)) => {
                self.list(
                    name,
                    values,
                    |_| 2,
                    |out, value| {
                        wire::number(out, BOOL, u64::from(*value));
                    },
                );
            }
            Value::Array(Array::I64(values)) => {
                self.list(
                    name,
                    values,
                    |value| int_len(*value),
                    |out, value| {
                        wire::number(out, INT, value.cast_unsigned());
                    },
                );
            }
            Value::Array(Array::F64(values)) => {
                self.list(
                    name,
                    values,
                    |_| 9,
                    |out, value| {
                        wire::fixed64(out, DOUBLE, value.to_bits());
                    },
                );
            }
            // A kind that this crate does not know yet.
            other => self.text(name, &other.as_str()),
        }
    }
}

fn int_len(value: i64) -> usize {
    1 + wire::varint_len(value.cast_unsigned())
}

impl AttributeSink for Attributes<'_> {
    fn text(&mut self, name: &str, value: &str) {
        let value = self.limits.text(value);
        self.string(name, &value);
    }

    fn word(&mut self, name: &str, value: &'static str) {
        self.string(name, self.limits.cut(value));
    }

    fn span_ids(&mut self, name: &str, ids: &[[u8; 16]]) {
        let length = self.limits.text.min(16);
        // With the tags and lengths of a value in the list and of the text in that.
        let inside = ids.len() * (4 + length);
        if self.begin(name, wire::bytes_len(ARRAY, inside)) {
            wire::open(self.out, ARRAY, inside);
            for id in ids {
                wire::open(self.out, VALUES, 2 + length);
                wire::bytes(self.out, STRING, id.get(..length).unwrap_or_default());
            }
        }
    }

    fn int(&mut self, name: &str, value: i64) {
        if self.begin(name, int_len(value)) {
            wire::number(self.out, INT, value.cast_unsigned());
        }
    }

    fn float(&mut self, name: &str, value: f64) {
        if self.begin(name, 9) {
            wire::fixed64(self.out, DOUBLE, value.to_bits());
        }
    }

    fn flag(&mut self, name: &str, value: bool) {
        if self.begin(name, 2) {
            wire::number(self.out, BOOL, u64::from(value));
        }
    }

    fn texts(&mut self, name: &str, values: &[&str]) {
        let limits = self.limits;
        let values: Vec<_> = values.iter().map(|value| limits.text(value)).collect();
        self.list(
            name,
            &values,
            |value| wire::bytes_len(STRING, value.len()),
            |out, value| wire::bytes(out, STRING, value.as_bytes()),
        );
    }
}
