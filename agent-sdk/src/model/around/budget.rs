//! How many retries there may be, so that an outage is not made worse by them.

use std::{
    fmt,
    sync::{Arc, Mutex},
};

use crate::guarded::Guarded;

/// How many retries there may be in relation to requests. Clones share one budget.
///
/// A token bucket as in Finagle's `RetryBudget` and gRPC's retry throttling: each request deposits a tenth of a retry, each
/// retry withdraws a whole one, and where less than a whole one is left, nothing is tried again. A bucket begins with a
/// [reserve](Self::RESERVE) of 10 retries, so that a lone client may retry too, and holds 100 at most, so that a long calm is
/// no licence for a storm. However long everything fails, N requests are therefore sent at most 1.1 · N + 10 times; after a
/// calm, 1.1 · N + 100 times.
///
/// It reads no clock: with no requests nothing is deposited.
#[derive(Clone)]
pub struct RetryBudget(Arc<Mutex<Tokens>>);

impl RetryBudget {
    /// How many retries a new budget holds.
    pub const RESERVE: u32 = 10;

    /// How many retries a budget can hold.
    pub const CAPACITY: u32 = 100;

    /// A budget of its own, with the reserve.
    pub fn new() -> Self {
        Self(Arc::new(Mutex::guard(Tokens::full_reserve())))
    }

    /// How many retries it holds now.
    pub fn left(&self) -> u32 {
        self.0.with(|tokens| tokens.retries())
    }

    /// A request is sent for the first time.
    pub(super) fn deposit(&self) {
        self.0.with(Tokens::deposit);
    }

    /// Whether a request may be sent once more; takes a retry if so.
    pub(super) fn withdraw(&self) -> bool {
        self.0.with(Tokens::withdraw)
    }
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for RetryBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryBudget")
            .field("left", &self.left())
            .finish()
    }
}

/// The bucket, in tenths of a retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tokens(u32);

impl Tokens {
    /// What a retry takes; a request gives 1.
    const RETRY: u32 = 10;

    pub(super) const fn full_reserve() -> Self {
        Self(RetryBudget::RESERVE * Self::RETRY)
    }

    pub(super) const fn retries(self) -> u32 {
        self.0 / Self::RETRY
    }

    pub(super) fn deposit(&mut self) {
        self.0 = (self.0 + 1).min(RetryBudget::CAPACITY * Self::RETRY);
    }

    pub(super) fn withdraw(&mut self) -> bool {
        let left = self.0.checked_sub(Self::RETRY);
        self.0 = left.unwrap_or(self.0);
        left.is_some()
    }
}
