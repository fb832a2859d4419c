//! The arguments of a tool call that come value by value.
//!
//! Each value is named by a path such as `$.stops[0].city`, and a text may come in several pieces.

use serde_json::{Map, Value};

use super::wire::PartialArg;
use crate::model::{ModelError, ModelErrorKind};

/// How deep the values may stand.
const MAX_DEPTH: usize = 64;

/// The arguments so far.
#[derive(Debug, Default)]
pub(super) struct PartialArgs {
    root: Option<Value>,
    bytes: usize,
}

impl PartialArgs {
    /// Adds a value, or more of it. Returns how many bytes were added so far.
    pub(super) fn add(&mut self, arg: PartialArg<'_>) -> Result<usize, ModelError> {
        let path = arg.json_path.0.unwrap_or_default();
        let text = arg.string_value.0;
        self.bytes = self
            .bytes
            .saturating_add(path.len() + text.as_deref().map_or(0, str::len) + 8);
        let root = self
            .root
            .get_or_insert_with(|| Value::Object(Map::default()));
        let place = find(root, &path)?;
        if let Some(more) = text {
            match place {
                Value::String(text) => text.push_str(&more),
                _ => *place = Value::String(more.into_owned()),
            }
        } else if let Some(number) = arg.number_value {
            *place = Value::Number(number);
        } else if let Some(flag) = arg.bool_value {
            *place = Value::Bool(flag);
        }
        Ok(self.bytes)
    }

    /// Whether any value came.
    pub(super) fn is_empty(&self) -> bool {
        self.root.is_none()
    }

    /// The arguments as JSON text; nothing where none came.
    pub(super) fn finish(self) -> String {
        self.root.map(|root| root.to_string()).unwrap_or_default()
    }
}

/// The value at a path, made where it is not there yet.
fn find<'v>(root: &'v mut Value, path: &str) -> Result<&'v mut Value, ModelError> {
    let mut rest = path.strip_prefix('$').ok_or_else(unknown_path)?;
    let mut place = root;
    let mut depth = 0;
    while !rest.is_empty() {
        depth += 1;
        if depth > MAX_DEPTH {
            return Err(unknown_path());
        }
        let (step, after) = step(rest).ok_or_else(unknown_path)?;
        rest = after;
        place = match step {
            Step::Field(name) => {
                if place.is_null() {
                    *place = Value::Object(Map::default());
                }
                let fields = place.as_object_mut().ok_or_else(unknown_path)?;
                fields.entry(name).or_insert(Value::Null)
            }
            Step::Element(at) => {
                if place.is_null() {
                    *place = Value::Array(Vec::new());
                }
                let list = place.as_array_mut().ok_or_else(unknown_path)?;
                // Elements come in order, so that none is skipped and a large number makes no large list.
                if at == list.len() {
                    list.push(Value::Null);
                }
                list.get_mut(at).ok_or_else(unknown_path)?
            }
        };
    }
    Ok(place)
}

enum Step {
    Field(String),
    Element(usize),
}

/// The first step of a path, and what follows it.
fn step(path: &str) -> Option<(Step, &str)> {
    if let Some(name) = path.strip_prefix('.') {
        let end = name.find(['.', '[']).unwrap_or(name.len());
        let (name, rest) = name.split_at_checked(end)?;
        return (!name.is_empty()).then(|| (Step::Field(name.to_owned()), rest));
    }
    let inside = path.strip_prefix('[')?;
    let quote = inside.chars().next().filter(|c| matches!(c, '\'' | '"'));
    let Some(quote) = quote else {
        let (number, rest) = inside.split_once(']')?;
        return Some((Step::Element(number.trim().parse().ok()?), rest));
    };
    let mut name = String::new();
    let mut chars = inside.strip_prefix(quote)?.chars();
    loop {
        match chars.next()? {
            '\\' => name.push(chars.next()?),
            c if c == quote => break,
            c => name.push(c),
        }
    }
    let rest = chars.as_str().strip_prefix(']')?;
    Some((Step::Field(name), rest))
}

fn unknown_path() -> ModelError {
    let message = "a piece of a tool call has a path that leads nowhere in its arguments";
    ModelError::new(ModelErrorKind::Decode, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pieces: &[&str]) -> Result<String, ModelErrorKind> {
        let mut args = PartialArgs::default();
        for piece in pieces {
            let piece: PartialArg<'_> = serde_json::from_str(piece).unwrap();
            args.add(piece).map_err(|error| error.kind())?;
        }
        Ok(args.finish())
    }

    #[test]
    fn values_stand_where_their_paths_say() {
        let rows: [(&[&str], &str); 6] = [
            (&[], ""),
            (&[r#"{"jsonPath":"$"}"#], "{}"),
            (
                &[
                    r#"{"jsonPath":"$.city","stringValue":"San ","willContinue":true}"#,
                    r#"{"jsonPath":"$.city","stringValue":"José"}"#,
                    r#"{"jsonPath":"$.city","stringValue":""}"#,
                ],
                r#"{"city":"San José"}"#,
            ),
            (
                &[
                    r#"{"jsonPath":"$.n","numberValue":15}"#,
                    r#"{"jsonPath":"$.x","numberValue":1.5}"#,
                    r#"{"jsonPath":"$.b","boolValue":false}"#,
                    r#"{"jsonPath":"$.z","nullValue":"NULL_VALUE"}"#,
                ],
                r#"{"b":false,"n":15,"x":1.5,"z":null}"#,
            ),
            (
                &[
                    r#"{"jsonPath":"$.stops[0].city","stringValue":"A"}"#,
                    r#"{"jsonPath":"$.stops[0].days[0]","numberValue":1}"#,
                    r#"{"jsonPath":"$.stops[0].days[1]","numberValue":2}"#,
                    r#"{"jsonPath":"$.stops[1].city","stringValue":"B"}"#,
                ],
                r#"{"stops":[{"city":"A","days":[1,2]},{"city":"B"}]}"#,
            ),
            (
                &[
                    r#"{"jsonPath":"$['a.b'][\"c]'\"]","stringValue":"x"}"#,
                    r#"{"jsonPath":"$['it\\'s']","boolValue":true}"#,
                ],
                r#"{"a.b":{"c]'":"x"},"it's":true}"#,
            ),
        ];
        for (pieces, expected) in rows {
            assert_eq!(of(pieces).as_deref(), Ok(expected), "{pieces:?}");
        }
    }

    #[test]
    fn paths_that_lead_nowhere_are_refused() {
        let deep = format!(r#"{{"jsonPath":"${}","boolValue":true}}"#, ".a".repeat(65));
        for piece in [
            r#"{"stringValue":"x"}"#,
            r#"{"jsonPath":"city","stringValue":"x"}"#,
            r#"{"jsonPath":"$.","stringValue":"x"}"#,
            r#"{"jsonPath":"$.a[","stringValue":"x"}"#,
            r#"{"jsonPath":"$.a[1]","stringValue":"x"}"#,
            r#"{"jsonPath":"$.a[99999999999999999999]","stringValue":"x"}"#,
            r#"{"jsonPath":"$['a","stringValue":"x"}"#,
            r#"{"jsonPath":"$[0]","stringValue":"x"}"#,
            &deep,
        ] {
            assert_eq!(of(&[piece]), Err(ModelErrorKind::Decode), "{piece}");
        }
        let both = [
            r#"{"jsonPath":"$.a","stringValue":"x"}"#,
            r#"{"jsonPath":"$.a.b","stringValue":"x"}"#,
        ];
        assert_eq!(of(&both), Err(ModelErrorKind::Decode));
    }
}
