//! How a request differs from a recorded one, told without repeating what was said.

use serde_json::Value;

use super::{format::Request, scrub::REDACTED};

/// The only texts that are repeated: names, and no content.
const NAMES: &[&str] = &["/model", "/tool_choice", "/stream"];

/// One difference: where, and what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Difference {
    /// A JSON pointer into the body, or `method`, `path` or `query`.
    pub(super) pointer: String,
    pub(super) what: String,
}

/// All differences between a recorded request and one that is asked, but for those at or below the ignored pointers.
pub(super) fn differences(
    recorded: &Request,
    asked: &Request,
    ignored: &[String],
) -> Vec<Difference> {
    let mut found = Found {
        ignored,
        differences: Vec::new(),
    };
    for (place, recorded, asked) in [
        ("method", Some(&recorded.method), Some(&asked.method)),
        ("path", Some(&recorded.path), Some(&asked.path)),
        ("query", recorded.query.as_ref(), asked.query.as_ref()),
    ] {
        let fits = match (recorded, asked) {
            (Some(recorded), Some(asked)) => fits(recorded, asked),
            (recorded, asked) => recorded == asked,
        };
        if !fits {
            let name = |text: Option<&String>| text.map_or("none", String::as_str).to_owned();
            let what = format!("{} and not {}", name(recorded), name(asked));
            found.add(place, what);
        }
    }
    found.values("", &recorded.body, &asked.body);
    found.differences
}

struct Found<'a> {
    ignored: &'a [String],
    differences: Vec<Difference>,
}

impl Found<'_> {
    fn add(&mut self, pointer: &str, what: impl Into<String>) {
        self.differences.push(Difference {
            pointer: pointer.to_owned(),
            what: what.into(),
        });
    }

    /// Compares two values. They are as deep as a JSON reader lets them be.
    fn values(&mut self, pointer: &str, recorded: &Value, asked: &Value) {
        if recorded == asked || self.ignored.iter().any(|ignored| ignored == pointer) {
            return;
        }
        match (recorded, asked) {
            (Value::Object(recorded), Value::Object(asked)) => {
                for (key, value) in recorded {
                    let pointer = child(pointer, key);
                    match asked.get(key) {
                        Some(asked) => self.values(&pointer, value, asked),
                        None => self.only(&pointer, "was recorded and is not asked"),
                    }
                }
                for key in asked.keys().filter(|key| !recorded.contains_key(*key)) {
                    self.only(&child(pointer, key), "is asked and was not recorded");
                }
            }
            (Value::Array(recorded), Value::Array(asked)) => {
                for (at, (recorded, asked)) in recorded.iter().zip(asked).enumerate() {
                    self.values(&child(pointer, &at.to_string()), recorded, asked);
                }
                if recorded.len() != asked.len() {
                    let what = format!(
                        "{} items recorded and {} asked",
                        recorded.len(),
                        asked.len()
                    );
                    self.add(pointer, what);
                }
            }
            (Value::String(recorded), Value::String(asked)) => {
                if !fits(recorded, asked) {
                    self.add(pointer, texts(pointer, recorded, asked));
                }
            }
            (recorded, asked) => {
                let what = format!("{} recorded and {} asked", name(recorded), name(asked));
                self.add(pointer, what);
            }
        }
    }

    fn only(&mut self, pointer: &str, what: &str) {
        if !self.ignored.iter().any(|ignored| ignored == pointer) {
            self.add(pointer, what);
        }
    }
}

fn child(pointer: &str, key: &str) -> String {
    format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"))
}

/// Whether a text is the recorded one, in which secrets were left out: whoever asks may not know them.
fn fits(recorded: &str, asked: &str) -> bool {
    let Some((first, others)) = recorded.split_once(REDACTED) else {
        return recorded == asked;
    };
    let (middle, last) = others.rsplit_once(REDACTED).unwrap_or(("", others));
    let between = asked
        .strip_prefix(first)
        .and_then(|rest| rest.strip_suffix(last));
    let Some(mut rest) = between else {
        return false;
    };
    for piece in middle.split(REDACTED) {
        let Some((_, after)) = rest.split_once(piece) else {
            return false;
        };
        rest = after;
    }
    true
}

fn texts(pointer: &str, recorded: &str, asked: &str) -> String {
    if NAMES.contains(&pointer) {
        let short = |text: &str| text.chars().take(60).collect::<String>();
        return format!(
            "`{}` recorded and `{}` asked",
            short(recorded),
            short(asked)
        );
    }
    let same = recorded.chars().zip(asked.chars());
    let same = same
        .take_while(|(recorded, asked)| recorded == asked)
        .count();
    format!(
        "the texts, of {} and {} characters, differ from character {same} on",
        recorded.chars().count(),
        asked.chars().count()
    )
}

fn name(value: &Value) -> String {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(_) => "a text".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn request(body: Value) -> Request {
        Request {
            method: "POST".into(),
            server: String::new(),
            path: "/v1/chat".into(),
            query: None,
            headers: std::collections::BTreeMap::new(),
            body,
        }
    }

    fn told(recorded: Value, asked: Value) -> Vec<String> {
        let found = differences(&request(recorded), &request(asked), &["/user".to_owned()]);
        let told = found
            .into_iter()
            .map(|one| format!("{}: {}", one.pointer, one.what));
        told.collect()
    }

    #[test]
    fn each_difference_names_its_place_and_no_content() {
        let recorded = json!({
            "model": "a", "messages": [{"content": "my name is Ann"}], "n": 1, "seed": 7, "user": 1,
        });
        let asked = json!({
            "model": "b", "messages": [{"content": "my name is Bob"}, {}], "n": "1", "a/b": 2, "user": 2,
        });
        assert_eq!(
            told(recorded, asked),
            [
                "/messages/0/content: the texts, of 14 and 14 characters, differ from character 11 on",
                "/messages: 1 items recorded and 2 asked",
                "/model: `a` recorded and `b` asked",
                "/n: 1 recorded and a text asked",
                "/seed: was recorded and is not asked",
                "/a~1b: is asked and was not recorded",
            ]
        );
    }

    #[test]
    fn the_order_of_fields_and_what_was_redacted_do_not_matter() {
        assert!(told(json!({"a": 1, "b": 2}), json!({"b": 2, "a": 1})).is_empty());
        let recorded = "key [redacted] and [redacted]!";
        for (asked, fits) in [
            ("key one and two!", true),
            ("key  and !", true),
            ("key one and two", false),
            ("key one or two!", false),
            ("no", false),
        ] {
            let told = told(json!({"text": recorded}), json!({"text": asked}));
            assert_eq!(told.is_empty(), fits, "{asked}");
        }
    }
}
