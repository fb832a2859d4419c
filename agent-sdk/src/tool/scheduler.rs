//! The calls of one turn, run beside each other.
//!
//! At most so many at once, exclusive ones as barriers in call order, each within its own time. They are polled inside the run's
//! own future, so dropping the run drops them first. Whatever a tool does, its call has exactly one result.

use std::{
    collections::{HashMap, VecDeque},
    panic::AssertUnwindSafe,
    sync::Arc,
    time::Duration,
};

use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use tokio::time::Instant;
use tracing::Instrument;

use super::{Concurrency, State, ToolContext, ToolError, ToolErrorKind, ToolHandle, ToolOutput};
use crate::{
    message::{ToolCall, ToolResult},
    model::ToolSpec,
    operation::{Details, Kind, Operation, Outcome, Payload, RunContext, ToolDetails},
};

/// The longest result that a model is shown, in bytes; a longer one loses its middle.
pub(crate) const MAX_OUTPUT_BYTES: usize = 256 * 1024;

/// The tools of an agent. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct ToolSet {
    specs: Arc<[ToolSpec]>,
    by_name: Arc<HashMap<Arc<str>, ToolHandle>>,
}

impl ToolSet {
    /// `Err` is the name that two of them share.
    pub(crate) fn new(tools: Vec<ToolHandle>) -> Result<Self, Arc<str>> {
        let specs = tools.iter().map(|tool| tool.spec().clone()).collect();
        let mut by_name = HashMap::with_capacity(tools.len());
        for tool in tools {
            let name = tool.spec().name.clone();
            if by_name.insert(name.clone(), tool).is_some() {
                return Err(name);
            }
        }
        Ok(Self {
            specs,
            by_name: Arc::new(by_name),
        })
    }

    pub(crate) fn specs(&self) -> &Arc<[ToolSpec]> {
        &self.specs
    }

    pub(crate) fn get(&self, name: &str) -> Option<&ToolHandle> {
        self.by_name.get(name)
    }

    /// These as well, in place of those of the same names.
    #[cfg(feature = "workspace")]
    pub(crate) fn with(&self, tools: Vec<ToolHandle>) -> Self {
        let mut by_name = HashMap::clone(&self.by_name);
        let is_kept = |spec: &&ToolSpec| tools.iter().all(|tool| tool.spec().name != spec.name);
        let kept = self.specs.iter().filter(is_kept).cloned();
        let specs = kept.chain(tools.iter().map(|tool| tool.spec().clone()));
        let specs = specs.collect();
        by_name.extend(
            tools
                .into_iter()
                .map(|tool| (tool.spec().name.clone(), tool)),
        );
        Self {
            specs,
            by_name: Arc::new(by_name),
        }
    }

    /// Only the named ones.
    pub(crate) fn only(&self, names: &[Arc<str>]) -> Self {
        let specs: Arc<[_]> = self
            .specs
            .iter()
            .filter(|spec| names.contains(&spec.name))
            .cloned()
            .collect();
        let mut by_name = HashMap::clone(&self.by_name);
        by_name.retain(|name, _| names.contains(name));
        Self {
            specs,
            by_name: Arc::new(by_name),
        }
    }
}

/// The calls of one turn while they run; yields each result as it comes, with the place of its call.
pub(crate) struct Batch<'a> {
    context: &'a RunContext,
    tools: &'a ToolSet,
    state: &'a State,
    width: usize,
    waiting: VecDeque<(usize, &'a ToolCall)>,
    running: FuturesUnordered<BoxFuture<'a, (usize, ToolResult)>>,
    alone: bool,
    queued: Instant,
}

impl<'a> Batch<'a> {
    pub(crate) fn new(
        context: &'a RunContext,
        tools: &'a ToolSet,
        state: &'a State,
        width: usize,
        calls: &'a [ToolCall],
        places: &[usize],
    ) -> Self {
        let waiting = places
            .iter()
            .filter_map(|&place| Some((place, calls.get(place)?)));
        Self {
            context,
            tools,
            state,
            width: width.max(1),
            waiting: waiting.collect(),
            running: FuturesUnordered::new(),
            alone: false,
            queued: Instant::now(),
        }
    }

    /// The next result; `None` when every call has given one.
    pub(crate) async fn next(&mut self) -> Option<(usize, ToolResult)> {
        self.admit();
        let result = self.running.next().await;
        self.alone = false;
        result
    }

    fn admit(&mut self) {
        while !self.alone && self.running.len() < self.width {
            let Some(&(place, call)) = self.waiting.front() else {
                return;
            };
            let tool = self.tools.get(&call.name);
            let exclusive =
                tool.is_some_and(|tool| tool.options().concurrency == Concurrency::Exclusive);
            if exclusive && !self.running.is_empty() {
                return;
            }
            self.waiting.pop_front();
            self.alone = exclusive;
            let work = run(self.context, tool, self.state, call, self.queued);
            self.running
                .push(work.map(move |result| (place, result)).boxed());
        }
    }
}

/// Runs one call to its one result.
async fn run(
    context: &RunContext,
    tool: Option<&ToolHandle>,
    state: &State,
    call: &ToolCall,
    queued: Instant,
) -> ToolResult {
    let details = ToolDetails {
        call_id: Some(call.id.clone()),
        description: tool.map(|tool| tool.spec().description.clone()),
    };
    let context = context.clone().with_child_cancellation();
    // A call that is over, or dropped, tells whatever it has set going.
    let over = context.cancellation().clone().drop_guard();
    let timeout = tool.map_or(Duration::ZERO, |tool| tool.options().timeout);
    let context = if tool.is_some() {
        context.with_timeout(timeout)
    } else {
        context
    };
    let operation = context
        .start(Kind::Tool, call.name.clone())
        .details(Details::Tool(details))
        .payload(Payload::Arguments(&call.arguments))
        .begin();
    let waited = operation
        .info()
        .started_at
        .saturating_duration_since(queued);
    operation.record(|facts| facts.queued = Some(waited));
    let result = match tool {
        Some(tool) => guarded(tool, &operation, state, call, timeout).await,
        None => Err(ToolError::new(
            ToolErrorKind::UnknownTool,
            "there is no such tool here; use one of those that were offered",
        )),
    };
    drop(over);
    match result {
        Ok(output) => {
            let result = ToolResult::ok(call, shorten(output.content.into_string()));
            operation.end(Outcome::Ok, Payload::Result(&result.content));
            result
        }
        Err(error) => {
            let class = error.kind().as_str();
            operation
                .handle()
                .fail(class, format!("the tool call failed: {class}"));
            let result = ToolResult::error(call, shorten(error.to_string()));
            let outcome = match error.kind() {
                ToolErrorKind::Timeout => Outcome::Timeout,
                ToolErrorKind::Cancelled => Outcome::Cancelled,
                ToolErrorKind::Limit => Outcome::Limit,
                _ => Outcome::Error,
            };
            operation.end(outcome, Payload::Result(&result.content));
            result
        }
    }
}

/// Calls a tool so that it can neither panic nor take for ever.
async fn guarded(
    tool: &ToolHandle,
    operation: &Operation,
    state: &State,
    call: &ToolCall,
    timeout: Duration,
) -> Result<ToolOutput, ToolError> {
    let context = ToolContext::new(operation.handle(), call.id.clone(), state.clone());
    // A tool's own code may panic when it is called, not only when it is polled.
    let work = AssertUnwindSafe(async { tool.call(context, &call.arguments).await }).catch_unwind();
    let limit = operation
        .context()
        .time_left()
        .map_or(timeout, |left| left.min(timeout));
    match tokio::time::timeout(limit, work.instrument(operation.span().clone())).await {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => Err(ToolError::new(ToolErrorKind::Panic, "the tool panicked")),
        Err(_) => Err(ToolError::new(
            ToolErrorKind::Timeout,
            format!("the tool did not answer within {limit:?}"),
        )),
    }
}

/// Cuts the middle out of a result that is too long for a model.
fn shorten(text: String) -> String {
    if text.len() <= MAX_OUTPUT_BYTES {
        return text;
    }
    let head = text.floor_char_boundary(MAX_OUTPUT_BYTES / 2);
    let tail = text.ceil_char_boundary(text.len() - MAX_OUTPUT_BYTES / 2);
    let (head, tail) = (
        text.get(..head).unwrap_or(""),
        text.get(tail..).unwrap_or(""),
    );
    let cut = text.len() - head.len() - tail.len();
    format!("{head}\n[… {cut} bytes cut …]\n{tail}")
}
