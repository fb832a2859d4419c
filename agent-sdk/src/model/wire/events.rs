//! The events that wait to be handed out.

use std::{borrow::Cow, collections::VecDeque};

use crate::model::ChatEvent;

/// The events that wait to be handed out; for an answer that is read whole, none are built.
#[derive(Debug, Default)]
pub(in crate::model) struct Events {
    queue: Option<VecDeque<ChatEvent>>,
}

impl Events {
    /// Keeps events.
    pub(in crate::model) fn queue() -> Self {
        Self {
            queue: Some(VecDeque::with_capacity(8)),
        }
    }

    /// Builds none.
    pub(in crate::model) fn none() -> Self {
        Self::default()
    }

    /// Adds an event, built only where it is kept.
    pub(in crate::model) fn push(&mut self, event: impl FnOnce() -> ChatEvent) {
        if let Some(queue) = &mut self.queue {
            queue.push_back(event());
        }
    }

    /// The oldest event.
    pub(in crate::model) fn pop(&mut self) -> Option<ChatEvent> {
        self.queue.as_mut()?.pop_front()
    }
}

/// Adds more of a text, and tells of it.
pub(in crate::model) fn add(
    whole: &mut String,
    more: Cow<'_, str>,
    events: &mut Events,
    event: impl FnOnce(String) -> ChatEvent,
) {
    if !more.is_empty() {
        whole.push_str(&more);
        events.push(|| event(more.into_owned()));
    }
}
