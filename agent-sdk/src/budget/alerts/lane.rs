//! One sink, its queue, and the task that empties it.
//!
//! The task is there only while something waits. It takes an alert out of the queue when the sink is done with it, so that what its
//! runtime takes down with it is delivered by the next task, on another runtime.

use std::{
    collections::VecDeque,
    panic::AssertUnwindSafe,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use futures_util::FutureExt;
use tokio::{runtime::Handle, sync::Notify};

use super::AlertSink;
use crate::budget::{Alert, shared::SharedAccounts};

/// How many alerts wait for a sink at the most; a budget gives a handful a period.
pub(super) const MAX_WAITING: usize = 1_024;

/// An alert on its way to all sinks.
pub(super) struct Told {
    alert: Alert,
    /// The sinks that are not done with it.
    left: AtomicUsize,
    shared: Option<Arc<dyn SharedAccounts>>,
}

impl Told {
    pub(super) fn new(alert: Alert, sinks: usize, shared: Option<Arc<dyn SharedAccounts>>) -> Self {
        Self {
            alert,
            left: AtomicUsize::new(sinks),
            shared,
        }
    }

    /// A sink is done with it. One that had no room for it never is: in a store the alert stays undelivered.
    fn ended(&self) {
        if let (1, Some(shared)) = (self.left.fetch_sub(1, Ordering::AcqRel), &self.shared) {
            shared.delivered(vec![self.alert.id.clone()]);
        }
    }
}

/// A sink and what waits for it.
pub(super) struct Lane {
    sink: Arc<dyn AlertSink>,
    state: Mutex<State>,
    /// An alert ended, or the task did.
    progress: Notify,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Arc<Told>>,
    is_served: bool,
    /// How many were put in the queue, and how many of them the sink is done with.
    given: u64,
    ended: u64,
    /// How many it did not get: they found the queue full, or it failed.
    lost: u64,
}

impl Lane {
    pub(super) fn new(sink: Arc<dyn AlertSink>) -> Arc<Self> {
        Arc::new(Self {
            sink,
            state: Mutex::default(),
            progress: Notify::new(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts an alert in the queue; calls nobody. Says whether there was room.
    pub(super) fn give(&self, told: Arc<Told>) -> bool {
        let mut state = self.state();
        if state.waiting.len() >= MAX_WAITING {
            state.lost += 1;
            return false;
        }
        state.waiting.push_back(told);
        state.given += 1;
        true
    }

    pub(super) fn lost(&self) -> u64 {
        self.state().lost
    }

    /// Starts the task, where something waits and none is there. Says whether somebody delivers then, or nothing waits.
    pub(super) fn serve(self: &Arc<Self>, runtime: &Handle) -> bool {
        let mut state = self.state();
        if state.waiting.is_empty() || state.is_served {
            return true;
        }
        state.is_served = true;
        drop(state);
        // A runtime that shuts down drops the task at once, which then says that it is gone.
        let mut server = Server {
            lane: self.clone(),
            is_there: true,
        };
        runtime.spawn(async move {
            while let Some(told) = server.next() {
                let failed = deliver(&*server.lane.sink, &told.alert).await.is_err();
                server.lane.ended(failed);
                told.ended();
            }
        });
        let state = self.state();
        state.waiting.is_empty() || state.is_served
    }

    /// The sink is done with the first one.
    fn ended(&self, failed: bool) {
        let mut state = self.state();
        state.waiting.pop_front();
        state.ended += 1;
        state.lost += u64::from(failed);
        drop(state);
        self.progress.notify_waiters();
    }

    /// Waits until the sink is done with what was given before, or nothing can deliver it.
    pub(super) async fn flush(self: &Arc<Self>, runtime: &Handle) {
        let given = self.state().given;
        loop {
            let progress = self.progress.notified();
            tokio::pin!(progress);
            progress.as_mut().enable();
            if self.state().ended >= given || !self.serve(runtime) {
                return;
            }
            progress.await;
        }
    }
}

/// That a task empties the queue, for as long as it does.
struct Server {
    lane: Arc<Lane>,
    is_there: bool,
}

impl Server {
    /// The next alert; after the last one the task is over.
    fn next(&mut self) -> Option<Arc<Told>> {
        let mut state = self.lane.state();
        let next = state.waiting.front().cloned();
        if next.is_none() {
            state.is_served = false;
            self.is_there = false;
        }
        next
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.is_there {
            self.lane.state().is_served = false;
            self.lane.progress.notify_waiters();
        }
    }
}

/// Tells one sink, which may fail, hang or panic.
async fn deliver(sink: &dyn AlertSink, alert: &Alert) -> Result<(), ()> {
    let limit = sink.time_limit();
    let telling = async { tokio::time::timeout(limit, sink.deliver(alert)).await };
    let error = match AssertUnwindSafe(telling).catch_unwind().await {
        Ok(Ok(Ok(()))) => return Ok(()),
        Ok(Ok(Err(error))) => error,
        Ok(Err(_)) => format!("it took longer than {limit:?}"),
        Err(_) => "the sink panicked".to_owned(),
    };
    tracing::warn!(
        target: "agent_sdk::budget",
        budget = &*alert.standing.budget,
        scope = &*alert.standing.scope,
        alert = alert.kind.as_str(),
        ?sink,
        error,
        "an alert was not delivered"
    );
    Err(())
}
