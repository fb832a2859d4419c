//! One `chat` operation: a request, sent until it is answered or not to be sent again.

use std::sync::Arc;

use crate::operation::InSpan;
use futures_util::StreamExt;
use tokio::time::Instant;

use super::{
    Layers,
    admission::{Admission, pause_until},
};
use crate::{
    budget::{Admitted, BudgetError},
    model::{
        ChatEvent, ChatRequest, ChatResponse, ChatStream, ModelError, ModelErrorKind, ModelHandle,
        Usage,
    },
    operation::{Attempt, Billed, EventKind, Operation, Try, decision},
};

/// A request and all that its tries need.
pub(super) struct Tries<'a> {
    pub(super) handle: &'a ModelHandle,
    pub(super) layers: Option<&'a Layers>,
    pub(super) operation: &'a Operation,
    pub(super) request: &'a ChatRequest,
    pub(super) stream: bool,
}

/// What a try that went well gives.
pub(super) enum Reply {
    Whole(Box<ChatResponse>),
    Stream(Box<Begun>),
}

/// A stream whose first piece has come: from here on nothing is sent again.
pub(in crate::model) struct Begun {
    pub(in crate::model) first: ChatEvent,
    pub(in crate::model) arrived: Instant,
    pub(in crate::model) rest: ChatStream,
    pub(in crate::model) admission: Admission,
}

impl Tries<'_> {
    /// Sends the request until it is answered or not to be sent again.
    pub(super) async fn run(&self) -> Result<Reply, ModelError> {
        let retry = self.layers.and_then(|layers| layers.retry.as_ref());
        // What is tried again as a whole is not tried again inside.
        let retry = retry.filter(|_| !self.operation.context().is_retried());
        let given = self.operation.context().idempotency_key().map(Arc::from);
        let mut attempt = Attempt::first(given.or_else(|| retry.map(|_| new_key())));
        if let Some(retry) = retry {
            retry.begin();
        }
        let mut previous = None;
        loop {
            let admission = match self.admit().await {
                Ok(admission) => admission,
                // Nothing new is known of the model: what it said last is why the request fails.
                Err(refused) if refused.kind() != ModelErrorKind::Cancelled => {
                    return Err(previous.unwrap_or(refused));
                }
                Err(cancelled) => return Err(cancelled),
            };
            let (admission, request) = match self.put_aside(admission).await {
                Ok(admitted) => admitted,
                Err(refused) => return Err(refused.with_earlier(previous.into_iter().collect())),
            };
            if retry.is_some() {
                self.operation
                    .record(|facts| facts.attempts = Some(attempt.number));
            }
            let error = match self.send(&attempt, admission, request).await {
                Ok(reply) => return Ok(reply),
                Err(error) => error,
            };
            let context = self.operation.context();
            let wait = retry.filter(|_| !context.cancellation().is_cancelled());
            let wait = wait.and_then(|retry| {
                let left = context.time_left();
                // Nothing is waited for where the breaker would refuse what comes then.
                let refused = self.layers.and_then(|layers| layers.gates.refused_for());
                retry.wait(&error, attempt.number, left, refused, fastrand::f64())
            });
            let Some(wait) = wait else {
                return Err(error);
            };
            attempt.number += 1;
            self.keep_account(&error);
            let (model, class) = (self.handle.info(), error.kind().as_str());
            decision::chat_retry(self.operation, model, attempt.number, class, wait);
            context.publish(|| EventKind::ChatRetry {
                provider: model.provider.clone(),
                model: model.model.clone(),
                attempt: attempt.number,
                reason: class,
                delay_ms: wait.as_secs_f64() * 1e3,
            });
            // As good as for ever, for waits that no clock reaches.
            let at = Instant::now().checked_add(wait);
            let at = at.unwrap_or_else(|| Instant::now() + std::time::Duration::from_hours(24));
            pause_until(context, at).await?;
            previous = Some(error);
        }
    }

    async fn admit(&self) -> Result<Admission, ModelError> {
        match self.layers {
            Some(layers) => layers.gates.admit(self.operation, self.request).await,
            None => Ok(Admission::default()),
        }
    }

    /// Puts aside what the try may cost, the last before it is sent; answers with the request as it is sent then.
    async fn put_aside(
        &self,
        mut admission: Admission,
    ) -> Result<(Admission, ChatRequest), ModelError> {
        let mut request = self.request.clone();
        let operation = self.operation.handle();
        // What was put aside for the request around it is for this one too.
        if !operation.context().admits() || operation.is_admitted_around() {
            return Ok((admission, request));
        }
        let admitted = Admitted::chat(self.operation, self.handle.info(), &request).await;
        let admitted = admitted.inspect_err(|refused| {
            if refused.kind() == ModelErrorKind::Budget {
                let budget = refused.budget_error().and_then(BudgetError::budget);
                decision::budget_refused(self.operation.context(), budget, "the model request");
            }
        })?;
        if let Some(tokens) = admitted.max_output_tokens {
            Arc::make_mut(&mut request.settings).max_output_tokens = Some(tokens);
            decision::budget_clamped(self.operation, tokens);
            self.operation
                .record(|facts| facts.budget_max_tokens = Some(tokens));
        }
        operation.admitted();
        admission.spends(admitted.spending);
        Ok((admission, request))
    }

    async fn send(
        &self,
        attempt: &Attempt,
        mut admission: Admission,
        request: ChatRequest,
    ) -> Result<Reply, ModelError> {
        admission.begin();
        let result = if self.stream {
            self.begin_stream(attempt, request).await
        } else {
            self.whole(attempt, request).await
        };
        match result {
            Ok(Sent::Whole(response)) => {
                admission.settle(self.operation, Ok(&response));
                Ok(Reply::Whole(response))
            }
            Ok(Sent::Stream(first, rest)) => Ok(Reply::Stream(Box::new(Begun {
                first,
                arrived: Instant::now(),
                rest,
                admission,
            }))),
            Err(error) => {
                admission.settle(self.operation, Err(&error));
                Err(error)
            }
        }
    }

    async fn whole(&self, attempt: &Attempt, request: ChatRequest) -> Result<Sent, ModelError> {
        let context = self.operation.context().clone();
        let context = context.with_attempt(attempt.clone());
        let answer = self.handle.model.chat_boxed(&context, request);
        let response = answer.in_span(self.operation.span()).await?;
        Ok(Sent::Whole(Box::new(response)))
    }

    /// Waits for the first piece too: until that has come nobody has seen anything, and the request may be sent again.
    async fn begin_stream(
        &self,
        attempt: &Attempt,
        request: ChatRequest,
    ) -> Result<Sent, ModelError> {
        let context = self.operation.context().clone();
        let context = context.with_attempt(attempt.clone());
        let span = self.operation.span();
        let begun = self.handle.model.stream_boxed(&context, request);
        let mut rest = begun.in_span(span).await?;
        let first = if rest.is_in_span() {
            rest.next().in_span(span).await
        } else {
            rest.next().await
        };
        match first {
            Some(first) => Ok(Sent::Stream(first?, rest)),
            None => Err(ModelError::truncated(
                "the stream ended without its last event",
            )),
        }
    }

    /// Keeps what a try that failed cost, or that nobody knows what it cost.
    fn keep_account(&self, error: &ModelError) {
        let partial = error
            .partial()
            .filter(|partial| !partial.usage.is_unknown());
        let handle = self.operation.handle();
        let cost = partial.and_then(|partial| handle.price(&Billed::of(partial)));
        let was_refused = partial.is_none() && error.kind().is_refusal();
        self.operation.record(|facts| {
            facts.lost_attempts += u32::from(partial.is_none() && !was_refused);
            facts.tries.push(Try {
                usage: partial.map_or_else(Usage::unknown, |partial| partial.usage),
                cost: facts.estimate.take().map(|cost| *cost).or(cost),
                was_refused,
            });
        });
    }
}

enum Sent {
    Whole(Box<ChatResponse>),
    Stream(ChatEvent, ChatStream),
}

fn new_key() -> Arc<str> {
    let mut buffer = uuid::Uuid::encode_buffer();
    let key = uuid::Uuid::now_v7();
    Arc::from(&*key.hyphenated().encode_lower(&mut buffer))
}
