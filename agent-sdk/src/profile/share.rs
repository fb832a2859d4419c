//! Sums over operations of one kind or of one name.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    sync::{Arc, OnceLock},
    time::Duration,
};

use super::{
    span_name,
    tree::{Slot, Tree},
};
use crate::{cost::Usd, model::Usage, operation::Kind};

/// What the operations of one kind, or of one kind and name, add up to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Share {
    /// What they are.
    pub kind: Kind,
    /// Their name; `None` where all names of the kind are summed.
    pub name: Option<Arc<str>>,
    /// How many there are. Attempts of a model request are not counted here.
    pub count: u64,
    /// How many attempts the model requests made, as far as they were operations.
    pub attempts: u64,
    /// How many of `count` the critical path leads through.
    pub on_critical_path: u64,
    /// The sum of their lengths; what runs at once, or one inside another, counts each time.
    pub total_time: Duration,
    /// The sum of the times in which nothing inside them ran, attempts aside.
    pub self_time: Duration,
    /// The part of the critical path that is theirs. Over all names, these add up to the run's duration.
    pub critical_time: Duration,
    /// What they cost themselves, as far as known; `None` if nothing is known.
    pub cost: Option<Usd>,
    /// What they used themselves.
    pub usage: Usage,
}

impl Share {
    fn new(kind: Kind, name: Option<Arc<str>>) -> Self {
        Self {
            kind,
            name,
            count: 0,
            attempts: 0,
            on_critical_path: 0,
            total_time: Duration::ZERO,
            self_time: Duration::ZERO,
            critical_time: Duration::ZERO,
            cost: None,
            usage: Usage::unknown(),
        }
    }

    /// The name of their spans, for example `chat gpt-5`; without a name of their own, that of their kind.
    pub fn span_name(&self) -> Cow<'static, str> {
        span_name(self.kind, self.name.as_deref().unwrap_or_default())
    }

    fn add_operation(&mut self, slot: &Slot<'_>) {
        self.count += 1;
        self.on_critical_path += u64::from(slot.on_critical_path);
        self.total_time += Duration::from_nanos(slot.end.saturating_sub(slot.start));
        self.self_time += Duration::from_nanos(slot.self_time);
        self.critical_time += Duration::from_nanos(slot.critical_time);
        self.add_cost(slot.operation.cost);
        self.usage.add(&slot.operation.usage);
    }

    fn add_share(&mut self, more: &Self) {
        self.count += more.count;
        self.attempts += more.attempts;
        self.on_critical_path += more.on_critical_path;
        self.total_time += more.total_time;
        self.self_time += more.self_time;
        self.critical_time += more.critical_time;
        self.add_cost(more.cost);
        self.usage.add(&more.usage);
    }

    fn add_cost(&mut self, more: Option<Usd>) {
        if let Some(more) = more {
            self.cost = Some(self.cost.unwrap_or_default().saturating_add(more));
        }
    }
}

/// The sums of a profile, the largest on the critical path first.
#[derive(Clone, Debug, Default)]
pub(super) struct Shares {
    by_name: Vec<Share>,
    /// Asked for less often, so summed only then.
    by_kind: OnceLock<Vec<Share>>,
}

impl Shares {
    pub(super) fn of(tree: &Tree<'_>) -> Self {
        let mut places: BTreeMap<(Kind, &str), usize> = BTreeMap::new();
        let mut by_name: Vec<Share> = Vec::new();
        for index in 0..tree.len() {
            let owner = tree.owner(index);
            if let (Some(slot), Some(owning)) = (tree.get(index), tree.get(owner)) {
                let (kind, name) = (owning.operation.kind, &owning.operation.name);
                let place = *places.entry((kind, name)).or_insert(by_name.len());
                if place == by_name.len() {
                    by_name.push(Share::new(kind, Some(name.clone())));
                }
                let Some(share) = by_name.get_mut(place) else {
                    continue;
                };
                if owner == index {
                    share.add_operation(slot);
                } else {
                    share.attempts += 1;
                    share.self_time += Duration::from_nanos(slot.self_time);
                }
            }
        }
        sort(&mut by_name);
        Self {
            by_name,
            by_kind: OnceLock::new(),
        }
    }

    pub(super) fn by_kind(&self) -> &[Share] {
        self.by_kind.get_or_init(|| {
            let mut by_kind: BTreeMap<Kind, Share> = BTreeMap::new();
            for share in &self.by_name {
                let kind = by_kind.entry(share.kind);
                let sum = kind.or_insert_with(|| Share::new(share.kind, None));
                sum.add_share(share);
            }
            let mut by_kind: Vec<_> = by_kind.into_values().collect();
            sort(&mut by_kind);
            by_kind
        })
    }

    pub(super) fn by_name(&self) -> &[Share] {
        &self.by_name
    }
}

/// Puts the largest on the critical path first; of equals, in the order of kinds and names.
fn sort(shares: &mut [Share]) {
    shares.sort_unstable_by(|one, other| {
        let times = |share: &Share| (share.critical_time, share.total_time);
        let by_time = times(other).cmp(&times(one));
        by_time.then_with(|| (one.kind, &one.name).cmp(&(other.kind, &other.name)))
    });
}
