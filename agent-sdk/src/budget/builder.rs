//! Settings for a ledger.

use std::{fmt, sync::Arc};

use tokio::sync::OnceCell;

use super::{
    Alert, AlertSink, Budget, BudgetError, Ledger,
    alerts::{Closure, Outlet},
    degrade::Degrade,
    ledger::{Bounds, Inner, Kept},
    memory::Memory,
    seen::Seen,
    shared::SharedAccounts,
};
use crate::{
    model::{ChatRequest, ModelHandle, ModelInfo},
    operation::{Clock, SystemClock},
};

/// Settings for a ledger; made by [`Ledger::builder`].
#[must_use = "a builder does nothing until `build` is called"]
pub struct LedgerBuilder {
    budgets: Vec<Budget>,
    shared: Option<Arc<dyn SharedAccounts>>,
    clock: Arc<dyn Clock>,
    sinks: Vec<Arc<dyn AlertSink>>,
    degrade: Vec<Degrade>,
    limits: Bounds,
}

impl Default for LedgerBuilder {
    fn default() -> Self {
        Self {
            budgets: Vec::new(),
            shared: None,
            clock: Arc::new(SystemClock),
            sinks: Vec::new(),
            degrade: Vec::new(),
            limits: Bounds {
                count_input: None,
                output_tokens: 4_096,
                clamp: false,
            },
        }
    }
}

impl LedgerBuilder {
    /// Adds a budget.
    pub fn budget(mut self, budget: Budget) -> Self {
        self.budgets.push(budget);
        self
    }

    /// Adds somebody who is told of alerts. Default: the log alone, which is always told.
    pub fn alert(mut self, sink: impl AlertSink) -> Self {
        self.sinks.push(Arc::new(sink));
        self
    }

    /// Calls a function with each alert, in their order. It must not block: it runs on the runtime that the ledger is used in.
    pub fn on_alert(self, tell: impl Fn(&Alert) + Send + Sync + 'static) -> Self {
        self.alert(Closure(tell))
    }

    /// Asks another, cheaper model in place of every other from when a budget has reached a part of its cap, in percent, until its
    /// period ends.
    pub fn degrade(
        mut self,
        budget: impl Into<Arc<str>>,
        percent: u8,
        model: impl Into<ModelHandle>,
    ) -> Self {
        self.degrade.push(Degrade {
            budget: budget.into(),
            percent,
            model: model.into(),
        });
        self
    }

    /// Sets how long an answer may be, in tokens, where the request does not say and a hard budget caps money or tokens: as long as
    /// this, or as what is left allows. Default: 4,096.
    pub fn output_tokens(mut self, tokens: u32) -> Self {
        self.limits.output_tokens = tokens;
        self
    }

    /// Lets the longest answer that a request asks for be cut to what is left. Default: such a request is refused.
    pub fn clamp_output(mut self) -> Self {
        self.limits.clamp = true;
        self
    }

    /// Counts the input tokens of a request with a tokenizer: no fewer than the provider will. Where it gives `None`, and by default,
    /// each byte of the request counts as a token, and what surrounds the messages is added.
    pub fn count_input(
        mut self,
        count: impl Fn(&ModelInfo, &ChatRequest) -> Option<u64> + Send + Sync + 'static,
    ) -> Self {
        self.limits.count_input = Some(Arc::new(count));
        self
    }

    /// Sets the wall clock, which says when periods begin. Default: the machine's.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    #[cfg(feature = "sqlite")]
    pub(crate) fn shared(mut self, shared: Arc<dyn SharedAccounts>) -> Self {
        self.shared = Some(shared);
        self
    }

    /// Makes the ledger.
    ///
    /// # Errors
    ///
    /// A budget is not [one](Budget::check), two have the same name, or another model is to be asked for a budget that there is not.
    pub fn build(self) -> Result<Ledger, BudgetError> {
        for (place, budget) in self.budgets.iter().enumerate() {
            budget.check()?;
            let mut before = self.budgets.iter().take(place);
            if before.any(|other| other.name == budget.name) {
                return Err(BudgetError::invalid(format!(
                    "two budgets have the name {:?}",
                    budget.name
                )));
            }
        }
        for degrade in &self.degrade {
            degrade.check(&self.budgets)?;
        }
        let kept = match self.shared {
            Some(shared) => Kept::Shared(shared),
            None => Kept::Memory(Memory::new()),
        };
        let budgets: Arc<[_]> = self.budgets.into_iter().map(Arc::new).collect();
        Ok(Ledger {
            inner: Arc::new(Inner {
                kept,
                clock: self.clock,
                outlet: Outlet::new(self.sinks),
                begun: OnceCell::new(),
                seen: Seen::new(&budgets),
                degrade: self.degrade,
                limits: self.limits,
            }),
            budgets,
        })
    }
}

impl fmt::Debug for LedgerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LedgerBuilder")
            .field("budgets", &self.budgets)
            .finish_non_exhaustive()
    }
}
