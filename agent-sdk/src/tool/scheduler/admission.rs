//! What one execution must have before it begins: its share of the minute, its permits, the breaker's consent.

use std::sync::{Arc, Mutex};

use tokio::time::{Instant, sleep_until, timeout_at};

use super::{
    desk::{Desk, Runs, Waits},
    holding::Holding,
    permits::Need,
    queue::{Inside, Permit, Queue, Requested},
};
use crate::{
    model::{BreakerPermit, CircuitBreaker, Refusal, Reservation, Verdict},
    operation::{OperationHandle, decision},
    tool::{ToolError, ToolErrorKind, ToolOutput},
};

/// Where permits are waited for.
pub(super) type Gate = Arc<Queue<Mutex<Inside>>>;

/// The right to execute once. Dropped, it gives back what it can.
pub(super) struct Admission {
    // In this order: it runs no longer when its permits are free.
    _runs: Runs,
    breaker: Option<BreakerPermit>,
    operation: OperationHandle,
    permit: Permit<Mutex<Inside>>,
    need: Need,
    queue: usize,
}

/// Waits until a tool may be executed, for a call that has this operation.
///
/// No permit is held while anything else is waited for: the share of the minute comes first, then all permits at once. The breaker is
/// asked twice: at first, so that nobody waits for a tool that is not to be called, and again at the end, because it may have
/// opened meanwhile.
pub(super) async fn admit(
    desk: &Arc<Desk>,
    gate: &Gate,
    operation: &OperationHandle,
) -> Result<Admission, ToolError> {
    let breaker = desk.policy.breaker.as_ref();
    let refused = |refusal| {
        desk.count(|counting| counting.refused += 1);
        circuit_open(&desk.name, refusal)
    };
    if let Some(breaker) = breaker {
        breaker
            .refusal()
            .map_or(Ok(()), |refusal| Err(refused(refusal)))?;
    }
    let mut share = share(desk, operation).await?;
    let (queue, need) = need(desk, gate, operation);
    let permit = permit(desk, gate, operation, need.clone()).await?;
    if let Some(share) = &mut share {
        share.begin();
    }
    let breaker = breaker
        .map(CircuitBreaker::enter)
        .transpose()
        .map_err(refused)?;
    if let Some(state) = breaker.as_ref().and_then(|permit| permit.changed) {
        decision::tool_breaker_changed(operation, state);
    }
    Ok(Admission {
        _runs: desk.run(),
        breaker,
        operation: operation.clone(),
        permit,
        need,
        queue,
    })
}

/// Takes the call's share of the minute and waits for it.
async fn share(
    desk: &Arc<Desk>,
    operation: &OperationHandle,
) -> Result<Option<Reservation>, ToolError> {
    let Some(rate) = &desk.rate else {
        return Ok(None);
    };
    let share = rate.reserve(1, operation.context().time_left());
    let share = share.map_err(|wait| {
        desk.count(|counting| counting.refused += 1);
        ToolError::new(
            ToolErrorKind::RateLimited,
            format!(
                "`{}` is called as often as it may be: the call's turn comes in {wait:.1?}, which is too late",
                desk.name
            ),
        )
    })?;
    let ready = share.ready();
    if ready > Instant::now() {
        decision::tool_rate_limited(operation, ready.saturating_duration_since(Instant::now()));
        let _waits = Waiting::new(desk, operation);
        sleep_until(ready).await;
    }
    Ok(Some(share))
}

/// Which permits a call takes: those that no call around it holds.
fn need(desk: &Desk, gate: &Gate, operation: &OperationHandle) -> (usize, Need) {
    let queue = Arc::as_ptr(gate).addr();
    match operation.context().holding() {
        Some(held) => {
            let own = desk.need.iter().copied();
            let own = own.filter(|&(pool, _)| !held.holds(queue, pool));
            (queue, own.collect())
        }
        None => (queue, desk.need.clone()),
    }
}

async fn permit(
    desk: &Arc<Desk>,
    gate: &Gate,
    operation: &OperationHandle,
    need: Need,
) -> Result<Permit<Mutex<Inside>>, ToolError> {
    let context = operation.context();
    let priority = desk.policy.priority.plus(context.priority());
    let place = match gate.request(need, priority) {
        Requested::Granted(permit) => return Ok(permit),
        Requested::Waits(place) => place,
    };
    decision::tool_waits(operation);
    let _waits = Waiting::new(desk, operation);
    let Some(deadline) = context.deadline() else {
        return Ok(place.granted().await);
    };
    timeout_at(deadline, place.granted()).await.map_err(|_| {
        ToolError::new(
            ToolErrorKind::Timeout,
            "the call's turn did not come within its time",
        )
    })
}

impl Admission {
    /// What calls inside it need not wait for.
    pub(super) fn holding(&self) -> Arc<Holding> {
        let pools = self.need.iter().map(|&(pool, _)| pool).collect();
        let around = self.operation.context().holding().cloned();
        let holding = Holding::new(self.queue, pools, &self.permit.alive, around);
        Arc::new(holding)
    }

    /// The execution is over: it gave something, or failed in one way.
    pub(super) fn settle(self, result: Result<&ToolOutput, &ToolError>) {
        let now = Instant::now();
        let deadline = self.operation.context().deadline();
        let is_late = deadline.is_some_and(|deadline| deadline <= now);
        if let Some(permit) = self.breaker
            && let Some(state) = permit.settle(verdict(result, is_late), now)
        {
            decision::tool_breaker_changed(&self.operation, state);
        }
    }
}

/// What a result says of the tool.
fn verdict(result: Result<&ToolOutput, &ToolError>, is_late: bool) -> Verdict {
    match result.map_err(ToolError::kind) {
        Ok(_) => Verdict::Works,
        Err(ToolErrorKind::Timeout) if is_late => Verdict::Unknown,
        Err(ToolErrorKind::Failed | ToolErrorKind::Timeout | ToolErrorKind::Panic) => {
            Verdict::Fails
        }
        Err(_) => Verdict::Unknown,
    }
}

fn circuit_open(tool: &str, refusal: Refusal) -> ToolError {
    let why = match refusal {
        Refusal::Open(left) => format!(
            "`{tool}` kept failing and is not called for another {left:.1?}; do without it, or try again later"
        ),
        Refusal::Probing => format!(
            "`{tool}` kept failing, and other calls are finding out whether it works again; do without it, or try again later"
        ),
    };
    ToolError::new(ToolErrorKind::CircuitOpen, why)
}

/// Adds the time from its making to its end to what the operation waited, however that ends.
struct Waiting<'a> {
    waits: Waits,
    operation: &'a OperationHandle,
}

impl<'a> Waiting<'a> {
    fn new(desk: &Arc<Desk>, operation: &'a OperationHandle) -> Self {
        Self {
            waits: desk.wait(),
            operation,
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let waited = self.waits.waited();
        self.operation.record(|facts| {
            facts.queued = Some(facts.queued.unwrap_or_default().saturating_add(waited));
        });
    }
}
