//! Calls that are made together.

use std::{
    fmt,
    num::NonZeroUsize,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared, WeakShared},
};
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};

use super::{
    admission::{Admission, admit},
    passage::Passage,
};
use crate::{
    guarded::Guarded,
    model::ToolSpec,
    operation::InSpan,
    tool::{Tool, ToolContext, ToolError, ToolErrorKind, ToolOptions, ToolOutput},
};

/// A tool that answers many calls at once, as one request to a service for example; implementers write `async fn call_batch`.
///
/// A [`BatchedTool`] makes a [`Tool`] of it. Calls that pass a [`ToolScheduler`](super::ToolScheduler) are gathered over all turns,
/// runs and agents that share the scheduler, and the tool; without one each call is a batch of its own.
///
/// # Example
///
/// ```
/// use agent_sdk::{model::ToolSpec, tool::{BatchCall, BatchTool, BatchedTool, ToolError, ToolHandle, ToolOutput}};
/// use serde_json::value::RawValue;
///
/// struct Stock;
///
/// impl BatchTool for Stock {
///     fn spec(&self) -> ToolSpec {
///         let schema = RawValue::from_string(r#"{"type":"object"}"#.into()).unwrap_or_default();
///         ToolSpec::new("stock", "How many of an article there are.", schema)
///     }
///
///     async fn call_batch(&self, calls: Vec<BatchCall>) -> Vec<Result<ToolOutput, ToolError>> {
///         calls.iter().map(|call| Ok(ToolOutput::from(format!("12 of {}", call.arguments)))).collect()
///     }
/// }
///
/// let tool = ToolHandle::from(BatchedTool::new(Stock));
/// ```
#[diagnostic::on_unimplemented(message = "`{Self}` is not a tool that answers many calls at once")]
pub trait BatchTool: Send + Sync + 'static {
    /// Its name, its description and the schema of one call's arguments, for the model. Asked once.
    fn spec(&self) -> ToolSpec;

    /// How it may be run. The timeout is that of a whole batch. Asked once.
    fn options(&self) -> ToolOptions {
        ToolOptions::default()
    }

    /// How long the first call of a batch waits for others. Default: 5 ms. Asked once.
    fn window(&self) -> Duration {
        Duration::from_millis(5)
    }

    /// How many calls are made together at most; a batch that is full is not waited for any longer. Default: 32. Asked once.
    fn max_size(&self) -> NonZeroUsize {
        const { NonZeroUsize::new(32).unwrap() }
    }

    /// Does it: one result for each call, in their order. With any other number of results each call fails.
    ///
    /// Cancellation: the future is dropped when nobody waits for any of the calls, or their time is up.
    fn call_batch(
        &self,
        calls: Vec<BatchCall>,
    ) -> impl Future<Output = Vec<Result<ToolOutput, ToolError>>> + Send;
}

/// One call of a batch.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BatchCall {
    /// The call's own context: what is recorded or started there is this call's.
    pub context: ToolContext,
    /// The JSON text that the model wrote; it may be anything.
    pub arguments: Arc<str>,
}

/// The dyn-compatible twin of [`BatchTool`].
trait ErasedBatch: Send + Sync {
    fn call_boxed(&self, calls: Vec<BatchCall>) -> BoxFuture<'_, Answers>;
}

impl<T: BatchTool> ErasedBatch for T {
    fn call_boxed(&self, calls: Vec<BatchCall>) -> BoxFuture<'_, Answers> {
        Box::pin(self.call_batch(calls))
    }
}

type Answers = Vec<Result<ToolOutput, ToolError>>;

/// A [`BatchTool`] as a [`Tool`]. Clones share their batches.
#[derive(Clone)]
pub struct BatchedTool {
    tool: Arc<dyn ErasedBatch>,
    spec: ToolSpec,
    options: ToolOptions,
    window: Duration,
    max_size: usize,
    joinable: Arc<Mutex<Option<Open>>>,
}

/// A batch that can be joined.
struct Open {
    group: Arc<Group>,
    flight: WeakShared<BoxFuture<'static, Together>>,
}

/// The result of each call, by its place among those that joined.
type Together = Arc<Vec<Option<Result<ToolOutput, ToolError>>>>;

impl BatchedTool {
    /// A tool that makes its calls together.
    pub fn new(tool: impl BatchTool) -> Self {
        Self {
            spec: tool.spec(),
            options: tool.options(),
            window: tool.window(),
            max_size: tool.max_size().get(),
            tool: Arc::new(tool),
            joinable: Arc::default(),
        }
    }

    /// Sets how it may be run, in place of what it says itself.
    #[must_use]
    pub fn options(mut self, options: ToolOptions) -> Self {
        self.options = options;
        self
    }

    /// Makes a call together with others, or in a batch of its own.
    pub(super) async fn join(
        &self,
        passage: &Passage,
        context: ToolContext,
        alone: bool,
    ) -> Result<ToolOutput, ToolError> {
        let call = BatchCall {
            context,
            arguments: passage.arguments.clone(),
        };
        let (flight, seat) = if alone {
            self.open(passage, call, 1)
        } else {
            self.seat(passage, call)
        };
        let together = flight.await;
        let own = together.get(seat.place).cloned().flatten();
        own.unwrap_or_else(|| Err(ToolError::failed("the batch has no result for the call")))
    }

    /// Joins the batch that is open, or opens one.
    fn seat(
        &self,
        passage: &Passage,
        call: BatchCall,
    ) -> (Shared<BoxFuture<'static, Together>>, Seat) {
        // What nobody waits for is dropped outside of the lock.
        let mut abandoned = None;
        let seated = self.joinable.with(|open| {
            if let Some(Open { group, flight }) = open.as_ref()
                && let Some(flight) = flight.upgrade()
            {
                match group.join(&call) {
                    Some(place) => {
                        let seat = Seat {
                            group: group.clone(),
                            place,
                        };
                        if place + 1 >= self.max_size {
                            group.full.notify_one();
                            *open = None;
                        }
                        return (flight, seat);
                    }
                    None => abandoned = Some(flight),
                }
            }
            let (flight, seat) = self.open(passage, call, self.max_size);
            *open = None;
            if self.max_size > 1 {
                *open = flight.downgrade().map(|flight| Open {
                    group: seat.group.clone(),
                    flight,
                });
            }
            (flight, seat)
        });
        drop(abandoned);
        seated
    }

    /// Begins a batch for so many calls.
    fn open(
        &self,
        passage: &Passage,
        call: BatchCall,
        max_size: usize,
    ) -> (Shared<BoxFuture<'static, Together>>, Seat) {
        let group = Arc::new(Group::new(call));
        if max_size == 1 {
            group.full.notify_one();
        }
        let work = self.clone().make(group.clone(), passage.clone());
        (work.boxed().shared(), Seat { group, place: 0 })
    }

    /// Waits for the calls of a batch, makes them, and hands out the results.
    async fn make(self, group: Arc<Group>, passage: Passage) -> Together {
        tokio::select! {
            biased;
            () = group.full.notified() => {}
            () = sleep(self.window) => {}
        }
        let Some(first) = group.first() else {
            return Arc::default();
        };
        // More may join while it waits for its permits.
        let admitted = admit(&passage.desk, &passage.gate, first.operation()).await;
        let (mut places, mut calls, joined) = group.close();
        let results = match admitted {
            Err(refused) => vec![Err(refused); calls.len()],
            Ok(admission) => {
                passage.desk.count(|counting| {
                    counting.batches += 1;
                    counting.batched += u64::try_from(calls.len()).unwrap_or(u64::MAX);
                });
                for call in &mut calls {
                    call.context = call.context.holding(admission.holding());
                }
                let results = self.execute(calls, &first, passage.attempt_time()).await;
                settle(admission, &results);
                results
            }
        };
        let mut all = vec![None; joined];
        for (place, result) in places.drain(..).zip(results) {
            if let Some(slot) = all.get_mut(place) {
                *slot = Some(result);
            }
        }
        Arc::new(all)
    }

    /// Calls the tool so that it can neither panic nor take for ever, and gives one result for each call.
    async fn execute(
        &self,
        calls: Vec<BatchCall>,
        first: &ToolContext,
        limit: Duration,
    ) -> Answers {
        let asked = calls.len();
        let work = AssertUnwindSafe(async { self.tool.call_boxed(calls).await }).catch_unwind();
        let error = match timeout(limit, work.in_span(first.span().clone())).await {
            Ok(Ok(results)) if results.len() == asked => return results,
            Ok(Ok(results)) => ToolError::failed(format!(
                "the tool gave {} results for a batch of {asked} calls, so that none can be told from the others",
                results.len()
            )),
            Ok(Err(_)) => ToolError::new(ToolErrorKind::Panic, "the tool panicked"),
            Err(_) => ToolError::new(
                ToolErrorKind::Timeout,
                format!("the tool did not answer within {limit:?}"),
            ),
        };
        vec![Err(error); asked]
    }
}

/// A batch works if any of its calls does.
fn settle(admission: Admission, results: &Answers) {
    let best = results.iter().find(|it| it.is_ok()).or(results.first());
    if let Some(best) = best {
        admission.settle(best.as_ref());
    }
}

impl Tool for BatchedTool {
    fn spec(&self) -> ToolSpec {
        self.spec.clone()
    }

    fn options(&self) -> ToolOptions {
        self.options
    }

    async fn call(&self, context: ToolContext, arguments: &str) -> Result<ToolOutput, ToolError> {
        let call = BatchCall {
            context,
            arguments: arguments.into(),
        };
        let mut results = self.tool.call_boxed(vec![call]).await;
        match (results.pop(), results.is_empty()) {
            (Some(result), true) => result,
            (_, _) => Err(ToolError::failed(
                "the tool did not give one result for one call",
            )),
        }
    }
}

impl fmt::Debug for BatchedTool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchedTool")
            .field("name", &self.spec.name)
            .field("window", &self.window)
            .field("max_size", &self.max_size)
            .finish_non_exhaustive()
    }
}

/// The calls of one batch.
struct Group {
    /// Each that joined, in order; `None` where it was given up. Gone once they are made.
    calls: Mutex<Option<Vec<Option<BatchCall>>>>,
    full: Notify,
}

impl Group {
    fn new(first: BatchCall) -> Self {
        Self {
            calls: Mutex::guard(Some(vec![Some(first)])),
            full: Notify::new(),
        }
    }

    /// Adds a call; `None` where it is too late.
    fn join(&self, call: &BatchCall) -> Option<usize> {
        self.calls.with(|calls| {
            let calls = calls.as_mut()?;
            calls.push(Some(call.clone()));
            Some(calls.len() - 1)
        })
    }

    /// The context of the first call that somebody waits for.
    fn first(&self) -> Option<ToolContext> {
        self.calls.with(|calls| {
            let first = calls.as_ref()?.iter().flatten().next()?;
            Some(first.context.clone())
        })
    }

    /// Lets nobody join any more; those that are to be made, with their places, and how many joined.
    fn close(&self) -> (Vec<usize>, Vec<BatchCall>, usize) {
        let calls = self.calls.with(Option::take).unwrap_or_default();
        let joined = calls.len();
        let kept = calls.into_iter().enumerate();
        let (places, calls) = kept
            .filter_map(|(place, call)| Some((place, call?)))
            .unzip();
        (places, calls, joined)
    }
}

/// A call's place in a batch. Dropped before the batch is made, the call is no part of it.
struct Seat {
    group: Arc<Group>,
    place: usize,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let place = self.place;
        let gone = self.group.calls.with(|calls| {
            let call = calls.as_mut()?.get_mut(place)?;
            call.take()
        });
        drop(gone);
    }
}
