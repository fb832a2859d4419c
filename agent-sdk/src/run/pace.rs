//! How a slow reader slows a run down.

use std::{
    collections::VecDeque,
    future::poll_fn,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Poll, Waker},
};

use crate::operation::{Event, EventKind, Interests, Observer, OperationId};

/// How many events may wait for the reader before the run waits too.
const ROOM: usize = 64;

/// How many events may wait before a tool's newer progress takes the place of its older.
const CROWDED: usize = 1_024;

/// The events that a stream's reader has not taken yet.
///
/// It loses nothing but outdated progress: who publishes from an `async` place waits for room, what cannot wait is taken in. The
/// run's own limits bound how much that is, except for what tools say of their progress; of that only the newest is kept once
/// the reader is far behind.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    events: VecDeque<Arc<Event>>,
    waiting: Vec<Waker>,
}

impl Pace {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the reader has made room.
    pub(crate) async fn room(&self) {
        poll_fn(|cx| {
            let mut state = self.lock();
            if state.events.len() < ROOM {
                return Poll::Ready(());
            }
            state.waiting.push(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// The next event for the reader.
    pub(crate) fn take(&self) -> Option<Arc<Event>> {
        self.take_one().0
    }

    /// The next event for the reader, and whether there are more.
    pub(crate) fn take_one(&self) -> (Option<Arc<Event>>, bool) {
        let mut wake = Vec::new();
        let mut state = self.lock();
        let event = state.events.pop_front();
        let more = !state.events.is_empty();
        if state.events.len() < ROOM {
            wake = std::mem::take(&mut state.waiting);
        }
        drop(state);
        wake.into_iter().for_each(Waker::wake);
        (event, more)
    }

    /// Takes an event in; answers whether it is now the only one.
    pub(crate) fn push(&self, event: &Arc<Event>) -> bool {
        let mut state = self.lock();
        let is_first = state.events.is_empty();
        if state.events.len() >= CROWDED
            && let Some(call) = progress_of(event)
            && let Some(older) = state
                .events
                .iter()
                .rposition(|e| progress_of(e) == Some(call))
        {
            state.events.remove(older);
        }
        state.events.push_back(event.clone());
        is_first
    }
}

impl Observer for Pace {
    fn interests(&self) -> Interests {
        Interests::EVENTS
    }

    fn event(&self, event: &Arc<Event>) {
        self.push(event);
    }
}

/// The operation whose progress an event tells.
fn progress_of(event: &Event) -> Option<OperationId> {
    match event.kind {
        EventKind::ToolProgress { .. } => event.operation_id,
        _ => None,
    }
}
