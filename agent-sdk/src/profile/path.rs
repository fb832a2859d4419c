//! The chain of operations that decided when the run ended.

use std::{borrow::Cow, sync::Arc, time::Duration};

use super::{
    span_name,
    tree::{Nanos, Tree},
};
use crate::operation::{Kind, OperationId, SpanId};

/// A stretch of the critical path: the time in which one operation itself kept the run waiting.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PathSegment {
    /// The operation.
    pub operation: OperationId,
    /// What it is.
    pub kind: Kind,
    /// The agent's, model's or tool's name.
    pub name: Arc<str>,
    /// Its span.
    pub span_id: SpanId,
    /// When the stretch begins, counted from the start of the profiled operation.
    pub start: Duration,
    /// How long it is.
    pub duration: Duration,
}

impl PathSegment {
    /// The name of the operation's span, for example `chat gpt-5` or `execute_tool search`.
    pub fn span_name(&self) -> Cow<'static, str> {
        span_name(self.kind, &self.name)
    }
}

/// Walks from the root's end back to its start, and marks in the tree what lies on the way.
///
/// Operations that took no time are passed over: they decided nothing.
pub(super) fn walk(tree: &mut Tree<'_>) -> Vec<PathSegment> {
    tree.list_children_by_end();
    // An operation around others has a stretch before each of them and one behind the last.
    let mut path = Vec::with_capacity(2 * tree.len());
    let (mut at, mut cursor) = (Tree::ROOT, tree.duration());
    if let Some(root) = tree.get_mut(at) {
        root.on_critical_path = true;
    }
    while let Some(start) = tree.get(at).map(|slot| slot.start) {
        let Some(index) = tree.take_child(at) else {
            push(&mut path, tree, at, start, cursor);
            (at, cursor) = (tree.parent(at), start);
            continue;
        };
        if let Some(child) = tree.get_mut(index)
            && child.end <= cursor
            && child.start < child.end
        {
            child.on_critical_path = true;
            let end = child.end;
            push(&mut path, tree, at, end, cursor);
            (at, cursor) = (index, end);
        }
    }
    path.reverse();
    path
}

/// Adds a stretch before those that are known.
fn push(path: &mut Vec<PathSegment>, tree: &mut Tree<'_>, at: usize, start: Nanos, end: Nanos) {
    let duration = end.saturating_sub(start);
    let owner = tree.owner(at);
    let Some(slot) = tree.get_mut(owner).filter(|_| duration > 0) else {
        return;
    };
    slot.critical_time += duration;
    let operation = slot.operation;
    match path.last_mut() {
        Some(later) if later.operation == operation.id => {
            later.start = Duration::from_nanos(start);
            later.duration += Duration::from_nanos(duration);
        }
        _ => path.push(PathSegment {
            operation: operation.id,
            kind: operation.kind,
            name: operation.name.clone(),
            span_id: operation.span_id,
            start: Duration::from_nanos(start),
            duration: Duration::from_nanos(duration),
        }),
    }
}
