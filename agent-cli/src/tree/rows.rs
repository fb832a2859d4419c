//! What a line of a trace says.

use std::{collections::HashMap, time::Duration};

use agent_sdk::{
    cost::Usd,
    operation::{Kind, Outcome},
    profile::Profile,
};

/// An operation, as it is drawn.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// How many operations are around it.
    pub(crate) depth: usize,
    /// What it is and its name, as its span is named.
    pub(crate) name: String,
    /// From its start to its end.
    pub(crate) time: Duration,
    /// The part of that in which nothing inside it ran; `None` where nothing was inside it.
    pub(crate) self_time: Option<Duration>,
    pub(crate) input: Amount<u64>,
    pub(crate) output: Amount<u64>,
    pub(crate) cost: Amount<Usd>,
    pub(crate) outcome: Outcome,
    /// Whether it decided when the run ended.
    pub(crate) is_critical: bool,
}

/// An amount that may be unknown, or that an operation cannot have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Amount<T> {
    /// There is none to know.
    None,
    /// There is one, and nobody knows it.
    Unknown,
    /// This much.
    Known(T),
}

/// The rows of a profile. A single attempt says nothing that its request does not, so it has no row.
pub(super) fn of(profile: &Profile) -> Vec<Row> {
    let nodes: Vec<_> = profile.tree().collect();
    let mut attempts = HashMap::new();
    for node in nodes
        .iter()
        .filter(|node| node.operation.kind == Kind::Attempt)
    {
        *attempts.entry(node.operation.parent).or_insert(0_usize) += 1;
    }
    let is_drawn = |node: &&agent_sdk::profile::Node<'_>| {
        node.operation.kind != Kind::Attempt
            || attempts
                .get(&node.operation.parent)
                .is_some_and(|count| *count > 1)
    };
    let nodes: Vec<_> = nodes.iter().filter(is_drawn).collect();
    let next = nodes.iter().skip(1).map(Some).chain([None]);
    nodes
        .iter()
        .zip(next)
        .map(|(node, next)| {
            let operation = node.operation;
            let has_inside = next.is_some_and(|next| next.depth > node.depth);
            let amount = |known: Option<u64>| match known {
                Some(tokens) => Amount::Known(tokens),
                None if operation.kind.is_priced() => Amount::Unknown,
                None => Amount::None,
            };
            Row {
                depth: node.depth,
                name: name(operation.kind, &operation.name),
                time: node.total_time,
                self_time: has_inside.then_some(node.self_time),
                input: amount(operation.usage.input_tokens),
                output: amount(operation.usage.output_tokens),
                cost: match operation.cost {
                    Some(cost) => Amount::Known(cost),
                    None if operation.kind.is_priced() => Amount::Unknown,
                    None => Amount::None,
                },
                outcome: operation.outcome,
                is_critical: node.on_critical_path,
            }
        })
        .collect()
}

/// What it is and its name, in short.
fn name(kind: Kind, name: &str) -> String {
    if name.is_empty() {
        kind.as_str().to_owned()
    } else {
        format!("{} {name}", kind.as_str())
    }
}
