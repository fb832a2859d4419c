//! An embedding model with its type erased, and the `embeddings` operation around each request.

use std::{fmt, sync::Arc};

use futures_util::future::BoxFuture;

use super::{EmbeddingEncoding, EmbeddingModel, EmbeddingRequest, EmbeddingResponse};
use crate::{
    budget::{Admitted, Spending},
    model::{ModelError, ModelErrorKind, ModelInfo},
    operation::{
        Billed, Details, EmbeddingDetails, Failure, InSpan, Kind, Outcome, Payload, RunContext,
    },
    redact,
};

/// An [`EmbeddingModel`] with its type erased; clones share one model.
///
/// Each request through it is one `embeddings` operation: priced, profiled, counted and traced.
///
/// # Example
///
/// ```
/// use agent_sdk::{
///     model::{
///         ModelError, ModelInfo, Usage,
///         embedding::{EmbeddingHandle, EmbeddingModel, EmbeddingRequest, EmbeddingResponse},
///     },
///     operation::RunContext,
/// };
/// use std::sync::Arc;
///
/// /// The length of a text and the number of its words.
/// struct Lengths;
///
/// impl EmbeddingModel for Lengths {
///     fn info(&self) -> Arc<ModelInfo> {
///         Arc::new(ModelInfo::new("here", "lengths"))
///     }
///
///     async fn embed(&self, _: &RunContext, request: EmbeddingRequest) -> Result<EmbeddingResponse, ModelError> {
///         let vector = |text: &str| vec![text.len() as f32, text.split_whitespace().count() as f32];
///         Ok(EmbeddingResponse::new(request.inputs.iter().map(|text| vector(text)).collect()))
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), ModelError> {
/// let model = EmbeddingHandle::new(Lengths);
/// let response = model.embed(&RunContext::new(), EmbeddingRequest::new(["one", "one two"])).await?;
/// assert_eq!(response.vectors, [[3.0, 1.0], [7.0, 2.0]]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct EmbeddingHandle {
    model: Arc<dyn ErasedModel>,
    info: Arc<ModelInfo>,
}

/// The dyn-compatible twin of [`EmbeddingModel`]: private, so it can change freely.
trait ErasedModel: Send + Sync {
    fn embed_boxed<'a>(
        &'a self,
        context: &'a RunContext,
        request: EmbeddingRequest,
    ) -> BoxFuture<'a, Result<EmbeddingResponse, ModelError>>;
}

impl<M: EmbeddingModel> ErasedModel for M {
    fn embed_boxed<'a>(
        &'a self,
        context: &'a RunContext,
        request: EmbeddingRequest,
    ) -> BoxFuture<'a, Result<EmbeddingResponse, ModelError>> {
        Box::pin(async move {
            let mut response = self.embed(context, request).await?;
            // What answers may be a proxy that says more than it should, and traces have this name.
            response.model.iter_mut().for_each(redact::take_out_keys);
            Ok(response)
        })
    }
}

impl<M: EmbeddingModel> From<M> for EmbeddingHandle {
    fn from(model: M) -> Self {
        Self {
            info: model.info(),
            model: Arc::new(model),
        }
    }
}

impl EmbeddingHandle {
    /// Erases a model's type.
    pub fn new(model: impl EmbeddingModel) -> Self {
        Self::from(model)
    }

    /// Which model this is.
    pub fn info(&self) -> &Arc<ModelInfo> {
        &self.info
    }

    /// Makes one vector for each input, in their order. Dropping the future gives the request up.
    ///
    /// # Errors
    ///
    /// The model's own, and [`ModelErrorKind::Decode`] where it gave another number of vectors than it was given inputs.
    pub async fn embed(
        &self,
        context: &RunContext,
        request: EmbeddingRequest,
    ) -> Result<EmbeddingResponse, ModelError> {
        let details = EmbeddingDetails {
            model: self.info.clone(),
            dimensions: request.dimensions,
            encoding: request.encoding.map(EmbeddingEncoding::as_str),
        };
        let operation = context
            .start(Kind::Embeddings, self.info.model.clone())
            .details(Details::Embeddings(details))
            .begin();
        let inputs = request.inputs.len();
        let mut spending = Spending::default();
        let result = async {
            if operation.context().admits() {
                let bytes = request.inputs.iter().map(|input| input.len() as u64).sum();
                let admitted = Admitted::embeddings(&operation, &self.info, inputs as u64, bytes);
                spending = admitted.await?.spending;
            }
            spending.begin();
            self.model
                .embed_boxed(operation.context(), request)
                .in_span(operation.span())
                .await
        };
        let result = result.await;
        match &result {
            Ok(response) => spending.answered(&Billed {
                usage: &response.usage,
                side_usage: &[],
                response_model: response.model.as_deref(),
                service_tier: None,
                provider_cost: response.provider_cost,
            }),
            Err(error) => spending.failed(error),
        }
        if let Ok(response) = &result {
            // What was used was used, also where the answer is refused.
            operation.record(|facts| {
                facts.usage = response.usage;
                facts.response_model = response.model.as_deref().map(Into::into);
                facts.provider_cost = response.provider_cost;
            });
        }
        let result = result.and_then(|response| {
            check_count(response.vectors.len(), inputs)?;
            Ok(response)
        });
        let outcome = match &result {
            Ok(_) => Outcome::Ok,
            Err(error) => {
                operation.record(|facts| facts.error = Some(Failure::of(error)));
                match error.kind() {
                    ModelErrorKind::Timeout => Outcome::Timeout,
                    ModelErrorKind::Cancelled => Outcome::Cancelled,
                    ModelErrorKind::Budget => Outcome::Budget,
                    _ => Outcome::Error,
                }
            }
        };
        operation.end(outcome, Payload::None);
        result
    }
}

/// Whether there is one vector for each input.
pub(super) fn check_count(vectors: usize, inputs: usize) -> Result<(), ModelError> {
    if vectors == inputs {
        return Ok(());
    }
    let message = format!("the model gave {vectors} vectors for {inputs} inputs");
    Err(ModelError::new(ModelErrorKind::Decode, message))
}

impl fmt::Debug for EmbeddingHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddingHandle")
            .field("info", &self.info)
            .finish_non_exhaustive()
    }
}
