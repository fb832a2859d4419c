//! What runs now.
//!
//! [`LiveOperations`] is an [`Observer`](crate::operation::Observer) that keeps every open operation of the runs it watches, with its
//! age and what was spent inside it so far. A [`LiveSnapshot`] of it prints as a table and is JSON.
//!
//! It names no exporter and starts no thread: whoever wants to know asks.

mod live;
mod snapshot;
#[cfg(test)]
mod tests;

pub use live::LiveOperations;
pub use snapshot::{LiveOperation, LiveSnapshot};
