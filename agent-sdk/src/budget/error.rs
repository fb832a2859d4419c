//! Why something was not admitted.

use std::{error::Error as StdError, fmt, sync::Arc};

use super::{Measure, Period};
use crate::store::StoreError;

/// Why something was not admitted, or a budget cannot be used.
///
/// Match on [`kind`](Self::kind); the text is for people and may change.
#[derive(Clone, Debug)]
pub struct BudgetError(Box<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    kind: BudgetErrorKind,
    budget: Option<Arc<str>>,
    scope: Option<Arc<str>>,
    message: String,
    source: Option<Arc<StoreError>>,
}

/// The class of a [`BudgetError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BudgetErrorKind {
    /// What is left under a cap is less than what it might take.
    Exhausted,
    /// A provider billed more than was reserved: nothing more is admitted until the debt is accepted, the account is reset or its
    /// period ends.
    Debt,
    /// Nobody knows what it costs, and a hard budget caps the money.
    PriceUnknown,
    /// Nothing bounds what it may take, and a hard budget caps that.
    Unbounded,
    /// The budget, its window or its scope is not one.
    Invalid,
    /// The ledger could not be read or written, or has no room for another account.
    Ledger,
}

/// Why an account does not admit something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Short {
        measure: Measure,
        asked: u64,
        left: u64,
        cap: u64,
    },
    Debt {
        measure: Measure,
        debt: u64,
    },
}

impl BudgetErrorKind {
    /// The name in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exhausted => "exhausted",
            Self::Debt => "debt",
            Self::PriceUnknown => "price_unknown",
            Self::Unbounded => "unbounded",
            Self::Invalid => "invalid",
            Self::Ledger => "ledger",
        }
    }
}

impl BudgetError {
    pub(crate) fn new(kind: BudgetErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            budget: None,
            scope: None,
            message: message.into(),
            source: None,
        }))
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(BudgetErrorKind::Invalid, message)
    }

    #[cfg(feature = "sqlite")]
    pub(crate) fn store(error: StoreError) -> Self {
        let mut ledger = Self::new(BudgetErrorKind::Ledger, "the ledger's store failed");
        ledger.0.source = Some(Arc::new(error));
        ledger
    }

    pub(crate) fn in_budget(mut self, budget: &Arc<str>, scope: &Arc<str>) -> Self {
        self.0.budget = Some(budget.clone());
        self.0.scope = Some(scope.clone()).filter(|scope| !scope.is_empty());
        self
    }

    pub(crate) fn refused(
        refusal: Refusal,
        budget: &Arc<str>,
        scope: &Arc<str>,
        period: Period,
    ) -> Self {
        let name = Account(budget, scope);
        let until = if period.ends() {
            format!("it is filled again at {}", period.end)
        } else {
            "raise the cap or reset the budget".to_owned()
        };
        let (kind, message) = match refusal {
            Refusal::Short {
                measure,
                asked,
                left,
                cap,
            } => (
                BudgetErrorKind::Exhausted,
                format!(
                    "{name} has {} left of {}, and this may take {}; {until}",
                    measure.show(left),
                    measure.show(cap),
                    measure.show(asked)
                ),
            ),
            Refusal::Debt { measure, debt } => (
                BudgetErrorKind::Debt,
                format!(
                    "{name} owes {}: a provider billed more than was reserved; look at the bill, then accept the debt or reset the budget",
                    measure.show(debt)
                ),
            ),
        };
        Self::new(kind, message).in_budget(budget, scope)
    }

    /// The class of the failure.
    pub fn kind(&self) -> BudgetErrorKind {
        self.0.kind
    }

    /// The budget that refused.
    pub fn budget(&self) -> Option<&str> {
        self.0.budget.as_deref()
    }

    /// Whose account it was, where the budget has one for each.
    pub fn scope(&self) -> Option<&str> {
        self.0.scope.as_deref()
    }
}

/// The name of an account, in a sentence.
pub(super) struct Account<'a>(pub(super) &'a str, pub(super) &'a str);

impl fmt::Display for Account<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.1 {
            "" => write!(f, "budget `{}`", self.0),
            scope => write!(f, "budget `{}` of `{scope}`", self.0),
        }
    }
}

impl fmt::Display for BudgetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl StdError for BudgetError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}
