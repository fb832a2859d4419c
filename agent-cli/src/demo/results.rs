//! The results of tool calls in a conversation.

use agent_sdk::{
    message::{Conversation, Part, Role, ToolResult},
    model::ChatRequest,
};

/// The results of a request's conversation.
pub(super) struct Results<'a>(&'a Conversation);

impl<'a> Results<'a> {
    pub(super) fn of(request: &'a ChatRequest) -> Self {
        Self(&request.conversation)
    }

    /// How often the model has answered.
    pub(super) fn turns(&self) -> usize {
        let messages = self.0.messages().iter();
        messages
            .filter(|message| message.role == Role::Assistant)
            .count()
    }

    /// What the model was asked.
    pub(super) fn task(&self) -> String {
        let first = self.0.messages().first();
        first
            .map(agent_sdk::message::Message::text)
            .unwrap_or_default()
    }

    /// The result of a call; where it failed, `Err` says why, in a line.
    pub(super) fn get(&self, call: &str) -> Option<Result<&'a str, &'a str>> {
        let result = self.all().find(|result| result.call_id.as_str() == call)?;
        let text = result.content.as_str();
        Some(if result.is_error {
            let why = text.lines().next().unwrap_or_default();
            // The class of the failure is for models; the words after it are for people.
            Err(why.strip_prefix("tool_error: ").unwrap_or(why))
        } else {
            Ok(text)
        })
    }

    fn all(&self) -> impl Iterator<Item = &'a ToolResult> {
        let parts = self.0.messages().iter().flat_map(|message| &message.parts);
        parts.filter_map(|part| match part {
            Part::ToolResult(result) => Some(result),
            _ => None,
        })
    }
}
