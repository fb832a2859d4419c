//! What the Chat Completions API answers, as borrowed types.
//!
//! Servers that speak this API differ in what they leave out and what they send in another type, so that nothing here is
//! required and what is not understood reads as absent. Text is lent from the body wherever it holds no escapes. What most
//! pieces of a stream lack is boxed, so that reading one moves little memory.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use super::usage::WireUsage;
pub(super) use crate::model::wire::{Few, Many, Text};

/// A whole answer, or one piece of a stream.
#[derive(Debug, Default, Deserialize)]
#[serde(bound = "'de: 'a")]
pub(super) struct Completion<'a> {
    #[serde(default)]
    pub(super) id: Text<'a>,
    #[serde(default)]
    pub(super) model: Text<'a>,
    #[serde(default)]
    pub(super) service_tier: Text<'a>,
    #[serde(default)]
    pub(super) system_fingerprint: Text<'a>,
    #[serde(default)]
    pub(super) choices: Few<Choice<'a>>,
    pub(super) usage: Option<Box<WireUsage<'a>>>,
    pub(super) x_groq: Option<Box<Groq<'a>>>,
    #[serde(borrow)]
    pub(super) error: Option<&'a RawValue>,
}

impl Completion<'_> {
    /// The text of a piece that says nothing else, of the first alternative.
    pub(super) fn only_text(&self) -> Option<&str> {
        let choice = self.choices.only()?;
        let said = choice.delta.as_ref()?;
        let only = self.usage.is_none()
            && self.x_groq.is_none()
            && choice.index.unwrap_or(0) == 0
            && choice.message.is_none()
            && choice.finish_reason.0.is_none()
            && said.content.thinking.is_empty()
            && said.reasoning_content.0.is_none()
            && said.reasoning.0.is_none()
            && said.reasoning_details.is_empty()
            && said.refusal.0.is_none()
            && said.tool_calls.is_empty()
            && said.function_call.is_none()
            && said.audio.is_none();
        only.then_some(&said.content.text)
    }
}

/// Where Groq reports what was used, on the last piece of a stream.
#[derive(Debug, Default, Deserialize)]
#[serde(bound = "'de: 'a")]
pub(super) struct Groq<'a> {
    pub(super) usage: Option<Box<WireUsage<'a>>>,
}

/// One of the alternatives that were asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(bound = "'de: 'a")]
pub(super) struct Choice<'a> {
    pub(super) index: Option<u64>,
    pub(super) delta: Option<Said<'a>>,
    pub(super) message: Option<Box<Said<'a>>>,
    #[serde(default)]
    pub(super) finish_reason: Text<'a>,
    pub(super) finish_details: Option<Box<FinishDetails<'a>>>,
}

/// Why an answer ended, in the words of older models.
#[derive(Debug, Default, Deserialize)]
#[serde(bound = "'de: 'a")]
pub(super) struct FinishDetails<'a> {
    #[serde(rename = "type")]
    #[serde(default)]
    pub(super) kind: Text<'a>,
}

/// A message, or more of it.
#[derive(Debug, Default, Deserialize)]
#[serde(bound = "'de: 'a")]
pub(super) struct Said<'a> {
    #[serde(default)]
    pub(super) content: Content<'a>,
    #[serde(default)]
    pub(super) reasoning_content: Text<'a>,
    #[serde(default)]
    pub(super) reasoning: Text<'a>,
    #[serde(default)]
    pub(super) reasoning_details: Many<ReasoningDetail<'a>>,
    #[serde(default)]
    pub(super) refusal: Text<'a>,
    #[serde(default)]
    pub(super) tool_calls: Many<Call<'a>>,
    pub(super) function_call: Option<Box<Function<'a>>>,
    /// What the model spoke.
    #[serde(borrow)]
    pub(super) audio: Option<&'a RawValue>,
}

/// A piece of reasoning in the form that gateways to several providers use.
#[derive(Debug, Default, Deserialize)]
#[serde(bound = "'de: 'a")]
pub(super) struct ReasoningDetail<'a> {
    #[serde(default)]
    pub(super) text: Text<'a>,
}

/// A tool call, or more of it.
#[derive(Debug, Default, Deserialize)]
#[serde(bound = "'de: 'a")]
pub(super) struct Call<'a> {
    pub(super) index: Option<u64>,
    #[serde(default)]
    pub(super) id: Text<'a>,
    #[serde(default)]
    pub(super) function: Function<'a>,
}

/// The function of a tool call, or more of it.
#[derive(Debug, Default, Deserialize)]
#[serde(bound = "'de: 'a")]
pub(super) struct Function<'a> {
    #[serde(default)]
    pub(super) name: Text<'a>,
    #[serde(borrow)]
    pub(super) arguments: Option<&'a RawValue>,
}

/// What was said: a text, or a list of parts of which some are thoughts.
#[derive(Debug, Default)]
pub(super) struct Content<'a> {
    pub(super) text: Cow<'a, str>,
    pub(super) thinking: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(bound = "'de: 'a")]
struct ContentPart<'a> {
    #[serde(default)]
    text: Text<'a>,
    #[serde(default)]
    thinking: Content<'a>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Content<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ContentVisitor)
    }
}

struct ContentVisitor;

impl<'de> Visitor<'de> for ContentVisitor {
    type Value = Content<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or a list of parts")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        let text = Cow::Borrowed(text);
        Ok(Content {
            text,
            ..Content::default()
        })
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        let text = Cow::Owned(text.to_owned());
        Ok(Content {
            text,
            ..Content::default()
        })
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Content::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut content = Content::default();
        while let Some(part) = seq.next_element::<ContentPart<'de>>()? {
            if let Some(text) = part.text.0 {
                content.text.to_mut().push_str(&text);
            }
            content.thinking.push_str(&part.thinking.text);
        }
        Ok(content)
    }
}
