//! Running plans.
//!
//! An [`Orchestrator`] runs a [`Plan`] with what its [`Registry`] has: agents, tools and functions. It does what the
//! [`plan::Machine`](crate::plan::Machine) says: every step that could begin begins, as many at once as the plan allows, inside the run's own future. Dropping the
//! future drops the steps in it.
//!
//! ```
//! use agent_sdk::{orchestrator::Orchestrator, plan::{Plan, Step}, registry::Registry};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let registry = Registry::new();
//! registry.function("double", async |n: i64| Ok::<_, String>(2 * n))?;
//! let plan = Plan::builder("eight")
//!     .step(Step::function("two", "double").input(1))
//!     .step(Step::function("four", "double").input("${steps.two}"))
//!     .step(Step::function("eight", "double").input("${steps.four}"))
//!     .build()?;
//! let report = Orchestrator::new(registry).run(&plan).await?;
//! assert_eq!(report.output, 8);
//! # Ok(())
//! # }
//! ```
//!
//! [`PlanRequest::stream`] yields what happens meanwhile, with what agents write in steps as it is written.
//!
//! The run is one operation of kind `workflow`; each try of a step is one of kind `step` in it, linked to those of the steps that it
//! waited for, and what runs in it is inside.
//!
//! With a [store](PlanRequest::store) each outcome is kept before the plan goes on; after a crash, a pause or a cancellation
//! [`Orchestrator::resume`] goes on where it was. A step's own agent goes on inside. A tool that [writes](crate::tool::Effect::Write), and a
//! function, of which nobody knows whether it took effect are asked about.

mod ask;
mod drive;
mod error;
mod handle;
mod kept;
mod launch;
mod outbox;
mod report;
mod request;
mod task;
#[cfg(test)]
mod tests;
mod tries;

use std::{fmt, sync::Arc, time::Duration};

pub use error::{PlanRunError, PlanRunErrorKind};
pub use handle::{PlanHandle, StepSnapshot};
pub use report::{PlanOutcome, PlanReport, StepReport};
pub use request::PlanRequest;

use crate::{
    budget::Ledger,
    cost::PriceBook,
    model::ModelHandle,
    operation::{Observer, Observers, RunContext, RunId},
    plan::{Plan, PlanError},
    registry::Registry,
    run::new_context,
    store::Store,
    tool::{State, ToolScheduler},
};

/// How long what runs may take to end after it was told to stop, where nobody says otherwise.
pub const DEFAULT_GRACE: Duration = Duration::from_secs(5);

/// Runs plans. Cheap to clone.
#[derive(Clone)]
pub struct Orchestrator {
    settings: Arc<Settings>,
}

#[derive(Clone)]
pub(crate) struct Settings {
    registry: Registry,
    observers: Observers,
    prices: Option<PriceBook>,
    ledger: Option<Ledger>,
    scheduler: Option<ToolScheduler>,
    state: State,
    models: Option<Arc<Models>>,
    grace: Duration,
}

type Models = dyn Fn(&str) -> Result<ModelHandle, String> + Send + Sync;

impl Orchestrator {
    /// Runs plans with what is in this registry; what is registered later is there for plans that begin later.
    pub fn new(registry: Registry) -> Self {
        Self {
            settings: Arc::new(Settings {
                registry,
                observers: Observers::default(),
                prices: None,
                ledger: None,
                scheduler: None,
                state: State::default(),
                models: None,
                grace: DEFAULT_GRACE,
            }),
        }
    }

    fn with(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(Arc::make_mut(&mut self.settings));
        self
    }

    /// Has somebody watch every run.
    #[must_use]
    pub fn observer(self, observer: Arc<dyn Observer>) -> Self {
        self.with(|settings| {
            settings.observers = std::mem::take(&mut settings.observers).with_shared(observer);
        })
    }

    /// Prices the runs by this book.
    #[must_use]
    pub fn prices(self, prices: PriceBook) -> Self {
        self.with(|settings| settings.prices = Some(prices))
    }

    /// Has spending admitted by this ledger.
    #[must_use]
    pub fn ledger(self, ledger: Ledger) -> Self {
        self.with(|settings| settings.ledger = Some(ledger))
    }

    /// Has the tools of steps pass this scheduler.
    #[must_use]
    pub fn tool_scheduler(self, scheduler: ToolScheduler) -> Self {
        self.with(|settings| settings.scheduler = Some(scheduler))
    }

    /// Gives the tools of steps a piece of the application's state.
    #[must_use]
    pub fn state<T: Send + Sync + 'static>(self, value: Arc<T>) -> Self {
        self.with(|settings| settings.state.insert(value))
    }

    /// Says where the models come from that steps name (`config.model`). Default: a step that names one fails.
    #[must_use]
    pub fn models(
        self,
        find: impl Fn(&str) -> Result<ModelHandle, String> + Send + Sync + 'static,
    ) -> Self {
        self.with(|settings| settings.models = Some(Arc::new(find)))
    }

    /// Sets how long what runs may take to end after it was told to stop. Default: [`DEFAULT_GRACE`].
    #[must_use]
    pub fn grace(self, grace: Duration) -> Self {
        self.with(|settings| settings.grace = grace)
    }

    /// What its plans may name.
    pub fn registry(&self) -> &Registry {
        &self.settings.registry
    }

    /// Begins to describe the run of a plan.
    pub fn run(&self, plan: &Plan) -> PlanRequest {
        PlanRequest::new(self.settings.clone(), plan.clone())
    }

    /// Begins to describe the run of a plan with what is in another registry; `wrong` is what is known to be wrong with it.
    pub(crate) fn run_with(
        &self,
        registry: Registry,
        plan: Plan,
        wrong: Option<PlanError>,
    ) -> PlanRequest {
        let settings = self.clone().with(|settings| settings.registry = registry);
        match wrong {
            Some(wrong) => PlanRequest::refused(settings.settings, plan, wrong),
            None => PlanRequest::new(settings.settings, plan),
        }
    }

    /// Goes on with a plan that was stopped or whose process was killed: what has ended has ended, what was under way begins
    /// again, agents inside where they were. The plan is the one that was kept, with its changes.
    pub fn resume(&self, run: impl Into<RunId>, store: Arc<dyn Store>) -> PlanRequest {
        PlanRequest::resuming(self.settings.clone(), run.into(), store)
    }
}

impl Settings {
    fn new_context(&self, id: Option<&RunId>) -> RunContext {
        let (prices, ledger) = (self.prices.as_ref(), self.ledger.as_ref());
        new_context(&self.observers, prices, ledger, id)
    }
}

impl fmt::Debug for Orchestrator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Orchestrator")
            .field("registry", &self.settings.registry)
            .finish_non_exhaustive()
    }
}
