//! What is known of an operation: at its start, while it runs, at its end.

use std::{
    any::Any,
    borrow::Cow,
    sync::{Arc, LazyLock},
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::Instant;
use tracing::Span;

use super::{Details, Inside, Kind, Member, OperationId, Outcome, RunId, TraceContext};
use crate::{
    budget::Standing,
    cost::{Cost, Usd},
    message::{Conversation, ConversationId},
    model::{ChatRequest, ChatResponse, FinishReason, ModelErrorKind, ModelInfo, SideUsage, Usage},
    profile::Profile,
    run::Artifact,
};

/// What is known of an operation when it starts; it never changes.
#[derive(Debug)]
#[non_exhaustive]
pub struct OperationInfo {
    /// Its number within the run.
    pub id: OperationId,
    /// The operation around it.
    pub parent: Option<OperationId>,
    /// The run.
    pub run_id: RunId,
    /// What it is.
    pub kind: Kind,
    /// The agent's, model's or tool's name.
    pub name: Arc<str>,
    /// Its place in the trace.
    pub trace: TraceContext,
    /// The span it hangs under, of this process or another.
    pub parent_trace: Option<TraceContext>,
    /// The operations that it waited for or replaces, without hanging under them.
    pub links: Vec<TraceContext>,
    /// When it started, by the wall clock.
    pub started: SystemTime,
    /// When it started, by the monotonic clock.
    pub started_at: Instant,
    /// The agent that it belongs to.
    pub agent: Option<Arc<str>>,
    /// The id of the plan's step that it belongs to, the innermost one.
    pub step: Option<Arc<str>>,
    /// What the run's caller attached.
    pub labels: Arc<Labels>,
    /// What only its kind has.
    pub details: Details,
    /// Its `tracing` span; disabled where no subscriber wants it.
    pub span: Span,
    /// What the [`IdSource`](super::IdSource) left here for itself.
    pub attachment: Option<Arc<dyn Any + Send + Sync>>,
}

impl OperationInfo {
    /// The span's name by the conventions, for example `chat gpt-5` or `execute_tool search`.
    pub fn span_name(&self) -> Cow<'static, str> {
        self.details.span_name(self.kind, &self.name)
    }

    /// The model that a `chat`, `embeddings` or `attempt` operation asks.
    pub fn model(&self) -> Option<&ModelInfo> {
        self.details.model().map(|model| &**model)
    }
}

/// What a run's caller attached to it; inherited by everything inside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Labels {
    /// Free tags, in the order in which they were given.
    pub tags: Vec<(Arc<str>, Arc<str>)>,
    /// The conversation, where there is a real one.
    pub conversation: Option<ConversationId>,
    /// The session.
    pub session: Option<Arc<str>>,
    /// The user on whose behalf it runs.
    pub user: Option<Arc<str>>,
    /// Whether the older part of the conversation was summed up or left out; recorded as `gen_ai.conversation.compacted`.
    pub compacted: bool,
    /// Which of several runs at once it is.
    pub(crate) member: Option<Arc<Member>>,
}

impl Labels {
    /// Sets a tag, in place of one of the same key.
    pub fn tag(&mut self, key: impl Into<Arc<str>>, value: impl Into<Arc<str>>) {
        let (key, value) = (key.into(), value.into());
        match self.tags.iter_mut().find(|(known, _)| *known == key) {
            Some(tag) => tag.1 = value,
            None => self.tags.push((key, value)),
        }
    }
}

/// What is learnt of an operation while it runs.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Facts {
    /// What it used itself; known on `chat` and `embeddings` only.
    pub usage: Usage,
    /// What the provider used beside the answer; part of its price, and not of `usage`.
    pub side_usage: Vec<SideUsage>,
    /// The provider's id of the answer.
    pub response_id: Option<Arc<str>>,
    /// The model that answered.
    pub response_model: Option<Arc<str>>,
    /// Why the model stopped.
    pub finish_reasons: Vec<FinishReason>,
    /// What the provider says that it costs.
    pub provider_cost: Option<Usd>,
    /// The tier of service that answered, in the provider's word; prices may depend on it.
    pub service_tier: Option<Arc<str>>,
    /// The configuration of the provider's that answered, in its own word.
    pub system_fingerprint: Option<Arc<str>>,
    /// From the start to the first piece of the answer.
    pub first_chunk: Option<Duration>,
    /// The gaps between the pieces after the first, in microseconds; at most 65,536 are kept.
    pub chunk_gaps_us: Vec<u32>,
    /// How long the reader of a stream kept it waiting.
    pub consumer_wait: Duration,
    /// How long it waited for its turn before it started to work; of a model request or a tool call, the waits of all its tries.
    pub queued: Option<Duration>,
    /// How many tries a model request or a tool call took, the first included; `None` where it would not have been tried again.
    pub attempts: Option<u32>,
    /// How many tries before the last may have been charged without anybody knowing: they timed out, broke off or got lost,
    /// and no usage was reported.
    pub lost_attempts: u32,
    /// What each try came to, of a request that was sent again; while it runs, each but the last.
    pub tries: Vec<Try>,
    /// What the last try is charged, where nobody knows what it used.
    pub estimate: Option<Box<Cost>>,
    /// How long the answer was allowed to be, where a budget decided that.
    pub budget_max_tokens: Option<u32>,
    /// How the budget stands that is nearest to its cap, of an agent or a workflow: as the last of its requests left it.
    pub budget: Option<Box<Standing>>,
    /// Whether the answer came out of a cache: nothing was sent, no tool was called, and it cost nothing.
    pub cached: bool,
    /// Whether a tool call shares the execution of an identical one that was under way: it cost nothing more.
    pub coalesced: bool,
    /// The model or tool that failed before this one was asked in its place.
    pub fallback_for: Option<Arc<str>>,
    /// The class of that failure.
    pub fallback_reason: Option<&'static str>,
    /// The model that was slow to answer when this one was asked as well.
    pub hedge_for: Option<Arc<str>>,
    /// Whether the caller asked for a stream, and got one made of the whole answer.
    pub stream_of_whole: bool,
    /// The HTTP status of an attempt.
    pub http_status: Option<u16>,
    /// How many records a memory operation found or changed.
    pub records: Option<u64>,
    /// How the time of a plan was spent, of a `workflow` operation that is one.
    pub plan: Option<PlanTimes>,
    /// What a tool says that it spent, each with its label.
    pub charges: Vec<(Arc<str>, Usd)>,
    /// The files that an agent's run wrote in its workspace.
    pub artifacts: Vec<Artifact>,
    /// When the last byte was read, where that was before the end.
    pub last_byte: Option<Instant>,
    /// Why it failed.
    pub error: Option<Failure>,
    /// What the requests inside it came to that have no operation of their own.
    pub(crate) inside: Option<Box<Inside>>,
}

/// How the time of a plan was spent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlanTimes {
    /// The time of all its steps together, as if they had run one after the other.
    pub work: Duration,
    /// How long its longest way through steps that waited for each other took.
    pub critical_path: Duration,
}

impl PlanTimes {
    /// Times of so much work, and so long a way.
    pub fn new(work: Duration, critical_path: Duration) -> Self {
        Self {
            work,
            critical_path,
        }
    }
}

impl Facts {
    /// Of an operation of which nothing was learnt.
    pub(super) fn nothing() -> &'static Self {
        static NOTHING: LazyLock<Facts> = LazyLock::new(Facts::default);
        &NOTHING
    }

    /// Adds the last of several tries; answers with what all of them cost.
    pub(crate) fn add_last_try(&mut self, cost: Option<Cost>) -> Option<Cost> {
        if !self.was_not_admitted() {
            let was_refused = self.usage.is_unknown() && self.is_refusal();
            self.tries.push(Try {
                usage: self.usage,
                cost,
                was_refused,
            });
        }
        self.usage = Usage::unknown();
        for each in &self.tries {
            self.usage.add(&each.usage);
        }
        let costs = self.tries.iter().filter_map(|each| each.cost.clone());
        costs.reduce(|sum, more| sum.plus(&more))
    }

    /// How many of its requests, each try of one counted, may have cost something that nobody knows.
    pub(crate) fn unpriced_requests(&self, cost: Option<&Cost>) -> u32 {
        if let Some(unpriced) = self.inside.as_ref().and_then(|inside| inside.unpriced()) {
            return unpriced;
        }
        if self.tries.is_empty() {
            return u32::from(cost.is_none() && !self.was_free());
        }
        let unpriced = self.tries.iter().filter(|each| each.is_unpriced());
        u32::try_from(unpriced.count()).unwrap_or(u32::MAX)
    }

    /// Whether it is known to have cost nothing: it was refused, or answered from the response cache.
    pub fn was_free(&self) -> bool {
        self.cached || self.was_refused()
    }

    /// Whether the provider refused the request before it did anything that it would charge for.
    ///
    /// A request that timed out, broke off, was given up or got lost on the way may have been charged: of those nobody knows.
    pub fn was_refused(&self) -> bool {
        self.usage.is_unknown() && self.lost_attempts == 0 && self.is_refusal()
    }

    /// Whether a budget refused what came last, so that nothing was sent.
    pub(crate) fn was_not_admitted(&self) -> bool {
        let class = self.error.as_ref().map(|failure| &*failure.class);
        self.usage.is_unknown() && class == Some(ModelErrorKind::Budget.as_str())
    }

    /// Whether what came last of the provider was a refusal.
    fn is_refusal(&self) -> bool {
        self.error.as_ref().is_some_and(|failure| {
            ModelErrorKind::REFUSALS
                .iter()
                .any(|kind| kind.as_str() == failure.class)
        })
    }
}

/// One try of a model request that was sent again.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Try {
    /// What it used, as far as known.
    pub usage: Usage,
    /// What it cost; `None` where nobody knows.
    pub cost: Option<Cost>,
    /// Whether it was refused, and cost nothing.
    pub was_refused: bool,
}

impl Try {
    /// Whether it may have cost something that nobody knows.
    pub const fn is_unpriced(&self) -> bool {
        self.cost.is_none() && !self.was_refused
    }
}

/// Why an operation failed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failure {
    /// A low-cardinality class, recorded as `error.type`.
    pub class: Cow<'static, str>,
    /// Words for people, without content and without secrets.
    pub message: String,
}

impl Failure {
    /// A failure of a class.
    pub fn new(class: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self {
            class: class.into(),
            message: message.into(),
        }
    }
}

/// Sums over an operation and everything inside it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Totals {
    /// What all model requests used.
    pub usage: Usage,
    /// What all of it cost, as far as prices are known.
    pub cost: Usd,
    /// Model requests whose price or usage is unknown, each try of one counted: `cost` lacks them. One that was refused, or answered
    /// from a cache, cost nothing.
    pub unpriced_calls: u32,
    /// Model requests, failed ones and ones that a cache answered included.
    pub model_calls: u32,
    /// Tool calls, failed ones included.
    pub tool_calls: u32,
    /// Model requests of the operation's own agent, not of agents inside it.
    pub own_model_calls: u32,
    /// Tool calls of the operation's own agent, not of agents inside it.
    pub own_tool_calls: u32,
}

impl Totals {
    /// Adds those of something else.
    pub(crate) fn add(&mut self, more: &Self) {
        self.usage.add(&more.usage);
        self.cost = self.cost.saturating_add(more.cost);
        self.unpriced_calls += more.unpriced_calls;
        self.model_calls += more.model_calls;
        self.tool_calls += more.tool_calls;
        self.own_model_calls += more.own_model_calls;
        self.own_tool_calls += more.own_tool_calls;
    }

    /// What came after `earlier`, a part of this.
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        Self {
            usage: self.usage.since(&earlier.usage),
            cost: self.cost.saturating_sub(earlier.cost),
            unpriced_calls: self.unpriced_calls.saturating_sub(earlier.unpriced_calls),
            model_calls: self.model_calls.saturating_sub(earlier.model_calls),
            tool_calls: self.tool_calls.saturating_sub(earlier.tool_calls),
            own_model_calls: self.own_model_calls.saturating_sub(earlier.own_model_calls),
            own_tool_calls: self.own_tool_calls.saturating_sub(earlier.own_tool_calls),
        }
    }

    /// Whether there is nothing in it.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A finished operation, as observers are shown it.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct OperationRecord<'a> {
    /// What was known at its start.
    pub info: &'a OperationInfo,
    /// What was learnt since.
    pub facts: &'a Facts,
    /// How it ended.
    pub outcome: Outcome,
    /// From its start to its end, or to the last byte read where that was earlier.
    pub duration: Duration,
    /// When it ended, by the wall clock.
    pub ended: SystemTime,
    /// What it cost itself; `None` where unknown, and for kinds that have no price.
    pub cost: Option<&'a Cost>,
    /// Sums over it and everything inside it.
    pub totals: &'a Totals,
    /// The model that all chat requests of an agent asked, those of agents inside it apart; `None` where they asked none or several.
    pub only_model: Option<&'a ModelInfo>,
    /// The profile, on an operation without a parent.
    pub profile: Option<&'a Arc<Profile>>,
}

impl OperationRecord<'_> {
    /// Whether it may have cost something that nobody knows: its price or its usage is unknown, and it was neither refused nor
    /// answered from a cache.
    pub fn is_unpriced(&self) -> bool {
        self.info.kind.is_priced() && self.cost.is_none() && !self.facts.was_free()
    }

    /// How many of its requests, each try of one counted, may have cost something that nobody knows.
    pub fn unpriced_requests(&self) -> u32 {
        if self.info.kind.is_priced() {
            self.facts.unpriced_requests(self.cost)
        } else {
            0
        }
    }
}

/// The content that goes with a start or an end, lent for the length of the call.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub enum Payload<'a> {
    /// None, or nobody knows it.
    #[default]
    None,
    /// What an agent was asked.
    Prompt(&'a Conversation),
    /// What an agent answered.
    Answer(&'a str),
    /// What a model was asked.
    Request(&'a ChatRequest),
    /// What a model answered.
    Response(&'a ChatResponse),
    /// What a tool was called with: JSON text.
    Arguments(&'a str),
    /// What a tool gave.
    Result(&'a str),
    /// What a plan or a step of one gave.
    Given(&'a Value),
}
