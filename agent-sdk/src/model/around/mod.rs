//! What stands around a model: opt-in layers, in one fixed order.
//!
//! ```text
//! response cache            a hit is a `chat` operation that cost nothing
//!   fallback or hedge       another model is another `chat` operation, linked to the first
//!     ┌ one `chat` operation ─────────────────────────────────────────────┐
//!     │ retry                                                             │
//!     │   slots, rates, breaker    once for each try                      │
//!     │     the model              each request it sends is an `attempt`  │
//!     └───────────────────────────────────────────────────────────────────┘
//! ```
//!
//! A [`ModelHandleBuilder`] sets them; a handle without any goes straight to its model. Nothing is sent again, and no other
//! model is asked, once a piece of the answer was handed out: with layers, [`ModelHandle::stream`](super::ModelHandle::stream)
//! returns when the first piece has come. Every wait ends with the run's deadline or its cancellation, and whoever drops the
//! future gives back what it held.
//!
//! What decides is pure: [`breaker::State`], [`budget::Tokens`], [`rate::Bucket`] are told the time and read no clock.

mod admission;
mod breaker;
mod budget;
mod builder;
mod cache;
mod call;
mod estimate;
mod fallback;
mod hedge;
mod rate;
mod retry;
#[cfg(test)]
mod tests;
mod tries;

pub use breaker::{BreakerState, CircuitBreaker, CircuitBreakerBuilder};
pub use budget::RetryBudget;
pub use builder::ModelHandleBuilder;
pub use cache::ResponseCache;
pub use hedge::Hedge;
pub use retry::{Jitter, Retry};

pub(super) use admission::Admission;
pub(crate) use breaker::{BreakerPermit, Refusal, Verdict};
pub(super) use cache::Slot;
pub(super) use call::{Answer, Call, Origin};
pub(crate) use rate::{PerMinute, Reservation};

use super::ModelHandle;

/// The layers around one model.
#[derive(Clone, Debug, Default)]
pub(super) struct Layers {
    cache: Option<ResponseCache>,
    fallbacks: Vec<ModelHandle>,
    hedge: Option<Hedge>,
    retry: Option<Retry>,
    gates: admission::Gates,
}

impl Layers {
    /// The layers of a model that nobody wrapped: what it suggests itself.
    pub(super) fn suggested(retry: Option<Retry>) -> Self {
        Self {
            retry: retry.filter(Retry::retries),
            ..Self::default()
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.cache.is_none()
            && self.fallbacks.is_empty()
            && self.hedge.is_none()
            && self.retry.is_none()
            && self.gates.is_empty()
    }
}
