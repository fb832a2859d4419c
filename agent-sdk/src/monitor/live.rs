//! The registry of open operations.

use std::{
    collections::HashMap,
    fmt,
    hash::{BuildHasherDefault, Hasher},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use tokio::time::Instant;

use super::snapshot::{LiveOperation, LiveSnapshot};
use crate::{
    cost::Usd,
    model::{ModelInfo, Usage},
    operation::{
        Details, Kind, Labels, Observer, OperationId, OperationInfo, OperationRecord, Payload,
        RunId, SpanId, TraceContext, TraceId,
    },
};

/// Parts of the registry, each under a lock of its own, so that runs on several threads do not wait for each other.
const SHARDS: usize = 32;

/// Keeps what runs now, over all runs that it watches. Cheap to clone; clones share what they keep.
///
/// An operation is put in at its start and taken out at its end; nothing else happens while runs work. A trace stands in one part of
/// the registry, so that what a request cost is added to everything around it under one lock.
///
/// # Example
///
/// ```
/// use agent_sdk::monitor::LiveOperations;
/// use agent_sdk::operation::{Observers, RunContext, trace_agent};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let live = LiveOperations::new();
/// let context = RunContext::builder().observers(Observers::none().with(live.clone())).build();
/// let agent = trace_agent(&context, "triage").begin();
/// assert_eq!(live.snapshot().operations[0].path, "invoke_agent triage");
/// drop(agent);
/// assert!(live.snapshot().operations.is_empty());
/// # }
/// ```
#[derive(Clone)]
pub struct LiveOperations(Arc<Registry>);

struct Registry {
    limit: usize,
    listed: AtomicUsize,
    /// Open operations that found the registry full.
    unlisted: AtomicUsize,
    shards: [Mutex<Shard>; SHARDS],
}

type Key = (TraceId, SpanId);
type Shard = HashMap<Key, Open, BuildHasherDefault<IdHasher>>;

/// An open operation.
struct Open {
    id: OperationId,
    parent: Option<OperationId>,
    run_id: RunId,
    kind: Kind,
    /// The first word of the span's name.
    called: &'static str,
    name: Arc<str>,
    agent: Option<Arc<str>>,
    trace: TraceContext,
    parent_trace: Option<TraceContext>,
    started: SystemTime,
    started_at: Instant,
    labels: Arc<Labels>,
    model: Option<Arc<ModelInfo>>,
    /// Rare, and large.
    spent: Option<Box<Spent>>,
}

/// What ended inside an operation so far.
#[derive(Clone, Copy, Default)]
struct Spent {
    usage: Usage,
    cost: Usd,
    unpriced_requests: u32,
}

impl LiveOperations {
    /// How many open operations are listed unless the user says otherwise.
    pub const DEFAULT_LIMIT: usize = 100_000;

    /// Lists at most [`DEFAULT_LIMIT`](Self::DEFAULT_LIMIT) operations.
    pub fn new() -> Self {
        Self::with_limit(Self::DEFAULT_LIMIT)
    }

    /// Lists at most so many operations at a time; more are only counted, as [`LiveSnapshot::unlisted`].
    pub fn with_limit(limit: usize) -> Self {
        Self(Arc::new(Registry {
            limit,
            listed: AtomicUsize::new(0),
            unlisted: AtomicUsize::new(0),
            shards: std::array::from_fn(|_| Mutex::default()),
        }))
    }

    /// How many operations are open, the unlisted ones included.
    pub fn len(&self) -> usize {
        let registry = &self.0;
        let listed = registry.listed.load(Ordering::Relaxed);
        listed.saturating_add(registry.unlisted.load(Ordering::Relaxed))
    }

    /// Whether nothing runs.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What runs now, the oldest first.
    pub fn snapshot(&self) -> LiveSnapshot {
        self.older_than(Duration::ZERO)
    }

    /// What has been running for at least `age`, the oldest first. An operation around one of these is older, and so is among them.
    pub fn older_than(&self, age: Duration) -> LiveSnapshot {
        let now = Instant::now();
        let mut operations = Vec::new();
        for shard in &self.0.shards {
            let shard = lock(shard);
            for open in shard.values() {
                let old = now.saturating_duration_since(open.started_at);
                if old >= age {
                    operations.push(open.row(old, path(&shard, open)));
                }
            }
        }
        // Numbers order what a run started in one instant.
        operations.sort_by(|one: &LiveOperation, other| {
            let order = other.age.cmp(&one.age);
            let order = order.then_with(|| one.run_id.cmp(&other.run_id));
            order.then_with(|| one.operation_id.cmp(&other.operation_id))
        });
        LiveSnapshot {
            operations,
            unlisted: self.0.unlisted.load(Ordering::Relaxed),
        }
    }

    fn shard(&self, trace: TraceId) -> MutexGuard<'_, Shard> {
        let at = usize::try_from(trace.0 % SHARDS as u128).unwrap_or(0);
        // The remainder is below the length; the first stands in for an arm that is never taken.
        let [first, ..] = &self.0.shards;
        lock(self.0.shards.get(at).unwrap_or(first))
    }
}

impl Observer for LiveOperations {
    fn started(&self, info: &OperationInfo, _: Payload<'_>) {
        if self.0.listed.fetch_add(1, Ordering::Relaxed) >= self.0.limit {
            self.0.listed.fetch_sub(1, Ordering::Relaxed);
            self.0.unlisted.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let open = Open::of(info);
        let replaced = self.shard(info.trace.trace_id).insert(key(info), open);
        if replaced.is_some() {
            // An id source that names two alike.
            self.0.listed.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn ended(&self, record: &OperationRecord<'_>, _: Payload<'_>) {
        let info = record.info;
        let mut shard = self.shard(info.trace.trace_id);
        let removed = shard.remove(&key(info));
        if let Some(spent) = Spent::of(record) {
            add_around(&mut shard, info, &spent);
        }
        drop(shard);
        if removed.is_some() {
            self.0.listed.fetch_sub(1, Ordering::Relaxed);
        } else {
            // One that was subscribed while it ran ends without having been counted.
            let less = |unlisted: usize| unlisted.checked_sub(1);
            let relaxed = Ordering::Relaxed;
            let _ = self.0.unlisted.fetch_update(relaxed, relaxed, less);
        }
    }
}

/// Adds what ended to every operation around it.
fn add_around(shard: &mut Shard, info: &OperationInfo, spent: &Spent) {
    let mut above = above(info.trace.trace_id, info.parent, info.parent_trace);
    // Ids of an id source that goes in a circle end somewhere too.
    for _ in 0..MAX_DEPTH {
        let Some(open) = above.and_then(|key| shard.get_mut(&key)) else {
            return;
        };
        open.spent.get_or_insert_default().add(spent);
        above = open.above();
    }
}

/// The span names from the outermost operation to this one.
fn path(shard: &Shard, open: &Open) -> String {
    let mut names = vec![open.span_name()];
    let mut above = open.above();
    while let Some(around) = above.and_then(|key| shard.get(&key))
        && names.len() < MAX_DEPTH
    {
        names.push(around.span_name());
        above = around.above();
    }
    names.reverse();
    names.join(" / ")
}

/// How far operations are followed upwards.
const MAX_DEPTH: usize = 64;

fn key(info: &OperationInfo) -> Key {
    (info.trace.trace_id, info.trace.span_id)
}

/// The operation around one, where it is of the same run.
fn above(
    trace: TraceId,
    parent: Option<OperationId>,
    parent_trace: Option<TraceContext>,
) -> Option<Key> {
    parent.and(parent_trace).map(|above| (trace, above.span_id))
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    // Nothing that happens under the lock can panic half way.
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Open {
    fn of(info: &OperationInfo) -> Self {
        let model = match &info.details {
            Details::Chat(chat) => Some(chat.model.clone()),
            Details::Embeddings(embeddings) => Some(embeddings.model.clone()),
            Details::Attempt(attempt) => Some(attempt.model.clone()),
            _ => None,
        };
        Self {
            id: info.id,
            parent: info.parent,
            run_id: info.run_id.clone(),
            kind: info.kind,
            called: info.details.name_parts(info.kind, &info.name).0,
            name: info.name.clone(),
            agent: info.agent.clone(),
            trace: info.trace,
            parent_trace: info.parent_trace,
            started: info.started,
            started_at: info.started_at,
            labels: info.labels.clone(),
            model,
            spent: None,
        }
    }

    fn above(&self) -> Option<Key> {
        above(self.trace.trace_id, self.parent, self.parent_trace)
    }

    fn span_name(&self) -> String {
        match self.kind {
            Kind::Attempt | Kind::Memory => self.called.to_owned(),
            _ if self.name.is_empty() => self.called.to_owned(),
            _ => format!("{} {}", self.called, self.name),
        }
    }

    fn row(&self, age: Duration, path: String) -> LiveOperation {
        let spent = self.spent.as_deref().copied().unwrap_or_default();
        LiveOperation {
            run_id: self.run_id.clone(),
            operation_id: self.id,
            parent_id: self.parent,
            kind: self.kind,
            called: self.called,
            name: self.name.clone(),
            path,
            agent: self.agent.clone(),
            trace: self.trace,
            parent_trace: self.parent_trace,
            started: self.started,
            age,
            usage: spent.usage,
            cost: spent.cost,
            unpriced_requests: spent.unpriced_requests,
            labels: self.labels.clone(),
            model: self.model.clone(),
        }
    }
}

impl Spent {
    /// What an operation spent itself; `None` where that is nothing.
    fn of(record: &OperationRecord<'_>) -> Option<Self> {
        let facts = record.facts;
        if !record.info.kind.is_priced() && facts.charges.is_empty() {
            return None;
        }
        let charged = facts.charges.iter().map(|(_, usd)| *usd);
        let own = record.cost.map_or(Usd::ZERO, |cost| cost.total);
        Some(Self {
            usage: facts.usage,
            cost: charged.fold(own, Usd::saturating_add),
            unpriced_requests: record.unpriced_requests(),
        })
    }

    fn add(&mut self, more: &Self) {
        self.usage.add(&more.usage);
        self.cost = self.cost.saturating_add(more.cost);
        self.unpriced_requests = self
            .unpriced_requests
            .saturating_add(more.unpriced_requests);
    }
}

impl Default for LiveOperations {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for LiveOperations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveOperations")
            .field("open", &self.len())
            .field("limit", &self.0.limit)
            .finish()
    }
}

/// Ids are drawn at random: mixing them once is enough, and who can choose them can open operations anyway.
#[derive(Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(23) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "each half is taken in on its own"
    )]
    fn write_u128(&mut self, word: u128) {
        self.write_u64(word as u64);
        self.write_u64((word >> 64) as u64);
    }
}
