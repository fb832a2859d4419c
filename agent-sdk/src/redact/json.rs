//! Redacting JSON, which stays JSON.

use serde_json::{Map, Value};

use super::{Redactor, card, mark, name, scan::Wanted};

/// How deep values may lie; what lies deeper is taken out.
pub(super) const MAX_DEPTH: usize = 128;

pub(super) fn redact(redactor: &Redactor, value: Value, depth: usize) -> Value {
    match value {
        Value::String(text) => match redactor.text(&text) {
            std::borrow::Cow::Borrowed(_) => Value::String(text),
            std::borrow::Cow::Owned(clean) => Value::String(clean),
        },
        Value::Number(number)
            if redactor.wanted == Wanted::All && number.as_u64().is_some_and(card::is_card) =>
        {
            Value::String(mark("card"))
        }
        Value::Array(_) | Value::Object(_) if depth == 0 => Value::String(mark("depth")),
        Value::Array(list) => {
            let list = list.into_iter();
            list.map(|value| redact(redactor, value, depth - 1))
                .collect()
        }
        Value::Object(fields) => Value::Object(of_object(redactor, fields, depth - 1)),
        other => other,
    }
}

fn of_object(redactor: &Redactor, fields: Map<String, Value>, depth: usize) -> Map<String, Value> {
    let mut clean = Map::new();
    for (key, value) in fields {
        let mut clean_key = redactor.text(&key).into_owned();
        let is_secret = name::is_secret(&key) || name::is_secret(&clean_key);
        let value = if is_secret && says_something(&value) {
            Value::String(mark("secret"))
        } else {
            redact(redactor, value, depth)
        };
        // Two keys may have become the same.
        while clean.contains_key(&clean_key) {
            clean_key.push('+');
        }
        clean.insert(clean_key, value);
    }
    clean
}

fn says_something(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(_) => false,
        Value::String(text) => !text.is_empty(),
        _ => true,
    }
}
