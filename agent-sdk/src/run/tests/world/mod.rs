//! What is outside of a run and outlives its crashes: tools act on it, models are asked in it, and it notes what happened.

mod agents;

use std::{
    collections::BTreeMap,
    future::{Future, poll_fn},
    pin::pin,
    sync::{Arc, Mutex, MutexGuard},
    task::Poll,
    time::Duration,
};

pub(super) use crate::testing::FaultyStore;
pub(super) use agents::{TASK, acting, boss};

use crate::{
    journal::{Approver, Question, QuestionKind, Record, Runs, Verdict},
    message::{Conversation, Part, Role},
    model::{ChatRequest, ChatStream, Model, ModelError, ModelErrorKind, ModelInfo, ToolSpec},
    operation::RunContext,
    testing::ScriptedModel,
    tool::{Effect, Tool, ToolContext, ToolError, ToolOptions, ToolOutput},
};

/// What is outside of a run. Clones are one world.
#[derive(Clone, Debug, Default)]
pub(super) struct World(Arc<Mutex<Notes>>);

#[derive(Clone, Debug, Default)]
pub(super) struct Notes {
    /// The idempotency keys of model requests.
    pub(super) asked: Vec<String>,
    /// The idempotency keys of calls that began.
    pub(super) begun: Vec<String>,
    /// Those that took effect.
    pub(super) done: Vec<String>,
    /// What a person was asked: the call's key, and why.
    pub(super) questions: Vec<(String, QuestionKind)>,
    /// What the models were shown.
    pub(super) shown: Vec<Conversation>,
}

impl World {
    pub(super) fn notes(&self) -> MutexGuard<'_, Notes> {
        self.0.lock().unwrap()
    }

    /// What was noted since the last time.
    pub(super) fn take(&self) -> Notes {
        std::mem::take(&mut *self.notes())
    }

    /// A person who is there and decides by why they are asked.
    pub(super) fn person(&self, decide: fn(QuestionKind) -> Verdict) -> impl Approver {
        let world = self.clone();
        move |question: Question| {
            let world = world.clone();
            async move {
                tokio::time::sleep(Duration::from_millis(1)).await;
                let asked = (question.path.to_string(), question.kind);
                world.notes().questions.push(asked);
                decide(question.kind)
            }
        }
    }
}

/// A model that notes its requests and refuses conversations in which a call has not exactly one result.
pub(super) struct Watched {
    pub(super) world: World,
    pub(super) script: ScriptedModel,
}

impl Model for Watched {
    fn info(&self) -> Arc<ModelInfo> {
        self.script.info()
    }

    async fn stream(
        &self,
        context: &RunContext,
        request: ChatRequest,
    ) -> Result<ChatStream, ModelError> {
        let key = context.idempotency_key().unwrap_or_default();
        let key = key.split(':').next().unwrap_or_default().to_owned();
        {
            let mut notes = self.world.notes();
            notes.asked.push(key);
            notes.shown.push(request.conversation.clone());
        }
        if results_per_call(&request.conversation)
            .iter()
            .any(|(_, results)| results.len() != 1)
        {
            return Err(ModelError::new(
                ModelErrorKind::BadRequest,
                "each tool call must be followed by its one result",
            ));
        }
        self.script.stream(context, request).await
    }
}

/// A tool that notes when a call begins and, a while later, that it took effect.
pub(super) struct Act {
    pub(super) world: World,
    pub(super) name: &'static str,
    pub(super) options: ToolOptions,
    pub(super) takes: Duration,
}

impl Act {
    pub(super) fn new(world: &World, name: &'static str, effect: Effect) -> Self {
        Self {
            world: world.clone(),
            name,
            options: ToolOptions::default().with_effect(effect),
            takes: Duration::from_millis(2),
        }
    }
}

impl Tool for Act {
    fn spec(&self) -> ToolSpec {
        let schema = serde_json::value::to_raw_value(&serde_json::json!({"type": "object"}));
        ToolSpec::new(self.name, "Acts on the world.", schema.unwrap())
    }

    fn options(&self) -> ToolOptions {
        self.options
    }

    async fn call(&self, context: ToolContext, _: &str) -> Result<ToolOutput, ToolError> {
        let key = context.idempotency_key();
        self.world.notes().begun.push(key.clone());
        tokio::time::sleep(self.takes).await;
        self.world.notes().done.push(key);
        Ok(ToolOutput::from("done"))
    }
}

/// Each tool call of a conversation, by its id, and its results before the model's next message.
pub(super) fn results_per_call(conversation: &Conversation) -> Vec<(String, Vec<String>)> {
    let mut all = Vec::new();
    let mut messages = conversation.messages().iter().peekable();
    while let Some(message) = messages.next() {
        let results = messages.peek().filter(|next| next.role == Role::Tool);
        let results: Vec<_> = results.map_or(&[][..], |next| &next.parts).iter().collect();
        all.extend(message.tool_calls().map(|call| {
            let of_call = results.iter().filter_map(|part| match part {
                Part::ToolResult(result) if result.call_id == call.id => {
                    Some(result.content.as_str().to_owned())
                }
                _ => None,
            });
            (call.id.to_string(), of_call.collect())
        }));
    }
    all
}

/// Polls a future at most so many times, when it asks for it, and drops it: what a crash is to everything outside.
pub(super) async fn crash_after<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(move |context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// What a journal says was done, by idempotency key.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub(super) answers: Vec<String>,
    pub(super) results: Vec<String>,
    /// Calls of writing tools that began, and have no result and no question.
    pub(super) in_doubt: Vec<String>,
}

impl Kept {
    pub(super) async fn of(runs: &Runs, id: &str) -> Self {
        let mut kept = Self::default();
        let mut turns: BTreeMap<String, (u32, Vec<String>)> = BTreeMap::new();
        let Ok(records) = runs.records(id).await else {
            return kept;
        };
        for stored in records {
            let mut at = id.to_owned();
            if !stored.path.is_empty() {
                at = format!("{id}/{}", stored.path);
            }
            let (turn, calls) = turns.entry(at.clone()).or_default();
            match stored.record {
                Record::Answered(answered) => {
                    *turn += 1;
                    kept.answers.push(format!("{at}/{turn}"));
                    let ids = answered.response.message.tool_calls();
                    *calls = ids.map(|call| format!("{at}/{turn}/{}", call.id)).collect();
                }
                Record::ToolStarted { place } => kept.in_doubt.push(calls[place].clone()),
                Record::ToolReturned { place, .. } => {
                    kept.results.push(calls[place].clone());
                    kept.in_doubt.retain(|key| *key != calls[place]);
                }
                Record::ApprovalRequested { place, .. } => {
                    kept.in_doubt.retain(|key| *key != calls[place]);
                }
                _ => {}
            }
        }
        kept
    }
}

pub(super) fn allow(_: QuestionKind) -> Verdict {
    Verdict::allow()
}

/// Allows what has not begun, and nothing to be made again.
pub(super) fn never_again(kind: QuestionKind) -> Verdict {
    match kind {
        QuestionKind::InDoubt => Verdict::deny("it may have happened"),
        QuestionKind::Approval => Verdict::allow(),
    }
}
