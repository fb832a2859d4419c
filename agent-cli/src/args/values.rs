//! Values that are more than text.

use std::{fmt, str::FromStr};

use jiff::Timestamp;

/// A model and who runs it, written `openai:gpt-5-mini`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ModelName {
    pub(crate) provider: String,
    pub(crate) name: String,
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.provider, self.name)
    }
}

impl FromStr for ModelName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // Names may hold colons of their own, as in `ollama:qwen3:4b`.
        match text.split_once(':') {
            Some((provider, name)) if !provider.trim().is_empty() && !name.trim().is_empty() => {
                Ok(Self {
                    provider: provider.trim().to_lowercase(),
                    name: name.trim().to_owned(),
                })
            }
            _ => Err("expected PROVIDER:NAME, such as `openai:gpt-5-mini`".to_owned()),
        }
    }
}

/// A key and a value, written `key=value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) key: String,
    pub(crate) value: String,
}

impl FromStr for Pair {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((key, value)) if !key.trim().is_empty() => Ok(Self {
                key: key.trim().to_owned(),
                value: value.to_owned(),
            }),
            _ => Err("expected KEY=VALUE, with a key that is not empty".to_owned()),
        }
    }
}

pub(super) fn moment(text: &str) -> Result<Timestamp, String> {
    text.parse().map_err(|_| {
        "expected a date, a time and an offset as RFC 3339 has them, such as `2026-11-20T12:00:00Z`"
            .to_owned()
    })
}
