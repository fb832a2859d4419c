//! Goals that become plans.
//!
//! A [`Planner`] asks a model for a plan that reaches a goal with what a [`Registry`] holds. The model is told of every agent, tool and
//! function there with its description and its schema, as far as 64 KiB go, and answers with JSON of a form that is simpler than a whole
//! [`Plan`]: names, actions, inputs, edges, conditions and maps. The plan is [checked](Plan::check) against the registry; every mistake
//! goes back to the model, with its place, to be corrected.
//!
//! What the model says is never believed: a plan has so many steps at most, can name only what is registered, and cannot choose models,
//! instructions, retries or time limits.

mod draft;
mod error;
mod listing;
mod request;
#[cfg(test)]
mod tests;

use std::{num::NonZeroU32, sync::Arc, time::Duration};

pub use error::{PlannerError, PlannerErrorKind};
pub use request::{Planned, PlannerRequest};

#[cfg(doc)]
use super::Plan;
use crate::{
    budget::Ledger,
    cost::PriceBook,
    message::Content,
    model::{ChatSettings, ModelHandle},
    operation::{Observers, RunContext},
    registry::Registry,
    run::new_context,
};

/// How a plan is to be made, unless the caller says it in other words.
const INSTRUCTIONS: &str = include_str!("instructions.md");

/// How many model requests a plan may take.
const MAX_TURNS: NonZeroU32 = NonZeroU32::new(2).unwrap();

/// How many steps a plan may have.
const MAX_STEPS: NonZeroU32 = NonZeroU32::new(24).unwrap();

/// Makes plans. Cheap to clone.
///
/// # Example
///
/// ```
/// use agent_sdk::{agent::Agent, plan::Planner, registry::Registry, testing::ScriptedModel};
/// use serde_json::json;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let registry = Registry::new();
/// for name in ["researcher", "writer"] {
///     registry.agent(Agent::builder(name, ScriptedModel::new(["Done."])).build()?)?;
/// }
/// let answer = json!({"name": "report", "steps": [
///     {"id": "read", "agent": "researcher", "action": "Find out what is new in Rust."},
///     {"id": "write", "agent": "writer", "action": "Write a page.", "input": "${steps.read}"},
/// ]});
/// let planner = Planner::new(ScriptedModel::new([answer.to_string()]));
/// let planned = planner.plan("A page on what is new in Rust", &registry).await?;
/// assert_eq!(planned.plan.steps.len(), 2);
/// assert_eq!(planned.rounds, 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Planner(Arc<Settings>);

/// What a planner is made of.
#[derive(Clone, Debug)]
struct Settings {
    name: Arc<str>,
    model: ModelHandle,
    instructions: Arc<str>,
    max_steps: NonZeroU32,
    max_turns: NonZeroU32,
    timeout: Duration,
    chat: Arc<ChatSettings>,
    observers: Observers,
    prices: Option<PriceBook>,
    ledger: Option<Ledger>,
}

impl Planner {
    /// A planner that asks this model, with the defaults of its [builder](Self::builder).
    pub fn new(model: impl Into<ModelHandle>) -> Self {
        Self::builder(model).build()
    }

    /// Settings for a planner that asks this model.
    pub fn builder(model: impl Into<ModelHandle>) -> PlannerBuilder {
        PlannerBuilder(Settings {
            name: "planner".into(),
            model: model.into(),
            instructions: INSTRUCTIONS.trim_end().into(),
            max_steps: MAX_STEPS,
            max_turns: MAX_TURNS,
            timeout: Duration::from_mins(10),
            chat: Arc::default(),
            observers: Observers::none(),
            prices: None,
            ledger: None,
        })
    }

    /// A plan that reaches a goal with what is registered: await it.
    pub fn plan<'a>(
        &'a self,
        goal: impl Into<Content>,
        registry: &'a Registry,
    ) -> PlannerRequest<'a> {
        PlannerRequest::new(&self.0, goal.into(), registry)
    }
}

impl Settings {
    /// A run with the planner's observers, prices and ledger.
    fn new_context(&self) -> RunContext {
        let (prices, ledger) = (self.prices.as_ref(), self.ledger.as_ref());
        new_context(&self.observers, prices, ledger, None)
    }
}

/// Settings for a [`Planner`]; made by [`Planner::builder`].
#[derive(Debug)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct PlannerBuilder(Settings);

impl PlannerBuilder {
    /// Sets the planner's name, which its span is called after: `plan {name}`. Default: `planner`.
    pub fn name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.0.name = name.into();
        self
    }

    /// Sets what the model is told of how a good plan is made. The form of a plan, its limits and what is registered are told below it in any
    /// case. Default: a page of general advice.
    pub fn instructions(mut self, instructions: impl Into<Arc<str>>) -> Self {
        self.0.instructions = instructions.into();
        self
    }

    /// Refuses a plan of more steps. Default: 24.
    pub fn max_steps(mut self, max_steps: NonZeroU32) -> Self {
        self.0.max_steps = max_steps;
        self
    }

    /// Gives up after this many model requests: all but the first are for repairs. Default: 2.
    pub fn max_turns(mut self, max_turns: NonZeroU32) -> Self {
        self.0.max_turns = max_turns;
        self
    }

    /// Gives up after this time. Default: 10 minutes.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.0.timeout = timeout;
        self
    }

    /// Sets sampling and lengths. Default: the provider's.
    pub fn chat_settings(mut self, settings: ChatSettings) -> Self {
        self.0.chat = Arc::new(settings);
        self
    }

    /// Sets who watches where no [context](PlannerRequest::context) is given. Default: nobody.
    pub fn observers(mut self, observers: Observers) -> Self {
        self.0.observers = observers;
        self
    }

    /// Sets what may be spent where no [context](PlannerRequest::context) is given. Default: as much as the limits allow.
    pub fn ledger(mut self, ledger: &Ledger) -> Self {
        self.0.ledger = Some(ledger.clone());
        self
    }

    /// Sets the prices where no [context](PlannerRequest::context) is given. Default: the embedded table.
    pub fn prices(mut self, prices: PriceBook) -> Self {
        self.0.prices = Some(prices);
        self
    }

    /// Puts the planner together.
    pub fn build(self) -> Planner {
        Planner(Arc::new(self.0))
    }
}
