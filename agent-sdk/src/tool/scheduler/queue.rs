//! Waiting for permits.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::{sync::oneshot, time::Instant};

use super::{
    permits::{Need, Permits},
    priority::{Ageing, Priority, Rank},
};
use crate::guarded::Guarded;

/// Permits over any lock, and those who wait for them.
pub(super) struct Queue<L> {
    inside: L,
    ageing: Ageing,
    next: AtomicU64,
}

/// What the lock is around.
#[derive(Debug, Default)]
pub(super) struct Inside {
    permits: Permits,
    /// How those that wait are told that they may go.
    told: HashMap<u64, oneshot::Sender<()>>,
}

impl Inside {
    /// Those to be told, once the lock is free.
    fn called(&mut self, granted: Vec<u64>) -> Vec<oneshot::Sender<()>> {
        let granted = granted.into_iter();
        granted.filter_map(|it| self.told.remove(&it)).collect()
    }
}

fn tell(called: Vec<oneshot::Sender<()>>) {
    for one in called {
        // Who is gone meanwhile gives back what it was given.
        let _ = one.send(());
    }
}

impl<L: Guarded<Inside>> Queue<L> {
    pub(super) fn new(permits: Permits, ageing: Ageing) -> Self {
        Self {
            inside: L::guard(Inside {
                permits,
                told: HashMap::new(),
            }),
            ageing,
            next: AtomicU64::new(0),
        }
    }

    /// Asks for permits, all of them at once.
    pub(super) fn request(self: &Arc<Self>, need: Need, priority: Priority) -> Requested<L> {
        if need.is_empty() {
            return Requested::Granted(self.permit(need));
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let rank = self.ageing.rank(priority, Instant::now(), number);
        let told = self.inside.with(|inside| {
            let Err(granted) = inside.permits.request(&need, rank) else {
                return None;
            };
            if granted.contains(&number) {
                return Some((inside.called(granted), None));
            }
            let (sender, told) = oneshot::channel();
            inside.told.insert(number, sender);
            Some((inside.called(granted), Some(told)))
        });
        let Some((called, told)) = told else {
            return Requested::Granted(self.permit(need));
        };
        tell(called);
        match told {
            None => Requested::Granted(self.permit(need)),
            Some(told) => Requested::Waits(Place {
                queue: self.clone(),
                need,
                rank,
                told,
                is_used: false,
            }),
        }
    }

    fn permit(self: &Arc<Self>, need: Need) -> Permit<L> {
        Permit {
            queue: self.clone(),
            need,
            alive: Arc::new(()),
        }
    }

    fn release(&self, need: &Need) {
        if need.is_empty() {
            return;
        }
        tell(self.inside.with(|inside| {
            let granted = inside.permits.release(need);
            inside.called(granted)
        }));
    }

    #[cfg(test)]
    pub(super) fn taken(&self, pool: usize) -> u32 {
        self.inside.with(|inside| inside.permits.taken(pool))
    }

    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.inside.with(|inside| {
            assert_eq!(inside.told.len(), inside.permits.waiting());
            inside.told.len()
        })
    }
}

/// What came of a request.
pub(super) enum Requested<L: Guarded<Inside>> {
    Granted(Permit<L>),
    Waits(Place<L>),
}

/// A place among those who wait. Dropped, it is left, or what it was granted is given back.
pub(super) struct Place<L: Guarded<Inside>> {
    queue: Arc<Queue<L>>,
    need: Need,
    rank: Rank,
    pub(super) told: oneshot::Receiver<()>,
    /// Whether what was granted is a permit now.
    is_used: bool,
}

impl<L: Guarded<Inside>> Place<L> {
    /// Waits until it may go. Dropped, it holds nothing.
    pub(super) async fn granted(mut self) -> Permit<L> {
        // The sender goes only when it has told.
        let _ = (&mut self.told).await;
        self.take()
    }

    /// What it was granted, once it was told.
    pub(super) fn take(mut self) -> Permit<L> {
        self.is_used = true;
        self.queue.permit(self.need.clone())
    }
}

impl<L: Guarded<Inside>> Drop for Place<L> {
    fn drop(&mut self) {
        if self.is_used {
            return;
        }
        let (need, rank) = (&self.need, self.rank);
        let called = self.queue.inside.with(|inside| {
            inside.told.remove(&rank.number);
            let granted = match inside.permits.leave(need, rank) {
                Some(granted) => granted,
                // It was granted and did not know.
                None => inside.permits.release(need),
            };
            inside.called(granted)
        });
        tell(called);
    }
}

/// Permits that are held. Dropped, they are free.
pub(super) struct Permit<L: Guarded<Inside>> {
    queue: Arc<Queue<L>>,
    need: Need,
    /// Lives as long as the permits are held.
    pub(super) alive: Arc<()>,
}

impl<L: Guarded<Inside>> Drop for Permit<L> {
    fn drop(&mut self) {
        self.queue.release(&self.need);
    }
}

impl<L> fmt::Debug for Queue<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").finish_non_exhaustive()
    }
}
