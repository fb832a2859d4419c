//! References in what a step is given: `${steps.ID/pointer}`, `${params.NAME}`, `${item}`, `${index}`.

use std::{borrow::Cow, fmt, sync::Arc};

use serde_json::{Map, Value};

use super::Params;

/// What a reference names.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Reference {
    /// What a step gave, or a part of it.
    Step { id: Arc<str>, pointer: Arc<str> },
    /// A parameter, or a part of it.
    Param { name: Arc<str>, pointer: Arc<str> },
    /// The element of a map, or a part of it.
    Item { pointer: Arc<str> },
    /// The number of the element of a map, from 0.
    Index,
}

impl Reference {
    fn parse(text: &str) -> Result<Self, String> {
        let (head, pointer) = match text.find('/') {
            Some(at) => text.split_at(at),
            None => (text, ""),
        };
        let reference = match (head, head.split_once('.')) {
            ("item", _) => Self::Item {
                pointer: pointer.into(),
            },
            ("index", _) if pointer.is_empty() => Self::Index,
            (_, Some(("steps", id))) if !id.is_empty() => Self::Step {
                id: id.into(),
                pointer: pointer.into(),
            },
            (_, Some(("params", name))) if !name.is_empty() => Self::Param {
                name: name.into(),
                pointer: pointer.into(),
            },
            _ => {
                return Err(format!(
                    "`${{{text}}}` is no reference: write `${{steps.ID}}`, `${{steps.ID/part}}`, `${{params.NAME}}` or, in a map, `${{item}}`; `$${{` stands for the text `${{`"
                ));
            }
        };
        Ok(reference)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Step { id, pointer } => write!(f, "${{steps.{id}{pointer}}}"),
            Self::Param { name, pointer } => write!(f, "${{params.{name}{pointer}}}"),
            Self::Item { pointer } => write!(f, "${{item{pointer}}}"),
            Self::Index => f.write_str("${index}"),
        }
    }
}

/// A JSON value with references in it, read once.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Template {
    /// No reference.
    Literal(Value),
    /// One reference and nothing else: it keeps the type of what it refers to.
    Whole(Reference),
    /// Text with references in it.
    Text(Vec<Piece>),
    List(Vec<Template>),
    Object(Vec<(String, Template)>),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Piece {
    Text(String),
    Reference(Reference),
}

/// What references refer to while a step begins.
pub(super) trait Scope {
    /// What a step gave; `None` where it gave nothing.
    fn step(&self, id: &str) -> Option<&Value>;
    fn params(&self) -> &Params;
    /// The element of a map and its number.
    fn item(&self) -> Option<(&Value, usize)>;
    /// Whether references to an element stay as they are written, for there is none yet.
    fn leaves_elements(&self) -> bool {
        false
    }
}

impl Template {
    /// Reads a value; adds what is wrong with it to `problems`, with the place inside the value.
    pub(super) fn parse(value: &Value, place: &str, problems: &mut Vec<(String, String)>) -> Self {
        match value {
            Value::String(text) if text.contains("${") => match pieces(text) {
                Ok(pieces) => Self::of(pieces),
                Err(wrong) => {
                    problems.push((place.to_owned(), wrong));
                    Self::Literal(value.clone())
                }
            },
            Value::Array(list) => {
                let parts = list.iter().enumerate();
                let parts =
                    parts.map(|(n, value)| Self::parse(value, &format!("{place}[{n}]"), problems));
                let parts: Vec<_> = parts.collect();
                if parts.iter().all(Self::is_literal) {
                    Self::Literal(Value::Array(
                        parts.into_iter().filter_map(Self::literal).collect(),
                    ))
                } else {
                    Self::List(parts)
                }
            }
            Value::Object(object) => {
                let parts = object.iter().map(|(key, value)| {
                    (
                        key.clone(),
                        Self::parse(value, &format!("{place}.{key}"), problems),
                    )
                });
                let parts: Vec<_> = parts.collect();
                if parts.iter().all(|(_, part)| part.is_literal()) {
                    let parts = parts.into_iter();
                    let parts = parts.filter_map(|(key, part)| Some((key, part.literal()?)));
                    Self::Literal(Value::Object(parts.collect()))
                } else {
                    Self::Object(parts)
                }
            }
            other => Self::Literal(other.clone()),
        }
    }

    fn of(mut pieces: Vec<Piece>) -> Self {
        match pieces.as_slice() {
            [Piece::Reference(_)] => match pieces.pop() {
                Some(Piece::Reference(whole)) => Self::Whole(whole),
                _ => Self::Literal(Value::Null),
            },
            [Piece::Text(text)] => Self::Literal(Value::String(text.clone())),
            _ => Self::Text(pieces),
        }
    }

    pub(super) fn is_literal(&self) -> bool {
        matches!(self, Self::Literal(_))
    }

    fn literal(self) -> Option<Value> {
        match self {
            Self::Literal(value) => Some(value),
            _ => None,
        }
    }

    /// Every reference in it, with its place.
    pub(super) fn references(&self) -> Vec<&Reference> {
        if self.is_literal() {
            return Vec::new();
        }
        let (mut found, mut open) = (Vec::new(), vec![self]);
        while let Some(template) = open.pop() {
            match template {
                Self::Literal(_) => {}
                Self::Whole(reference) => found.push(reference),
                Self::Text(pieces) => found.extend(pieces.iter().filter_map(|piece| match piece {
                    Piece::Reference(reference) => Some(reference),
                    Piece::Text(_) => None,
                })),
                Self::List(parts) => open.extend(parts.iter().rev()),
                Self::Object(parts) => open.extend(parts.iter().rev().map(|(_, part)| part)),
            }
        }
        found
    }

    /// Whether everything that it refers to is there.
    ///
    /// # Errors
    ///
    /// Which reference refers to what is not there.
    pub(super) fn check(&self, scope: &impl Scope) -> Result<(), String> {
        if self.is_literal() {
            return Ok(());
        }
        let mut references = self.references().into_iter();
        references.try_for_each(|reference| look_up(reference, scope).map(drop))
    }

    /// The value with everything in its place.
    ///
    /// # Errors
    ///
    /// Which reference refers to what is not there.
    pub(super) fn resolve(&self, scope: &impl Scope) -> Result<Value, String> {
        Ok(match self {
            Self::Literal(value) => value.clone(),
            Self::Whole(reference) => look_up(reference, scope)?.into_owned(),
            Self::Text(pieces) => {
                let mut text = String::new();
                for piece in pieces {
                    match piece {
                        Piece::Text(piece) => text.push_str(piece),
                        Piece::Reference(reference) => match &*look_up(reference, scope)? {
                            Value::String(piece) => text.push_str(piece),
                            other => text.push_str(&other.to_string()),
                        },
                    }
                }
                Value::String(text)
            }
            Self::List(parts) => {
                let parts = parts.iter().map(|part| part.resolve(scope));
                Value::Array(parts.collect::<Result<_, _>>()?)
            }
            Self::Object(parts) => {
                let parts = parts.iter();
                let parts = parts.map(|(key, part)| Ok((key.clone(), part.resolve(scope)?)));
                Value::Object(parts.collect::<Result<Map<_, _>, String>>()?)
            }
        })
    }
}

fn look_up<'s>(reference: &Reference, scope: &'s impl Scope) -> Result<Cow<'s, Value>, String> {
    let (whole, pointer) = match reference {
        Reference::Item { .. } | Reference::Index if scope.leaves_elements() => {
            return Ok(Cow::Owned(Value::String(reference.to_string())));
        }
        Reference::Step { id, pointer } => match scope.step(id) {
            Some(output) => (output, pointer),
            None => return Ok(Cow::Owned(Value::Null)),
        },
        Reference::Param { name, pointer } => match scope.params().get(name) {
            Some(value) => (value, pointer),
            None => {
                return Err(format!(
                    "{reference} refers to a parameter that is not there"
                ));
            }
        },
        Reference::Item { pointer } => match scope.item() {
            Some((item, _)) => (item, pointer),
            None => return Err(format!("{reference} is for steps with a `map`")),
        },
        Reference::Index => match scope.item() {
            Some((_, index)) => return Ok(Cow::Owned(Value::from(index))),
            None => return Err(format!("{reference} is for steps with a `map`")),
        },
    };
    whole.pointer(pointer).map(Cow::Borrowed).ok_or_else(|| {
        format!(
            "{reference} refers to a part that is not there: {}",
            described(whole)
        )
    })
}

/// What a value is, without what it says.
fn described(value: &Value) -> String {
    const SHOWN: usize = 12;
    match value {
        Value::Object(object) => {
            let names: Vec<_> = object
                .keys()
                .take(SHOWN)
                .map(|key| format!("`{key}`"))
                .collect();
            let more = if object.len() > SHOWN { ", …" } else { "" };
            format!("it is an object with {}{more}", names.join(", "))
        }
        Value::Array(list) => format!("it is a list of {}", list.len()),
        Value::String(_) => "it is text".to_owned(),
        Value::Number(_) => "it is a number".to_owned(),
        Value::Bool(_) => "it is true or false".to_owned(),
        Value::Null => "it is null".to_owned(),
    }
}

/// Cuts text at its references.
fn pieces(text: &str) -> Result<Vec<Piece>, String> {
    let (mut pieces, mut plain, mut rest) = (Vec::new(), String::new(), text);
    while let Some(at) = rest.find("${") {
        let (before, from) = rest.split_at(at);
        let after = from.strip_prefix("${").unwrap_or(from);
        if let Some(before) = before.strip_suffix('$') {
            plain.push_str(before);
            plain.push_str("${");
            rest = after;
            continue;
        }
        plain.push_str(before);
        let Some((inside, behind)) = after.split_once('}') else {
            return Err("a `${` has no `}`; `$${` stands for the text `${`".to_owned());
        };
        if !plain.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut plain)));
        }
        pieces.push(Piece::Reference(Reference::parse(inside.trim())?));
        rest = behind;
    }
    plain.push_str(rest);
    if !plain.is_empty() {
        pieces.push(Piece::Text(plain));
    }
    Ok(pieces)
}
