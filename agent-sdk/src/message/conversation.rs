//! The history that a model sees.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Message;
use crate::ids::text_id;

text_id! {
    /// The id of a conversation that outlives one run; recorded as `gen_ai.conversation.id`. Cheap to clone.
    ConversationId
}

/// The messages of a conversation, oldest first.
///
/// Clones share the messages: handing the history to a model costs one reference count, and appending copies only while
/// somebody still holds an older clone. The developer's instructions are not part of it; they belong to the agent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Conversation {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<ConversationId>,
    messages: Arc<Vec<Message>>,
}

impl Conversation {
    /// An empty conversation.
    pub fn new() -> Self {
        Self::default()
    }

    /// Names the conversation, so that its runs can be found together.
    #[must_use]
    pub fn with_id(mut self, id: impl Into<ConversationId>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// The conversation's id, if it has one.
    pub fn id(&self) -> Option<&ConversationId> {
        self.id.as_ref()
    }

    /// The messages, oldest first.
    pub fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// Appends a message.
    pub fn push(&mut self, message: Message) {
        Arc::make_mut(&mut self.messages).push(message);
    }

    /// The newest message.
    pub fn last(&self) -> Option<&Message> {
        self.messages.last()
    }

    /// How many messages there are.
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Whether nothing has been said yet.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }
}

impl FromIterator<Message> for Conversation {
    fn from_iter<I: IntoIterator<Item = Message>>(messages: I) -> Self {
        Self {
            id: None,
            messages: Arc::new(messages.into_iter().collect()),
        }
    }
}

impl From<&str> for Conversation {
    fn from(prompt: &str) -> Self {
        Self::from_iter([Message::user(prompt)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn appending_copies_only_while_a_clone_is_held() {
        let mut mine = Conversation::from("hi");
        let place = mine.messages().as_ptr();
        drop(mine.clone());
        Arc::make_mut(&mut mine.messages);
        assert_eq!(mine.messages().as_ptr(), place);

        let theirs = mine.clone();
        mine.push(Message::assistant("hello"));
        assert_eq!((theirs.len(), mine.len()), (1, 2));
    }
}
