//! Which steps can begin at the same time.

use crate::plan::{Plan, graph::Graph};

/// The steps of a plan by layers, and their edges.
pub(super) struct Layers {
    /// The numbers of the steps by layers, in the plan's order in each.
    pub(super) layers: Vec<Vec<u32>>,
    /// For each step the numbers of those that it waits for, each once, in the plan's order.
    pub(super) waits_for: Vec<Vec<u32>>,
}

impl Layers {
    /// Computed in rounds, without recursion, in O(steps + edges): a step is in the round after the last that it waits for.
    pub(super) fn of(plan: &Plan) -> Self {
        // What is wrong with the plan is not said here.
        let graph = Graph::read(plan.steps.clone(), &plan.output, &mut Vec::new());
        let mut open: Vec<usize> = graph
            .nodes
            .iter()
            .map(|node| node.waits_for.len())
            .collect();
        let mut next: Vec<u32> = (0u32..)
            .zip(&open)
            .filter(|(_, open)| **open == 0)
            .map(|(number, _)| number)
            .collect();
        let mut layers = Vec::new();
        while !next.is_empty() {
            next.sort_unstable();
            let layer = std::mem::take(&mut next);
            for number in &layer {
                let others = graph.waited_for_by.get(*number as usize);
                for other in others.into_iter().flatten() {
                    if let Some(open) = open.get_mut(*other as usize) {
                        *open -= 1;
                        if *open == 0 {
                            next.push(*other);
                        }
                    }
                }
            }
            layers.push(layer);
        }
        let ring: Vec<u32> = (0u32..)
            .zip(&open)
            .filter(|(_, open)| **open > 0)
            .map(|(number, _)| number)
            .collect();
        if !ring.is_empty() {
            layers.push(ring);
        }
        let waits_for = graph.nodes.into_iter().map(|node| node.waits_for).collect();
        Self { layers, waits_for }
    }

    /// The numbers of those that a step waits for.
    pub(super) fn waits_for(&self, number: u32) -> &[u32] {
        let waits_for = self.waits_for.get(number as usize);
        waits_for.map(Vec::as_slice).unwrap_or_default()
    }
}
