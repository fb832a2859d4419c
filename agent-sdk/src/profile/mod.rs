//! Where the time of a run went.
//!
//! A [`Profile`] is made when a run ends, from its finished operations. It holds the tree of them with self and total
//! times ([`Node`]), sums by kind and by name ([`Share`]), the critical path ([`PathSegment`]), and the bottleneck in a sentence.
//!
//! The critical path is the chain of operations that decided when the run ended, found by the backwards walk over a trace that
//! CRISP (Zhang, Ramanathan and others, USENIX ATC 2022) uses: begin at the root's end; go to the child that finished last at or
//! before that moment, walk through it in the same way, go on from its start; what lies between children is the parent's own.
//! Only an operation on the path can make the run faster by being faster itself, at most by the time that it has there.
//!
//! Promises:
//! - the segments of the path are in time order, touch one another, are each longer than zero, and add up to the root's time;
//! - an operation takes no time outside of its parent's interval: what lies outside is cut off;
//! - the work is `O(n log n)` in the number of operations at any depth, because no step is recursive.
//!
//! The attempts of a model request count as the request: they stand in the tree, but path and sums name the `chat`.
//!
//! The end of a run only hands over its operations, that of an agent inside it copies its own, about 1 µs for ten of them: all the rest
//! is computed once, by the first reader.
//! `benches/profile.rs` has the figures.

mod bottleneck;
mod path;
#[cfg(feature = "testing")]
mod sample;
mod share;
#[cfg(test)]
mod tests;
mod tree;
mod wire;

use std::{
    borrow::Cow,
    collections::BTreeSet,
    sync::{Arc, OnceLock},
    time::Duration,
};

pub use self::{path::PathSegment, share::Share, tree::Node};
use self::{
    share::Shares,
    tree::{Place, Tree},
};
use crate::{
    cost::Usd,
    model::Usage,
    operation::{Kind, OperationId, Outcome, SpanId},
};

#[cfg(feature = "testing")]
#[doc(hidden)]
pub use sample::__profiler;

/// A finished operation, as the profile needs it. Times count from the run's start.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ProfiledOperation {
    /// Its number within the run.
    pub id: OperationId,
    /// The operation around it.
    pub parent: Option<OperationId>,
    /// What it is.
    pub kind: Kind,
    /// The agent's, model's or tool's name.
    pub name: Arc<str>,
    /// Its span.
    pub span_id: SpanId,
    /// When it started.
    pub start: Duration,
    /// When it ended.
    pub end: Duration,
    /// How it ended.
    pub outcome: Outcome,
    /// What it cost itself, where known.
    pub cost: Option<Usd>,
    /// What it used itself.
    pub usage: Usage,
}

impl ProfiledOperation {
    /// The span's name, for example `chat gpt-5`.
    pub fn span_name(&self) -> Cow<'static, str> {
        span_name(self.kind, &self.name)
    }
}

/// Where the time of a run went, or of one operation in it.
///
/// The default is the profile of nothing. As JSON it is an object of `duration_ms`, `bottleneck`, `critical_path`, `by_kind`,
/// `by_name` and `left_out`; the tree stays in process.
///
/// # Example
///
/// ```
/// use std::time::Duration;
///
/// use agent_sdk::operation::{Kind, Outcome, Payload, RunContext};
///
/// let agent = RunContext::new().start(Kind::Agent, "triage").begin();
/// let tool = agent.context().start(Kind::Tool, "search").begin();
/// tool.end(Outcome::Ok, Payload::None);
/// let report = agent.report(Outcome::Ok, Payload::None);
///
/// let profile = &report.profile;
/// let on_path: Duration = profile.critical_path().iter().map(|segment| segment.duration).sum();
/// assert_eq!(on_path, profile.duration());
/// for node in profile.tree() {
///     println!("{:1$}{2} {3:?}", "", 2 * node.depth, node.operation.name, node.self_time);
/// }
/// println!("{}", profile.bottleneck());
/// ```
#[derive(Clone, Debug, Default)]
pub struct Profile {
    /// What lies in and under the root, the root first.
    operations: Vec<ProfiledOperation>,
    duration: Duration,
    left_out: u64,
    analysis: OnceLock<Analysis>,
    /// Asked for less often than the rest, so derived on its own.
    tree: OnceLock<Vec<Place>>,
}

/// What is derived from the operations.
#[derive(Clone, Debug)]
struct Analysis {
    critical_path: Vec<PathSegment>,
    shares: Shares,
    bottleneck: Cow<'static, str>,
}

impl Profile {
    /// Profiles what lies in and under `root`. An operation whose parent is not in the list does not belong to it.
    ///
    /// `operations` stand in the order of their ends, each before the one around it.
    pub(crate) fn of(root: OperationId, operations: &[ProfiledOperation], left_out: u64) -> Self {
        let mut operations = operations.iter().rev();
        let Some(top) = operations.find(|op| op.id == root) else {
            return Self {
                left_out,
                ..Self::default()
            };
        };
        // Operations end after those inside them, so backwards each comes after the one around it. Only what belongs to it
        // is copied: a thousand agents side by side must not each keep the operations of all.
        let mut inside = BTreeSet::new();
        let rest = operations.filter(|op| {
            op.parent
                .is_some_and(|parent| parent == root || (parent > root && inside.contains(&parent)))
                && inside.insert(op.id)
        });
        Self {
            operations: std::iter::once(top).chain(rest).cloned().collect(),
            duration: top.end.saturating_sub(top.start),
            left_out,
            ..Self::default()
        }
    }

    /// Profiles all operations of a run, the last of which is around all others.
    pub(crate) fn of_all(mut operations: Vec<ProfiledOperation>, left_out: u64) -> Self {
        if let [first, .., last] = operations.as_mut_slice() {
            std::mem::swap(first, last);
        }
        let top = operations.first();
        Self {
            duration: top.map_or(Duration::ZERO, |top| top.end.saturating_sub(top.start)),
            operations,
            left_out,
            ..Self::default()
        }
    }

    fn analysis(&self) -> &Analysis {
        self.analysis.get_or_init(|| {
            let mut tree = Tree::new(&self.operations);
            let critical_path = path::walk(&mut tree);
            let shares = Shares::of(&tree);
            Analysis {
                bottleneck: bottleneck::sentence(self.duration, shares.by_name(), self.left_out),
                critical_path,
                shares,
            }
        })
    }

    /// How long the profiled operation took.
    pub fn duration(&self) -> Duration {
        self.duration
    }

    /// The operations: each before those inside it, siblings in the order in which they started.
    pub fn tree(&self) -> impl Iterator<Item = Node<'_>> {
        let places = self.tree.get_or_init(|| {
            let mut tree = Tree::new(&self.operations);
            path::walk(&mut tree);
            tree.into_places()
        });
        let places = places.iter();
        places.filter_map(|place| place.node(&self.operations))
    }

    /// The chain of operations that decided when the run ended, in time order. Empty if the run took no time.
    pub fn critical_path(&self) -> &[PathSegment] {
        &self.analysis().critical_path
    }

    /// Sums for each kind of operation, the largest on the critical path first.
    pub fn by_kind(&self) -> &[Share] {
        self.analysis().shares.by_kind()
    }

    /// Sums for each model, tool, agent and so on, the largest on the critical path first.
    pub fn by_name(&self) -> &[Share] {
        self.analysis().shares.by_name()
    }

    /// What most of the critical path was spent on, in a sentence for people; its words may change.
    pub fn bottleneck(&self) -> &str {
        &self.analysis().bottleneck
    }

    /// How many operations of the run this profile lacks, because a run keeps only so many.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }
}

/// The name of an operation's span, for example `chat gpt-5`.
fn span_name(kind: Kind, name: &str) -> Cow<'static, str> {
    match kind {
        Kind::Attempt => Cow::Borrowed(kind.span_name()),
        _ if name.is_empty() => Cow::Borrowed(kind.span_name()),
        _ => Cow::Owned(format!("{} {name}", kind.span_name())),
    }
}
