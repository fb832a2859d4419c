//! The context of a run for which none was given.

use crate::{
    budget::Ledger,
    cost::PriceBook,
    operation::{Observers, RunContext, RunId},
};

/// A run with these observers, prices and ledger: a new one, or the one of this id.
pub(crate) fn new_context(
    observers: &Observers,
    prices: Option<&PriceBook>,
    ledger: Option<&Ledger>,
    id: Option<&RunId>,
) -> RunContext {
    let mut builder = RunContext::builder().observers(observers.clone());
    if let Some(id) = id {
        builder = builder.run_id(id.as_str());
    }
    if let Some(ledger) = ledger {
        builder = builder.ledger(ledger);
    }
    if let Some(prices) = prices {
        builder = builder.prices(prices.clone());
    }
    builder.build()
}
