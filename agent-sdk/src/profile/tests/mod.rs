//! Profiles as a whole.

mod properties;
mod reports;

use std::{fmt::Write, time::Duration};

use super::{Profile, ProfiledOperation};
use crate::{
    model::Usage,
    operation::{Kind, OperationId, Outcome, SpanId},
};

/// An operation from `start` to `end`, in milliseconds; a `parent` of 0 is none.
fn operation(
    id: u64,
    parent: u64,
    kind: Kind,
    name: &str,
    start: u64,
    end: u64,
) -> ProfiledOperation {
    ProfiledOperation {
        id: OperationId(id),
        parent: (parent > 0).then_some(OperationId(parent)),
        kind,
        name: name.into(),
        span_id: SpanId(id),
        start: Duration::from_millis(start),
        end: Duration::from_millis(end),
        outcome: Outcome::Ok,
        cost: None,
        usage: Usage::unknown(),
    }
}

/// The profile of operation 1.
fn profile(operations: &[ProfiledOperation]) -> Profile {
    Profile::of(OperationId(1), operations, 0)
}

/// All of a profile as text: the tree (`*`: on the critical path) with total and self times, the path, the names, the bottleneck.
fn report(profile: &Profile) -> String {
    let mut text = String::new();
    for node in profile.tree() {
        let indent = "  ".repeat(node.depth);
        let star = if node.on_critical_path { "*" } else { " " };
        let (kind, name) = (node.operation.kind.as_str(), &node.operation.name);
        let (total, own) = (node.total_time.as_millis(), node.self_time.as_millis());
        writeln!(text, "{star}{indent}{kind} {name} {total} self {own}").unwrap();
    }
    for segment in profile.critical_path() {
        let (start, length) = (segment.start.as_millis(), segment.duration.as_millis());
        writeln!(text, "{start}+{length} {}", segment.span_name()).unwrap();
    }
    for share in profile.by_name() {
        let (total, own) = (share.total_time.as_millis(), share.self_time.as_millis());
        writeln!(
            text,
            "{} x{} total {total} self {own} critical {}",
            share.span_name(),
            share.count,
            share.critical_time.as_millis()
        )
        .unwrap();
    }
    text + profile.bottleneck()
}
