//! The way from a settlement to whoever is told.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::runtime::Handle;

use super::{
    AlertSink,
    lane::{Lane, MAX_WAITING, Told},
};
use crate::{
    budget::{Alert, shared::SharedAccounts},
    operation::Watching,
};

/// The way from a settlement to the log, the run's events and the sinks.
pub(in crate::budget) struct Outlet {
    lanes: Vec<Arc<Lane>>,
    /// The runtime that the ledger was last used in.
    runtime: Mutex<Option<Handle>>,
}

impl Outlet {
    pub(in crate::budget) fn new(sinks: Vec<Arc<dyn AlertSink>>) -> Self {
        Self {
            lanes: sinks.into_iter().map(Lane::new).collect(),
            runtime: Mutex::default(),
        }
    }

    /// Tells of an alert: the sinks through their queues, the log and the run's events at once. Does not wait.
    pub(in crate::budget) fn tell(
        &self,
        alert: Alert,
        watching: Option<&Watching>,
        shared: Option<&Arc<dyn SharedAccounts>>,
    ) {
        let told = Told::new(alert.clone(), self.lanes.len(), shared.cloned());
        let told = Arc::new(told);
        let full = self.lanes.iter().filter(|lane| !lane.give(told.clone()));
        let dropped = full.count();
        // Without a runtime the sinks wait until the ledger is used in one.
        if let Some(runtime) = self.runtime() {
            self.serve(&runtime);
        }
        log(&alert, dropped);
        if let Some(watching) = watching {
            watching.publish(|| (&alert).into());
        }
        if let Some(shared) = shared.filter(|_| self.lanes.is_empty()) {
            shared.delivered(vec![alert.id]);
        }
    }

    /// Takes note of the runtime that the ledger is used in: sinks are told on it of what comes from elsewhere.
    pub(in crate::budget) fn adopt(&self) {
        if self.lanes.is_empty() {
            return;
        }
        let Ok(current) = Handle::try_current() else {
            return;
        };
        let mut known = self.runtime.lock().unwrap_or_else(PoisonError::into_inner);
        if known.as_ref().map(Handle::id) == Some(current.id()) {
            return;
        }
        *known = Some(current.clone());
        drop(known);
        self.serve(&current);
    }

    pub(in crate::budget) async fn flush(&self) {
        let Some(runtime) = self.runtime() else {
            return;
        };
        // Each has its own task, so they are emptied side by side though they are waited for one after the other.
        self.serve(&runtime);
        for lane in &self.lanes {
            lane.flush(&runtime).await;
        }
    }

    /// How many deliveries found a queue full, or failed.
    pub(in crate::budget) fn lost(&self) -> u64 {
        self.lanes.iter().map(|lane| lane.lost()).sum()
    }

    fn serve(&self, runtime: &Handle) {
        for lane in &self.lanes {
            lane.serve(runtime);
        }
    }

    fn runtime(&self) -> Option<Handle> {
        Handle::try_current().ok().or_else(|| {
            let known = self.runtime.lock();
            known.unwrap_or_else(PoisonError::into_inner).clone()
        })
    }
}

fn log(alert: &Alert, dropped: usize) {
    tracing::warn!(
        target: "agent_sdk::budget",
        id = &*alert.id,
        budget = &*alert.standing.budget,
        scope = &*alert.standing.scope,
        alert = alert.kind.as_str(),
        percent = alert.standing.percent,
        "{alert}"
    );
    if dropped > 0 {
        tracing::warn!(
            target: "agent_sdk::budget",
            id = &*alert.id,
            sinks = dropped,
            "an alert was dropped: {MAX_WAITING} wait for a sink"
        );
    }
}
