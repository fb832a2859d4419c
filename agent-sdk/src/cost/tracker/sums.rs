//! Sums over lines.

use serde::{Deserialize, Serialize};

use super::CostLine;
use crate::{cost::Usd, model::Usage};

/// Sums over lines of cost.
///
/// As JSON its fields are these, but that `amount` is `cost_usd`: a string with a plain decimal, because it is exact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CostSums {
    /// Requests to models, for answers or for vectors; failed ones, and ones that a cache answered, included.
    pub requests: u64,
    /// What tools charged for, one by one.
    pub charges: u64,
    /// Requests whose cost nobody knows: `amount` lacks them.
    pub unpriced: u64,
    /// Requests whose amount is an upper estimate, in place of what was reported.
    pub estimated: u64,
    /// What the requests used, as far as it was reported.
    pub usage: Usage,
    /// What all of it cost, as far as it is known: the exact sum in whole nano-USD, or [`Usd::MAX`] where it would be larger.
    #[serde(rename = "cost_usd", with = "super::exact")]
    pub amount: Usd,
}

impl CostSums {
    /// Adds a line.
    pub fn add(&mut self, line: &CostLine) {
        if line.label.is_some() {
            self.charges += 1;
        } else {
            self.requests += 1;
        }
        match line.amount {
            Some(amount) => self.amount = self.amount.saturating_add(amount),
            None => self.unpriced += 1,
        }
        self.estimated += u64::from(line.estimated);
        self.usage.add(&line.usage);
    }

    /// Adds the sums over other lines.
    pub fn merge(&mut self, more: &Self) {
        self.requests = self.requests.saturating_add(more.requests);
        self.charges = self.charges.saturating_add(more.charges);
        self.unpriced = self.unpriced.saturating_add(more.unpriced);
        self.estimated = self.estimated.saturating_add(more.estimated);
        self.usage.add(&more.usage);
        self.amount = self.amount.saturating_add(more.amount);
    }

    /// How many lines they are over.
    pub const fn lines(&self) -> u64 {
        self.requests.saturating_add(self.charges)
    }
}
