//! The sums of single runs.

use std::collections::{HashMap, VecDeque};

use super::{CostLine, CostSums};
use crate::operation::RunId;

/// How many runs have a sum of their own.
pub(super) const MAX_RUNS: usize = 10_000;

/// The sums of the runs that began last.
#[derive(Debug, Default)]
pub(super) struct RunSums {
    sums: HashMap<RunId, CostSums>,
    /// In the order of their first lines.
    order: VecDeque<RunId>,
}

impl RunSums {
    pub(super) fn add(&mut self, line: &CostLine) {
        if let Some(sums) = self.sums.get_mut(&line.run_id) {
            sums.add(line);
            return;
        }
        if self.order.len() >= MAX_RUNS
            && let Some(oldest) = self.order.pop_front()
        {
            self.sums.remove(&oldest);
        }
        let mut sums = CostSums::default();
        sums.add(line);
        self.sums.insert(line.run_id.clone(), sums);
        self.order.push_back(line.run_id.clone());
    }

    pub(super) fn get(&self, run: &RunId) -> Option<CostSums> {
        self.sums.get(run).copied()
    }
}
