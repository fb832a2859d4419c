//! What the reader of a merged stream has not taken yet.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak},
    task::Waker,
};

use futures_util::task::AtomicWaker;

use super::ParallelEvent;
use crate::{
    operation::{Event, Interests, Member, Observer, RunContext},
    run::Pace,
};

/// A queue of events for each run, read in turn.
///
/// The place of each queue that is not empty is in `turns` exactly once, or with the thread that is about to put it there.
pub(super) struct Queues {
    lanes: Vec<Lane>,
    turns: Mutex<VecDeque<usize>>,
    batch: OnceLock<Open>,
    reader: AtomicWaker,
}

struct Lane {
    agent: Arc<str>,
    pace: Arc<Pace>,
}

struct Open {
    id: Arc<str>,
    router: Arc<Router>,
}

impl Queues {
    pub(super) fn new(agents: Vec<Arc<str>>) -> Self {
        let lanes = agents.into_iter().map(|agent| Lane {
            agent,
            pace: Arc::default(),
        });
        Self {
            lanes: lanes.collect(),
            turns: Mutex::default(),
            batch: OnceLock::new(),
            reader: AtomicWaker::new(),
        }
    }

    /// Has the events of a context's run brought here.
    pub(super) fn open(self: &Arc<Self>, batch: &Arc<str>, context: &RunContext) {
        let router = Arc::new(Router(Arc::downgrade(self)));
        let open = self.batch.get_or_init(|| Open {
            id: batch.clone(),
            router,
        });
        context.subscribe(open.router.clone());
    }

    /// Tells a run whether there is room in its queue.
    pub(super) fn pace(&self, index: usize) -> Option<Arc<Pace>> {
        self.lanes.get(index).map(|lane| lane.pace.clone())
    }

    /// Brings the events of a run here that it is subscribed to.
    pub(super) fn router(&self) -> Option<Arc<dyn Observer>> {
        Some(self.batch.get()?.router.clone())
    }

    /// How many queues of these runs have something in them.
    pub(super) fn unread(&self, of: impl Fn(usize) -> bool) -> usize {
        self.turns().iter().filter(|index| of(**index)).count()
    }

    /// The next event, of the run whose turn it is.
    pub(super) fn take(&self) -> Option<ParallelEvent> {
        loop {
            let index = self.turns().pop_front()?;
            let lane = self.lanes.get(index)?;
            let (event, more) = lane.pace.take_one();
            if more {
                self.turns().push_back(index);
            }
            if let Some(event) = event {
                return Some(ParallelEvent {
                    agent: lane.agent.clone(),
                    index,
                    batch_id: self.batch.get()?.id.clone(),
                    event,
                });
            }
        }
    }

    /// Is woken by an event that comes from elsewhere than the runs' own polls.
    pub(super) fn register(&self, waker: &Waker) {
        self.reader.register(waker);
    }

    fn put(&self, event: &Arc<Event>) {
        let batch = self.batch.get();
        let Some(index) = batch.and_then(|open| Member::in_batch(event, &open.id)) else {
            return;
        };
        let lane = self.lanes.get(index);
        if lane.is_some_and(|lane| lane.pace.push(event)) {
            self.turns().push_back(index);
            self.reader.wake();
        }
    }

    fn turns(&self) -> MutexGuard<'_, VecDeque<usize>> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Brings events to the queues, as long as somebody may read them.
struct Router(Weak<Queues>);

impl Observer for Router {
    fn interests(&self) -> Interests {
        Interests::EVENTS
    }

    fn event(&self, event: &Arc<Event>) {
        if let Some(queues) = self.0.upgrade() {
            queues.put(event);
        }
    }
}
