//! How much may be spent, and who is told.
//!
//! A [`Budget`] says how much of what (money, tokens, requests, tool calls) may be used by whom ([`Scope`]) in which time
//! ([`Window`]). A [`Ledger`] keeps the accounts. Everything is admitted before it is done: the most that it can take is put aside in
//! all accounts that it belongs to, or in none ([`Ledger::reserve`]), and what it took in truth is charged afterwards
//! ([`Reservation::settle`]). Amounts are integers; money is nano-USD.
//!
//! For every cap of a hard budget, what is committed and what is reserved together never pass it, however many tasks ask at a time.
//! What is not known is charged as the most that it can have been: an answer that broke off, a process that was killed. A provider
//! that bills more than was reserved makes a debt, which admits nothing more until somebody has looked at it.
//!
//! [`Alert`]s tell of parts of a cap, each once a period, of the first refusal, of a pace that ends too early, and of debts.
//!
//! | File | What it holds |
//! |---|---|
//! | `amounts`, `scope`, `window`, `definition` | what a budget says |
//! | `account` | one account: what is admitted, charged, owed, and which alerts are due; pure |
//! | `book` | several accounts at a time, all or none; pure |
//! | `ledger`, `reservation` | the handle, in memory or in a store |
//! | `bound` | the most that a request can take |
//! | `alert`, `alerts` | what is told, and to whom |
//! | `degrade` | a cheaper model from a part of a cap on |

mod account;
mod alert;
mod alerts;
mod amounts;
pub(crate) mod book;
mod bound;
mod definition;
mod degrade;
mod error;
mod ledger;
mod reservation;
mod scope;
#[cfg(test)]
mod tests;
mod window;

pub use alert::{Alert, AlertKind, Standing};
pub use alerts::AlertSink;
pub use amounts::{Amounts, Caps, Measure};
pub(crate) use bound::{Admitted, Spending};
pub use definition::{Budget, Limit};
pub(crate) use error::Refusal;
pub use error::{BudgetError, BudgetErrorKind};
pub use ledger::{InDoubt, Ledger, LedgerBuilder};
pub use reservation::Reservation;
pub use scope::{Dimension, Scope};
pub use window::{Period, Window};
