//! Functions that are run by name.

use std::{fmt, future::Future, panic::AssertUnwindSafe, sync::Arc};

use futures_util::{FutureExt, future::BoxFuture};
use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, value::RawValue};

use crate::{
    operation::RunContext,
    tool::{ToolError, ToolErrorKind, error_of, schema_of},
};

/// An `async fn` that can be run by name: it takes a [`RunContext`] and its input, or its input alone, and returns a `Result` of
/// something serialisable. `Marker` tells the forms apart and is always inferred.
///
/// Input and output are types with a JSON schema, or [`Value`] where they may be anything.
#[diagnostic::on_unimplemented(
    message = "this function cannot be run by name",
    note = "it must be `async fn(Input) -> Result<T, E>` or `async fn(RunContext, Input) -> Result<T, E>`",
    note = "with `Input: Deserialize + JsonSchema`, `T: Serialize + JsonSchema` and `E: Display + 'static`"
)]
pub trait RunFn<Marker>: Send + Sync + 'static {
    /// What it takes.
    type Input: DeserializeOwned + JsonSchema + Send;
    /// What it gives.
    type Output: Serialize + JsonSchema;

    /// Calls the function.
    fn call(
        &self,
        context: RunContext,
        input: Self::Input,
    ) -> impl Future<Output = Result<Self::Output, ToolError>> + Send;
}

impl<F, A, Fut, T, E> RunFn<(A,)> for F
where
    F: Fn(A) -> Fut + Send + Sync + 'static,
    A: DeserializeOwned + JsonSchema + Send,
    Fut: Future<Output = Result<T, E>> + Send,
    T: Serialize + JsonSchema,
    E: fmt::Display + 'static,
{
    type Input = A;
    type Output = T;

    async fn call(&self, _: RunContext, input: A) -> Result<T, ToolError> {
        self(input).await.map_err(error_of)
    }
}

impl<F, A, Fut, T, E> RunFn<(RunContext, A)> for F
where
    F: Fn(RunContext, A) -> Fut + Send + Sync + 'static,
    A: DeserializeOwned + JsonSchema + Send,
    Fut: Future<Output = Result<T, E>> + Send,
    T: Serialize + JsonSchema,
    E: fmt::Display + 'static,
{
    type Input = A;
    type Output = T;

    async fn call(&self, context: RunContext, input: A) -> Result<T, ToolError> {
        self(context, input).await.map_err(error_of)
    }
}

/// A function with its types erased; clones share one function.
///
/// It does not open an operation: it belongs to that of whoever calls it, a plan's step for example.
#[derive(Clone)]
pub struct FunctionHandle(Arc<Inner>);

struct Inner {
    name: Arc<str>,
    description: Option<Arc<str>>,
    input: Option<Arc<RawValue>>,
    output: Option<Arc<RawValue>>,
    call: Arc<Call>,
}

type Call = dyn Fn(RunContext, Value) -> BoxFuture<'static, Result<Value, ToolError>> + Send + Sync;

impl FunctionHandle {
    /// A function of this name; the schemas are those of its types.
    pub fn new<F: RunFn<Marker>, Marker>(name: impl Into<Arc<str>>, function: F) -> Self {
        let function = Arc::new(function);
        let call: Arc<Call> = Arc::new(move |context, input| {
            let function = function.clone();
            let work = async move {
                let input = serde_path_to_error::deserialize(input).map_err(unfit)?;
                let output = function.call(context, input).await?;
                serde_json::to_value(output).map_err(|error| {
                    ToolError::failed(format!("the function's result is not JSON: {error}"))
                })
            };
            // What the code had borrowed is dropped with its future, so nothing half done is seen.
            let work = AssertUnwindSafe(work).catch_unwind();
            work.map(|result| result.unwrap_or_else(|_| Err(panicked())))
                .boxed()
        });
        Self(Arc::new(Inner {
            name: name.into(),
            description: None,
            input: constraint(schema_of::<F::Input>()),
            output: constraint(schema_of::<F::Output>()),
            call,
        }))
    }

    /// Says what it is for. Default: nothing.
    #[must_use]
    pub fn with_description(self, description: impl Into<Arc<str>>) -> Self {
        let inner = &self.0;
        Self(Arc::new(Inner {
            name: inner.name.clone(),
            description: Some(description.into()),
            input: inner.input.clone(),
            output: inner.output.clone(),
            call: inner.call.clone(),
        }))
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    pub(super) fn shared_name(&self) -> Arc<str> {
        self.0.name.clone()
    }

    /// What it is for, where it says so.
    pub fn description(&self) -> Option<&str> {
        self.0.description.as_deref()
    }

    /// The JSON schema of what it takes; `None` where it takes anything.
    pub fn input_schema(&self) -> Option<&RawValue> {
        self.0.input.as_deref()
    }

    /// The JSON schema of what it gives; `None` where that may be anything.
    pub fn output_schema(&self) -> Option<&RawValue> {
        self.0.output.as_deref()
    }

    /// Calls it. Dropping the future drops the function's.
    ///
    /// # Errors
    ///
    /// [`InvalidArguments`](ToolErrorKind::InvalidArguments) where the input does not fit its type,
    /// [`Panic`](ToolErrorKind::Panic) where its code panicked, and otherwise what it says: a [`ToolError`] of its own as it is,
    /// any other error as [`Failed`](ToolErrorKind::Failed).
    pub fn call(
        &self,
        context: RunContext,
        input: Value,
    ) -> BoxFuture<'_, Result<Value, ToolError>> {
        (self.0.call)(context, input)
    }
}

fn panicked() -> ToolError {
    ToolError::new(ToolErrorKind::Panic, "the function panicked")
}

fn unfit(error: serde_path_to_error::Error<serde_json::Error>) -> ToolError {
    let path = error.path().to_string();
    let error = error.into_inner();
    ToolError::invalid_arguments(match path.as_str() {
        "." => format!("the input does not fit the schema: {error}"),
        path => format!("the input does not fit the schema: at `{path}`: {error}"),
    })
}

/// A schema that says something.
fn constraint(schema: Arc<RawValue>) -> Option<Arc<RawValue>> {
    (!matches!(schema.get(), "{}" | "true")).then_some(schema)
}

impl fmt::Debug for FunctionHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FunctionHandle")
            .field("name", &self.0.name)
            .finish_non_exhaustive()
    }
}
