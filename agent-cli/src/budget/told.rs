//! Alerts on their way to the terminal.

use std::fmt;

use agent_sdk::budget::{Alert, AlertSink};
use futures_util::{FutureExt, future::BoxFuture};
use tokio::sync::mpsc;

/// The alerts that are to be shown.
#[derive(Debug)]
pub(crate) struct Told(mpsc::UnboundedReceiver<Alert>);

/// Where a ledger brings them.
pub(super) struct Teller(mpsc::UnboundedSender<Alert>);

/// A way for alerts from a ledger to whoever shows them.
pub(super) fn way() -> (Teller, Told) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (Teller(sender), Told(receiver))
}

impl Told {
    /// The next alert; `None` where there will be no more.
    pub(crate) async fn next(&mut self) -> Option<Alert> {
        self.0.recv().await
    }

    /// The next alert that is there already.
    pub(crate) fn waiting(&mut self) -> Option<Alert> {
        self.0.try_recv().ok()
    }
}

impl AlertSink for Teller {
    fn deliver<'a>(&'a self, alert: &'a Alert) -> BoxFuture<'a, Result<(), String>> {
        // Nobody watches any more: it is in the log.
        let _ = self.0.send(alert.clone());
        async { Ok(()) }.boxed()
    }
}

impl fmt::Debug for Teller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the terminal")
    }
}
