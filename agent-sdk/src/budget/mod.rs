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
//! | `ledger`, `builder`, `reservation` | the handle |
//! | `shared` | what a ledger asks of a store that has the accounts |
//! | `memory` | the accounts in memory, and the order in which is told of them |
//! | `bound`, `extra` | the most that a request can take |
//! | `alert`, `alerts` | what is told, and to whom |
//! | `seen` | what metrics read without waiting |
//! | `degrade` | a cheaper model from a part of a cap on |

pub(crate) mod account;
mod alert;
mod alerts;
mod amounts;
pub(crate) mod book;
mod bound;
mod builder;
mod definition;
mod degrade;
mod error;
mod extra;
mod ledger;
mod memory;
mod reservation;
mod scope;
mod seen;
#[cfg_attr(
    not(feature = "sqlite"),
    allow(dead_code, reason = "a store in a file is what reads it")
)]
pub(crate) mod shared;
#[cfg(test)]
mod tests;
mod window;

pub use alert::{Alert, AlertKind, Standing};
pub use alerts::AlertSink;
#[cfg(feature = "command")]
pub use alerts::CommandAlerts;
#[cfg(feature = "http")]
pub use alerts::{WebhookAlerts, WebhookAlertsBuilder};
pub use amounts::{Amounts, Caps, Measure};
pub(crate) use bound::{Admitted, Spending};
pub use builder::LedgerBuilder;
pub use definition::{Budget, Limit};
pub(crate) use error::Refusal;
pub use error::{BudgetError, BudgetErrorKind};
pub use ledger::Ledger;
pub use reservation::Reservation;
pub use scope::{Dimension, Scope};
pub use shared::InDoubt;
pub use window::{Period, Window};
