//! What a tool's calls pass.

use std::{
    collections::BTreeMap,
    num::{NonZeroU32, NonZeroUsize},
    sync::Arc,
    time::Duration,
};

use super::Priority;
use crate::{
    model::{CircuitBreaker, Retry},
    tool::{Effect, ToolErrorKind, ToolHandle},
};

/// What the calls of one tool pass before it is called; given to
/// [`ToolSchedulerBuilder::tool`](super::ToolSchedulerBuilder::tool). Default: nothing but the scheduler's own cap.
///
/// The layers, outermost first, in whichever order they are set:
///
/// ```text
/// fallback             another tool is another `tool` operation, linked to the first
///   ┌ one `tool` operation ────────────────────────────────────────────────────────┐
///   │ cache, coalescing     of tools that are idempotent or only read              │
///   │   retry                                                                      │
///   │     batching          of tools that are made of a `BatchTool`                │
///   │       rate, permits, breaker    once for each try, or batch                  │
///   └──────────────────────────────────────────────────────────────────────────────┘
/// ```
///
/// # Example
///
/// ```
/// use std::{num::NonZeroU32, time::Duration};
/// use agent_sdk::{model::Retry, tool::{ToolPolicy, ToolScheduler}};
///
/// let search = ToolPolicy::new()
///     .concurrency(NonZeroU32::new(4).unwrap())
///     .takes("db", NonZeroU32::MIN)
///     .retry(Retry::default())
///     .coalesce();
/// let scheduler = ToolScheduler::builder()
///     .global(NonZeroU32::new(32).unwrap())
///     .pool("db", NonZeroU32::new(5).unwrap())
///     .tool("search", search)
///     .build()?;
/// # Ok::<(), agent_sdk::tool::ToolSchedulerError>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "a policy does nothing until a scheduler is given it"]
pub struct ToolPolicy {
    pub(super) concurrency: Option<NonZeroU32>,
    pub(super) pools: BTreeMap<Arc<str>, u32>,
    pub(super) per_minute: Option<NonZeroU32>,
    pub(super) priority: Priority,
    pub(super) retry: Option<Retry>,
    pub(super) retry_on: Option<Vec<ToolErrorKind>>,
    pub(super) retries_writes: bool,
    pub(super) breaker: Option<CircuitBreaker>,
    pub(super) attempt_timeout: Option<Duration>,
    pub(super) timeout: Option<Duration>,
    pub(super) fallbacks: Vec<ToolHandle>,
    pub(super) coalesces: bool,
    pub(super) cache: CachePolicy,
}

/// How results are kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct CachePolicy {
    /// `None` where nothing is kept.
    pub(super) time_to_live: Option<Duration>,
    pub(super) entries: usize,
    pub(super) bytes: usize,
}

impl ToolPolicy {
    /// A policy that asks for nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets at most so many of the tool's calls run at once. Default: as many as the scheduler lets.
    pub fn concurrency(mut self, calls: NonZeroU32) -> Self {
        self.concurrency = Some(calls);
        self
    }

    /// Has each call take so many permits of a [pool](super::ToolSchedulerBuilder::pool), in place of what it took before. Default:
    /// none of any.
    pub fn takes(mut self, pool: impl Into<Arc<str>>, permits: NonZeroU32) -> Self {
        self.pools.insert(pool.into(), permits.get());
        self
    }

    /// Limits the calls, or batches, that are made a minute. Default: no limit.
    ///
    /// A token bucket that holds a minute's worth. Calls take their turns as they come, whatever their priority; one whose turn would
    /// come after its time fails at once, as [`RateLimited`](ToolErrorKind::RateLimited).
    pub fn calls_per_minute(mut self, calls: NonZeroU32) -> Self {
        self.per_minute = Some(calls);
        self
    }

    /// Sets how much the tool's calls matter, beside what their runs say. Default: 0.
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// Sets when a call that failed is made again, within its `tool` operation. Default: never.
    ///
    /// Only of a tool that is [idempotent](Effect::Idempotent) or [only reads](Effect::ReadOnly), unless
    /// [`retry_writes`](Self::retry_writes) says otherwise; never of an agent. The policy's budget lets a tenth as many retries
    /// through as there are calls.
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = Some(retry).filter(Retry::retries);
        self
    }

    /// Sets which failures are tried again. Default: [`Failed`](ToolErrorKind::Failed) and [`Timeout`](ToolErrorKind::Timeout).
    pub fn retry_on(mut self, kinds: impl IntoIterator<Item = ToolErrorKind>) -> Self {
        self.retry_on = Some(kinds.into_iter().collect());
        self
    }

    /// Makes calls again even where that changes something each time ([`Effect::Write`]): for a tool that
    /// fails only before it has done anything. Default: such a call is made once.
    pub fn retry_writes(mut self) -> Self {
        self.retries_writes = true;
        self
    }

    /// Stops calling the tool while it keeps failing: calls then fail as [`CircuitOpen`](ToolErrorKind::CircuitOpen). Default: it is
    /// always called.
    ///
    /// A failure is [`Failed`](ToolErrorKind::Failed), [`Timeout`](ToolErrorKind::Timeout) or [`Panic`](ToolErrorKind::Panic); other
    /// errors say nothing of the tool.
    pub fn breaker(mut self, breaker: CircuitBreaker) -> Self {
        self.breaker = Some(breaker);
        self
    }

    /// Sets the longest that one try may take once it runs, where that is shorter than the tool's own
    /// [timeout](crate::tool::ToolOptions::timeout). Default: the tool's own.
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.attempt_timeout = Some(timeout);
        self
    }

    /// Sets the longest that a call may take with all its waits and tries. Default: until the run's deadline.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Adds a tool that is called with the same arguments where this one and the fallbacks before it failed, as a `tool` operation
    /// of its own, linked to the one that failed. It passes its own policy. Default: none.
    ///
    /// None is called where the arguments do not fit, the run is over, a budget says no, or a person is or was to be asked. A
    /// fallback is left out that writes although this tool does not, that asks for approval, or that is
    /// [exclusive](crate::tool::Concurrency::Exclusive).
    pub fn fallback(mut self, tool: impl Into<ToolHandle>) -> Self {
        self.fallbacks.push(tool.into());
        self
    }

    /// Lets identical calls that are under way at once share one execution: each gets its result. Default: each runs.
    ///
    /// Identical are calls of clones of one [`ToolHandle`] with the same JSON in whatever order of its keys, for the same
    /// [user](crate::operation::Labels::user), of agents with the same application state. Only of tools that are idempotent or only
    /// read, and not of agents. What the tool gives must depend on nothing else.
    ///
    /// The execution runs inside the operation of the first call, which is charged for it, and has no deadline but the tool's timeout. It
    /// goes on while anybody waits for it, the first or not.
    pub fn coalesce(mut self) -> Self {
        self.coalesces = true;
        self
    }

    /// Keeps what the tool gave for this long, for calls that are identical in the sense of [`coalesce`](Self::coalesce): at most 1,000
    /// results and 16 MiB, unless [`cache_size`](Self::cache_size) says otherwise. Errors are not kept. Default: nothing is kept.
    pub fn cache(mut self, time_to_live: Duration) -> Self {
        self.cache.time_to_live = Some(time_to_live);
        self
    }

    /// Sets how many results are kept at most, and how many bytes they and their arguments may have together. What was used least
    /// recently goes first. Does nothing without [`cache`](Self::cache).
    pub fn cache_size(mut self, results: NonZeroUsize, bytes: NonZeroUsize) -> Self {
        self.cache.entries = results.get();
        self.cache.bytes = bytes.get();
        self
    }

    /// The retries of a tool with such an effect.
    pub(super) fn retry_of(&self, effect: Effect) -> Option<&Retry> {
        let may = effect != Effect::Write || self.retries_writes;
        self.retry.as_ref().filter(|_| may)
    }

    /// Whether a failure is one that is tried again.
    pub(super) fn is_retried(&self, kind: ToolErrorKind) -> bool {
        match &self.retry_on {
            Some(kinds) => kinds.contains(&kind),
            None => matches!(kind, ToolErrorKind::Failed | ToolErrorKind::Timeout),
        }
    }
}

impl Default for CachePolicy {
    fn default() -> Self {
        Self {
            time_to_live: None,
            entries: 1_000,
            bytes: 16 * 1024 * 1024,
        }
    }
}
