//! Where in a file a place of a plan is: `steps[2].input` leads to a byte.
//!
//! Each way goes as far as the file does: where a key is missing, it ends at what lacks it.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use toml::de::DeValue;

/// Finds a place in TOML: where its key begins, or the element of a list.
pub(super) fn in_toml(document: &DeValue<'_>, place: &str) -> usize {
    let (mut at, mut value, mut rest) = (0, document, place);
    loop {
        match value {
            DeValue::Table(table) => {
                let keys = table.iter();
                let fitting = keys.filter_map(|(key, value)| {
                    Some((behind(rest, key.get_ref())?, key.span().start, value))
                });
                if let Some((after, start, inside)) = fitting.min_by_key(|(after, ..)| after.len())
                {
                    (at, value, rest) = (start, inside.get_ref(), after);
                } else if let Some((0, after)) = number(rest) {
                    // One alternative may stand where a list of them can.
                    rest = after;
                } else {
                    return at;
                }
            }
            DeValue::Array(list) => {
                let inside = number(rest).and_then(|(n, after)| Some((list.get(n)?, after)));
                let Some((inside, after)) = inside else {
                    return at;
                };
                (at, value, rest) = (inside.span().start, inside.get_ref(), after);
            }
            _ => return at,
        }
    }
}

/// Finds a place in JSON: where its value begins.
pub(super) fn in_json(document: &str, place: &str) -> usize {
    let (mut value, mut rest) = (document.trim_start(), place);
    loop {
        let inside = if value.starts_with('{') {
            let table: BTreeMap<String, &RawValue> =
                serde_json::from_str(value).unwrap_or_default();
            let fitting = table
                .into_iter()
                .filter_map(|(key, inside)| Some((inside.get(), behind(rest, &key)?)));
            let found = fitting.min_by_key(|(_, after)| after.len());
            found.or_else(|| match number(rest) {
                Some((0, after)) => Some((value, after)),
                _ => None,
            })
        } else if value.starts_with('[') {
            let list: Vec<&RawValue> = serde_json::from_str(value).unwrap_or_default();
            number(rest).and_then(|(n, after)| Some((list.get(n)?.get(), after)))
        } else {
            None
        };
        let Some(found) = inside else {
            // A part of a text begins so many bytes behind it.
            return value.as_ptr().addr() - document.as_ptr().addr();
        };
        (value, rest) = found;
    }
}

/// What is left of a way behind a key. Keys may have dots in them.
fn behind<'a>(rest: &'a str, key: &str) -> Option<&'a str> {
    let rest = rest.strip_prefix('.').unwrap_or(rest);
    let after = rest.strip_prefix(key)?;
    (!key.is_empty() && (after.is_empty() || after.starts_with(['.', '[']))).then_some(after)
}

/// The number of an element at the beginning of a way, and what is left behind it.
fn number(rest: &str) -> Option<(usize, &str)> {
    let (number, after) = rest.strip_prefix('[')?.split_once(']')?;
    Some((number.parse().ok()?, after))
}
