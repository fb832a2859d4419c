//! Settings for a scheduler.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    num::NonZeroU32,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    Core, ToolPolicy, ToolScheduler,
    desk::Desk,
    permits::{Need, Permits},
    priority::Ageing,
    queue::Queue,
    stats::Whole,
};
use crate::guarded::Guarded;

/// Settings for a [`ToolScheduler`]; made by [`ToolScheduler::builder`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct ToolSchedulerBuilder {
    global: Option<NonZeroU32>,
    pools: BTreeMap<Arc<str>, u32>,
    tools: BTreeMap<Arc<str>, ToolPolicy>,
    step: Duration,
}

impl ToolSchedulerBuilder {
    pub(super) fn new() -> Self {
        Self {
            global: None,
            pools: BTreeMap::new(),
            tools: BTreeMap::new(),
            step: Duration::from_secs(1),
        }
    }

    /// Lets at most so many calls run at once, of all tools together. Default: as many as there are.
    pub fn global(mut self, calls: NonZeroU32) -> Self {
        self.global = Some(calls);
        self
    }

    /// Adds a pool of so many permits, which [tools take](ToolPolicy::takes) while they run, in place of one of the same name.
    pub fn pool(mut self, name: impl Into<Arc<str>>, permits: NonZeroU32) -> Self {
        self.pools.insert(name.into(), permits.get());
        self
    }

    /// Sets what the calls of the tools of this name pass, in place of what was set before. Default: the cap on all of them.
    pub fn tool(mut self, name: impl Into<Arc<str>>, policy: ToolPolicy) -> Self {
        self.tools.insert(name.into(), policy);
        self
    }

    /// Sets how much waiting a level of [priority](super::Priority) is worth. Default: 1 s. At zero priorities do nothing.
    pub fn ageing(mut self, step: Duration) -> Self {
        self.step = step;
        self
    }

    /// Makes the scheduler.
    ///
    /// # Errors
    ///
    /// A tool takes permits of a pool that there is not, or more than there are.
    pub fn build(self) -> Result<ToolScheduler, ToolSchedulerError> {
        let mut sizes = Vec::new();
        let mut pool = |size: u32| {
            sizes.push(size);
            sizes.len() - 1
        };
        let global = self.global.map(|calls| (pool(calls.get()), 1));
        let pools: HashMap<_, _> = self
            .pools
            .into_iter()
            .map(|(name, size)| (name, (pool(size), size)))
            .collect();
        let whole = Arc::new(Mutex::guard(Whole::default()));
        let mut desks = HashMap::new();
        for (name, policy) in self.tools {
            let mut need: Vec<(usize, u32)> = global.into_iter().collect();
            if let Some(calls) = policy.concurrency {
                need.push((pool(calls.get()), 1));
            }
            for (wanted, &permits) in &policy.pools {
                let problem = match pools.get(wanted) {
                    Some(&(place, size)) if permits <= size => {
                        need.push((place, permits));
                        continue;
                    }
                    Some((_, size)) => format!("which has {size}: no call could ever run"),
                    None => "which there is not: add it with `pool`".to_owned(),
                };
                return Err(ToolSchedulerError(format!(
                    "the tool `{name}` takes {permits} permits of the pool `{wanted}`, {problem}"
                )));
            }
            let desk = Desk::new(name.clone(), policy, need.into(), whole.clone());
            desks.insert(name, Arc::new(desk));
        }
        let ageing = Ageing {
            epoch: Instant::now(),
            step: self.step,
        };
        let any: Need = global.into_iter().collect();
        Ok(ToolScheduler(Arc::new(Core {
            gate: Arc::new(Queue::new(Permits::new(sizes), ageing)),
            desks,
            others: Mutex::guard(HashMap::new()),
            any,
            whole,
        })))
    }
}

/// A scheduler that cannot be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolSchedulerError(String);

impl fmt::Display for ToolSchedulerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ToolSchedulerError {}
