//! Which of several runs at once something belongs to.

use std::sync::Arc;

use super::Event;

/// The place of one run among those that run at once; inherited by everything inside it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Member {
    /// The batch.
    pub(crate) batch: Arc<str>,
    /// Its place in the batch, from 0.
    pub(crate) index: usize,
    /// The place of the batch itself, where it is inside another.
    pub(crate) around: Option<Arc<Member>>,
}

impl Member {
    /// The place of an event in a batch, if it is of one.
    pub(crate) fn in_batch(event: &Event, batch: &Arc<str>) -> Option<usize> {
        let mut at = event.member.as_deref();
        while let Some(member) = at {
            if Arc::ptr_eq(&member.batch, batch) {
                return Some(member.index);
            }
            at = member.around.as_deref();
        }
        None
    }

    /// Whether an event is of this run.
    pub(crate) fn has(&self, event: &Event) -> bool {
        Self::in_batch(event, &self.batch) == Some(self.index)
    }
}
