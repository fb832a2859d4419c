//! Blocks that the client keeps without knowing them: what the provider's own tools were asked and gave, summaries, and
//! whatever comes next.

use std::{borrow::Cow, collections::BTreeMap};

use serde_json::value::{RawValue, to_raw_value};

use super::API;
use crate::{message::Opaque, model::wire::Text};

/// How many fields of one block may come in pieces.
const MAX_FIELDS: usize = 32;

/// A block as it began, and what was added to it.
#[derive(Debug)]
pub(super) struct Unknown {
    kind: String,
    /// The block's JSON.
    began: String,
    /// The pieces of its input.
    input: String,
    /// Its other fields that came later.
    fields: BTreeMap<String, Late>,
}

/// A field that came after the block had begun.
#[derive(Debug)]
enum Late {
    /// A text, in pieces.
    Text(String),
    /// Anything else, as JSON: the last that came.
    Json(String),
}

impl Unknown {
    pub(super) fn new(kind: Cow<'_, str>, began: &RawValue) -> Self {
        Self {
            kind: kind.into_owned(),
            began: began.get().to_owned(),
            input: String::new(),
            fields: BTreeMap::new(),
        }
    }

    /// Adds a piece: input is put together, so is a summary's text, and any other field replaces the one that was there.
    pub(super) fn add(&mut self, delta: &RawValue) {
        let fields: Result<BTreeMap<Cow<'_, str>, &RawValue>, _> =
            serde_json::from_str(delta.get());
        for (name, value) in fields.unwrap_or_default() {
            let text = || {
                serde_json::from_str(value.get())
                    .ok()
                    .and_then(Text::filled)
            };
            match &*name {
                "type" => {}
                "partial_json" => self.input.push_str(&text().unwrap_or_default()),
                name => {
                    let known = self.fields.contains_key(name);
                    if !known && self.fields.len() >= MAX_FIELDS {
                        continue;
                    }
                    self.late(name, value, text());
                }
            }
        }
    }

    fn late(&mut self, name: &str, value: &RawValue, text: Option<Cow<'_, str>>) {
        if let (true, Some(text)) = (name == "content", text) {
            if let Some(Late::Text(known)) = self.fields.get_mut(name) {
                known.push_str(&text);
            } else {
                self.fields
                    .insert(name.to_owned(), Late::Text(text.into_owned()));
            }
        } else {
            let json = Late::Json(value.get().to_owned());
            self.fields.insert(name.to_owned(), json);
        }
    }

    /// The whole block. One to which nothing was added is kept to the byte.
    pub(super) fn finish(self) -> Opaque {
        let json = if self.input.trim().is_empty() && self.fields.is_empty() {
            None
        } else {
            self.merged()
        };
        Opaque::new(API, self.kind, json.unwrap_or(self.began))
    }

    fn merged(&self) -> Option<String> {
        let mut block: BTreeMap<Cow<'_, str>, Cow<'_, RawValue>> = BTreeMap::new();
        let began: BTreeMap<Cow<'_, str>, &RawValue> = serde_json::from_str(&self.began).ok()?;
        for (name, value) in began {
            block.insert(name, Cow::Borrowed(value));
        }
        // Input that broke off is no JSON; what the block began with then stays.
        if let Ok(input) = serde_json::from_str(&self.input) {
            block.insert("input".into(), Cow::Borrowed(input));
        }
        for (name, late) in &self.fields {
            let value = match late {
                Late::Text(text) => Cow::Owned(to_raw_value(text).ok()?),
                Late::Json(json) => Cow::Borrowed(serde_json::from_str(json).ok()?),
            };
            block.insert(Cow::Borrowed(name), value);
        }
        serde_json::to_string(&block).ok()
    }
}
