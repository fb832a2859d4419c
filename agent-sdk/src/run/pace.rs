//! How a slow reader slows a run down.

use std::{
    collections::VecDeque,
    future::poll_fn,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
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
    /// The reader, where it waits for an event that comes from elsewhere than the work that it polls.
    reader: Option<Waker>,
    /// Whether nothing more is taken in.
    is_closed: bool,
}

impl Pace {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the reader has made room.
    pub(crate) async fn room(&self) {
        poll_fn(|cx| {
            let mut state = self.lock();
            if state.events.len() < ROOM || state.is_closed {
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
        state.reader = None;
        let event = state.events.pop_front();
        let more = !state.events.is_empty();
        if state.events.len() < ROOM {
            wake = std::mem::take(&mut state.waiting);
        }
        drop(state);
        wake.into_iter().for_each(Waker::wake);
        (event, more)
    }

    /// The next event for the reader, who is woken by the next one where there is none.
    pub(crate) fn poll_take(&self, cx: &mut Context<'_>) -> Poll<Arc<Event>> {
        let mut state = self.lock();
        if state.events.is_empty() {
            state.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        drop(state);
        // There is one reader, so that nobody else takes it.
        self.take().map_or(Poll::Pending, Poll::Ready)
    }

    /// Takes nothing more in: the work is over, or nobody reads. Nobody waits for room any more.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        let wake = std::mem::take(&mut state.waiting);
        drop(state);
        wake.into_iter().for_each(Waker::wake);
    }

    /// Takes an event in; answers whether it is now the only one.
    pub(crate) fn push(&self, event: &Arc<Event>) -> bool {
        let mut state = self.lock();
        if state.is_closed {
            return false;
        }
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
        let reader = state.reader.take();
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
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

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::{
        agent::Agent,
        testing::{EventLog, ScriptedModel},
    };

    #[tokio::test]
    async fn one_that_is_closed_takes_nothing_in_and_keeps_nobody_waiting() {
        let log = EventLog::new();
        let agent = Agent::builder("a", ScriptedModel::new(["ok"])).observers(log.observers());
        agent.build().unwrap().run("hi").await.unwrap();
        let event = log.events().remove(0);
        let pace = Pace::default();
        for _ in 0..ROOM {
            pace.push(&event);
        }
        let mut room = Box::pin(pace.room());
        assert!((&mut room).now_or_never().is_none());
        pace.close();
        assert!(room.now_or_never().is_some());
        pace.push(&event);
        assert_eq!(std::iter::from_fn(|| pace.take()).count(), ROOM);
    }
}
