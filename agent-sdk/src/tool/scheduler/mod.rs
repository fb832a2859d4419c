//! What tool calls of many runs pass before their tools are called.
//!
//! The calls of one turn are ordered by their agent: its width, its exclusive tools. A [`ToolScheduler`] stands behind that and is shared
//! by the agents, runs and plans that it is given to: it caps how many of their calls run at once, keeps to rates, and may save
//! calls, by answering identical ones together, several in one batch, or from a cache. [`ToolPolicy`] shows what there is and
//! in which order a call passes it.
//!
//! What decides is pure: [`permits`] is told who comes and goes, [`cache`] and [`stats`] are told the time. Whoever drops a call
//! gives back what it held.

mod admission;
mod batch;
mod builder;
mod cache;
mod desk;
mod flights;
mod holding;
mod key;
mod passage;
mod permits;
mod policy;
mod priority;
mod queue;
mod stats;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::time::Instant;

pub use batch::{BatchCall, BatchTool, BatchedTool};
pub use builder::{ToolSchedulerBuilder, ToolSchedulerError};
pub(crate) use holding::Holding;
pub use policy::ToolPolicy;
pub use priority::Priority;
pub use stats::{ToolCounts, ToolStats};

use super::{
    Concurrency, Effect, State, ToolContext, ToolError, ToolErrorKind, ToolHandle, ToolOutput,
    perform::{Calling, perform},
};
use crate::{guarded::Guarded, message::ToolCall, model::CircuitBreaker, operation::RunContext};
use admission::Gate;
use desk::Desk;
use passage::Passage;
pub(super) use passage::may_help;
use permits::Need;
use stats::Whole;

/// How many tools without a policy are counted by name; further ones are counted together, as `other`.
const MAX_OTHERS: usize = 1_000;

/// What tool calls of many agents, runs and plans pass before their tools are called. Cheap to clone; clones are one scheduler.
///
/// Given to agents by [`AgentBuilder::tool_scheduler`](crate::agent::AgentBuilder::tool_scheduler) or to a run by
/// [`RunRequest::tool_scheduler`](crate::run::RunRequest::tool_scheduler); [`call`](Self::call) makes a call without an agent.
///
/// A call waits inside its `tool` operation, which is recorded as [`queued`](crate::operation::Facts::queued). The tool's own
/// [timeout](super::ToolOptions::timeout) begins when it is called; the waits before end with the run's deadline, or
/// [`ToolPolicy::timeout`]. All permits of a call are taken at once, and none is held while something else is waited for.
///
/// An agent as a tool takes no permits: the calls inside it do, by the agent's own scheduler. A call that a tool makes itself waits
/// for no pool of which the call around it holds a permit.
///
/// # Example
///
/// ```
/// use std::num::NonZeroU32;
/// use agent_sdk::{operation::RunContext, tool::{FnTool, ToolError, ToolHandle, ToolPolicy, ToolScheduler}};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let scheduler = ToolScheduler::builder()
///     .global(NonZeroU32::new(8).unwrap())
///     .tool("time", ToolPolicy::new().concurrency(NonZeroU32::new(2).unwrap()))
///     .build()?;
/// let time = FnTool::new("time", "What time it is.", async || Ok::<_, ToolError>("noon"));
/// let output = scheduler.call(&RunContext::new(), &ToolHandle::from(time), "{}").await?;
/// assert_eq!(output.content.as_str(), "noon");
/// assert_eq!(scheduler.stats().tools["time"].calls, 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct ToolScheduler(Arc<Core>);

struct Core {
    gate: Gate,
    /// The tools that have a policy.
    desks: HashMap<Arc<str>, Arc<Desk>>,
    /// Those that were called all the same.
    others: Mutex<HashMap<Arc<str>, Arc<Desk>>>,
    /// What those take.
    any: Need,
    whole: Arc<Mutex<Whole>>,
}

impl ToolScheduler {
    /// Settings for a scheduler.
    pub fn builder() -> ToolSchedulerBuilder {
        ToolSchedulerBuilder::new()
    }

    /// Calls a tool without an agent: opens a `tool` operation under the context and passes the call through. The output is as long
    /// as the tool made it. Each call has an idempotency key of its own.
    ///
    /// Dropping the future drops the tool's, and ends the operation as cancelled; so does the context's cancellation.
    ///
    /// # Errors
    ///
    /// What the tool says, and what a call may fail with by itself: its time was up, it panicked, a budget does not admit it, the run was
    /// cancelled.
    pub async fn call(
        &self,
        context: &RunContext,
        tool: &ToolHandle,
        arguments: &str,
    ) -> Result<ToolOutput, ToolError> {
        let id = uuid::Uuid::now_v7().to_string();
        let call = ToolCall::new(id.as_str(), tool.spec().name.clone(), arguments);
        let calling = Calling {
            context,
            tool: Some(tool),
            call: &call,
            path: context.call_path(0, &id),
            is_approved: false,
            queued: Instant::now(),
            state: &State::default(),
            scheduler: Some(self),
        };
        tokio::select! {
            biased;
            () = context.cancellation().cancelled() => Err(ToolError::new(
                ToolErrorKind::Cancelled,
                "the run was cancelled before the call was over",
            )),
            performed = perform(calling) => performed.result,
        }
    }

    /// What it has done so far.
    pub fn stats(&self) -> ToolStats {
        let now = Instant::now();
        let others = self.0.others.with(|others| others.clone());
        let desks = self.0.desks.iter().chain(&others);
        let tools: BTreeMap<_, _> = desks
            .map(|(name, desk)| (name.clone(), desk.show(now)))
            .collect();
        self.0.whole.with(|whole| whole.show(now, tools))
    }

    /// The breakers of its tools, each with the tool's name.
    pub fn breakers(&self) -> Vec<(Arc<str>, CircuitBreaker)> {
        let desks = self.0.desks.iter();
        let breakers = desks.filter_map(|(name, desk)| {
            let breaker = desk.policy.breaker.clone()?;
            Some((name.clone(), breaker))
        });
        breakers.collect()
    }

    /// Brings a call to its result.
    pub(super) async fn pass(
        &self,
        tool: &ToolHandle,
        context: ToolContext,
        arguments: &str,
    ) -> Result<ToolOutput, ToolError> {
        let passage = Passage {
            desk: self.desk(&tool.spec().name),
            gate: self.0.gate.clone(),
            tool: tool.clone(),
            arguments: arguments.into(),
        };
        passage.run(context).await
    }

    /// The longest that a call may take with all its waits and tries, where something is set.
    pub(super) fn time_for(&self, tool: &ToolHandle) -> Option<Duration> {
        if tool.is_agent() {
            return Some(tool.options().timeout);
        }
        self.0.desks.get(&tool.spec().name)?.policy.timeout
    }

    /// The tools that may be called in the place of one that failed in this way, in order.
    pub(super) fn fallbacks(&self, tool: &ToolHandle, kind: ToolErrorKind) -> Vec<ToolHandle> {
        let Some(desk) = self.0.desks.get(&tool.spec().name) else {
            return Vec::new();
        };
        if !may_help(kind) {
            return Vec::new();
        }
        let is_fit = |other: &&ToolHandle| {
            let (own, other) = (tool.options(), other.options());
            let writes_more = other.effect == Effect::Write && own.effect != Effect::Write;
            !writes_more && !other.needs_approval && other.concurrency == Concurrency::Parallel
        };
        let fit = desk.policy.fallbacks.iter().filter(is_fit);
        fit.cloned().collect()
    }

    /// Counts that another tool is called in the place of one.
    pub(super) fn falls_back(&self, tool: &ToolHandle) {
        self.desk(&tool.spec().name)
            .count(|counting| counting.fallbacks += 1);
    }

    fn desk(&self, name: &Arc<str>) -> Arc<Desk> {
        if let Some(desk) = self.0.desks.get(name) {
            return desk.clone();
        }
        self.0.others.with(|others| {
            if let Some(desk) = others.get(name) {
                return desk.clone();
            }
            let name = if others.len() < MAX_OTHERS {
                name.clone()
            } else {
                "other".into()
            };
            let new = || {
                let policy = ToolPolicy::default();
                let desk = Desk::new(
                    name.clone(),
                    policy,
                    self.0.any.clone(),
                    self.0.whole.clone(),
                );
                Arc::new(desk)
            };
            others.entry(name.clone()).or_insert_with(new).clone()
        })
    }
}

impl fmt::Debug for ToolScheduler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ToolScheduler")
            .field("tools", &self.0.desks.keys())
            .finish_non_exhaustive()
    }
}
