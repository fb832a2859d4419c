//! State behind a lock, by whichever lock.

use std::sync::{Mutex, PoisonError};

/// State behind a lock that is held for one decision at a time, and never across an await.
///
/// What decides is written against this instead of against a mutex, so that its tests can put one under it that tries every
/// order in which threads may take it.
pub(crate) trait Guarded<T> {
    /// Puts a state behind a lock.
    fn guard(state: T) -> Self;

    /// Decides something under the lock.
    fn with<R>(&self, decide: impl FnOnce(&mut T) -> R) -> R;
}

impl<T> Guarded<T> for Mutex<T> {
    fn guard(state: T) -> Self {
        Self::new(state)
    }

    fn with<R>(&self, decide: impl FnOnce(&mut T) -> R) -> R {
        decide(&mut self.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
impl<T> Guarded<T> for loom::sync::Mutex<T> {
    fn guard(state: T) -> Self {
        Self::new(state)
    }

    fn with<R>(&self, decide: impl FnOnce(&mut T) -> R) -> R {
        decide(&mut self.lock().unwrap())
    }
}

#[cfg(test)]
impl<T> Guarded<T> for shuttle::sync::Mutex<T> {
    fn guard(state: T) -> Self {
        Self::new(state)
    }

    fn with<R>(&self, decide: impl FnOnce(&mut T) -> R) -> R {
        decide(&mut self.lock().unwrap())
    }
}
