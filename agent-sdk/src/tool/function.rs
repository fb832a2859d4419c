//! Functions as tools.

use std::{any::Any, fmt, future::Future, marker::PhantomData, sync::Arc};

use schemars::{JsonSchema, generate::SchemaSettings};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;

use super::{Tool, ToolContext, ToolError, ToolErrorKind, ToolOptions, ToolOutput};
use crate::model::ToolSpec;

/// An `async fn` that can be a tool: it takes nothing, its arguments, or a [`ToolContext`] and its arguments, and returns a
/// `Result` of something serialisable. `Marker` tells the forms apart and is always inferred.
#[diagnostic::on_unimplemented(
    message = "this function cannot be a tool",
    note = "a tool is `async fn() -> Result<T, E>`, `async fn(Args) -> …` or `async fn(ToolContext, Args) -> …`",
    note = "with `Args: Deserialize + JsonSchema`, `T: Serialize` and `E: Display + 'static`"
)]
pub trait ToolFn<Marker>: Send + Sync + 'static {
    /// The arguments.
    type Arguments: DeserializeOwned + JsonSchema + Send;

    /// Calls the function.
    fn call(
        &self,
        context: ToolContext,
        arguments: Self::Arguments,
    ) -> impl Future<Output = Result<ToolOutput, ToolError>> + Send;
}

impl<F, A, Fut, T, E> ToolFn<(A,)> for F
where
    F: Fn(A) -> Fut + Send + Sync + 'static,
    A: DeserializeOwned + JsonSchema + Send,
    Fut: Future<Output = Result<T, E>> + Send,
    T: Serialize,
    E: fmt::Display + 'static,
{
    type Arguments = A;

    async fn call(&self, _: ToolContext, arguments: A) -> Result<ToolOutput, ToolError> {
        output(self(arguments).await)
    }
}

impl<F, A, Fut, T, E> ToolFn<(ToolContext, A)> for F
where
    F: Fn(ToolContext, A) -> Fut + Send + Sync + 'static,
    A: DeserializeOwned + JsonSchema + Send,
    Fut: Future<Output = Result<T, E>> + Send,
    T: Serialize,
    E: fmt::Display + 'static,
{
    type Arguments = A;

    async fn call(&self, context: ToolContext, arguments: A) -> Result<ToolOutput, ToolError> {
        output(self(context, arguments).await)
    }
}

impl<F, Fut, T, E> ToolFn<()> for F
where
    F: Fn() -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<T, E>> + Send,
    T: Serialize,
    E: fmt::Display + 'static,
{
    type Arguments = NoArguments;

    async fn call(&self, _: ToolContext, _: NoArguments) -> Result<ToolOutput, ToolError> {
        output(self().await)
    }
}

/// The arguments of a function that takes none: an object, whatever is in it.
#[derive(Debug, serde::Deserialize, JsonSchema)]
#[allow(clippy::exhaustive_structs, reason = "there is nothing to add")]
pub struct NoArguments {}

/// An `async fn` as a tool.
///
/// # Example
///
/// ```
/// use agent_sdk::tool::FnTool;
///
/// #[derive(serde::Deserialize, schemars::JsonSchema)]
/// struct City {
///     /// The city's name.
///     city: String,
/// }
///
/// async fn weather(city: City) -> Result<String, std::io::Error> {
///     Ok(format!("Rain in {}.", city.city))
/// }
///
/// let tool = FnTool::new("weather", "The weather in a city.", weather);
/// ```
pub struct FnTool<F, Marker> {
    function: F,
    spec: ToolSpec,
    options: ToolOptions,
    marker: PhantomData<fn() -> Marker>,
}

impl<F: ToolFn<Marker>, Marker> FnTool<F, Marker> {
    /// A tool of this name and description that calls this function.
    pub fn new(name: impl Into<Arc<str>>, description: impl Into<Arc<str>>, function: F) -> Self {
        let spec = ToolSpec::new(name, description, schema_of::<F::Arguments>());
        Self {
            function,
            spec,
            options: ToolOptions::default(),
            marker: PhantomData,
        }
    }

    /// Sets how it may be run.
    #[must_use]
    pub fn options(mut self, options: ToolOptions) -> Self {
        self.options = options;
        self
    }
}

impl<F: ToolFn<Marker>, Marker: 'static> Tool for FnTool<F, Marker> {
    fn spec(&self) -> ToolSpec {
        self.spec.clone()
    }

    fn options(&self) -> ToolOptions {
        self.options
    }

    async fn call(&self, context: ToolContext, arguments: &str) -> Result<ToolOutput, ToolError> {
        self.function.call(context, parse(arguments)?).await
    }
}

impl<F, Marker> fmt::Debug for FnTool<F, Marker> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FnTool")
            .field("name", &self.spec.name)
            .finish_non_exhaustive()
    }
}

/// A function that blocks, as a tool: each call runs on Tokio's blocking pool.
///
/// A call whose time is up is no longer waited for, but a thread cannot be stopped: the function should look at
/// [`ToolContext::cancellation`] now and then.
pub struct BlockingTool<F, A> {
    function: Arc<F>,
    spec: ToolSpec,
    options: ToolOptions,
    marker: PhantomData<fn() -> A>,
}

impl<F, A, T, E> BlockingTool<F, A>
where
    F: Fn(ToolContext, A) -> Result<T, E> + Send + Sync + 'static,
    A: DeserializeOwned + JsonSchema + Send + 'static,
    T: Serialize,
    E: fmt::Display + 'static,
{
    /// A tool of this name and description that calls this function.
    pub fn new(name: impl Into<Arc<str>>, description: impl Into<Arc<str>>, function: F) -> Self {
        let spec = ToolSpec::new(name, description, schema_of::<A>());
        let (function, options) = (Arc::new(function), ToolOptions::default());
        Self {
            function,
            spec,
            options,
            marker: PhantomData,
        }
    }

    /// Sets how it may be run.
    #[must_use]
    pub fn options(mut self, options: ToolOptions) -> Self {
        self.options = options;
        self
    }
}

impl<F, A, T, E> Tool for BlockingTool<F, A>
where
    F: Fn(ToolContext, A) -> Result<T, E> + Send + Sync + 'static,
    A: DeserializeOwned + JsonSchema + Send + 'static,
    T: Serialize + 'static,
    E: fmt::Display + 'static,
{
    fn spec(&self) -> ToolSpec {
        self.spec.clone()
    }

    fn options(&self) -> ToolOptions {
        self.options
    }

    async fn call(&self, context: ToolContext, arguments: &str) -> Result<ToolOutput, ToolError> {
        let arguments = parse(arguments)?;
        let function = self.function.clone();
        let span = tracing::Span::current();
        let work = move || span.in_scope(|| output(function(context, arguments)));
        tokio::task::spawn_blocking(work)
            .await
            .unwrap_or_else(|error| {
                Err(if error.is_panic() {
                    ToolError::new(ToolErrorKind::Panic, "the tool panicked")
                } else {
                    ToolError::new(ToolErrorKind::Cancelled, "the runtime is shutting down")
                })
            })
    }
}

impl<F, A> fmt::Debug for BlockingTool<F, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockingTool")
            .field("name", &self.spec.name)
            .finish_non_exhaustive()
    }
}

/// The JSON schema of a type, with everything in place and nothing a model has no use for.
pub(crate) fn schema_of<T: JsonSchema>() -> Arc<RawValue> {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    schema.remove("title");
    let raw = serde_json::value::to_raw_value(&schema);
    raw.unwrap_or_else(|_| RawValue::TRUE.to_owned()).into()
}

/// Reads arguments; the error names the place, for the model.
pub(crate) fn parse<A: DeserializeOwned>(arguments: &str) -> Result<A, ToolError> {
    let mut json = serde_json::Deserializer::from_str(arguments);
    let read = serde_path_to_error::deserialize(&mut json);
    let read = read.map_err(|error| {
        let path = error.path().to_string();
        match path.as_str() {
            "." => error.inner().to_string(),
            path => format!("at `{path}`: {}", error.inner()),
        }
    });
    read.and_then(|arguments| {
        json.end()
            .map(|()| arguments)
            .map_err(|error| error.to_string())
    })
    .map_err(|error| {
        ToolError::invalid_arguments(format!("the arguments do not fit the schema: {error}"))
    })
}

/// What a function returned, as the model sees it: a string as it is, anything else as JSON.
fn output<T, E>(result: Result<T, E>) -> Result<ToolOutput, ToolError>
where
    T: Serialize,
    E: fmt::Display + 'static,
{
    let value = result.map_err(error_of)?;
    let unreadable = |error| ToolError::failed(format!("the tool's result is not JSON: {error}"));
    let json = serde_json::to_string(&value).map_err(unreadable)?;
    if json.starts_with('"') {
        return serde_json::from_str::<String>(&json)
            .map(ToolOutput::from)
            .map_err(unreadable);
    }
    Ok(json.into())
}

/// What a function's error is to whoever called it by name.
pub(crate) fn error_of<E: fmt::Display + 'static>(error: E) -> ToolError {
    // One of our own keeps its class: it may be a question and no failure.
    let own = (&error as &dyn Any).downcast_ref::<ToolError>().cloned();
    own.unwrap_or_else(|| ToolError::failed(error.to_string()))
}

/// Joins the lines of a doc comment.
#[doc(hidden)]
pub fn __doc(lines: &[&str]) -> String {
    let lines: Vec<_> = lines.iter().map(|line| line.trim()).collect();
    lines.join("\n").trim().to_owned()
}

/// Makes tools of `async fn`s: the name is the function's, the description its doc comment, the schema its argument's.
///
/// Each becomes a function without arguments that returns the tool.
///
/// # Example
///
/// ```
/// use agent_sdk::tool::{Tool, ToolContext};
///
/// #[derive(serde::Deserialize, schemars::JsonSchema)]
/// struct City {
///     city: String,
/// }
///
/// agent_sdk::tool! {
///     /// The weather in a city.
///     pub async fn weather(context: ToolContext, city: City) -> Result<String, std::io::Error> {
///         context.progress(None, "looking out of the window");
///         Ok(format!("Rain in {}.", city.city))
///     }
/// }
///
/// assert_eq!(&*weather().spec().name, "weather");
/// assert_eq!(&*weather().spec().description, "The weather in a city.");
/// ```
#[macro_export]
macro_rules! tool {
    ($(
        $(#[doc = $doc:literal])*
        $vis:vis async fn $name:ident($($arguments:tt)*) -> $output:ty $body:block
    )+) => {$(
        $(#[doc = $doc])*
        $vis fn $name() -> impl $crate::tool::Tool + ::std::fmt::Debug {
            async fn call($($arguments)*) -> $output $body
            $crate::tool::FnTool::new(
                stringify!($name),
                $crate::tool::__doc(&[$($doc),*]),
                call,
            )
        }
    )+};
}
