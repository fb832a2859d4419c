//! A call on its way to its tool.

use std::{sync::Arc, time::Duration};

use futures_util::FutureExt;
use tokio::time::{Instant, sleep, timeout};

use super::{
    admission::{Gate, admit},
    desk::Desk,
    flights::Landing,
    key::{Alive, Key},
};
use crate::{
    guarded::Guarded,
    model::CircuitBreaker,
    operation::decision,
    tool::{
        Effect, ToolContext, ToolError, ToolErrorKind, ToolHandle, ToolOutput, perform::guarded,
    },
};

/// A call on its way to its tool, with all that it takes.
#[derive(Clone)]
pub(super) struct Passage {
    pub(super) desk: Arc<Desk>,
    pub(super) gate: Gate,
    pub(super) tool: ToolHandle,
    pub(super) arguments: Arc<str>,
}

impl Passage {
    /// Brings the call to its result.
    pub(super) async fn run(self, context: ToolContext) -> Result<ToolOutput, ToolError> {
        let _called = self.desk.call();
        // What happens inside an agent passes by itself, and holding a permit for it meanwhile could keep it from doing so.
        if self.tool.is_agent() {
            return guarded(&self.tool, context, &self.arguments).await;
        }
        let policy = &self.desk.policy;
        let may_share = self.tool.options().effect != Effect::Write
            && (policy.coalesces || self.desk.cache.is_some());
        let key = may_share.then(|| Key::of(&self.tool, &context, &self.arguments));
        let Some((key, alive)) = key.flatten() else {
            return self.attempts(&context).await;
        };
        if let Some(output) = self.cached(&key) {
            decision::tool_cache_hit(context.operation());
            context.operation().record(|facts| facts.cached = true);
            return Ok(output);
        }
        if policy.coalesces && !self.is_inside(&context) {
            return self.coalesced(&context, key, alive).await;
        }
        let result = self.attempts(&context).await;
        self.keep(key, alive, &result);
        result
    }

    /// Whether a call around this one holds a permit that the tool takes. It shares no execution: one that waits for that permit would
    /// never come to its turn.
    fn is_inside(&self, context: &ToolContext) -> bool {
        let queue = Arc::as_ptr(&self.gate).addr();
        let need = || self.desk.need.iter();
        let held = context.run().holding();
        held.is_some_and(|held| need().any(|&(pool, _)| held.holds(queue, pool)))
    }

    fn cached(&self, key: &Key) -> Option<ToolOutput> {
        let cache = self.desk.cache.as_ref()?;
        let output = cache.with(|cache| cache.get(key, Instant::now()))?;
        self.desk.count(|counting| counting.cache_hits += 1);
        Some(output)
    }

    fn keep(&self, key: Key, alive: Alive, result: &Result<ToolOutput, ToolError>) {
        if let (Some(cache), Ok(output)) = (&self.desk.cache, result) {
            cache.with(|cache| cache.put(key, alive, output.clone(), Instant::now()));
        }
    }

    /// Shares one execution with all identical calls.
    async fn coalesced(
        &self,
        context: &ToolContext,
        key: Key,
        alive: Alive,
    ) -> Result<ToolOutput, ToolError> {
        loop {
            let begin = |landing: Landing| {
                let (passage, key, alive) = (self.clone(), key.clone(), alive.clone());
                let limit = self.desk.policy.timeout;
                let (context, over) = context.detached(limit);
                let work = async move {
                    let _landing = landing;
                    let _over = over;
                    let result = passage.attempts(&context).await;
                    passage.keep(key, alive, &result);
                    result
                };
                work.boxed()
            };
            let (flight, was_joined) = self.desk.flights.join(key.clone(), begin);
            if was_joined {
                self.desk.count(|counting| counting.coalesced += 1);
                decision::tool_coalesced(context.operation());
                context.operation().record(|facts| facts.coalesced = true);
            }
            let result = within(context, flight).await;
            match &result {
                // It is about the first caller and not about the tool.
                Err(error) if was_joined && is_personal(error.kind()) => {
                    context.operation().record(|facts| facts.coalesced = false);
                }
                _ => return result,
            }
        }
    }

    /// Tries until it works, or nothing more is to be tried.
    async fn attempts(&self, context: &ToolContext) -> Result<ToolOutput, ToolError> {
        let policy = &self.desk.policy;
        let retry = policy.retry_of(self.tool.options().effect);
        // What is tried again as a whole is not tried again inside.
        let retry = retry.filter(|_| !context.run().is_retried());
        let Some(retry) = retry else {
            return self.attempt(context).await;
        };
        let operation = context.operation();
        retry.begin();
        let mut previous = None;
        for number in 1.. {
            operation.record(|facts| facts.attempts = Some(number));
            let error = match self.attempt(context).await {
                Ok(output) => return Ok(output),
                // Nothing new is known of the tool: what it said last is why the call fails.
                Err(refused) if is_refusal(refused.kind()) => {
                    return Err(previous.unwrap_or(refused));
                }
                Err(error) => error,
            };
            let is_over = context.cancellation().is_cancelled();
            if is_over || !policy.is_retried(error.kind()) {
                return Err(error);
            }
            let left = context.run().time_left();
            let refused = policy
                .breaker
                .as_ref()
                .and_then(CircuitBreaker::refused_for);
            let Some(wait) = retry.wait_after(number, None, left, refused, fastrand::f64()) else {
                return Err(error);
            };
            self.desk.count(|counting| counting.retries += 1);
            decision::tool_retry(operation, number + 1, error.kind().as_str(), wait);
            previous = Some(error);
            sleep(wait).await;
        }
        Err(previous.unwrap_or_else(|| ToolError::failed("the tool was never called")))
    }

    async fn attempt(&self, context: &ToolContext) -> Result<ToolOutput, ToolError> {
        if let Some(batched) = self.tool.batched() {
            let (context, _over) = context.attempt(None, None);
            let alone = self.is_inside(&context);
            return within(&context, batched.join(self, context.clone(), alone)).await;
        }
        let admission = admit(&self.desk, &self.gate, context.operation()).await?;
        let (inner, over) = context.attempt(Some(self.attempt_time()), Some(admission.holding()));
        let result = guarded(&self.tool, inner, &self.arguments).await;
        drop(over);
        admission.settle(result.as_ref());
        result
    }

    /// How long one execution may take.
    pub(super) fn attempt_time(&self) -> Duration {
        let own = self.tool.options().timeout;
        let set = self.desk.policy.attempt_timeout;
        set.map_or(own, |set| set.min(own))
    }
}

/// Waits for something no longer than a call may take.
async fn within(
    context: &ToolContext,
    work: impl Future<Output = Result<ToolOutput, ToolError>>,
) -> Result<ToolOutput, ToolError> {
    let Some(left) = context.run().time_left() else {
        return work.await;
    };
    timeout(left, work).await.unwrap_or_else(|_| {
        Err(ToolError::new(
            ToolErrorKind::Timeout,
            format!("the call had no result within {left:?}"),
        ))
    })
}

/// Whether an error is the scheduler's: the tool was not called.
fn is_refusal(kind: ToolErrorKind) -> bool {
    matches!(
        kind,
        ToolErrorKind::CircuitOpen | ToolErrorKind::RateLimited
    )
}

/// Whether an error is about who called.
fn is_personal(kind: ToolErrorKind) -> bool {
    matches!(
        kind,
        ToolErrorKind::Budget
            | ToolErrorKind::Limit
            | ToolErrorKind::Cancelled
            | ToolErrorKind::Paused
            | ToolErrorKind::NeedsApproval
            | ToolErrorKind::Rejected
            | ToolErrorKind::Interrupted
    )
}

/// Whether another tool may be called where one failed like this.
pub(in crate::tool) fn may_help(kind: ToolErrorKind) -> bool {
    matches!(
        kind,
        ToolErrorKind::Failed
            | ToolErrorKind::Timeout
            | ToolErrorKind::Panic
            | ToolErrorKind::CircuitOpen
            | ToolErrorKind::RateLimited
    )
}
