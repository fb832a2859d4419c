//! Whose spending a budget counts together.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

use super::BudgetError;
use crate::operation::{Kind, RunContext};

/// Whose spending a budget counts together: everything, or one account for each user, session, run, agent, step or value of a tag.
///
/// As text: `global`, `user` (an account for each), `user:alice` (that user alone), `tag:tenant`, `tag:tenant:acme`.
///
/// An agent's account holds all that happens inside it, agents inside it included; a request counts once in it, however often the
/// name is around it. What has no user, session or tag is in no account of a budget by it: put a global budget above.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Scope {
    dimension: Dimension,
    only: Option<Arc<str>>,
}

/// What spending is told apart by.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dimension {
    /// Nothing: all of it together.
    #[default]
    Global,
    /// The user on whose behalf a run is.
    User,
    /// The session that a run is a turn of.
    Session,
    /// The conversation.
    Conversation,
    /// The run.
    Run,
    /// The agents around the request, by name.
    Agent,
    /// The steps of a plan around the request, by name.
    Step,
    /// The value of a tag, for example of `tenant`.
    Tag(Arc<str>),
}

impl Scope {
    /// Everything together.
    pub fn global() -> Self {
        Self::default()
    }

    /// An account for each value of a dimension.
    pub fn each(dimension: Dimension) -> Self {
        Self {
            dimension,
            only: None,
        }
    }

    /// An account for one value of a dimension; the others are not counted.
    pub fn one(dimension: Dimension, value: impl Into<Arc<str>>) -> Self {
        Self {
            dimension,
            only: Some(value.into()),
        }
    }

    /// What it tells apart by.
    pub fn dimension(&self) -> &Dimension {
        &self.dimension
    }

    /// Names the accounts that something done under `context` is charged to.
    pub(super) fn each_key(&self, context: &RunContext, mut name: impl FnMut(Arc<str>)) {
        let labels = context.labels();
        let mut add = |key: Option<Arc<str>>| {
            let key = key.filter(|key| self.only.as_ref().is_none_or(|only| only == key));
            key.into_iter().for_each(&mut name);
        };
        match &self.dimension {
            Dimension::Global => add(Some(Arc::default())),
            Dimension::User => add(labels.user.clone()),
            Dimension::Session => add(labels.session.clone()),
            Dimension::Conversation => add(labels.conversation.as_ref().map(Arc::from)),
            Dimension::Run => add(Some(context.run_id().into())),
            Dimension::Agent => {
                for agent in context.names_around(Kind::Agent) {
                    add(Some(agent));
                }
            }
            Dimension::Step => {
                for step in context.names_around(Kind::Step) {
                    add(Some(step));
                }
            }
            Dimension::Tag(key) => {
                let mut tags = labels.tags.iter();
                add(tags
                    .find(|(name, _)| name == key)
                    .map(|(_, value)| value.clone()));
            }
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.dimension {
            Dimension::Global => f.write_str("global"),
            Dimension::User => f.write_str("user"),
            Dimension::Session => f.write_str("session"),
            Dimension::Conversation => f.write_str("conversation"),
            Dimension::Run => f.write_str("run"),
            Dimension::Agent => f.write_str("agent"),
            Dimension::Step => f.write_str("step"),
            Dimension::Tag(key) => write!(f, "tag:{key}"),
        }?;
        match &self.only {
            Some(only) => write!(f, ":{only}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Scope {
    type Err = BudgetError;

    fn from_str(text: &str) -> Result<Self, BudgetError> {
        let (name, rest) = match text.split_once(':') {
            Some((name, rest)) => (name, Some(rest)),
            None => (text, None),
        };
        let wrong = || {
            BudgetError::invalid(format!(
                "{text:?} is no scope; write `global`, `user`, `session`, `conversation`, `run`, `agent`, `step` or `tag:KEY`, \
                 and behind it `:VALUE` for one of them alone"
            ))
        };
        let (dimension, only) = match (name, rest) {
            ("global", None) => (Dimension::Global, None),
            ("tag", Some(rest)) => {
                let (key, only) = match rest.split_once(':') {
                    Some((key, only)) => (key, Some(only)),
                    None => (rest, None),
                };
                if key.is_empty() {
                    return Err(wrong());
                }
                (Dimension::Tag(key.into()), only)
            }
            ("user", only) => (Dimension::User, only),
            ("session", only) => (Dimension::Session, only),
            ("conversation", only) => (Dimension::Conversation, only),
            ("run", only) => (Dimension::Run, only),
            ("agent", only) => (Dimension::Agent, only),
            ("step", only) => (Dimension::Step, only),
            _ => return Err(wrong()),
        };
        if only == Some("") {
            return Err(wrong());
        }
        Ok(Self {
            dimension,
            only: only.map(Arc::from),
        })
    }
}

impl TryFrom<String> for Scope {
    type Error = BudgetError;

    fn try_from(text: String) -> Result<Self, BudgetError> {
        text.parse()
    }
}

impl From<Scope> for String {
    fn from(scope: Scope) -> Self {
        scope.to_string()
    }
}
