//! A run for the benchmark.

use std::{sync::Arc, time::Duration};

use super::{Profile, ProfiledOperation};
use crate::{
    model::Usage,
    operation::{Kind, OperationId, Outcome, SpanId},
};

/// Profiles a run of at least this many operations: an agent that asks a model, calls two tools at once, and so on.
#[doc(hidden)]
pub fn __profiler(operations: u64) -> impl Fn() -> Profile {
    let names = ["triage", "gpt-5", "search_files", "read_file"].map(Arc::<str>::from);
    let [agent, model, search, read] = names;
    let mut list = Vec::new();
    let mut number = 1;
    let mut add = |parent, kind, name: &Arc<str>, start, end| {
        number += 1;
        list.push(ProfiledOperation {
            id: OperationId(number),
            parent: Some(OperationId(parent)),
            kind,
            name: name.clone(),
            span_id: SpanId(number),
            start: Duration::from_millis(start),
            end: Duration::from_millis(end),
            outcome: Outcome::Ok,
            cost: None,
            usage: Usage::unknown(),
        });
        number
    };
    let (mut count, mut now) = (1, 1);
    while count < operations {
        let chat = add(1, Kind::Chat, &model, now, now + 900);
        add(chat, Kind::Attempt, &model, now + 1, now + 899);
        add(1, Kind::Tool, &search, now + 901, now + 1000);
        add(1, Kind::Tool, &read, now + 901, now + 950);
        (count, now) = (count + 4, now + 1001);
    }
    list.sort_by_key(|operation| operation.end);
    list.push(ProfiledOperation {
        id: OperationId(1),
        parent: None,
        kind: Kind::Agent,
        name: agent,
        span_id: SpanId(1),
        start: Duration::ZERO,
        end: Duration::from_millis(now),
        outcome: Outcome::Ok,
        cost: None,
        usage: Usage::unknown(),
    });
    move || Profile::of(OperationId(1), &list, 0)
}
