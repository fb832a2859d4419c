//! The usage that `agent cost` is given: JSON with the names of the counts, read strictly.

use std::fmt;

use agent_sdk::model::Usage;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::Value;

use crate::exit::Failure;

/// The names of the counts, as they are written.
const KEYS: [&str; 11] = [
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "reasoning_tokens",
    "output_reasoning_tokens",
    "input_audio_tokens",
    "output_audio_tokens",
    "input_image_tokens",
    "output_image_tokens",
];

const EXAMPLE: &str =
    r#"Write for example --usage '{"input_tokens": 1000, "output_tokens": 500}'."#;

/// Reads a usage.
///
/// # Errors
///
/// All that is wrong in it, in one go.
pub(super) fn parse(json: &str) -> Result<Usage, Failure> {
    let Entries(entries) = serde_json::from_str(json).map_err(|error| {
        Failure::usage(format!("`--usage` is no JSON object: {error}")).advice(EXAMPLE)
    })?;
    let (mut usage, mut wrong) = (Usage::unknown(), Vec::new());
    let mut seen = Vec::new();
    for (key, value) in entries {
        let Some(field) = field(&mut usage, &key) else {
            wrong.push(unknown(&key));
            continue;
        };
        let name = key
            .strip_prefix("output_")
            .filter(|name| *name == "reasoning_tokens")
            .unwrap_or(&key);
        if seen.iter().any(|known| known == name) {
            wrong.push(format!("`{key}` is given twice"));
            continue;
        }
        seen.push(name.to_owned());
        match count(&value) {
            Ok(count) => *field = count,
            Err(reason) => wrong.push(format!("`{key}` {reason}")),
        }
    }
    if wrong.is_empty() {
        return Ok(usage);
    }
    Err(Failure::usage(format!(
        "`--usage` cannot be understood: {}",
        wrong.join("; ")
    ))
    .advice(EXAMPLE))
}

fn field<'a>(usage: &'a mut Usage, key: &str) -> Option<&'a mut Option<u64>> {
    Some(match key {
        "input_tokens" => &mut usage.input_tokens,
        "output_tokens" => &mut usage.output_tokens,
        "cache_read_tokens" => &mut usage.cache_read_tokens,
        "cache_write_tokens" => &mut usage.cache_write_tokens,
        "cache_write_1h_tokens" => &mut usage.cache_write_1h_tokens,
        "reasoning_tokens" | "output_reasoning_tokens" => &mut usage.reasoning_tokens,
        "input_audio_tokens" => &mut usage.input_audio_tokens,
        "output_audio_tokens" => &mut usage.output_audio_tokens,
        "input_image_tokens" => &mut usage.input_image_tokens,
        "output_image_tokens" => &mut usage.output_image_tokens,
        _ => return None,
    })
}

/// A count, or `None` for what is written as unknown.
fn count(value: &Value) -> Result<Option<u64>, String> {
    match value {
        Value::Null => Ok(None),
        Value::Number(number) => number.as_u64().map(Some).ok_or_else(|| {
            let reason = match number.as_f64() {
                Some(number) if number < 0.0 => "is negative",
                Some(number) if number >= 18_446_744_073_709_551_616.0 => {
                    "is larger than any count"
                }
                _ => "is not written as a whole number",
            };
            format!("{reason}: {number}")
        }),
        other => Err(format!("is {}, not a count", described(other))),
    }
}

fn described(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

fn unknown(key: &str) -> String {
    let shown: String = key.chars().take(64).collect();
    let nearest = KEYS.iter().max_by(|a, b| {
        let likeness = |known: &str| strsim::jaro_winkler(&shown, known);
        likeness(a).total_cmp(&likeness(b))
    });
    format!(
        "`{shown}` is no count; did you mean `{}`?",
        nearest.unwrap_or(&"input_tokens")
    )
}

/// The entries of a JSON object, one that occurs twice included.
struct Entries(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Entries;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }

        deserializer.deserialize_map(Object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_by_either_name() {
        let usage =
            parse(r#"{"input_tokens": 5, "output_reasoning_tokens": 2, "output_tokens": null}"#)
                .unwrap();
        assert_eq!(usage.input_tokens, Some(5));
        assert_eq!(usage.reasoning_tokens, Some(2));
        assert_eq!(usage.output_tokens, None);
        assert_eq!(
            parse(r#"{"reasoning_tokens": 2}"#)
                .unwrap()
                .reasoning_tokens,
            Some(2)
        );
        assert!(parse("{}").unwrap().is_unknown());
    }

    #[test]
    fn every_name_is_a_field() {
        let mut usage = Usage::unknown();
        assert!(KEYS.iter().all(|key| field(&mut usage, key).is_some()));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (json, said) in [
            (
                r#"{"input_token": 1}"#,
                "`input_token` is no count; did you mean `input_tokens`?",
            ),
            (r#"{"prompt_tokens": 1}"#, "did you mean"),
            (
                r#"{"cached_tokens": 1}"#,
                "did you mean `cache_read_tokens`?",
            ),
            (r#"{"input_tokens": -1}"#, "`input_tokens` is negative: -1"),
            (
                r#"{"input_tokens": 1.5}"#,
                "`input_tokens` is not written as a whole number: 1.5",
            ),
            (
                r#"{"input_tokens": 1.0}"#,
                "is not written as a whole number",
            ),
            (
                r#"{"input_tokens": 18446744073709551616}"#,
                "is larger than any count",
            ),
            (
                r#"{"input_tokens": "5"}"#,
                "`input_tokens` is text, not a count",
            ),
            (r#"{"input_tokens": [5]}"#, "is a list, not a count"),
            (
                r#"{"input_tokens": 1, "input_tokens": 2}"#,
                "`input_tokens` is given twice",
            ),
            (
                r#"{"reasoning_tokens": 1, "output_reasoning_tokens": 2}"#,
                "`output_reasoning_tokens` is given twice",
            ),
            ("[1]", "`--usage` is no JSON object"),
            ("", "`--usage` is no JSON object"),
            ("{", "`--usage` is no JSON object"),
            (r#"{"input_tokens": 1} x"#, "trailing characters"),
        ] {
            let failure = parse(json).unwrap_err().to_string();
            assert!(failure.contains(said), "{json}: {failure}");
        }
    }

    #[test]
    fn all_errors_are_said_in_one_go() {
        let failure = parse(r#"{"input": 1, "output_tokens": -2}"#)
            .unwrap_err()
            .to_string();
        assert!(failure.contains("`input` is no count"), "{failure}");
        assert!(failure.contains("`output_tokens` is negative"), "{failure}");
    }
}
