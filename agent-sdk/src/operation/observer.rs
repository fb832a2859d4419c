//! Who watches.

use std::{fmt, ops::BitOr, sync::Arc};

use super::{Event, IdSource, OperationInfo, OperationRecord, Payload, Propagation, RandomIds};

/// Watches what runs: costs, profiles, metrics, traces, a dashboard, yours.
///
/// The calls come in the order in which things happened within a run, one at a time, from whatever thread it happened on.
/// An observer must not block and must not use the run it watches: what it starts or publishes from inside a call is ignored.
/// One that panics is cut out of that call; the run goes on.
pub trait Observer: Send + Sync + 'static {
    /// What it wants to be told. Asked once, when it is added.
    fn interests(&self) -> Interests {
        Interests::OPERATIONS
    }

    /// An operation started.
    fn started(&self, operation: &OperationInfo, payload: Payload<'_>) {
        let _ = (operation, payload);
    }

    /// An operation ended; its span closes after this.
    fn ended(&self, operation: &OperationRecord<'_>, payload: Payload<'_>) {
        let _ = (operation, payload);
    }

    /// A model wrote more text.
    fn text(&self, operation: &OperationInfo, delta: &str) {
        let _ = (operation, delta);
    }

    /// Something happened, in the form in which it goes over the wire.
    fn event(&self, event: &Arc<Event>) {
        let _ = event;
    }
}

/// What an [`Observer`] wants to be told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interests(u8);

impl Interests {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// Starts and ends of operations.
    pub const OPERATIONS: Self = Self(1);
    /// Text as it is written, borrowed.
    pub const TEXT: Self = Self(2);
    /// Every event, owned; building them costs time that nobody pays while nobody asks.
    pub const EVENTS: Self = Self(4);

    /// Whether all of `other` is wanted.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any of `other` is wanted.
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub(crate) const fn bits(self) -> u8 {
        self.0
    }

    pub(crate) const fn from_bits(bits: u8) -> Self {
        Self(bits)
    }
}

impl BitOr for Interests {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// The observers of a run, the source of its ids, and who else is told of its trace. Cheap to clone.
#[derive(Clone)]
pub struct Observers {
    list: Arc<[Watcher]>,
    ids: Arc<dyn IdSource>,
    propagation: Propagation,
}

/// An observer and what it asked for.
#[derive(Clone)]
pub(crate) struct Watcher {
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) interests: Interests,
}

impl Watcher {
    pub(crate) fn new(observer: Arc<dyn Observer>) -> Self {
        Self {
            interests: observer.interests(),
            observer,
        }
    }
}

impl Observers {
    /// Nobody watches; ids are random.
    pub fn none() -> Self {
        Self {
            list: Arc::new([]),
            ids: Arc::new(RandomIds),
            propagation: Propagation::none(),
        }
    }

    /// Adds an observer after those that are there.
    #[must_use]
    pub fn with(self, observer: impl Observer) -> Self {
        self.with_shared(Arc::new(observer))
    }

    /// Adds an observer that the caller keeps a handle to.
    #[must_use]
    pub fn with_shared(self, observer: Arc<dyn Observer>) -> Self {
        let list = self
            .list
            .iter()
            .cloned()
            .chain([Watcher::new(observer)])
            .collect();
        Self { list, ..self }
    }

    /// Takes ids from elsewhere.
    #[must_use]
    pub fn with_ids(self, ids: Arc<dyn IdSource>) -> Self {
        Self { ids, ..self }
    }

    /// Tells these hosts of the trace. Default: none.
    #[must_use]
    pub fn with_propagation(self, propagation: Propagation) -> Self {
        Self {
            propagation,
            ..self
        }
    }

    /// What anybody here wants to be told.
    pub fn interests(&self) -> Interests {
        self.list
            .iter()
            .fold(Interests::NONE, |all, watcher| all | watcher.interests)
    }

    pub(crate) fn list(&self) -> &[Watcher] {
        &self.list
    }

    pub(crate) fn propagation(&self) -> &Propagation {
        &self.propagation
    }

    pub(crate) fn ids(&self) -> &dyn IdSource {
        &*self.ids
    }
}

impl Default for Observers {
    fn default() -> Self {
        Self::none()
    }
}

impl fmt::Debug for Observers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observers")
            .field("observers", &self.list.len())
            .field("ids", &self.ids)
            .field("propagation", &self.propagation)
            .finish()
    }
}
