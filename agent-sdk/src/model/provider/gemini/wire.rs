//! What the Gemini API answers, as borrowed types.
//!
//! Nothing here is required, and what is not understood reads as absent. A part is kept as it came until it is known what it is, so
//! that what only this API knows can be sent back unchanged.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::usage::WireUsage;
use crate::model::wire::{Count, Few, Many, Text};

/// A whole answer, or one piece of a stream.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound = "'de: 'a")]
pub(super) struct Answer<'a> {
    pub(super) candidates: Few<Candidate<'a>>,
    pub(super) prompt_feedback: Option<Box<PromptFeedback<'a>>>,
    pub(super) usage_metadata: Option<Box<WireUsage<'a>>>,
    pub(super) model_version: Text<'a>,
    pub(super) response_id: Text<'a>,
    #[serde(borrow)]
    pub(super) error: Option<&'a RawValue>,
}

/// Why a prompt was refused.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound = "'de: 'a")]
pub(super) struct PromptFeedback<'a> {
    pub(super) block_reason: Text<'a>,
}

/// One of the alternatives that were asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound = "'de: 'a")]
pub(super) struct Candidate<'a> {
    pub(super) index: Count,
    pub(super) content: Option<Content<'a>>,
    pub(super) finish_reason: Text<'a>,
    pub(super) grounding_metadata: Option<Box<Grounding<'a>>>,
}

/// What an alternative holds, or more of it.
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound = "'de: 'a")]
pub(super) struct Content<'a> {
    #[serde(borrow)]
    pub(super) parts: Few<&'a RawValue>,
}

/// What an answer rests on.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound = "'de: 'a")]
pub(super) struct Grounding<'a> {
    pub(super) web_search_queries: Many<Text<'a>>,
}

/// A part.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound = "'de: 'a")]
pub(super) struct Part<'a> {
    pub(super) text: Text<'a>,
    pub(super) thought: Option<bool>,
    pub(super) thought_signature: Text<'a>,
    pub(super) function_call: Option<Box<FunctionCall<'a>>>,
    pub(super) inline_data: Option<Box<Blob<'a>>>,
}

/// A tool call, or more of it.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound = "'de: 'a")]
pub(super) struct FunctionCall<'a> {
    pub(super) id: Text<'a>,
    pub(super) name: Text<'a>,
    #[serde(borrow)]
    pub(super) args: Option<&'a RawValue>,
    pub(super) partial_args: Many<PartialArg<'a>>,
    pub(super) will_continue: Option<bool>,
}

/// A value inside a tool call's arguments, or more of it.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound = "'de: 'a")]
pub(super) struct PartialArg<'a> {
    pub(super) json_path: Text<'a>,
    pub(super) string_value: Text<'a>,
    pub(super) number_value: Option<serde_json::Number>,
    pub(super) bool_value: Option<bool>,
    pub(super) null_value: Option<IgnoredAny>,
}

/// Bytes that the model wrote.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound = "'de: 'a")]
pub(super) struct Blob<'a> {
    pub(super) mime_type: Text<'a>,
    pub(super) data: Text<'a>,
}

/// The field that says what a part is: the first that is not about another one. Empty where there is none.
pub(super) struct Kind(pub(super) String);

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;

        impl<'de> Visitor<'de> for Fields {
            type Value = Kind;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a part")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Kind, A::Error> {
                let mut kind = Kind(String::new());
                while let Some((Text(Some(key)), _)) = map.next_entry::<Text<'de>, IgnoredAny>()? {
                    let about_another = matches!(
                        &*key,
                        "thought"
                            | "thoughtSignature"
                            | "videoMetadata"
                            | "mediaResolution"
                            | "partMetadata"
                    );
                    if kind.0.is_empty() && !about_another {
                        kind.0 = key.into_owned();
                    }
                }
                Ok(kind)
            }
        }

        deserializer.deserialize_map(Fields)
    }
}
