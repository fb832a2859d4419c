//! The run of a plan that is about to begin.

use std::{fmt, future::IntoFuture, path::Path, sync::Arc};

use futures_util::future::BoxFuture;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{
    PlanHandle, PlanReport, PlanRunError, Settings,
    error::Cause,
    handle::{self, Wishes},
    launch::{Finished, Launch, run_plan},
};
use crate::{
    budget::{Budget, Ledger},
    cost::Usd,
    journal::{Approver, GiveBack, Journal, Summary, excerpt},
    operation::{Event, EventKind, Interests, Observer, RunContext, RunId},
    plan::{Change, Params, Plan, PlanError},
    run::{Control, Pace, RunStream, Within},
    store::{Store, StoreError},
};

/// The run of a plan that is about to begin; made by [`Orchestrator::run`](super::Orchestrator::run).
///
/// Await it for its [`PlanReport`], or [`stream`](Self::stream) its events. Dropping the future cancels the run: what is under way
/// is dropped, each operation ends as cancelled, children first.
#[must_use = "a plan does nothing until it is awaited or streamed"]
pub struct PlanRequest {
    settings: Arc<Settings>,
    plan: Option<Plan>,
    /// What is known to be wrong with the plan already.
    wrong: Option<PlanError>,
    params: Params,
    context: Option<RunContext>,
    stop: Option<CancellationToken>,
    store: Option<Arc<dyn Store>>,
    resumed: Option<RunId>,
    application: Value,
    workspace: Option<Arc<Path>>,
    control: Option<Control>,
    budgets: Vec<Budget>,
    changes: Vec<Change>,
    wishes: Option<(PlanHandle, Wishes)>,
    callbacks: Vec<Arc<Callback>>,
}

impl PlanRequest {
    pub(super) fn new(settings: Arc<Settings>, plan: Plan) -> Self {
        Self {
            settings,
            plan: Some(plan),
            wrong: None,
            params: Params::new(),
            context: None,
            stop: None,
            store: None,
            resumed: None,
            application: Value::Null,
            workspace: None,
            control: None,
            budgets: Vec::new(),
            changes: Vec::new(),
            wishes: None,
            callbacks: Vec::new(),
        }
    }

    pub(super) fn resuming(settings: Arc<Settings>, run: RunId, store: Arc<dyn Store>) -> Self {
        let nothing = Plan::builder("resumed").unchecked();
        Self {
            plan: None,
            store: Some(store),
            resumed: Some(run),
            ..Self::new(settings, nothing)
        }
    }

    /// A plan that cannot be run.
    pub(super) fn refused(settings: Arc<Settings>, plan: Plan, wrong: PlanError) -> Self {
        Self {
            wrong: Some(wrong),
            ..Self::new(settings, plan)
        }
    }

    /// Sets a parameter.
    pub fn param(mut self, name: impl Into<Arc<str>>, value: impl Into<Value>) -> Self {
        self.params.insert(name.into(), value.into());
        self
    }

    /// Sets parameters.
    pub fn params(mut self, params: Params) -> Self {
        self.params.extend(params);
        self
    }

    /// Runs inside a run that is under way, or in one with settings of its own. Default: a new run with the orchestrator's observers.
    pub fn context(mut self, context: &RunContext) -> Self {
        self.context = Some(context.clone());
        self
    }

    /// Lets the caller stop this run with a token: what runs is told to stop and has its [grace](super::Orchestrator::grace).
    pub fn cancellation(mut self, token: CancellationToken) -> Self {
        self.stop = Some(token);
        self
    }

    /// Lets the caller pause the run with a token: what is under way is finished and kept, nothing more is begun, and the run
    /// ends with [`PlanRunErrorKind::Paused`](super::PlanRunErrorKind::Paused). With a [store](Self::store) it can be resumed.
    pub fn pause(mut self, token: CancellationToken) -> Self {
        self.control().pausing = token;
        self
    }

    /// Keeps each outcome in a store, under the run's id, before the plan goes on.
    pub fn store(mut self, store: Arc<dyn Store>) -> Self {
        self.store = Some(store);
        self
    }

    /// Keeps a value of the application's beside the run: a small JSON object, found in the run's
    /// [summary](crate::journal::Summary). Needs a [store](Self::store).
    pub fn application(mut self, value: Value) -> Self {
        self.application = value;
        self
    }

    /// Says in which directory the plan works, for whoever watches: it is told with the event
    /// [`workflow_started`](crate::operation::EventKind::WorkflowStarted). Default: none is named.
    pub fn workspace(mut self, folder: impl Into<Arc<Path>>) -> Self {
        self.workspace = Some(folder.into());
        self
    }

    /// Asks somebody who is there about steps with an approval, and about calls that need one. Without one a run with a
    /// [store](Self::store) pauses once nothing else is left to do, and in a run without such a step fails.
    pub fn approver(mut self, approver: impl Approver) -> Self {
        self.control().approver = Some(Arc::new(approver));
        self
    }

    /// Has a person approve each call of these tools, also of agents inside, beside those of tools that always ask.
    pub fn ask_before<N: Into<Arc<str>>>(mut self, tools: impl IntoIterator<Item = N>) -> Self {
        let names = tools.into_iter().map(Into::into);
        self.control().ask_before.extend(names);
        self
    }

    /// Resumes the run although an agent is not what it was when it began.
    pub fn accept_changes(mut self) -> Self {
        self.control().accept_changes = true;
        self
    }

    /// Puts a budget on this run, beside those of its ledger.
    pub fn budget(mut self, budget: Budget) -> Self {
        self.budgets.push(budget);
        self
    }

    /// Caps what this run may cost, with everything inside it: the next request is refused that might pass it.
    pub fn max_cost(self, usd: Usd) -> Self {
        self.budget(Budget::per_run("run").max_usd(usd))
    }

    /// Changes the plan before it goes on: to [restart](Change::Restart) it from a step of the caller's choice, for example, when it is
    /// resumed.
    pub fn change(mut self, change: Change) -> Self {
        self.changes.push(change);
        self
    }

    /// Begins again at this step and at all that come after it, when the run is resumed; what other steps gave is kept.
    pub fn from_step(self, id: impl Into<Arc<str>>) -> Self {
        self.change(Change::Restart { id: id.into() })
    }

    /// A handle that changes the plan while it runs.
    pub fn handle(&mut self) -> PlanHandle {
        let (handle, _) = self.wishes.get_or_insert_with(handle::channel);
        handle.clone()
    }

    /// Calls a function for each event of the run, from within the run: it must not block.
    pub fn on_progress(mut self, call: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        self.callbacks.push(Arc::new(Callback(Box::new(call))));
        self
    }

    /// Calls a function for each event of one kind, as [`on_progress`](Self::on_progress) does.
    pub fn on_event(self, call: impl Fn(&EventKind) + Send + Sync + 'static) -> Self {
        self.on_progress(move |event| call(&event.kind))
    }

    /// Runs and yields the run's events as they happen; the last one is `run_report`, or the mistakes of a plan that is not begun are
    /// the result of a stream without events.
    ///
    /// The stream is lazy and loses nothing: nothing happens unless it is polled, once 64 events wait no step begins, and a slow reader
    /// slows the models down. What agents in the steps write comes as it is written, as `text_chunk`. Dropping the stream cancels the run, as
    /// dropping the future does.
    ///
    /// # Example
    ///
    /// ```
    /// use agent_sdk::{operation::EventKind, orchestrator::Orchestrator, plan::{Plan, Step}, registry::Registry};
    /// use futures_util::StreamExt;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let registry = Registry::new();
    /// registry.function("double", async |n: i64| Ok::<_, String>(2 * n))?;
    /// let plan = Plan::builder("four")
    ///     .step(Step::function("two", "double").input(1))
    ///     .step(Step::function("four", "double").input("${steps.two}"))
    ///     .build()?;
    /// let mut run = Orchestrator::new(registry).run(&plan).stream();
    /// let mut ended = Vec::new();
    /// while let Some(event) = run.next().await {
    ///     if let (EventKind::StepCompleted(_), Some(step)) = (&event.kind, &event.step_id) {
    ///         ended.push(step.to_string());
    ///     }
    /// }
    /// assert_eq!(ended, ["two", "four"]);
    /// assert_eq!(run.report().await?.output, 4);
    /// # Ok(())
    /// # }
    /// ```
    pub fn stream(mut self) -> RunStream<'static, PlanReport, PlanRunError> {
        let pace = Arc::new(Pace::default());
        let context = self.context.take();
        let context = context.unwrap_or_else(|| self.settings.new_context(self.resumed.as_ref()));
        self.context = Some(context.with_pace(pace.clone()));
        RunStream::new(self.into_future(), pace)
    }

    fn control(&mut self) -> &mut Control {
        self.control.get_or_insert_default()
    }

    async fn drive(self) -> Result<PlanReport, PlanRunError> {
        let name = self.plan.as_ref().map_or_else(
            || {
                self.resumed
                    .as_ref()
                    .map(ToString::to_string)
                    .unwrap_or_default()
            },
            |plan| plan.name.to_string(),
        );
        let name = name.as_str();
        if let Some(wrong) = self.wrong {
            return Err(PlanRunError::new(name, Cause::Invalid(wrong), None));
        }
        let mut context = match self.context {
            Some(context) => context,
            None => self.settings.new_context(self.resumed.as_ref()),
        };
        for budget in self.budgets {
            let ledger = match context.ledger() {
                Some(ledger) => ledger.with_budget(budget),
                None => Ledger::builder().budget(budget).build(),
            };
            match ledger {
                Ok(ledger) => context = context.with_ledger(Some(ledger)),
                Err(error) => return Err(PlanRunError::new(name, Cause::Budget(error), None)),
            }
        }
        if let Some(control) = self.control {
            let within = context.within().map(|within| &**within).cloned();
            context = context.with_within(within.unwrap_or_default().under(control));
        }
        for callback in self.callbacks {
            context.subscribe(callback);
        }
        let mut journal = None;
        if let Some(store) = self.store {
            let opened = match (&self.resumed, &self.plan) {
                (Some(run), _) => Journal::reopen(store, run).await,
                (None, Some(plan)) => begin(store, &context, plan, self.application).await,
                (None, None) => return Err(PlanRunError::new(name, Cause::NotAPlan, None)),
            };
            let opened =
                opened.map_err(|error| PlanRunError::new(name, Cause::Journal(error), None))?;
            if self.resumed.is_some() && !opened.is_plan() {
                return Err(PlanRunError::new(name, Cause::NotAPlan, None));
            }
            let opened = Arc::new(opened);
            context.continue_seq(opened.before().seq);
            let control = context.within().map(|within| within.control.clone());
            let within = Within::outermost(control.unwrap_or_default(), opened.clone());
            context = context.with_within(within);
            journal = Some(opened);
        }
        let _given_back = journal.as_deref().map(GiveBack);
        let launch = Launch {
            settings: self.settings,
            plan: self.plan,
            params: self.params,
            context,
            path: "".into(),
            is_root: true,
            workspace: self.workspace,
            stop: self.stop,
            wishes: self.wishes.map(|(_, wishes)| wishes),
            changes: self.changes,
        };
        let Finished {
            plan,
            result,
            outcome,
            report,
        } = run_plan(launch).await;
        let report = outcome
            .zip(report)
            .map(|(outcome, run)| PlanReport { outcome, run });
        match (result, report) {
            (Ok(()), Some(report)) => Ok(report),
            (Ok(()), None) => Err(PlanRunError::new(&plan, Cause::Cancelled, None)),
            (Err(cause), report) => Err(PlanRunError::new(&plan, cause, report)),
        }
    }
}

async fn begin(
    store: Arc<dyn Store>,
    context: &RunContext,
    plan: &Plan,
    application: Value,
) -> Result<Journal, StoreError> {
    let labels = context.labels();
    let summary = Summary {
        agent: plan.name.clone(),
        task: excerpt(plan.description.as_deref().unwrap_or_default()),
        user: labels.user.clone(),
        session: labels.session.clone(),
        application,
        ..Summary::default()
    };
    Journal::begin(store, context.run_id(), summary, None).await
}

impl IntoFuture for PlanRequest {
    type Output = Result<PlanReport, PlanRunError>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.drive())
    }
}

impl fmt::Debug for PlanRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlanRequest")
            .field("plan", &self.plan.as_ref().map(|plan| &plan.name))
            .finish_non_exhaustive()
    }
}

/// A caller's function, as an observer.
struct Callback(Box<dyn Fn(&Event) + Send + Sync>);

impl Observer for Callback {
    fn interests(&self) -> Interests {
        Interests::EVENTS
    }

    fn event(&self, event: &Arc<Event>) {
        (self.0)(event);
    }
}
