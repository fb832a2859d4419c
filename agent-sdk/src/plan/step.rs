//! A step of a plan: what runs, when, and what happens where it fails.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Plan, file::RawStep, time};

/// A step of a plan.
///
/// In a file, what it does is one of the keys `agent`, `tool`, `function` and `plan`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "RawStep", into = "RawStep")]
#[schemars(with = "RawStep")]
#[non_exhaustive]
pub struct Step {
    /// Its name in the plan: letters, digits, `_` and `-`, at most 64.
    pub id: Arc<str>,
    /// What it is for, for people.
    pub description: Option<Arc<str>>,
    /// What runs.
    pub work: Work,
    /// What it is given. References in it are resolved when the step begins.
    pub input: Value,
    /// The steps that it waits for, beside those that it refers to.
    pub depends_on: Vec<Arc<str>>,
    /// How many of the steps that it waits for must have succeeded.
    pub join: Join,
    /// A CEL expression; where it is false, the step is skipped. It may use `steps`, `status` and `params`.
    pub when: Option<Arc<str>>,
    /// What a person is asked before it begins; where the answer is no, it has failed, as `rejected`.
    pub approval: Option<Arc<str>>,
    /// Runs it once for each element of a list.
    pub map: Option<Map>,
    /// What happens after a failure.
    pub retry: Retry,
    /// The longest that it may take, all tries and waits included.
    pub timeout: Option<Duration>,
    /// What runs in its place when all its tries have failed, one after the other.
    pub fallback: Vec<Alternative>,
    /// Of steps that could begin at the same time, those with a higher one begin first. Default: 0.
    pub priority: i32,
}

impl Step {
    /// What runs: 0 is its own work, others are its fallbacks in their order.
    pub(crate) fn work_of(&self, choice: u32) -> &Work {
        let choice = usize::try_from(choice).unwrap_or(usize::MAX);
        let other = choice.checked_sub(1).and_then(|it| self.fallback.get(it));
        other.map_or(&self.work, |other| &other.work)
    }
}

/// What runs in a step.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Work {
    /// An agent of the registry, with other settings where they are given.
    Agent {
        /// Its name.
        name: Arc<str>,
        /// What it is to do; the step's input goes below it.
        action: Option<Arc<str>>,
        /// What is different for this step.
        config: AgentConfig,
    },
    /// A tool of the registry; the step's input is its arguments.
    Tool {
        /// Its name.
        name: Arc<str>,
        /// Which of the things it can do: the member `action` of its arguments.
        action: Option<Arc<str>>,
    },
    /// A function of the registry.
    Function {
        /// Its name.
        name: Arc<str>,
        /// Which of the things it can do: the member `action` of its input.
        action: Option<Arc<str>>,
    },
    /// Another plan; the step's input is its parameters.
    Plan(Box<Plan>),
}

impl Work {
    /// Which kind of thing it is, as it is called in a file.
    pub const fn kind(&self) -> WorkKind {
        match self {
            Self::Agent { .. } => WorkKind::Agent,
            Self::Tool { .. } => WorkKind::Tool,
            Self::Function { .. } => WorkKind::Function,
            Self::Plan(_) => WorkKind::Plan,
        }
    }

    /// The name of what runs.
    pub fn name(&self) -> &Arc<str> {
        match self {
            Self::Agent { name, .. } | Self::Tool { name, .. } | Self::Function { name, .. } => {
                name
            }
            Self::Plan(plan) => &plan.name,
        }
    }
}

/// The kind of thing that runs in a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum WorkKind {
    /// An agent.
    Agent,
    /// A tool.
    Tool,
    /// A function.
    Function,
    /// A plan inside the plan.
    Plan,
}

impl WorkKind {
    /// Its name, which is also its key in a file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Tool => "tool",
            Self::Function => "function",
            Self::Plan => "plan",
        }
    }
}

/// What is different about an agent in one step.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "the settings of an agent, which are a table"
)]
#[non_exhaustive]
pub struct AgentConfig {
    /// Another model than its own, as `provider:model`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<Arc<str>>,
    /// Other instructions than its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instructions: Option<Arc<str>>,
    /// How often it may ask its model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_turns: Option<NonZeroU32>,
    /// The longest answer, in tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    /// How much chance there is in its answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Only these of its tools.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tools: Option<Vec<Arc<str>>>,
}

impl AgentConfig {
    /// Whether nothing is different.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// How many of the steps that a step waits for must have succeeded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Join {
    /// Every one.
    #[default]
    All,
    /// One is enough, and it does not wait for the others.
    Any,
    /// So many are enough, and it does not wait for the others.
    Quorum(NonZeroU32),
}

impl Join {
    /// How many of `all` must have succeeded.
    pub fn needed(self, all: u32) -> u32 {
        match self {
            Self::All => all,
            Self::Any => all.min(1),
            Self::Quorum(least) => least.get(),
        }
    }
}

/// A step that runs once for each element of a list. What it gives is the list of what they gave, in the list's order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table with `over`")]
#[non_exhaustive]
pub struct Map {
    /// The list, or a reference to one. In the step's input, `${item}` is the element and `${index}` its number from 0.
    pub over: Value,
    /// How many elements run at once. Default: as many as the plan allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<NonZeroU32>,
    /// How many elements must succeed; in the place of the others stands `null`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub join: Join,
}

impl Map {
    /// Over a list or a reference to one, of which every element must succeed.
    pub fn over(list: impl Into<Value>) -> Self {
        Self {
            over: list.into(),
            concurrency: None,
            join: Join::All,
        }
    }
}

/// What happens after a failure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, expecting = "a table with `attempts`")]
#[non_exhaustive]
pub struct Retry {
    /// How many tries there are, the first one included. Default: 1.
    pub attempts: NonZeroU32,
    /// The wait before the second try. Default: 1 second.
    #[serde(with = "time::required")]
    #[schemars(with = "String")]
    pub backoff: Duration,
    /// How much longer each wait is than the one before. Default: 2.
    pub factor: f64,
    /// The longest wait. Default: 1 minute.
    #[serde(with = "time::required")]
    #[schemars(with = "String")]
    pub max_backoff: Duration,
    /// The part of a wait that is left to chance, 0 to 1, so that steps which failed together do not try again together. Default: 0.5.
    pub jitter: f64,
    /// The classes of errors after which it is tried again. Default: all that may pass.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub on: Vec<Arc<str>>,
    /// The longest that one try may take.
    #[serde(with = "time::optional", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub timeout: Option<Duration>,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: NonZeroU32::MIN,
            backoff: Duration::from_secs(1),
            factor: 2.0,
            max_backoff: Duration::from_mins(1),
            jitter: 0.5,
            on: Vec::new(),
            timeout: None,
        }
    }
}

impl Retry {
    /// So many tries, the first one included; none becomes one.
    pub fn attempts(attempts: u32) -> Self {
        Self {
            attempts: NonZeroU32::new(attempts).unwrap_or(NonZeroU32::MIN),
            ..Self::default()
        }
    }

    /// Sets the wait before the second try.
    #[must_use]
    pub fn with_backoff(mut self, wait: Duration) -> Self {
        self.backoff = wait;
        self
    }

    /// Sets the classes of errors after which it is tried again.
    #[must_use]
    pub fn with_classes<C: Into<Arc<str>>>(mut self, on: impl IntoIterator<Item = C>) -> Self {
        self.on = on.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the longest that one try may take.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sets the part of a wait that is left to chance, 0 to 1.
    #[must_use]
    pub fn with_jitter(mut self, part: f64) -> Self {
        self.jitter = part;
        self
    }

    /// The wait after a failed try, the first of which is 1. `chance` is 0 to 1: the wait is shortened by up to its jitter.
    pub fn wait(&self, attempt: u32, chance: f64) -> Duration {
        let longest = self.max_backoff.as_secs_f64();
        let power = i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX);
        let grown = self.backoff.as_secs_f64() * self.factor.max(1.0).powi(power);
        let whole = if grown.is_finite() {
            grown.min(longest)
        } else {
            longest
        };
        let part = 1.0 - self.jitter.clamp(0.0, 1.0) * chance.clamp(0.0, 1.0);
        Duration::try_from_secs_f64(whole * part).unwrap_or(self.max_backoff)
    }
}

/// What runs in a step's place when all its tries have failed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(
    try_from = "super::file::RawAlternative",
    into = "super::file::RawAlternative"
)]
#[schemars(with = "super::file::RawAlternative")]
#[non_exhaustive]
pub struct Alternative {
    /// What runs.
    pub work: Work,
    /// What it is given. Default: what the step is given.
    pub input: Option<Value>,
}

pub(super) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
