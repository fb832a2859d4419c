//! What a tool is given beside its arguments.

use std::{
    any::{Any, TypeId},
    fmt,
    future::Future,
    sync::Arc,
    time::Duration,
};

use tokio::{task::JoinHandle, time::Instant};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::Holding;
use crate::{
    budget::{Amounts, BudgetError, Reservation},
    cost::Usd,
    message::{CallId, Content},
    operation::{EventKind, OperationHandle, RunContext},
};

/// What a tool is given beside its arguments. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ToolContext {
    operation: OperationHandle,
    call_id: CallId,
    state: State,
    path: Arc<str>,
    is_approved: bool,
}

impl ToolContext {
    pub(crate) fn new(
        operation: OperationHandle,
        call_id: CallId,
        state: State,
        path: Arc<str>,
        is_approved: bool,
    ) -> Self {
        Self {
            operation,
            call_id,
            state,
            path,
            is_approved,
        }
    }

    /// The context of the call: what is started from it hangs under the tool's operation.
    pub fn run(&self) -> &RunContext {
        self.operation.context()
    }

    /// The model's id for the call.
    pub fn call_id(&self) -> &CallId {
        &self.call_id
    }

    /// The application's state of this type, as given to the agent.
    pub fn state<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        self.state.get()
    }

    /// Is cancelled when the run is given up or the call's time is up.
    pub fn cancellation(&self) -> &CancellationToken {
        self.run().cancellation()
    }

    /// When the call's time is up.
    pub fn deadline(&self) -> Option<Instant> {
        self.run().deadline()
    }

    /// The W3C `traceparent` of the call, for a request of the tool's own that shall continue the trace.
    pub fn traceparent(&self) -> String {
        self.operation.info().trace.traceparent()
    }

    /// All headers by which whoever gets them continues the trace inside this call: see
    /// [`RunContext::propagation_headers`], and [`RunContext::headers_for`] for those that only known hosts are given.
    pub fn propagation_headers(&self) -> Vec<(&'static str, String)> {
        self.run().propagation_headers()
    }

    /// Runs a future as a task of its own, inside the call: what it traces hangs under it, and it stops when the call is over. See
    /// [`RunContext::spawn`].
    ///
    /// # Panics
    ///
    /// Outside of a Tokio runtime.
    pub fn spawn<F>(&self, future: F) -> JoinHandle<Option<F::Output>>
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        self.run().spawn(future)
    }

    /// Says how far the work is: a fraction from 0 to 1 where it is known, and a word for people.
    pub fn progress(&self, fraction: Option<f64>, message: impl Into<Content>) {
        let info = self.operation.info();
        self.run().publish(|| EventKind::ToolProgress {
            tool: info.name.clone(),
            call_id: Some(self.call_id.clone()),
            fraction,
            message: message.into(),
        });
    }

    /// Adds what the call cost to the run's total, under a label, and charges it to the run's budgets: what does not fit in a hard
    /// one is owed there. [`reserve_cost`](Self::reserve_cost) asks before.
    pub fn record_cost(&self, amount: Usd, label: impl Into<Arc<str>>) {
        self.operation
            .record(|facts| facts.charges.push((label.into(), amount)));
        if let Some(ledger) = self.run().ledger() {
            ledger.charge(self.run(), Amounts::usd(amount));
        }
    }

    /// Puts aside the most that something may cost, before it is paid for. Without budgets, everything is admitted.
    ///
    /// # Errors
    ///
    /// A hard budget has less left. With `?` it becomes the tool's error, of the kind
    /// [`Budget`](super::ToolErrorKind::Budget).
    pub async fn reserve_cost(
        &self,
        most: Usd,
        label: impl Into<Arc<str>>,
    ) -> Result<Expense, BudgetError> {
        let label = label.into();
        let mut reservation = None;
        if let Some(ledger) = self.run().ledger() {
            let reserved = ledger.reserve(self.run(), Amounts::usd(most), label.clone());
            let mut reserved = reserved.await?;
            reserved.begin();
            reservation = Some(reserved);
        }
        Ok(Expense {
            reservation,
            operation: self.operation.clone(),
            label,
            most,
            is_settled: false,
        })
    }

    /// Whether a person allowed this call: it was asked about, by the tool's options or by
    /// [`ToolError::needs_approval`](super::ToolError::needs_approval).
    pub fn is_approved(&self) -> bool {
        self.is_approved
    }

    /// The same text whenever this call is made again, after a crash too, and another for each other call: `RUN/TURN/CALL`.
    pub fn idempotency_key(&self) -> String {
        format!("{}/{}", self.run().run_id(), self.path)
    }

    pub(super) fn operation(&self) -> &OperationHandle {
        &self.operation
    }

    pub(super) fn all_state(&self) -> &State {
        &self.state
    }

    /// The context of one try, which has this long, and whose permits these are; when the guard is dropped, the try is told that it is
    /// over.
    pub(super) fn attempt(
        &self,
        limit: Option<Duration>,
        holding: Option<Arc<Holding>>,
    ) -> (Self, DropGuard) {
        self.inside(|context| {
            let context = context.with_child_cancellation();
            let context = match limit {
                Some(limit) => context.with_timeout(limit),
                None => context,
            };
            match holding {
                Some(holding) => context.with_holding(holding),
                None => context,
            }
        })
    }

    /// The context of work that goes on when the caller is gone.
    pub(super) fn detached(&self, limit: Option<Duration>) -> (Self, DropGuard) {
        self.inside(|context| context.detached(limit))
    }

    /// Whose permits these are.
    pub(super) fn holding(&self, holding: Arc<Holding>) -> Self {
        let operation = self.operation.clone();
        Self {
            operation: operation.in_context(|context| context.with_holding(holding)),
            ..self.clone()
        }
    }

    fn inside(&self, change: impl FnOnce(RunContext) -> RunContext) -> (Self, DropGuard) {
        let inner = Self {
            operation: self.operation.clone().in_context(change),
            ..self.clone()
        };
        let over = inner.cancellation().clone().drop_guard();
        (inner, over)
    }

    /// The span of the call's operation.
    pub(crate) fn span(&self) -> &tracing::Span {
        &self.operation.info().span
    }

    /// The call's place in the run: `TURN/CALL`, after those of the calls around it.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }
}

/// What a tool pays for, put aside before; made by [`ToolContext::reserve_cost`].
///
/// Dropped before it is settled, all of it is charged, because nobody knows what it came to.
#[derive(Debug)]
#[must_use = "an expense that is dropped is charged whole"]
pub struct Expense {
    reservation: Option<Reservation>,
    operation: OperationHandle,
    label: Arc<str>,
    most: Usd,
    is_settled: bool,
}

impl Expense {
    /// Charges what it came to, and adds it to the run's total.
    pub fn settle(mut self, paid: Usd) {
        self.end(paid);
    }

    /// Puts it back: nothing was paid.
    pub fn release(mut self) {
        self.is_settled = true;
        if let Some(reservation) = self.reservation.take() {
            reservation.release();
        }
    }

    fn end(&mut self, paid: Usd) {
        if std::mem::replace(&mut self.is_settled, true) {
            return;
        }
        let label = self.label.clone();
        self.operation
            .record(|facts| facts.charges.push((label, paid)));
        if let Some(reservation) = self.reservation.take() {
            reservation.settle(Amounts::usd(paid));
        }
    }
}

impl Drop for Expense {
    fn drop(&mut self) {
        self.end(self.most);
    }
}

/// The application's state that tools may use: one value of each type. Cheap to clone.
#[derive(Clone, Default)]
pub struct State(Arc<Vec<(TypeId, Arc<dyn Any + Send + Sync>)>>);

impl State {
    /// Adds a value, in place of one of the same type.
    pub fn insert<T: Send + Sync + 'static>(&mut self, value: Arc<T>) {
        let values = Arc::make_mut(&mut self.0);
        values.retain(|(known, _)| *known != TypeId::of::<T>());
        values.push((TypeId::of::<T>(), value));
    }

    /// All values but one of this type.
    pub(super) fn without<T: 'static>(&self) -> Self {
        let values = self.0.iter();
        let kept = values.filter(|(known, _)| *known != TypeId::of::<T>());
        Self(Arc::new(kept.cloned().collect()))
    }

    /// Where the values are.
    pub(super) fn addresses(&self) -> Vec<usize> {
        let values = self.0.iter();
        values.map(|(_, value)| Arc::as_ptr(value).addr()).collect()
    }

    /// The value of a type.
    pub fn get<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        let (_, value) = self
            .0
            .iter()
            .find(|(known, _)| *known == TypeId::of::<T>())?;
        value.clone().downcast().ok()
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "State({} values)", self.0.len())
    }
}
