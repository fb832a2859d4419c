//! A model with its type erased, and the `chat` operation around each request.

use std::{fmt, sync::Arc};

use crate::operation::InSpan;
use futures_util::future::BoxFuture;

use super::{
    ChatRequest, ChatResponse, ChatStream, Model, ModelError, ModelErrorKind, ModelHandleBuilder,
    ModelInfo, OutputFormat,
    around::{Answer, Call, Layers, Origin},
    observed::Observed,
};
use crate::operation::{
    ChatDetails, Details, Failure, Kind, Operation, Outcome, Payload, RunContext, TraceContext,
};

/// A [`Model`] with its type erased; clones share one model.
///
/// Each request through it is one `chat` operation: priced, profiled, counted and traced. With a
/// [`builder`](Self::builder) it is cached, tried again, limited, or answered by another model, whose request is another `chat`
/// operation.
#[derive(Clone)]
pub struct ModelHandle {
    pub(super) model: Arc<dyn ErasedModel>,
    info: Arc<ModelInfo>,
    pub(super) streams: bool,
    /// What stands around the model; `None` where nothing does, which is then the short way.
    pub(super) layers: Option<Arc<Layers>>,
}

/// The dyn-compatible twin of [`Model`]: private, so it can change freely.
pub(super) trait ErasedModel: Send + Sync {
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
        Box::pin(async move {
            let asked = request.clone();
            match self.chat(context, request).await {
                Ok(mut response) => {
                    response.take_out_keys();
                    Ok(response)
                }
                Err(error) => Err(error.without_quotes(&asked)),
            }
        })
    }

    fn stream_boxed<'a>(
        &'a self,
        context: &'a RunContext,
        request: ChatRequest,
    ) -> BoxFuture<'a, Result<ChatStream, ModelError>> {
        Box::pin(async move {
            let asked = request.clone();
            match self.stream(context, request).await {
                Ok(stream) => Ok(stream.unquoted(asked)),
                Err(error) => Err(error.without_quotes(&asked)),
            }
        })
    }
}

impl<M: Model> From<M> for ModelHandle {
    fn from(model: M) -> Self {
        let layers = Layers::suggested(model.retry());
        Self {
            info: model.info(),
            streams: model.streams(),
            model: Arc::new(model),
            layers: (!layers.is_empty()).then(|| Arc::new(layers)),
        }
    }
}

impl ModelHandle {
    /// Erases a model's type. Failed requests are tried again as the model [suggests](Model::retry).
    pub fn new(model: impl Model) -> Self {
        Self::from(model)
    }

    /// Settings for what stands around a model, or around the model of a handle in addition to what the handle has.
    pub fn builder(model: impl Into<Self>) -> ModelHandleBuilder {
        ModelHandleBuilder::new(model.into())
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
        if self.layers.is_some() || context.admits() {
            let answer = Box::pin(self.layered(context, request, false)).await?;
            return match answer {
                Answer::Whole(response) => Ok(*response),
                Answer::Stream(stream) => stream.collect().await,
            };
        }
        self.whole(context, request, false).await
    }

    /// Sends a request through the layers.
    async fn layered(
        &self,
        context: &RunContext,
        request: ChatRequest,
        stream: bool,
    ) -> Result<Answer, ModelError> {
        let cheaper = match context.ledger() {
            Some(ledger) => ledger.degraded(context).await,
            None => None,
        };
        let cheaper = cheaper.filter(|cheaper| cheaper.info != self.info);
        let call = Call {
            context,
            request,
            stream,
            origin: match &cheaper {
                Some(_) => Origin::for_budget(self.info.model.clone()),
                None => Origin::default(),
            },
        };
        call.through(cheaper.as_ref().unwrap_or(self)).await
    }

    /// Waits for the whole answer; `aloud` hands its text on as a stream would.
    async fn whole(
        &self,
        context: &RunContext,
        request: ChatRequest,
        aloud: bool,
    ) -> Result<ChatResponse, ModelError> {
        let operation = self.begin(context, &request, false, None);
        let result = self
            .model
            .chat_boxed(operation.context(), request)
            .in_span(operation.span())
            .await;
        match &result {
            Ok(response) => {
                if aloud {
                    operation.text(&response.text());
                    operation.record(|facts| facts.stream_of_whole = true);
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
    /// The operation ends with the stream. Its duration stops at the last byte read, however late the reader takes it. Where the
    /// handle has layers, a policy of retries for one, this returns when the first piece of the answer has come; else as soon as
    /// the model begins to answer. Where a model cannot stream, the stream is made of its whole answer, and the operation's facts
    /// [say so](crate::operation::Facts::stream_of_whole).
    pub async fn stream(
        &self,
        context: &RunContext,
        request: ChatRequest,
    ) -> Result<ChatStream, ModelError> {
        if self.layers.is_some() || context.admits() {
            let answer = Box::pin(self.layered(context, request, true)).await?;
            return Ok(match answer {
                Answer::Whole(response) => ChatStream::whole(*response),
                Answer::Stream(stream) => stream,
            });
        }
        if !self.streams {
            return self
                .whole(context, request, true)
                .await
                .map(ChatStream::whole);
        }
        let operation = self.begin(context, &request, true, None);
        match self
            .model
            .stream_boxed(operation.context(), request)
            .in_span(operation.span())
            .await
        {
            Ok(inner) => Ok(ChatStream::new(Observed::new(inner, operation)).outside_span()),
            Err(error) => {
                fail(operation, &error);
                Err(error)
            }
        }
    }

    /// Begins the `chat` operation of a request, linked to another one where it takes its place.
    pub(super) fn begin(
        &self,
        context: &RunContext,
        request: &ChatRequest,
        stream: bool,
        instead_of: Option<TraceContext>,
    ) -> Operation {
        let details = ChatDetails {
            model: self.info.clone(),
            settings: request.settings.clone(),
            stream,
            json_output: !matches!(request.output, OutputFormat::Text),
            prompt: request.prompt.clone(),
        };
        let start = context
            .start(Kind::Chat, self.info.model.clone())
            .details(Details::Chat(details))
            .payload(Payload::Request(request));
        match instead_of {
            Some(other) => start.link(other).begin(),
            None => start.begin(),
        }
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
pub(super) fn learn(operation: &Operation, response: &ChatResponse) {
    operation.record(|facts| {
        facts.usage = response.usage;
        facts.side_usage.clone_from(&response.side_usage);
        facts.response_id = response.id.as_deref().map(Into::into);
        facts.response_model = response.model.as_deref().map(Into::into);
        facts.finish_reasons = vec![response.finish_reason.clone()];
        facts.provider_cost = response.provider_cost;
        facts.service_tier = response.service_tier.as_deref().map(Into::into);
        facts.system_fingerprint = response.system_fingerprint.as_deref().map(Into::into);
    });
}

/// Ends an operation as a model's error says.
pub(super) fn fail(operation: Operation, error: &ModelError) {
    let outcome = match error.kind() {
        ModelErrorKind::Timeout => Outcome::Timeout,
        ModelErrorKind::Cancelled => Outcome::Cancelled,
        ModelErrorKind::Budget => Outcome::Budget,
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
