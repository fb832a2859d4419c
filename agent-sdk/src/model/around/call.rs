//! One request through all layers of a handle.

use std::sync::{Arc, OnceLock};

use futures_util::future::BoxFuture;

use super::{
    Layers,
    cache::{Key, Slot},
    fallback::may_help,
    hedge,
    tries::{Reply, Tries},
};
use crate::{
    model::{
        ChatRequest, ChatResponse, ChatStream, ModelError, ModelErrorKind, ModelHandle,
        handle::{fail, learn},
        observed::{After, Observed},
    },
    operation::{Operation, Outcome, Payload, RunContext, TraceContext, decision},
};

/// A request on its way through the layers.
pub(in crate::model) struct Call<'a> {
    pub(in crate::model) context: &'a RunContext,
    pub(in crate::model) request: ChatRequest,
    /// Whether its text is handed on as it arrives.
    pub(in crate::model) stream: bool,
    pub(in crate::model) origin: Origin<'a>,
}

/// Why a model is asked.
#[derive(Clone, Default)]
pub(in crate::model) struct Origin<'a> {
    /// The operation of another model that it stands in for.
    pub(super) instead_of: Option<TraceContext>,
    /// The model that failed, and how.
    pub(super) fallback: Option<(Arc<str>, &'static str)>,
    /// The model that is slow.
    pub(super) hedge_for: Option<Arc<str>>,
    /// Where to leave a note of the operation.
    pub(super) note: Option<&'a OnceLock<TraceContext>>,
}

/// What a call gives: a whole answer also where a stream was asked for, if it came at once.
pub(in crate::model) enum Answer {
    Whole(Box<ChatResponse>),
    Stream(ChatStream),
}

/// A call that failed, and the operation that did.
pub(super) struct Failed {
    pub(super) error: ModelError,
    pub(super) operation: TraceContext,
}

impl Origin<'_> {
    /// In place of a model that the budget is too far gone for.
    pub(in crate::model) fn for_budget(model: Arc<str>) -> Self {
        Self {
            fallback: Some((model, ModelErrorKind::Budget.as_str())),
            ..Self::default()
        }
    }
}

impl<'a> Call<'a> {
    /// Sends the request through the layers of a handle.
    pub(in crate::model) async fn through(
        self,
        handle: &ModelHandle,
    ) -> Result<Answer, ModelError> {
        self.ask(handle).await.map_err(|failed| failed.error)
    }

    /// Boxed, because models stand in for models that stand in for models.
    pub(super) fn ask<'h>(self, handle: &'h ModelHandle) -> BoxFuture<'h, Result<Answer, Failed>>
    where
        'a: 'h,
    {
        Box::pin(async move {
            let Some(layers) = handle.layers.as_deref() else {
                return self.one(handle, None).await;
            };
            let slot = match &layers.cache {
                Some(cache) => {
                    let key = Key::of(handle.info(), &self.request);
                    if let Some(response) = cache.get(&key) {
                        return Ok(self.cached(handle, response));
                    }
                    Some(Slot::new(cache.clone(), key))
                }
                None => None,
            };
            let first = match &layers.hedge {
                Some(hedge) => hedge::race(&self, handle, hedge, slot).await,
                None => self.one(handle, slot).await,
            };
            match first {
                Ok(answer) => Ok(answer),
                Err(failed) => self.fall_back(handle, layers, failed).await,
            }
        })
    }

    /// Asks the fallbacks in order, for as long as another model may help.
    async fn fall_back(
        self,
        handle: &ModelHandle,
        layers: &Layers,
        mut failed: Failed,
    ) -> Result<Answer, Failed> {
        let mut model = handle.info().model.clone();
        let mut earlier = Vec::new();
        for other in &layers.fallbacks {
            if !may_help(&failed.error, self.context) {
                break;
            }
            let origin = Origin {
                instead_of: Some(failed.operation),
                fallback: Some((model, failed.error.kind().as_str())),
                ..Origin::default()
            };
            earlier.push(failed.error);
            match self.again(origin).ask(other).await {
                Ok(answer) => return Ok(answer),
                Err(next) => failed = next,
            }
            model = other.info().model.clone();
        }
        failed.error = failed.error.with_earlier(earlier);
        Err(failed)
    }

    /// The same request, for another reason.
    pub(super) fn again<'b>(&'b self, origin: Origin<'b>) -> Call<'b> {
        Call {
            context: self.context,
            request: self.request.clone(),
            stream: self.stream,
            origin,
        }
    }

    /// One `chat` operation: the model of a handle, with its retries. A complete answer is kept in `slot`.
    pub(super) async fn one(
        &self,
        handle: &ModelHandle,
        slot: Option<Slot>,
    ) -> Result<Answer, Failed> {
        let stream = self.stream && handle.streams;
        let operation = self.begin(handle, stream);
        let tries = Tries {
            handle,
            layers: handle.layers.as_deref(),
            operation: &operation,
            request: &self.request,
            stream,
        };
        match tries.run().await {
            Ok(Reply::Whole(response)) => {
                if self.stream {
                    operation.text(&response.text());
                    operation.record(|facts| facts.stream_of_whole = true);
                }
                if let Some(slot) = slot {
                    slot.keep(&response);
                }
                learn(&operation, &response);
                operation.end(Outcome::Ok, Payload::Response(&response));
                Ok(Answer::Whole(response))
            }
            Ok(Reply::Stream(begun)) => {
                let after = After {
                    admission: begun.admission,
                    slot,
                };
                let first = (begun.first, begun.arrived);
                let observed = Observed::begun(begun.rest, operation, first, after);
                Ok(Answer::Stream(ChatStream::new(observed).outside_span()))
            }
            Err(error) => {
                let trace = operation.info().trace;
                fail(operation, &error);
                Err(Failed {
                    error,
                    operation: trace,
                })
            }
        }
    }

    /// A `chat` operation that is answered from the cache.
    fn cached(&self, handle: &ModelHandle, response: Box<ChatResponse>) -> Answer {
        let operation = self.begin(handle, false);
        if self.stream {
            operation.text(&response.text());
        }
        decision::chat_cache_hit(&operation);
        operation.record(|facts| facts.cached = true);
        learn(&operation, &response);
        operation.end(Outcome::Ok, Payload::Response(&response));
        Answer::Whole(response)
    }

    fn begin(&self, handle: &ModelHandle, stream: bool) -> Operation {
        let Origin {
            instead_of,
            fallback,
            hedge_for,
            note,
        } = &self.origin;
        let operation = handle.begin(self.context, &self.request, stream, *instead_of);
        if let Some(note) = note {
            // Only the first operation of a call is noted; there is one.
            let _ = note.set(operation.info().trace);
        }
        if let Some((model, class)) = fallback {
            let is_budget = *class == ModelErrorKind::Budget.as_str();
            decision::chat_fallback(&operation, model, class, is_budget);
        }
        if let Some(slow) = hedge_for {
            decision::chat_hedge(&operation, slow);
        }
        if fallback.is_some() || hedge_for.is_some() {
            operation.record(|facts| {
                facts.hedge_for.clone_from(hedge_for);
                if let Some((model, reason)) = fallback {
                    facts.fallback_for = Some(model.clone());
                    facts.fallback_reason = Some(reason);
                }
            });
        }
        operation
    }
}
