//! What a model answers.

use std::{borrow::Cow, fmt};

use serde::{Deserialize, Serialize};

use super::Usage;
use crate::{
    cost::Usd,
    message::{Message, Part, Role},
    redact,
};

/// A whole answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ChatResponse {
    /// What the model said; its role is [`Role::Assistant`].
    pub message: Message,
    /// Why it stopped.
    pub finish_reason: FinishReason,
    /// What it used, as far as the provider said.
    pub usage: Usage,
    /// What the provider used beside the answer: other models that it asked, a summary that it wrote first. Paid for with the
    /// answer, and no part of `usage`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub side_usage: Vec<SideUsage>,
    /// The provider's id for the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The model that answered, where the provider names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// What the provider says that it costs; it wins over the price table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_cost: Option<Usd>,
    /// The tier of service that answered, in the provider's word, where it says; prices may depend on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_tier: Option<String>,
    /// The configuration of the provider's that answered, in its own word, where it says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system_fingerprint: Option<String>,
    /// Why it stopped, in the provider's own words: one for each alternative, the first one's first; empty where it gave none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub native_finish_reasons: Vec<String>,
    /// Why the provider gave no answer at all, in its own word, where it refused the prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block_reason: Option<String>,
    /// The alternatives after the first, where several were asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alternatives: Vec<Message>,
}

impl ChatResponse {
    /// An answer of these parts.
    pub fn new(parts: Vec<Part>, finish_reason: FinishReason, usage: Usage) -> Self {
        Self {
            message: Message::new(Role::Assistant, parts),
            finish_reason,
            usage,
            side_usage: Vec::new(),
            id: None,
            model: None,
            provider_cost: None,
            service_tier: None,
            system_fingerprint: None,
            native_finish_reasons: Vec::new(),
            block_reason: None,
            alternatives: Vec::new(),
        }
    }

    /// All text of the answer, joined.
    pub fn text(&self) -> String {
        self.message.text()
    }

    /// Takes out what looks like a key where the provider names something: the journal, traces and metrics have these names, and what
    /// answers may be a proxy that says more than it should.
    pub(super) fn take_out_keys(&mut self) {
        let names = [
            &mut self.id,
            &mut self.model,
            &mut self.service_tier,
            &mut self.system_fingerprint,
            &mut self.block_reason,
        ];
        let sides = self.side_usage.iter_mut();
        let sides = sides.flat_map(|side| side.model.as_mut().into_iter().chain([&mut side.kind]));
        let reason = match &mut self.finish_reason {
            FinishReason::Other(reason) => Some(reason),
            _ => None,
        };
        let names = names.into_iter().flatten().chain(sides).chain(reason);
        names
            .chain(&mut self.native_finish_reasons)
            .for_each(redact::take_out_keys);
    }
}

/// What a provider used beside an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SideUsage {
    /// What for, in the provider's own word, for example `compaction`.
    pub kind: String,
    /// The model that did it, where that is another than the answer's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// What it used.
    pub usage: Usage,
}

impl SideUsage {
    /// What the answer's own model used for something else.
    pub fn new(kind: impl Into<String>, usage: Usage) -> Self {
        Self {
            kind: kind.into(),
            model: None,
            usage,
        }
    }

    /// Names another model that did it.
    #[must_use]
    pub fn with_model(mut self, model: Option<String>) -> Self {
        self.model = model;
        self
    }
}

/// Why a model stopped.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "Cow<'_, str>", into = "String")]
#[non_exhaustive]
pub enum FinishReason {
    /// It was done, or met a stop sequence.
    Stop,
    /// The answer reached its longest length: it is not whole.
    Length,
    /// It wants tools called.
    ToolCalls,
    /// The provider withheld the answer, or a part of it.
    ContentFilter,
    /// The provider paused a turn that took long: asked again with this answer as the last message, the model goes on.
    Paused,
    /// The provider failed while answering.
    Error,
    /// A reason of the provider's own.
    Other(String),
}

impl FinishReason {
    /// The name, as the `OpenAI` API spells it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::ToolCalls => "tool_calls",
            Self::ContentFilter => "content_filter",
            Self::Paused => "paused",
            Self::Error => "error",
            Self::Other(reason) => reason,
        }
    }
}

impl From<&str> for FinishReason {
    fn from(reason: &str) -> Self {
        match reason {
            "stop" => Self::Stop,
            "length" => Self::Length,
            "tool_calls" | "function_call" => Self::ToolCalls,
            "content_filter" => Self::ContentFilter,
            "paused" => Self::Paused,
            "error" => Self::Error,
            other => Self::Other(other.to_owned()),
        }
    }
}

impl From<Cow<'_, str>> for FinishReason {
    fn from(reason: Cow<'_, str>) -> Self {
        Self::from(reason.as_ref())
    }
}

impl From<FinishReason> for String {
    fn from(reason: FinishReason) -> Self {
        reason.as_str().to_owned()
    }
}

impl fmt::Display for FinishReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
