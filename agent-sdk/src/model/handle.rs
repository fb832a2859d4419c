//! A model with its type erased, and the `chat` operation around each request.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::{Stream, future::BoxFuture};
use tokio::time::Instant;
use tracing::Instrument;

use super::{
    ChatEvent, ChatRequest, ChatResponse, ChatStream, Model, ModelError, ModelErrorKind, ModelInfo,
    OutputFormat,
};
use crate::operation::{
    ChatDetails, Details, Failure, Kind, Operation, Outcome, Payload, RunContext,
};

/// How many gaps between the pieces of one answer are kept.
const MAX_CHUNK_GAPS: usize = 65_536;

/// A [`Model`] with its type erased; clones share one model.
///
/// Each request through it is one `chat` operation: priced, profiled, counted and traced.
#[derive(Clone)]
pub struct ModelHandle {
    model: Arc<dyn ErasedModel>,
    info: Arc<ModelInfo>,
    streams: bool,
}

/// The dyn-compatible twin of [`Model`]: private, so it can change freely.
trait ErasedModel: Send + Sync {
    fn chat_boxed<'a>(
        &'a self,
        context: &'a RunContext,
        request: ChatRequest,
    ) -> BoxFuture<'a, Result<ChatResponse, ModelError>>;

    fn stream_boxed<'a>(
        &'a self,
        context: &'a RunContext,
        request: ChatRequest,
    ) -> BoxFuture<'a, Result<ChatStream, ModelError>>;
}

impl<M: Model> ErasedModel for M {
    fn chat_boxed<'a>(
        &'a self,
        context: &'a RunContext,
        request: ChatRequest,
    ) -> BoxFuture<'a, Result<ChatResponse, ModelError>> {
        Box::pin(self.chat(context, request))
    }

    fn stream_boxed<'a>(
        &'a self,
        context: &'a RunContext,
        request: ChatRequest,
    ) -> BoxFuture<'a, Result<ChatStream, ModelError>> {
        Box::pin(self.stream(context, request))
    }
}

impl<M: Model> From<M> for ModelHandle {
    fn from(model: M) -> Self {
        Self {
            info: model.info(),
            streams: model.streams(),
            model: Arc::new(model),
        }
    }
}

impl ModelHandle {
    /// Erases a model's type.
    pub fn new(model: impl Model) -> Self {
        Self::from(model)
    }

    /// Which model this is.
    pub fn info(&self) -> &Arc<ModelInfo> {
        &self.info
    }

    /// Sends one request and waits for the whole answer. Dropping the future gives the request up.
    pub async fn chat(
        &self,
        context: &RunContext,
        request: ChatRequest,
    ) -> Result<ChatResponse, ModelError> {
        self.whole(context, request, false).await
    }

    /// Waits for the whole answer; `aloud` hands its text on as a stream would.
    async fn whole(
        &self,
        context: &RunContext,
        request: ChatRequest,
        aloud: bool,
    ) -> Result<ChatResponse, ModelError> {
        let operation = self.begin(context, &request, false);
        let span = operation.span().clone();
        let result = self
            .model
            .chat_boxed(operation.context(), request)
            .instrument(span)
            .await;
        match &result {
            Ok(response) => {
                if aloud {
                    operation.text(&response.text());
                }
                learn(&operation, response);
                operation.end(Outcome::Ok, Payload::Response(response));
            }
            Err(error) => fail(operation, error),
        }
        result
    }

    /// Sends one request and returns the answer as it arrives. Dropping the stream gives the request up.
    ///
    /// The operation ends with the stream. Its duration stops at the last byte read, however late the reader takes it.
    pub async fn stream(
        &self,
        context: &RunContext,
        request: ChatRequest,
    ) -> Result<ChatStream, ModelError> {
        if !self.streams {
            return self
                .whole(context, request, true)
                .await
                .map(ChatStream::whole);
        }
        let operation = self.begin(context, &request, true);
        let span = operation.span().clone();
        match self
            .model
            .stream_boxed(operation.context(), request)
            .instrument(span)
            .await
        {
            Ok(inner) => Ok(ChatStream::new(Observed::new(inner, operation)).outside_span()),
            Err(error) => {
                fail(operation, &error);
                Err(error)
            }
        }
    }

    fn begin(&self, context: &RunContext, request: &ChatRequest, stream: bool) -> Operation {
        let details = ChatDetails {
            model: self.info.clone(),
            settings: request.settings.clone(),
            stream,
            json_output: !matches!(request.output, OutputFormat::Text),
        };
        context
            .start(Kind::Chat, self.info.model.clone())
            .details(Details::Chat(details))
            .payload(Payload::Request(request))
            .begin()
    }
}

impl fmt::Debug for ModelHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModelHandle")
            .field("info", &self.info)
            .finish_non_exhaustive()
    }
}

/// Adds what an answer tells.
fn learn(operation: &Operation, response: &ChatResponse) {
    operation.record(|facts| {
        facts.usage = response.usage;
        facts.response_id = response.id.as_deref().map(Into::into);
        facts.response_model = response.model.as_deref().map(Into::into);
        facts.finish_reasons = vec![response.finish_reason.clone()];
        facts.provider_cost = response.provider_cost;
    });
}

/// Ends an operation as a model's error says.
fn fail(operation: Operation, error: &ModelError) {
    let outcome = match error.kind() {
        ModelErrorKind::Timeout => Outcome::Timeout,
        ModelErrorKind::Cancelled => Outcome::Cancelled,
        _ => Outcome::Error,
    };
    if let Some(partial) = error.partial() {
        learn(&operation, partial);
    }
    operation.record(|facts| facts.error = Some(Failure::of(error)));
    operation.end(outcome, Payload::None);
}

impl Failure {
    /// What is recorded of a model's error: its class and the SDK's own words, none of the provider's.
    pub fn of(error: &ModelError) -> Self {
        let class = error.kind().as_str();
        let message = match error.status() {
            Some(status) => format!("the model request failed: {class}, status {status}"),
            None => format!("the model request failed: {class}"),
        };
        Self::new(class, message)
    }
}

/// A stream that tells its operation what flows through.
struct Observed {
    inner: ChatStream,
    operation: Option<Operation>,
    started: Instant,
    previous: Option<Instant>,
    handed_out: Option<Instant>,
    waited: Duration,
    gaps: Vec<u32>,
}

impl Observed {
    fn new(inner: ChatStream, operation: Operation) -> Self {
        Self {
            inner,
            started: operation.info().started_at,
            operation: Some(operation),
            previous: None,
            handed_out: None,
            waited: Duration::ZERO,
            gaps: Vec::new(),
        }
    }

    /// Marks the time of a piece, without the time for which the reader kept it waiting.
    fn mark(&mut self, handle: &Operation, now: Instant) {
        match self.previous {
            None => {
                let first = now.saturating_duration_since(self.started);
                handle.record(|facts| facts.first_chunk = Some(first));
            }
            Some(previous) if self.gaps.len() < MAX_CHUNK_GAPS => {
                let gap = now.saturating_duration_since(previous);
                self.gaps
                    .push(u32::try_from(gap.as_micros()).unwrap_or(u32::MAX));
            }
            Some(_) => {}
        }
        self.previous = Some(now);
    }

    fn settle(&mut self, operation: &Operation) {
        let (gaps, waited) = (std::mem::take(&mut self.gaps), self.waited);
        operation.record(|facts| {
            facts.chunk_gaps_us = gaps;
            facts.consumer_wait = waited;
        });
    }
}

impl Stream for Observed {
    type Item = Result<ChatEvent, ModelError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let Some(operation) = this.operation.take() else {
            return Poll::Ready(None);
        };
        if let Some(handed_out) = this.handed_out.take() {
            let waited = handed_out.elapsed();
            this.waited += waited;
            // The next gap counts from when the reader came back.
            this.previous = this.previous.map(|previous| previous + waited);
        }
        let inner = &mut this.inner;
        let polled = if inner.is_in_span() {
            operation.span().in_scope(|| Pin::new(inner).poll_next(cx))
        } else {
            Pin::new(inner).poll_next(cx)
        };
        let item = match polled {
            Poll::Pending => {
                this.operation = Some(operation);
                return Poll::Pending;
            }
            Poll::Ready(Some(item)) => item,
            Poll::Ready(None) => Err(ModelError::truncated(
                "the stream ended without its last event",
            )),
        };
        let now = Instant::now();
        match &item {
            Ok(ChatEvent::Done(response)) => {
                if this.previous.is_none() {
                    this.mark(&operation, now);
                }
                this.settle(&operation);
                learn(&operation, response);
                operation.end(Outcome::Ok, Payload::Response(response));
            }
            Ok(piece) => {
                this.mark(&operation, now);
                match piece {
                    ChatEvent::Text(text) => operation.text(text),
                    ChatEvent::Reasoning(text) => operation.reasoning(text),
                    _ => {}
                }
                this.handed_out = Some(now);
                this.operation = Some(operation);
            }
            Err(error) => {
                this.settle(&operation);
                fail(operation, error);
            }
        }
        Poll::Ready(Some(item))
    }
}

impl Drop for Observed {
    fn drop(&mut self) {
        if let Some(operation) = self.operation.take() {
            self.settle(&operation);
        }
    }
}
