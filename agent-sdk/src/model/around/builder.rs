//! Settings for what stands around a model.

use std::{num::NonZeroU32, sync::Arc};

use super::{
    CircuitBreaker, Hedge, Layers, ResponseCache, Retry, admission::slots, rate::PerMinute,
};
use crate::model::ModelHandle;

/// Settings for what stands around a model; made by [`ModelHandle::builder`].
///
/// The order in which the setters are called does not matter. The layers, outermost first: cache; hedge; fallbacks; and inside
/// one `chat` operation retry, slots, rates, breaker. What a handle has already stays, unless it is set anew. Clones of the handle
/// that is built share the breaker, the retry budget, the slots and the rates.
///
/// # Example
///
/// ```
/// use std::{num::{NonZeroU32, NonZeroUsize}, time::Duration};
/// use agent_sdk::model::{ChatRequest, CircuitBreaker, ModelError, ModelErrorKind, ModelHandle, ResponseCache, Retry};
/// use agent_sdk::operation::RunContext;
/// use agent_sdk::testing::{ScriptedModel, Turn};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let busy = || Turn::new().fail(ModelError::new(ModelErrorKind::Overloaded, "busy"));
/// let model = ModelHandle::builder(ScriptedModel::new([busy(), busy(), busy()]))
///     .cache(ResponseCache::new(NonZeroUsize::new(1_000).unwrap()).time_to_live(Duration::from_secs(600)))
///     .retry(Retry::default())
///     .breaker(CircuitBreaker::new())
///     .max_concurrent(NonZeroU32::new(8).unwrap())
///     .fallback(ScriptedModel::new(["Hello from another model."]))
///     .build();
/// let answer = model.chat(&RunContext::new(), ChatRequest::new("Hi.")).await?;
/// assert_eq!(answer.text(), "Hello from another model.");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct ModelHandleBuilder {
    handle: ModelHandle,
    layers: Layers,
}

impl ModelHandleBuilder {
    pub(in crate::model) fn new(handle: ModelHandle) -> Self {
        let layers = handle.layers.as_deref().cloned().unwrap_or_default();
        Self { handle, layers }
    }

    /// Answers the same request from a cache. Default: none.
    pub fn cache(mut self, cache: ResponseCache) -> Self {
        self.layers.cache = Some(cache);
        self
    }

    /// Adds a model that is asked where this one and the fallbacks before it failed, as a `chat` operation of its own, linked
    /// to the one that failed. Default: none.
    ///
    /// A handle keeps its own layers: its retries, its breaker.
    ///
    /// | Class of the failure | The next model is asked |
    /// |---|---|
    /// | rate-limited, overloaded, timeout, transport, truncated, decode, circuit open | yes: it fails by itself |
    /// | authentication, quota, not found | yes: it has a key, an account and a name of its own |
    /// | context length | yes: it may read more |
    /// | bad request, content filter | no: it is the request that is refused |
    /// | cancelled, configuration, budget | no: it is the caller's doing |
    ///
    /// None is asked once a piece of the answer was handed out, the run was cancelled or its deadline passed. Where all fail, the
    /// error is the last one's, and [`earlier`](crate::model::ModelError::earlier) has those before it.
    pub fn fallback(mut self, other: impl Into<ModelHandle>) -> Self {
        self.layers.fallbacks.push(other.into());
        self
    }

    /// Asks another model as well where this one is slow. Default: none.
    pub fn hedge(mut self, hedge: Hedge) -> Self {
        self.layers.hedge = Some(hedge);
        self
    }

    /// Sets when a failed request is sent again. Default: what the model [suggests](crate::model::Model::retry).
    pub fn retry(mut self, retry: Retry) -> Self {
        self.layers.retry = Some(retry).filter(Retry::retries);
        self
    }

    /// Stops asking the model while it keeps failing. Default: it is always asked.
    pub fn breaker(mut self, breaker: CircuitBreaker) -> Self {
        self.layers.gates.breaker = Some(breaker);
        self
    }

    /// Limits the tries that are sent a minute. Default: no limit.
    ///
    /// A token bucket, as the providers' own: it holds a minute's worth, so that many may be sent at once, and is refilled
    /// continuously. Tries wait their turn in order, which is recorded as [`queued`](crate::operation::Facts::queued); one whose turn
    /// would come after the run's deadline fails at once, as [`RateLimited`](crate::model::ModelErrorKind::RateLimited). One
    /// that is given up while it waits gives its turn back to those who come later.
    pub fn requests_per_minute(mut self, requests: NonZeroU32) -> Self {
        self.layers.gates.requests = Some(PerMinute::new(requests));
        self
    }

    /// Limits the tokens that are used a minute. Default: no limit.
    ///
    /// Before a try is sent it is estimated: a token for each 4 bytes of text, 1,000 for each image, sound or document, and
    /// for the answer what [`max_output_tokens`](crate::model::ChatSettings::max_output_tokens) allows, or 1,024. Once the usage
    /// is reported the difference is given back, or taken too; where none is, the estimate stands. A try that is estimated at
    /// more than a minute's worth is taken as a minute's worth. It waits as with [`requests_per_minute`](Self::requests_per_minute).
    pub fn tokens_per_minute(mut self, tokens: NonZeroU32) -> Self {
        self.layers.gates.tokens = Some(PerMinute::new(tokens));
        self
    }

    /// Limits the tries that are under way at once; a stream is until it ends or is dropped. Default: no limit.
    ///
    /// Tries wait their turn in order, which is recorded as [`queued`](crate::operation::Facts::queued). Where none came by the
    /// run's deadline, the request fails as [`RateLimited`](crate::model::ModelErrorKind::RateLimited).
    pub fn max_concurrent(mut self, tries: NonZeroU32) -> Self {
        self.layers.gates.slots = Some(slots(tries));
        self
    }

    /// Makes the handle.
    pub fn build(self) -> ModelHandle {
        let Self { mut handle, layers } = self;
        handle.layers = (!layers.is_empty()).then(|| Arc::new(layers));
        handle
    }
}
