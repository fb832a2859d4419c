//! Identical calls that are under way share one execution.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex},
};

use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared, WeakShared},
};

use super::key::Key;
use crate::{
    guarded::Guarded,
    tool::{ToolError, ToolOutput},
};

/// An execution that all who wait for it poll: it goes on while there is one, and is dropped with the last.
pub(super) type Flight = Shared<BoxFuture<'static, Result<ToolOutput, ToolError>>>;

type WeakFlight = WeakShared<BoxFuture<'static, Result<ToolOutput, ToolError>>>;

/// What is under way of one tool.
#[derive(Clone, Default)]
pub(super) struct Flights(Arc<Mutex<Air>>);

#[derive(Default)]
struct Air {
    flights: HashMap<Key, (u64, WeakFlight)>,
    next: u64,
}

impl Flights {
    /// Joins the execution of a key, or begins it; and whether it was joined.
    pub(super) fn join(
        &self,
        key: Key,
        begin: impl FnOnce(Landing) -> BoxFuture<'static, Result<ToolOutput, ToolError>>,
    ) -> (Flight, bool) {
        self.0.with(|air| {
            if let Some((_, flight)) = air.flights.get(&key)
                && let Some(flight) = flight.upgrade()
                // One that is over has not been removed yet.
                && flight.peek().is_none()
            {
                return (flight, true);
            }
            air.next += 1;
            let landing = Landing {
                flights: self.clone(),
                key: key.clone(),
                number: air.next,
            };
            let flight = begin(landing).shared();
            if let Some(weak) = flight.downgrade() {
                air.flights.insert(key, (air.next, weak));
            }
            (flight, false)
        })
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.with(|air| air.flights.len())
    }
}

/// Removes an execution from those that can be joined when it is over or dropped.
pub(super) struct Landing {
    flights: Flights,
    key: Key,
    number: u64,
}

impl Drop for Landing {
    fn drop(&mut self) {
        let (key, number) = (&self.key, self.number);
        let gone = self.flights.0.with(|air| {
            let is_own = air.flights.get(key).is_some_and(|(own, _)| *own == number);
            is_own.then(|| air.flights.remove(key))
        });
        // Not dropped under the lock.
        drop(gone);
    }
}

impl fmt::Debug for Flights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flights").finish_non_exhaustive()
    }
}
