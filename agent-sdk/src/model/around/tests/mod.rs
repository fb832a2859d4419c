//! The layers together, as a caller and an observer see them.

mod breaker;
mod cache;
mod combinations;
mod others;
mod rate;
mod retry;
mod trace;

use std::{
    collections::VecDeque,
    num::NonZeroU32,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::{StreamExt, stream};
use tokio::time::Instant;

use crate::{
    model::{
        ChatEvent, ChatRequest, ChatResponse, ChatStream, FinishReason, Jitter, Model, ModelError,
        ModelErrorKind, ModelInfo, Retry, Usage,
    },
    operation::{
        AttemptDetails, Details, Facts, Failure, Kind, Operation, Outcome, Payload, RunContext,
    },
    testing::TraceCapture,
};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

fn n(n: u32) -> NonZeroU32 {
    NonZeroU32::new(n).unwrap()
}

fn error(kind: ModelErrorKind) -> ModelError {
    ModelError::new(kind, "it said so")
}

fn overloaded() -> ModelError {
    error(ModelErrorKind::Overloaded)
}

fn ask() -> ChatRequest {
    ChatRequest::new("hi")
}

fn chats(trace: &TraceCapture) -> Vec<Facts> {
    let operations = trace.operations();
    let chats = operations.into_iter().filter(|op| op.kind == Kind::Chat);
    chats.map(|op| op.facts).collect()
}

fn steady() -> Retry {
    Retry::default().jitter(Jitter::None)
}

enum Act {
    /// Answers after a while.
    Answer(Duration),
    /// Fails after a while.
    Fail(Duration, ModelError),
    /// Streams so many pieces, then fails.
    Break(usize, ModelError),
    /// Never answers.
    Hang,
    /// Panics.
    Panic,
}

fn fails(kind: ModelErrorKind) -> Act {
    Act::Fail(Duration::ZERO, error(kind))
}

fn answers() -> Act {
    Act::Answer(Duration::ZERO)
}

#[derive(Clone)]
struct Fake {
    info: Arc<ModelInfo>,
    acts: Arc<Mutex<VecDeque<Act>>>,
    rest: fn() -> Act,
    sent: Arc<Mutex<Vec<Sent>>>,
    under_way: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
    retry: Option<Retry>,
    streams: bool,
}

#[derive(Clone, Debug)]
struct Sent {
    at: Instant,
    number: u32,
    key: Option<String>,
}

impl Fake {
    fn new(name: &str, acts: impl IntoIterator<Item = Act>, rest: fn() -> Act) -> Self {
        Self {
            info: Arc::new(ModelInfo::new("fake", name)),
            acts: Arc::new(Mutex::new(acts.into_iter().collect())),
            rest,
            sent: Arc::default(),
            under_way: Arc::default(),
            most: Arc::default(),
            retry: None,
            streams: true,
        }
    }

    /// Does these things, and answers at once after them.
    fn acting(acts: impl IntoIterator<Item = Act>) -> Self {
        Self::new("primary", acts, answers)
    }

    /// Fails always.
    fn failing(rest: fn() -> Act) -> Self {
        Self::new("primary", [], rest)
    }

    fn named(mut self, name: &str) -> Self {
        self.info = Arc::new(ModelInfo::new("fake", name));
        self
    }

    fn sent(&self) -> Vec<Sent> {
        self.sent.lock().unwrap().clone()
    }

    fn count(&self) -> usize {
        self.sent.lock().unwrap().len()
    }

    /// How many tries were under way at once, at the most.
    fn most(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }

    /// When the tries were sent, in milliseconds after `start`.
    fn times(&self, start: Instant) -> Vec<u128> {
        let sent = self.sent();
        sent.iter()
            .map(|sent| (sent.at - start).as_millis())
            .collect()
    }

    fn begin(&self, context: &RunContext) -> (Act, Attempt) {
        self.sent.lock().unwrap().push(Sent {
            at: Instant::now(),
            number: context.attempt_number(),
            key: context.idempotency_key().map(str::to_owned),
        });
        let now = self.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        let details = AttemptDetails {
            model: self.info.clone(),
            number: context.attempt_number(),
        };
        let operation = context
            .start(Kind::Attempt, "")
            .details(Details::Attempt(details))
            .begin();
        let attempt = Attempt {
            operation: Some(operation),
            under_way: self.under_way.clone(),
        };
        let act = self.acts.lock().unwrap().pop_front();
        (act.unwrap_or_else(self.rest), attempt)
    }
}

struct Attempt {
    operation: Option<Operation>,
    under_way: Arc<AtomicUsize>,
}

impl Attempt {
    fn end(mut self, error: Option<&ModelError>) {
        let Some(operation) = self.operation.take() else {
            return;
        };
        match error {
            None => operation.end(Outcome::Ok, Payload::None),
            Some(error) => {
                operation.record(|facts| facts.error = Some(Failure::of(error)));
                operation.end(Outcome::Error, Payload::None);
            }
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.under_way.fetch_sub(1, Ordering::SeqCst);
    }
}

fn response(model: &str) -> ChatResponse {
    let text = crate::message::Part::Text(format!("{model} says").into());
    ChatResponse::new(vec![text], FinishReason::Stop, Usage::new(10, 5))
}

impl Model for Fake {
    fn info(&self) -> Arc<ModelInfo> {
        self.info.clone()
    }

    fn streams(&self) -> bool {
        self.streams
    }

    fn retry(&self) -> Option<Retry> {
        self.retry.clone()
    }

    async fn stream(&self, context: &RunContext, _: ChatRequest) -> Result<ChatStream, ModelError> {
        let (act, attempt) = self.begin(context);
        let text = || ChatEvent::Text("piece".into());
        let pieces = match act {
            Act::Answer(after) => {
                tokio::time::sleep(after).await;
                let done = ChatEvent::Done(Box::new(response(&self.info.model)));
                vec![Ok(text()), Ok(done)]
            }
            Act::Fail(after, error) => {
                tokio::time::sleep(after).await;
                attempt.end(Some(&error));
                return Err(error);
            }
            Act::Break(pieces, error) => {
                let mut events: Vec<_> = (0..pieces).map(|_| Ok(text())).collect();
                events.push(Err(error));
                events
            }
            Act::Hang => std::future::pending().await,
            Act::Panic => panic!("the model panicked"),
        };
        let pieces = stream::unfold(
            (VecDeque::from(pieces), Some(attempt)),
            |(mut pieces, mut attempt)| async move {
                let piece: Result<ChatEvent, ModelError> = pieces.pop_front()?;
                match &piece {
                    Ok(ChatEvent::Done(_)) => attempt.take().unwrap().end(None),
                    Err(error) => attempt.take().unwrap().end(Some(error)),
                    Ok(_) => {}
                }
                Some((piece, (pieces, attempt)))
            },
        );
        Ok(ChatStream::new(pieces.fuse()))
    }
}
