//! The events that wait to be handed out.

use std::collections::VecDeque;

use crate::model::ChatEvent;

/// The events that wait to be handed out; for an answer that is read whole, none are built.
#[derive(Debug, Default)]
pub(super) struct Events {
    queue: Option<VecDeque<ChatEvent>>,
}

impl Events {
    /// Keeps events.
    pub(super) fn queue() -> Self {
        Self {
            queue: Some(VecDeque::with_capacity(8)),
        }
    }

    /// Builds none.
    pub(super) fn none() -> Self {
        Self::default()
    }

    /// Adds an event, built only where it is kept.
    pub(super) fn push(&mut self, event: impl FnOnce() -> ChatEvent) {
        if let Some(queue) = &mut self.queue {
            queue.push_back(event());
        }
    }

    /// The oldest event.
    pub(super) fn pop(&mut self) -> Option<ChatEvent> {
        self.queue.as_mut()?.pop_front()
    }
}
