//! What contexts hand on as it is.

use std::sync::Arc;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Baggage, Labels};
use crate::{
    budget::Ledger,
    run::{Pace, Within},
    tool::{Holding, Priority},
};

/// What a context hands on to those that are made of it. They share it until one of them is to have something else: most differ in
/// their operation only, and there is one for each.
#[derive(Clone)]
pub(super) struct Handed {
    pub(super) labels: Arc<Labels>,
    /// The agent and the step that a context outside of all operations belongs to; inside, the operation knows.
    pub(super) agent: Option<Arc<str>>,
    pub(super) step: Option<Arc<str>>,
    pub(super) cancellation: CancellationToken,
    pub(super) deadline: Option<Instant>,
    pub(super) depth: u8,
    pub(super) pace: Option<Arc<Pace>>,
    pub(super) within: Option<Arc<Within>>,
    pub(super) ledger: Option<Ledger>,
    /// The idempotency key of the next model request, where it must be the same in another process.
    pub(super) request_key: Option<Arc<str>>,
    pub(super) attempt: Attempt,
    pub(super) baggage: Baggage,
    pub(super) priority: Priority,
    /// What the tool calls around hold.
    pub(super) holding: Option<Arc<Holding>>,
}

/// Which try of a model request this is.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    /// From 1.
    pub(crate) number: u32,
    /// The same over all tries, so that a provider that knows such keys answers them once.
    pub(crate) idempotency_key: Option<Arc<str>>,
}

impl Attempt {
    /// The first try.
    pub(crate) fn first(idempotency_key: Option<Arc<str>>) -> Self {
        Self {
            number: 1,
            idempotency_key,
        }
    }
}
