//! What the calls around a call hold.

use std::sync::{Arc, Weak};

/// The permits that a call holds while its tool runs, for the calls that it makes itself: those do not wait for a pool of which a call
/// around them holds a permit, because that one waits for them.
#[derive(Debug)]
pub(crate) struct Holding {
    /// Where the queue is.
    queue: usize,
    pools: Vec<usize>,
    /// Is gone when the permits are given back.
    alive: Weak<()>,
    around: Option<Arc<Self>>,
}

impl Holding {
    pub(super) fn new(
        queue: usize,
        pools: Vec<usize>,
        alive: &Arc<()>,
        around: Option<Arc<Self>>,
    ) -> Self {
        Self {
            queue,
            pools,
            alive: Arc::downgrade(alive),
            around,
        }
    }

    /// Whether a permit of a pool of this queue is held.
    pub(super) fn holds(&self, queue: usize, pool: usize) -> bool {
        let is_held = self.queue == queue && self.alive.strong_count() > 0;
        (is_held && self.pools.contains(&pool))
            || self.around.as_ref().is_some_and(|it| it.holds(queue, pool))
    }
}
