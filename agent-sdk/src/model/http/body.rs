//! What the writers of request bodies share.
//!
//! A body is written straight from the borrowed request: neither the history nor a schema is cloned.

use std::fmt;

use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::{Map, Value, value::RawValue};

use crate::{
    message::{MediaSource, Part, Role},
    model::{ModelError, ModelErrorKind},
};

/// Writes a body.
pub(in crate::model) fn write(body: &impl Serialize) -> Result<Vec<u8>, ModelError> {
    serde_json::to_vec(body).map_err(|error| {
        ModelError::new(
            ModelErrorKind::BadRequest,
            "the request cannot be written as JSON",
        )
        .with_source(error)
    })
}

/// The fields of a body; those that the user gives replace those of the same name, but for the reserved ones.
pub(in crate::model) struct Fields<'a, M> {
    map: M,
    extra: &'a Map<String, Value>,
    reserved: &'static [&'static str],
}

impl<'a, M: SerializeMap> Fields<'a, M> {
    pub(in crate::model) fn new(
        map: M,
        extra: &'a Map<String, Value>,
        reserved: &'static [&'static str],
    ) -> Self {
        Self {
            map,
            extra,
            reserved,
        }
    }

    pub(in crate::model) fn put(
        &mut self,
        key: &'static str,
        value: &(impl Serialize + ?Sized),
    ) -> Result<(), M::Error> {
        if self.extra.contains_key(key) && !self.reserved.contains(&key) {
            return Ok(());
        }
        self.map.serialize_entry(key, value)
    }

    pub(in crate::model) fn put_some(
        &mut self,
        key: &'static str,
        value: Option<&(impl Serialize + ?Sized)>,
    ) -> Result<(), M::Error> {
        value.map_or(Ok(()), |value| self.put(key, value))
    }

    /// Adds the user's own fields.
    pub(in crate::model) fn end(mut self) -> Result<M::Ok, M::Error> {
        for (key, value) in self.extra {
            if !self.reserved.contains(&key.as_str()) {
                self.map.serialize_entry(key, value)?;
            }
        }
        self.map.end()
    }
}

/// Refuses something that an API has no place for, so that nothing is left out silently.
pub(in crate::model) fn refuse<T>(message: impl Into<String>) -> Result<T, ModelError> {
    Err(ModelError::new(ModelErrorKind::BadRequest, message))
}

/// Refuses a part that an API has no place for in messages of a role.
pub(in crate::model) fn no_place<T>(api: &str, role: Role, part: &Part) -> Result<T, ModelError> {
    refuse(format!(
        "{api} has no place for {} in a message of the role `{}`",
        part_name(part),
        role.as_str()
    ))
}

/// A part, in words.
fn part_name(part: &Part) -> &'static str {
    match part {
        Part::Text(_) => "text",
        Part::Reasoning(_) => "reasoning",
        Part::Refusal(_) => "a refusal",
        Part::ToolCall(_) => "a tool call",
        Part::ToolResult(_) => "a tool result",
        Part::Media(_) => "media",
        Part::Opaque(_) => "a part of the provider's own",
    }
}

/// All text parts as one text.
pub(in crate::model) struct Joined<'a>(pub(in crate::model) &'a [Part]);

impl fmt::Display for Joined<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .filter_map(Part::as_text)
            .try_for_each(|text| f.write_str(text))
    }
}

impl Serialize for Joined<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            [Part::Text(text)] => serializer.serialize_str(text),
            _ => serializer.collect_str(self),
        }
    }
}

/// The arguments of a call for APIs that take objects alone. What is none, as a model may write, goes as the text of one.
pub(in crate::model) struct Arguments<'a>(pub(in crate::model) &'a str);

impl Serialize for Arguments<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = self.0.trim_ascii();
        let object = serde_json::from_str::<&RawValue>(text);
        match object {
            Ok(object) if text.starts_with('{') => object.serialize(serializer),
            _ => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry("arguments", self.0)?;
                map.end()
            }
        }
    }
}

/// A URL, or bytes in the form of one.
pub(in crate::model) enum Address<'a> {
    Url(&'a str),
    Data {
        media_type: &'a str,
        base64: &'a str,
    },
}

impl<'a> Address<'a> {
    pub(in crate::model) fn of(media_type: &'a str, source: &'a MediaSource) -> Option<Self> {
        match source {
            MediaSource::Url(url) => Some(Self::Url(url)),
            MediaSource::Base64(base64) => Some(Self::Data { media_type, base64 }),
            MediaSource::FileId(_) => None,
        }
    }
}

impl Serialize for Address<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Url(url) => serializer.serialize_str(url),
            Self::Data { media_type, base64 } => {
                serializer.collect_str(&format_args!("data:{media_type};base64,{base64}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_that_are_no_object_go_as_the_text_of_one() {
        let written = |text| serde_json::to_string(&Arguments(text)).unwrap();
        assert_eq!(written(" {\"b\":1,  \"a\":2}"), "{\"b\":1,  \"a\":2}");
        assert_eq!(written("{\"b\": "), r#"{"arguments":"{\"b\": "}"#);
        assert_eq!(written("[1]"), r#"{"arguments":"[1]"}"#);
    }
}
