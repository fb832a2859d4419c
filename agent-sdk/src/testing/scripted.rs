//! A model that answers from a script.

use std::{
    collections::VecDeque,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::Turn;
use crate::{
    model::{ChatRequest, ChatStream, Model, ModelError, ModelErrorKind, ModelInfo},
    operation::RunContext,
};

/// A model that answers from a script: a test double, and a stand-in where no model can be reached. It does not think.
///
/// Turns are taken in order, one per request, whatever was asked; a closure can look at the request instead. It sends
/// nothing, so it opens no `attempt` operation. Clones share the script, its position and the recorded requests.
///
/// Cancellation: a request that is given up has used up its turn.
///
/// # Example
///
/// ```
/// use agent_sdk::testing::{ScriptedModel, Turn};
///
/// let in_order = ScriptedModel::new([
///     Turn::new().tool_call("call-1", "search", r#"{"query":"rust"}"#),
///     Turn::from("Found it."),
/// ]);
/// let by_request = ScriptedModel::from_fn(|request, turn| {
///     Turn::from(format!("Turn {turn}: {} messages.", request.conversation.len()))
/// });
/// ```
#[derive(Clone)]
pub struct ScriptedModel {
    info: Arc<ModelInfo>,
    script: Arc<Script>,
    asked: Arc<AtomicUsize>,
    requests: Option<Arc<Mutex<Vec<ChatRequest>>>>,
}

/// Makes a turn of a request and its number.
type Answer = dyn Fn(&ChatRequest, usize) -> Turn + Send + Sync;

enum Script {
    Turns {
        len: usize,
        left: Mutex<VecDeque<Turn>>,
    },
    Function(Box<Answer>),
}

impl ScriptedModel {
    /// Answers with these turns, in order. A request after the last one fails as a wrong configuration.
    pub fn new(turns: impl IntoIterator<Item = impl Into<Turn>>) -> Self {
        let left: VecDeque<Turn> = turns.into_iter().map(Into::into).collect();
        Self::of(Script::Turns {
            len: left.len(),
            left: Mutex::new(left),
        })
    }

    /// Answers with what a function makes of the request and of its number, which counts from 1.
    pub fn from_fn(answer: impl Fn(&ChatRequest, usize) -> Turn + Send + Sync + 'static) -> Self {
        Self::of(Script::Function(Box::new(answer)))
    }

    fn of(script: Script) -> Self {
        Self {
            info: Arc::new(ModelInfo::new("scripted", "scripted-1")),
            script: Arc::new(script),
            asked: Arc::default(),
            requests: None,
        }
    }

    /// Passes for a model of a provider, for example to be priced like it. Default: `scripted-1` of `scripted`, which has no
    /// price.
    #[must_use]
    pub fn named(mut self, provider: impl Into<Arc<str>>, model: impl Into<Arc<str>>) -> Self {
        self.info = Arc::new(ModelInfo::new(provider, model));
        self
    }

    /// Keeps all requests, with their histories, for [`requests`](Self::requests). Default: none is kept.
    #[must_use]
    pub fn recording(mut self) -> Self {
        self.requests = Some(Arc::default());
        self
    }

    /// The requests so far, in order; none unless [`recording`](Self::recording) was switched on.
    pub fn requests(&self) -> Vec<ChatRequest> {
        let requests = self.requests.as_ref();
        requests.map_or_else(Vec::new, |requests| lock(requests).clone())
    }

    /// How many requests there were, those past the end of the script included.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// Takes the turn that answers a request.
    fn turn(&self, request: &ChatRequest) -> Result<Turn, ModelError> {
        let (number, turn) = match &*self.script {
            Script::Turns { left, .. } => {
                let mut left = lock(left);
                (self.count(request), left.pop_front())
            }
            Script::Function(answer) => {
                let number = self.count(request);
                (number, Some(answer(request, number)))
            }
        };
        turn.ok_or_else(|| self.exhausted(number))
    }

    /// Counts a request, and keeps it if it should; returns its number, from 1.
    fn count(&self, request: &ChatRequest) -> usize {
        let mut requests = self.requests.as_deref().map(lock);
        if let Some(requests) = &mut requests {
            requests.push(request.clone());
        }
        self.asked.fetch_add(1, Ordering::SeqCst) + 1
    }

    fn exhausted(&self, number: usize) -> ModelError {
        let len = match &*self.script {
            Script::Turns { len, .. } => *len,
            Script::Function(_) => 0,
        };
        let turns = if len == 1 { "turn" } else { "turns" };
        let message = format!("the script has {len} {turns}, turn {number} was asked");
        ModelError::new(ModelErrorKind::Configuration, message)
            .with_provider(self.info.provider.to_string())
    }
}

impl Model for ScriptedModel {
    fn info(&self) -> Arc<ModelInfo> {
        self.info.clone()
    }

    async fn stream(&self, _: &RunContext, request: ChatRequest) -> Result<ChatStream, ModelError> {
        self.turn(&request)?.play(&request).await
    }
}

impl fmt::Debug for ScriptedModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScriptedModel")
            .field("model", &self.info.model)
            .field("asked", &self.asked())
            .finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
