//! The operations of a run as a tree.

use std::{cmp::Reverse, mem, time::Duration};

use super::ProfiledOperation;
use crate::operation::Kind;

/// An operation in the tree of a [`Profile`](super::Profile).
///
/// Its times here are cut to its parent's interval and count from the start of the profiled operation.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Node<'a> {
    /// The operation, its times as they were measured.
    pub operation: &'a ProfiledOperation,
    /// How many operations of the profile are around it: 0 for the first.
    pub depth: usize,
    /// When it started.
    pub start: Duration,
    /// From its start to its end.
    pub total_time: Duration,
    /// The part of that in which nothing inside it ran.
    pub self_time: Duration,
    /// Whether the critical path leads through it.
    pub on_critical_path: bool,
    /// The part of the critical path that is its own; for a `chat`, with its attempts.
    pub critical_time: Duration,
}

/// A time in nanoseconds, with which one counts faster than with a [`Duration`]. It lasts for 584 years.
pub(super) type Nanos = u64;

pub(super) fn nanos(time: Duration) -> Nanos {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// A [`Node`] that names its operation by its index in the profile's list.
#[derive(Clone, Debug)]
pub(super) struct Place {
    index: usize,
    depth: usize,
    start: Nanos,
    total_time: Nanos,
    self_time: Nanos,
    on_critical_path: bool,
    critical_time: Nanos,
}

impl Place {
    fn new(slot: &Slot<'_>, depth: usize) -> Self {
        Self {
            index: slot.index,
            depth,
            start: slot.start,
            total_time: slot.end.saturating_sub(slot.start),
            self_time: slot.self_time,
            on_critical_path: slot.on_critical_path,
            critical_time: slot.critical_time,
        }
    }

    pub(super) fn node<'a>(&self, operations: &'a [ProfiledOperation]) -> Option<Node<'a>> {
        Some(Node {
            operation: operations.get(self.index)?,
            depth: self.depth,
            start: Duration::from_nanos(self.start),
            total_time: Duration::from_nanos(self.total_time),
            self_time: Duration::from_nanos(self.self_time),
            on_critical_path: self.on_critical_path,
            critical_time: Duration::from_nanos(self.critical_time),
        })
    }
}

/// No slot: at once the end of a list and an index that no vector has.
const NONE: usize = usize::MAX;

/// An operation while the profile is made.
pub(super) struct Slot<'a> {
    pub(super) operation: &'a ProfiledOperation,
    pub(super) start: Nanos,
    pub(super) end: Nanos,
    pub(super) self_time: Nanos,
    pub(super) critical_time: Nanos,
    pub(super) on_critical_path: bool,
    /// Where the operation stands in the profile's list.
    index: usize,
    parent: usize,
    /// Until when children that started earlier ran.
    covered: Nanos,
    /// The first of its children that were not taken yet.
    child: usize,
    /// The next of its parent's children.
    sibling: usize,
}

impl<'a> Slot<'a> {
    fn new(
        (index, operation): (usize, &'a ProfiledOperation),
        parent: usize,
        start: Nanos,
        end: Nanos,
    ) -> Self {
        Self {
            operation,
            start,
            end,
            self_time: end.saturating_sub(start),
            critical_time: 0,
            on_critical_path: false,
            index,
            parent,
            covered: start,
            child: NONE,
            sibling: NONE,
        }
    }
}

/// The operations in and under one: the root first, parents before children.
pub(super) struct Tree<'a> {
    slots: Vec<Slot<'a>>,
    /// The indices of the slots, to be sorted in the order that a walk needs.
    order: Vec<usize>,
}

impl<'a> Tree<'a> {
    /// The index of the root.
    pub(super) const ROOT: usize = 0;

    /// The tree of the operations; the first is the root.
    pub(super) fn new(operations: &'a [ProfiledOperation]) -> Self {
        let mut slots: Vec<Slot<'a>> = Vec::with_capacity(operations.len());
        let mut entries = operations.iter().enumerate();
        let mut origin = 0;
        if let Some(root) = entries.next() {
            origin = nanos(root.1.start);
            let end = nanos(root.1.end).saturating_sub(origin);
            slots.push(Slot::new(root, NONE, 0, end));
        }
        let mut inside: Vec<_> = entries.collect();
        inside.sort_unstable_by_key(|(_, operation)| operation.id);
        for entry @ (_, operation) in inside {
            // A parent has the smaller number, so it is among the slots already or nowhere. That also excludes cycles.
            let found = operation.parent.and_then(|parent| {
                slots
                    .binary_search_by_key(&parent, |slot| slot.operation.id)
                    .ok()
            });
            if let Some(parent) = found
                && let Some(around) = slots.get(parent)
            {
                let from_origin = |time| nanos(time).saturating_sub(origin);
                let start = from_origin(operation.start).clamp(around.start, around.end);
                let end = from_origin(operation.end).clamp(start, around.end);
                slots.push(Slot::new(entry, parent, start, end));
            }
        }
        let mut tree = Self {
            order: (0..slots.len()).collect(),
            slots,
        };
        tree.sort_by_start();
        tree.subtract_children();
        tree
    }

    pub(super) fn duration(&self) -> Nanos {
        self.get(Self::ROOT).map_or(0, |root| root.end)
    }

    pub(super) fn get(&self, index: usize) -> Option<&Slot<'a>> {
        self.slots.get(index)
    }

    pub(super) fn get_mut(&mut self, index: usize) -> Option<&mut Slot<'a>> {
        self.slots.get_mut(index)
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// The parent of a slot; an index that no slot has where there is none.
    pub(super) fn parent(&self, index: usize) -> usize {
        self.get(index).map_or(NONE, |slot| slot.parent)
    }

    /// The slot that a slot's time counts for: an attempt's is its model request.
    pub(super) fn owner(&self, index: usize) -> usize {
        match self.get(index) {
            Some(slot) if slot.operation.kind == Kind::Attempt => self
                .get(slot.parent)
                .filter(|parent| parent.operation.kind.is_priced())
                .map_or(index, |_| slot.parent),
            _ => index,
        }
    }

    /// Takes the first child off a slot's list.
    pub(super) fn take_child(&mut self, index: usize) -> Option<usize> {
        let child = self.get(index)?.child;
        let sibling = self.get(child)?.sibling;
        self.get_mut(index)?.child = sibling;
        Some(child)
    }

    /// Lists the children of each slot from the last that ended; among equals the longest first.
    pub(super) fn list_children_by_end(&mut self) {
        let slots = &self.slots;
        self.order.sort_unstable_by_key(|&index| {
            let slot = slots.get(index);
            slot.map(|slot| (slot.end, Reverse(slot.start), Reverse(index)))
        });
        self.list_children();
    }

    fn sort_by_start(&mut self) {
        let slots = &self.slots;
        self.order
            .sort_unstable_by_key(|&index| (slots.get(index).map(|slot| slot.start), index));
    }

    /// Takes the time in which children ran off their parents' self times; needs the order of starts.
    fn subtract_children(&mut self) {
        for &index in &self.order {
            let Some(&Slot {
                start, end, parent, ..
            }) = self.slots.get(index)
            else {
                continue;
            };
            if let Some(parent) = self.slots.get_mut(parent) {
                let more = end.saturating_sub(start.max(parent.covered));
                parent.self_time = parent.self_time.saturating_sub(more);
                parent.covered = parent.covered.max(end);
            }
        }
    }

    /// Lists the children of each slot, the last in order first.
    fn list_children(&mut self) {
        for slot in &mut self.slots {
            slot.child = NONE;
        }
        for &index in &self.order {
            let parent = self.slots.get(index).map_or(NONE, |slot| slot.parent);
            let next = match self.slots.get_mut(parent) {
                Some(parent) => mem::replace(&mut parent.child, index),
                None => NONE,
            };
            if let Some(slot) = self.slots.get_mut(index) {
                slot.sibling = next;
            }
        }
    }

    /// The finished tree: each operation before those inside it, siblings in the order of their starts.
    pub(super) fn into_places(mut self) -> Vec<Place> {
        self.sort_by_start();
        self.order.reverse();
        self.list_children();
        let mut places = Vec::with_capacity(self.len());
        places.extend(self.get(Self::ROOT).map(|root| Place::new(root, 0)));
        let (mut at, mut depth) = (Self::ROOT, 0);
        while at != NONE {
            if let Some(child) = self.take_child(at) {
                (at, depth) = (child, depth + 1);
                places.extend(self.get(at).map(|slot| Place::new(slot, depth)));
            } else {
                (at, depth) = (self.parent(at), depth.saturating_sub(1));
            }
        }
        places
    }
}
