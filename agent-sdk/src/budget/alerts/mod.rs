//! Who is told of alerts.
//!
//! An alert is given inside of a settlement, which must not wait: it is handed to a queue, from which a task of its own delivers to
//! one sink after the other.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};

use super::{Alert, ledger::SharedAccounts};

/// Somebody who is told of alerts.
pub trait AlertSink: fmt::Debug + Send + Sync + 'static {
    /// Tells of an alert. It must end by itself: the alerts after it wait.
    ///
    /// # Errors
    ///
    /// It could not be delivered; the words go to the log.
    fn deliver<'a>(&'a self, alert: &'a Alert) -> BoxFuture<'a, Result<(), String>>;
}

/// The way from a settlement to the sinks.
pub(super) struct Outlet {
    sinks: Arc<[Arc<dyn AlertSink>]>,
    queue: OnceLock<mpsc::UnboundedSender<Item>>,
}

enum Item {
    Alert(Box<Alert>, Option<Arc<dyn SharedAccounts>>),
    Flush(oneshot::Sender<()>),
}

impl Outlet {
    pub(super) fn new(sinks: Vec<Arc<dyn AlertSink>>) -> Self {
        Self {
            sinks: sinks.into(),
            queue: OnceLock::new(),
        }
    }

    pub(super) fn deliver(&self, alert: Alert, shared: Option<&Arc<dyn SharedAccounts>>) {
        tracing::warn!(
            target: "agent_sdk::budget",
            budget = &*alert.standing.budget,
            scope = &*alert.standing.scope,
            alert = alert.kind.as_str(),
            "{alert}"
        );
        if self.sinks.is_empty() {
            if let Some(shared) = shared {
                shared.delivered(vec![alert.id]);
            }
            return;
        }
        if let Some(queue) = self.queue() {
            drop(queue.send(Item::Alert(Box::new(alert), shared.cloned())));
        }
    }

    pub(super) async fn flush(&self) {
        let Some(queue) = self.queue.get() else {
            return;
        };
        let (done, waiting) = oneshot::channel();
        if queue.send(Item::Flush(done)).is_ok() {
            drop(waiting.await);
        }
    }

    fn queue(&self) -> Option<&mpsc::UnboundedSender<Item>> {
        if let Some(queue) = self.queue.get() {
            return Some(queue);
        }
        let runtime = tokio::runtime::Handle::try_current().ok()?;
        let (sender, mut waiting) = mpsc::unbounded_channel();
        if self.queue.set(sender).is_ok() {
            let sinks = self.sinks.clone();
            runtime.spawn(async move {
                while let Some(item) = waiting.recv().await {
                    match item {
                        Item::Alert(alert, shared) => {
                            for sink in sinks.iter() {
                                if let Err(error) = sink.deliver(&alert).await {
                                    tracing::warn!(target: "agent_sdk::budget", alert = &*alert.id, ?sink, error, "an alert was not delivered");
                                }
                            }
                            if let Some(shared) = shared {
                                shared.delivered(vec![alert.id.clone()]);
                            }
                        }
                        Item::Flush(done) => drop(done.send(())),
                    }
                }
            });
        }
        self.queue.get()
    }
}
