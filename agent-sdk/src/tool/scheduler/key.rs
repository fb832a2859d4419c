//! Which calls are identical.

use std::{fmt, fmt::Write, sync::Arc};

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::{
    session::SharedState,
    tool::{State, ToolContext, ToolHandle},
};

/// How deep arguments may be nested.
const MAX_DEPTH: u8 = 32;

/// What identical calls have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    tool: usize,
    state: Vec<usize>,
    user: Option<Arc<str>>,
    is_approved: bool,
    arguments: String,
}

/// What a key points at. As long as it lives nothing else is at the same address.
#[derive(Clone, Debug)]
pub(super) struct Alive {
    _tool: ToolHandle,
    _state: State,
}

impl Key {
    /// The key of a call; `None` where its arguments are not JSON that can be compared.
    pub(super) fn of(
        tool: &ToolHandle,
        context: &ToolContext,
        arguments: &str,
    ) -> Option<(Self, Alive)> {
        // The shared state of a session is another one for each call.
        let state = context.all_state().without::<SharedState>();
        let key = Self {
            tool: tool.address(),
            state: state.addresses(),
            user: context.run().labels().user.clone(),
            is_approved: context.is_approved(),
            arguments: canonical(arguments)?,
        };
        let alive = Alive {
            _tool: tool.clone(),
            _state: state,
        };
        Some((key, alive))
    }

    /// How much of memory it takes, about.
    pub(super) fn bytes(&self) -> usize {
        self.arguments.len() + size_of::<Self>()
    }
}

/// JSON without its spaces, its keys in order. `None` where it is no JSON, names a key twice, or is nested too deep: what a tool
/// makes of that is its own affair.
pub(super) fn canonical(json: &str) -> Option<String> {
    let mut text = String::with_capacity(json.len());
    let raw: &RawValue = serde_json::from_str(json).ok()?;
    write(raw, MAX_DEPTH, &mut text)?;
    Some(text)
}

fn write(raw: &RawValue, depth: u8, text: &mut String) -> Option<()> {
    let json = raw.get();
    match json.bytes().next()? {
        b'{' => {
            let depth = depth.checked_sub(1)?;
            let mut pairs = serde_json::Deserializer::from_str(json)
                .deserialize_map(Pairs)
                .ok()?;
            pairs.sort_by(|(left, _), (right, _)| left.cmp(right));
            text.push('{');
            let mut before: Option<&str> = None;
            for (key, value) in &pairs {
                match before {
                    Some(before) if before == key => return None,
                    Some(_) => text.push(','),
                    None => {}
                }
                before = Some(key);
                text.push_str(&serde_json::to_string(key).ok()?);
                text.push(':');
                write(value, depth, text)?;
            }
            text.push('}');
        }
        b'[' => {
            let depth = depth.checked_sub(1)?;
            let all: Vec<&RawValue> = serde_json::from_str(json).ok()?;
            text.push('[');
            for (place, value) in all.into_iter().enumerate() {
                if place > 0 {
                    text.push(',');
                }
                write(value, depth, text)?;
            }
            text.push(']');
        }
        // The same text may be escaped in many ways.
        b'"' => {
            let string: String = serde_json::from_str(json).ok()?;
            text.push_str(&serde_json::to_string(&string).ok()?);
        }
        // Numbers stay as they were written: a tool may read them with more digits than a float has.
        _ => text.write_str(json).ok()?,
    }
    Some(())
}

/// Reads the members of an object, also those of one name.
struct Pairs;

impl<'de> Visitor<'de> for Pairs {
    type Value = Vec<(String, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut pairs = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            pairs.push((key, map.next_value()?));
        }
        Ok(pairs)
    }
}
