//! What agents and models say to each other.
//!
//! A [`Conversation`] is a list of [`Message`]s, a message is a [`Role`] and its [`Part`]s. Text that a person, a model or a
//! tool wrote is [`Content`]: it prints redacted, so that no log line or error carries it by accident.

mod content;
mod conversation;
mod part;

use serde::{Deserialize, Serialize};

pub use content::Content;
pub use conversation::{Conversation, ConversationId};
pub use part::{
    CallId, Media, MediaKind, MediaSource, Opaque, Part, Reasoning, Signature, ToolCall, ToolResult,
};

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Role {
    /// Instructions of the developer.
    System,
    /// The person, or the program, that asks.
    User,
    /// The model.
    Assistant,
    /// Results of tool calls.
    Tool,
}

impl Role {
    /// The lower-case name, as on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::Tool => "tool",
        }
    }
}

/// One turn of a conversation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said, in order.
    pub parts: Vec<Part>,
}

impl Message {
    /// A message of any parts.
    pub fn new(role: Role, parts: Vec<Part>) -> Self {
        Self { role, parts }
    }

    /// A text of the user.
    pub fn user(text: impl Into<Content>) -> Self {
        Self::new(Role::User, vec![Part::Text(text.into())])
    }

    /// A text of the model.
    pub fn assistant(text: impl Into<Content>) -> Self {
        Self::new(Role::Assistant, vec![Part::Text(text.into())])
    }

    /// A text of the developer.
    pub fn system(text: impl Into<Content>) -> Self {
        Self::new(Role::System, vec![Part::Text(text.into())])
    }

    /// The results of one turn's tool calls, in call order.
    pub fn tool_results(results: impl IntoIterator<Item = ToolResult>) -> Self {
        Self::new(
            Role::Tool,
            results.into_iter().map(Part::ToolResult).collect(),
        )
    }

    /// All text parts, joined.
    pub fn text(&self) -> String {
        self.parts.iter().filter_map(Part::as_text).collect()
    }

    /// The tool calls, in order.
    pub fn tool_calls(&self) -> impl Iterator<Item = &ToolCall> {
        self.parts.iter().filter_map(|part| match part {
            Part::ToolCall(call) => Some(call),
            _ => None,
        })
    }
}
