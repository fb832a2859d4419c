//! Who is told of alerts.
//!
//! An alert is due inside of a settlement, which must not wait, and which may be on a thread without a runtime: in a `Drop`, in the
//! writer of a store. There it is put in a queue, one for each [`AlertSink`], as long as the accounts are locked, so that no alert
//! overtakes another. Tasks deliver from there: each sink in the order of the alerts, all sinks side by side, each for no longer than
//! its own limit. The log is told by whoever settled.
//!
//! | File | What it holds |
//! |---|---|
//! | `outlet` | the way from a settlement to the log, the events and the queues |
//! | `lane` | one sink with its queue, and the task that empties it |
//! | `closure`, `webhook`, `command` | the sinks |

mod closure;
#[cfg(feature = "command")]
mod command;
mod lane;
mod outlet;
#[cfg(test)]
mod tests;
#[cfg(feature = "http")]
mod webhook;

use std::{fmt, time::Duration};

use futures_util::future::BoxFuture;

#[cfg(feature = "command")]
pub use self::command::CommandAlerts;
#[cfg(feature = "http")]
pub use self::webhook::{WebhookAlerts, WebhookAlertsBuilder};
pub(super) use self::{closure::Closure, outlet::Outlet};
use super::Alert;

/// How long a sink may take for an alert, where it does not say.
const TIME_LIMIT: Duration = Duration::from_secs(30);

/// Somebody who is told of alerts, in their order and one at a time.
///
/// A sink is told at least once: an alert that was on its way when a process ended is told again by the next one that uses the same
/// ledger in a store. [`Alert::id`] says that it is the same.
pub trait AlertSink: fmt::Debug + Send + Sync + 'static {
    /// Tells of an alert. It is dropped when [`time_limit`](Self::time_limit) is over, for which the runtime needs its timer.
    ///
    /// # Errors
    ///
    /// It could not be delivered. The words go to the log, so they must hold no secret; the alert is not told again.
    fn deliver<'a>(&'a self, alert: &'a Alert) -> BoxFuture<'a, Result<(), String>>;

    /// How long one alert may take; those after it wait. Default: 30 seconds.
    fn time_limit(&self) -> Duration {
        TIME_LIMIT
    }
}
