//! A cheaper model, from a part of a cap on.

use std::sync::Arc;

use super::{Budget, BudgetError, Ledger};
use crate::{model::ModelHandle, operation::RunContext};

/// Another model is asked from when a budget has reached a part of its cap.
#[derive(Clone, Debug)]
pub(crate) struct Degrade {
    pub(crate) budget: Arc<str>,
    pub(crate) percent: u8,
    pub(crate) model: ModelHandle,
}

impl Degrade {
    pub(super) fn check(&self, budgets: &[Budget]) -> Result<(), BudgetError> {
        if !budgets.iter().any(|budget| budget.name == self.budget) {
            let message = format!(
                "another model is to be asked for the budget {:?}, which there is not",
                self.budget
            );
            return Err(BudgetError::invalid(message));
        }
        Ok(())
    }
}

impl Ledger {
    /// The model that is to be asked in place of one: that of the budget that has come farthest.
    pub(crate) async fn degraded(&self, context: &RunContext) -> Option<ModelHandle> {
        if self.degrades().is_empty() {
            return None;
        }
        // Where the accounts cannot be read, nothing is admitted either.
        let standings = self.standings_of(context).await.ok()?;
        let reached = self.degrades().iter().filter(|degrade| {
            standings.iter().any(|standing| {
                standing.budget == degrade.budget && standing.percent >= u64::from(degrade.percent)
            })
        });
        reached
            .max_by_key(|degrade| degrade.percent)
            .map(|degrade| degrade.model.clone())
    }
}
