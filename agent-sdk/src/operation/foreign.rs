//! Operations around code that knows nothing of this crate.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use super::in_span::InSpan;
use futures_util::Stream;

use super::{
    AgentDetails, ChatDetails, Details, EmbeddingDetails, Kind, MemoryDetails, MemoryOperation,
    Operation, OperationHandle, Outcome, Payload, RetrievalDetails, RunContext, StepDetails,
    ToolDetails, TraceContext, WorkflowDetails,
};
use crate::{message::CallId, model::ModelInfo, run::RunReport};

/// Traces an agent loop of any make as an agent's run.
///
/// # Example
///
/// ```
/// use agent_sdk::{model::Usage, operation::{RunContext, trace_agent, trace_chat}};
///
/// # async fn example() {
/// let context = RunContext::new();
/// let (answer, report) = trace_agent(&context, "researcher")
///     .run_reported(async |agent| {
///         trace_chat(agent.context(), "openai", "gpt-4o-mini")
///             .run(async |chat| {
///                 // Ask a model in whatever way.
///                 chat.record_usage(Usage::new(1_000, 50));
///                 Ok::<_, std::io::Error>("42")
///             })
///             .await
///     })
///     .await;
/// assert_eq!(answer.unwrap(), "42");
/// assert_eq!(report.cost.to_string(), "0.00018");
/// # }
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(example());
/// ```
pub fn trace_agent(context: &RunContext, name: impl Into<Arc<str>>) -> Traced {
    Traced::new(
        context,
        Kind::Agent,
        name,
        Details::Agent(AgentDetails::default()),
    )
}

/// Traces a request to a model, made in whatever way. Record what it used, and it is priced.
///
/// Inside an operation of the same request, a [`ModelHandle`](crate::model::ModelHandle)'s or another `trace_chat`, it opens none of its
/// own: what it records goes to that one, where that one knows less, and the cost counts once.
pub fn trace_chat(
    context: &RunContext,
    provider: impl Into<Arc<str>>,
    model: impl Into<Arc<str>>,
) -> Traced {
    let model = Arc::new(ModelInfo::new(provider, model));
    let name = model.model.clone();
    Traced::new(
        context,
        Kind::Chat,
        name,
        Details::Chat(ChatDetails::new(model)),
    )
}

/// Traces a request for vectors, made in whatever way. Record what it used, and it is priced.
pub fn trace_embeddings(
    context: &RunContext,
    provider: impl Into<Arc<str>>,
    model: impl Into<Arc<str>>,
) -> Traced {
    let model = Arc::new(ModelInfo::new(provider, model));
    let name = model.model.clone();
    let details = EmbeddingDetails {
        model,
        dimensions: None,
        encoding: None,
    };
    Traced::new(
        context,
        Kind::Embeddings,
        name,
        Details::Embeddings(details),
    )
}

/// Traces a tool call of any make.
pub fn trace_tool(context: &RunContext, name: impl Into<Arc<str>>) -> Traced {
    Traced::new(
        context,
        Kind::Tool,
        name,
        Details::Tool(ToolDetails::default()),
    )
}

/// Traces a workflow: several agents or steps that work towards one thing. A lone agent is none.
///
/// # Example
///
/// ```
/// use agent_sdk::operation::{Outcome, Payload, RunContext, trace_step, trace_workflow};
///
/// # async fn example() {
/// let context = RunContext::new();
/// trace_workflow(&context, "report")
///     .run(async |workflow| {
///         let read = trace_step(workflow.context(), "read").step_id("1").begin();
///         let waited_for = read.info().trace;
///         read.end(Outcome::Ok, Payload::None);
///         // The link says what waited for what.
///         trace_step(workflow.context(), "write").step_id("2").link(waited_for).future(async {}).await;
///         Ok::<_, std::io::Error>(())
///     })
///     .await
///     .unwrap();
/// # }
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(example());
/// ```
pub fn trace_workflow(context: &RunContext, name: impl Into<Arc<str>>) -> Traced {
    Traced::new(
        context,
        Kind::Workflow,
        name,
        Details::Workflow(WorkflowDetails::default()),
    )
}

/// Traces a step of a workflow.
pub fn trace_step(context: &RunContext, name: impl Into<Arc<str>>) -> Traced {
    Traced::new(
        context,
        Kind::Step,
        name,
        Details::Step(StepDetails::default()),
    )
}

/// Traces how an agent makes its plan, around the model requests that this takes.
pub fn trace_plan(context: &RunContext, agent: impl Into<Arc<str>>) -> Traced {
    Traced::new(context, Kind::Plan, agent, Details::None)
}

/// Traces a search in a data source: an index, a collection, a knowledge base.
pub fn trace_retrieval(context: &RunContext, data_source: impl Into<Arc<str>>) -> Traced {
    Traced::new(
        context,
        Kind::Retrieval,
        data_source,
        Details::Retrieval(RetrievalDetails::default()),
    )
}

/// Traces work on what is remembered. How many records it came to is recorded as
/// [`Facts::records`](super::Facts::records).
pub fn trace_memory(context: &RunContext, operation: MemoryOperation) -> Traced {
    Traced::new(
        context,
        Kind::Memory,
        "",
        Details::Memory(MemoryDetails::new(operation)),
    )
}

/// An operation that is about to start around a future or a stream.
#[derive(Debug)]
#[must_use = "nothing is traced until a future or a stream is given"]
pub struct Traced {
    context: RunContext,
    kind: Kind,
    name: Arc<str>,
    details: Details,
    links: Vec<TraceContext>,
}

impl Traced {
    fn new(context: &RunContext, kind: Kind, name: impl Into<Arc<str>>, details: Details) -> Self {
        Self {
            context: context.clone(),
            kind,
            name: name.into(),
            details,
            links: Vec::new(),
        }
    }

    /// Adds a tag to the operation and everything inside it.
    pub fn tag(mut self, key: impl Into<Arc<str>>, value: impl Into<Arc<str>>) -> Self {
        self.context = self.context.with_tag(key, value);
        self
    }

    /// Links it to an operation that it waited for.
    pub fn link(mut self, other: TraceContext) -> Self {
        self.links.push(other);
        self
    }

    /// Sets the model's id of a tool call.
    pub fn call_id(mut self, id: impl Into<CallId>) -> Self {
        if let Details::Tool(tool) = &mut self.details {
            tool.call_id = Some(id.into());
        }
        self
    }

    /// Sets the id of a step in its plan.
    pub fn step_id(mut self, id: impl Into<Arc<str>>) -> Self {
        if let Details::Step(step) = &mut self.details {
            step.id = Some(id.into());
        }
        self
    }

    /// Sets how many documents a search asks for.
    pub fn top_k(mut self, top_k: u32) -> Self {
        if let Details::Retrieval(retrieval) = &mut self.details {
            retrieval.top_k = Some(top_k);
        }
        self
    }

    /// Sets the id of the store in which something is remembered.
    pub fn store(mut self, id: impl Into<Arc<str>>) -> Self {
        if let Details::Memory(memory) = &mut self.details {
            memory.store = Some(id.into());
        }
        self
    }

    /// Changes what the operation is told at its start, for what has no setter here.
    pub fn details(mut self, change: impl FnOnce(&mut Details)) -> Self {
        change(&mut self.details);
        self
    }

    /// Runs the future that `work` makes. An `Err` ends the operation as failed; dropping it ends it as cancelled.
    ///
    /// The class recorded as `error.type` is what [`OperationHandle::fail`] was told, otherwise `_OTHER`. The error's own text
    /// is not recorded: nobody can tell whether it holds content.
    pub async fn run<T, E>(
        self,
        work: impl AsyncFnOnce(OperationHandle) -> Result<T, E>,
    ) -> Result<T, E> {
        let (result, operation) = self.drive(work).await;
        operation.end(outcome(&result), Payload::None);
        result
    }

    /// Like [`run`](Self::run), and sums up what happened inside.
    pub async fn run_reported<T, E>(
        self,
        work: impl AsyncFnOnce(OperationHandle) -> Result<T, E>,
    ) -> (Result<T, E>, RunReport) {
        let (result, operation) = self.drive(work).await;
        let report = operation.report(outcome(&result), Payload::None);
        (result, report)
    }

    async fn drive<T, E>(
        self,
        work: impl AsyncFnOnce(OperationHandle) -> Result<T, E>,
    ) -> (Result<T, E>, Operation) {
        let operation = self.begin();
        let result = work(operation.handle()).in_span(operation.span()).await;
        if result.is_err() {
            operation
                .handle()
                .fail("_OTHER", "the traced code returned an error");
        }
        (result, operation)
    }

    /// Waits for a future of any output. It ends as `ok`, unless [`OperationHandle::fail`] was told otherwise.
    pub async fn future<F: Future>(self, future: F) -> F::Output {
        let operation = self.begin();
        let output = future.in_span(operation.span()).await;
        finish(operation);
        output
    }

    /// Wraps a stream. It ends with the stream, or as cancelled where the stream is dropped before.
    pub fn stream<S: Stream + Send + 'static>(self, stream: S) -> TracedStream<S::Item> {
        let operation = self.begin();
        let handle = operation.handle();
        TracedStream {
            inner: Box::pin(stream),
            operation: Some(operation),
            handle,
        }
    }

    /// Starts the operation and leaves its end to the caller.
    pub fn begin(self) -> Operation {
        let mut start = self
            .context
            .start(self.kind, self.name)
            .details(self.details);
        for link in self.links {
            start = start.link(link);
        }
        start.begin()
    }
}

fn outcome<T, E>(result: &Result<T, E>) -> Outcome {
    if result.is_ok() {
        Outcome::Ok
    } else {
        Outcome::Error
    }
}

fn finish(operation: Operation) {
    let mut failed = false;
    operation.record(|facts| failed = facts.error.is_some());
    operation.end(
        if failed { Outcome::Error } else { Outcome::Ok },
        Payload::None,
    );
}

/// A stream with an operation around it.
///
/// The first item marks the first chunk; [`handle`](Self::handle) adds usage while it flows.
#[must_use = "streams do nothing unless polled"]
pub struct TracedStream<T> {
    inner: Pin<Box<dyn Stream<Item = T> + Send>>,
    operation: Option<Operation>,
    handle: OperationHandle,
}

impl<T> TracedStream<T> {
    /// A handle to the operation, for its usage and its failure.
    pub fn handle(&self) -> &OperationHandle {
        &self.handle
    }
}

impl<T> Stream for TracedStream<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let Some(operation) = &self.operation else {
            return Poll::Ready(None);
        };
        let span = operation.span().clone();
        let item = span.in_scope(|| self.inner.as_mut().poll_next(cx));
        match (&item, self.operation.take()) {
            (Poll::Ready(None), Some(operation)) => finish(operation),
            (Poll::Ready(Some(_)), Some(operation)) => {
                let started = operation.info().started_at;
                operation.record(|facts| {
                    facts.first_chunk.get_or_insert_with(|| started.elapsed());
                });
                self.operation = Some(operation);
            }
            (_, operation) => self.operation = operation,
        }
        item
    }
}

impl<T> fmt::Debug for TracedStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TracedStream")
            .field("operation", &self.handle)
            .finish_non_exhaustive()
    }
}
