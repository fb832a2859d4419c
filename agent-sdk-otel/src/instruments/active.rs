//! What runs now, by kind and agent.

use std::fmt;
use std::sync::{PoisonError, RwLock};

use agent_sdk::operation::Kind;
use opentelemetry::metrics::BoundUpDownCounter;

/// How many agents' series a kind keeps. Those of others are looked up each time, which is slower and comes to the same.
const AGENTS: usize = 64;

/// The series by which operations are counted while they run. Each is asked for twice an operation, so they are found with less than
/// other [series](super::cache::Cache): most programs have few agents.
#[derive(Default)]
pub(super) struct Active {
    /// By the kind's place.
    kinds: [RwLock<Agents>; KINDS],
}

/// Series by the agent's name.
type Agents = Vec<(Box<str>, BoundUpDownCounter<i64>)>;

const KINDS: usize = 16;

impl Active {
    /// Adds to the series of a kind and an agent, which is made where it is the first time.
    pub(super) fn add(
        &self,
        kind: Kind,
        agent: &str,
        change: i64,
        make: impl FnOnce() -> BoundUpDownCounter<i64>,
    ) {
        let Some(kept) = self.kinds.get(kind as usize) else {
            return make().add(change);
        };
        if let Some(series) = find(&kept.read().unwrap_or_else(PoisonError::into_inner), agent) {
            return series.add(change);
        }
        let fresh = make();
        fresh.add(change);
        let mut kept = kept.write().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < AGENTS && find(&kept, agent).is_none() {
            kept.push((agent.into(), fresh));
        }
    }
}

fn find<'a>(
    kept: &'a [(Box<str>, BoundUpDownCounter<i64>)],
    agent: &str,
) -> Option<&'a BoundUpDownCounter<i64>> {
    let mut kept = kept.iter();
    kept.find_map(|(name, series)| (**name == *agent).then_some(series))
}

impl fmt::Debug for Active {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Active").finish_non_exhaustive()
    }
}
