//! A run that is about to start.

use std::{fmt, future::IntoFuture, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{
    Control, Durable, Launch, Limits, Pace, RunError, RunReport, RunStream, drive, error::Cause,
    outputs,
};
use crate::{
    agent::{Agent, Output, Settings},
    budget::{Budget, BudgetError, Ledger},
    cost::Usd,
    journal::Approver,
    message::Conversation,
    model::ToolChoice,
    operation::{Event, EventKind, Interests, Member, Observer, RunContext, RunId},
    session::{AutoCompress, Session, SharedState, Turn},
    store::Store,
    tool::{Priority, ToolScheduler},
};

/// A run that is about to start; made by [`Agent::run`] and [`Agent::run_with`].
///
/// Await it for its [`RunReport`], or [`stream`](Self::stream) its events. Dropping the future cancels the run: what is under way
/// is dropped, each operation ends as cancelled, children first.
#[must_use = "a run does nothing until it is awaited or streamed"]
pub struct RunRequest<'a> {
    pub(super) settings: Arc<Settings>,
    input: Input<'a>,
    pub(super) context: Option<RunContext>,
    cancellation: Option<CancellationToken>,
    pub(super) store: Option<Arc<dyn Store>>,
    pub(super) resumed: Option<RunId>,
    application: Value,
    control: Option<Control>,
    session: Option<Turn<'a>>,
    compression: Option<AutoCompress>,
    pub(super) budgets: Vec<Budget>,
    priority: Option<Priority>,
    pub(super) callbacks: Callbacks,
}

enum Input<'a> {
    Own(Conversation),
    Theirs(&'a mut Conversation),
}

impl<'a> RunRequest<'a> {
    pub(crate) fn new(agent: &Agent, conversation: Conversation) -> Self {
        Self::of(agent, Input::Own(conversation))
    }

    pub(crate) fn resuming(agent: &Agent, run: RunId, store: Arc<dyn Store>) -> Self {
        Self {
            store: Some(store),
            resumed: Some(run),
            ..Self::of(agent, Input::Own(Conversation::new()))
        }
    }

    pub(crate) fn continuing(agent: &Agent, conversation: &'a mut Conversation) -> Self {
        Self::of(agent, Input::Theirs(conversation))
    }

    fn of(agent: &Agent, input: Input<'a>) -> Self {
        Self {
            settings: agent.settings().clone(),
            input,
            context: None,
            cancellation: None,
            store: None,
            resumed: None,
            application: Value::Null,
            control: None,
            session: None,
            compression: None,
            budgets: Vec::new(),
            priority: None,
            callbacks: Callbacks::default(),
        }
    }

    /// Runs inside a run that is under way, or in one with settings of its own. Default: a new run with the agent's observers.
    pub fn context(mut self, context: &RunContext) -> Self {
        self.context = Some(context.clone());
        self
    }

    /// Hands the conversation back as the run leaves it, in place of what is there: of a run that is
    /// [resumed](Agent::resume) all of it, what was said in earlier lives included.
    pub fn conversation<'b>(self, target: &'b mut Conversation) -> RunRequest<'b>
    where
        'a: 'b,
    {
        let mut request: RunRequest<'b> = self;
        let before = match &mut request.input {
            Input::Own(conversation) => std::mem::take(conversation),
            Input::Theirs(conversation) => conversation.clone(),
        };
        *target = before;
        request.input = Input::Theirs(target);
        request
    }

    /// Lets the caller cancel this run with a token.
    pub fn cancellation(mut self, token: CancellationToken) -> Self {
        self.cancellation = Some(token);
        self
    }

    /// Offers only these of the agent's tools. A name that the agent does not have is ignored.
    pub fn allow_tools<N: Into<Arc<str>>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        let names: Vec<Arc<str>> = names.into_iter().map(Into::into).collect();
        let settings = Arc::make_mut(&mut self.settings);
        settings.tools = settings.tools.only(&names);
        self
    }

    /// Sets whether the model may, must or must not call a tool. A forced call is forced in the first turn only.
    pub fn tool_choice(mut self, choice: ToolChoice) -> Self {
        Arc::make_mut(&mut self.settings).tool_choice = choice;
        self
    }

    /// Sets what this run's tool calls pass before their tools are called, in place of the agent's.
    pub fn tool_scheduler(mut self, scheduler: ToolScheduler) -> Self {
        Arc::make_mut(&mut self.settings).scheduler = Some(scheduler);
        self
    }

    /// Sets how much this run's tool calls matter, where they wait for a [scheduler](ToolScheduler). Default: what its context says.
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priority = Some(priority);
        self
    }

    /// Sets how far this run may go.
    pub fn limits(mut self, limits: Limits) -> Self {
        Arc::make_mut(&mut self.settings).limits = limits;
        self
    }

    /// Sets this run's longest time.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        Arc::make_mut(&mut self.settings).limits.timeout = timeout;
        self
    }

    /// Puts a budget on this run, beside those of its ledger: in a ledger of its own where it has none. One of a scope that is larger
    /// than the run counts what this run does, and is gone with the last clone of that ledger.
    pub fn budget(mut self, budget: Budget) -> Self {
        self.budgets.push(budget);
        self
    }

    /// Caps what this run may cost, with everything inside it: the next request is refused that might pass it.
    pub fn max_cost(self, usd: Usd) -> Self {
        self.budget(Budget::per_run("run").max_usd(usd))
    }

    /// Attaches a tag to everything in the run.
    pub fn tag(mut self, key: impl Into<Arc<str>>, value: impl Into<Arc<str>>) -> Self {
        Arc::make_mut(&mut self.settings)
            .tags
            .push((key.into(), value.into()));
        self
    }

    /// Lets this run work in a directory, as [`AgentBuilder::workspace`](crate::agent::AgentBuilder::workspace) says: in place of the
    /// agent's own workspace, and with the file tools in place of tools of the same names.
    #[cfg(feature = "workspace")]
    pub fn workspace(mut self, workspace: crate::workspace::Workspace) -> Self {
        let settings = Arc::make_mut(&mut self.settings);
        settings.tools = settings.tools.with(workspace.tools());
        settings.workspace = Some(workspace);
        self
    }

    /// Keeps the run's outcomes in a store, under the run's id: each before the run acts on it, so that after a crash, a pause or
    /// a cancellation [`Agent::resume`] goes on where it was.
    pub fn store(mut self, store: Arc<dyn Store>) -> Self {
        self.store = Some(store);
        self
    }

    /// Makes the run a turn of a session: it goes on with the session's conversation, its tools share the session's state
    /// ([`SharedState`], by [`ToolContext::state`](crate::tool::ToolContext::state)), and when it has answered or failed for good, what it said and changed is
    /// the session's. It is kept in the session's store; one that paused, was cancelled or lost its process is left open there, to
    /// be [resumed](Agent::resume) with the session.
    pub fn session<'b>(self, session: &'b mut Session) -> RunRequest<'b>
    where
        'a: 'b,
    {
        let turn = Turn::of(session);
        let mut request: RunRequest<'b> = self;
        request = request.shared(turn.shared());
        request.store.get_or_insert_with(|| turn.store());
        request.session = Some(turn);
        request
    }

    /// Compresses the context of the run's [session](Self::session) before the run begins, where it fills the model's window as far as it may. A
    /// summary that a model writes is an operation of its own under the run's id, priced and traced; it is not in the run's report.
    pub fn auto_compress(mut self, policy: AutoCompress) -> Self {
        self.compression = Some(policy);
        self
    }

    /// Has the run's tools share this state.
    pub(crate) fn shared(mut self, state: Arc<SharedState>) -> Self {
        Arc::make_mut(&mut self.settings).state.insert(state);
        self
    }

    /// Keeps a value of the application's beside the run, such as what the agent was made of: a small JSON object, found in the
    /// run's [summary](crate::journal::Summary). Needs a [store](Self::store).
    pub fn application(mut self, value: Value) -> Self {
        self.application = value;
        self
    }

    /// Lets the caller pause the run with a token: what is under way is finished and kept, nothing more is begun, and the run
    /// ends with [`RunErrorKind::Paused`](super::RunErrorKind::Paused). With a [store](Self::store) it can be resumed.
    pub fn pause(mut self, token: CancellationToken) -> Self {
        self.control().pausing = token;
        self
    }

    /// Asks somebody who is there about tool calls that need a person's approval, while the others go on. Without one a run
    /// with a [store](Self::store) pauses once nothing else is left to do, and a run without makes no such call.
    pub fn approver(mut self, approver: impl Approver) -> Self {
        self.control().approver = Some(Arc::new(approver));
        self
    }

    /// Has a person approve each call of these tools, also of agents inside calls, beside those of tools that always ask.
    pub fn ask_before<N: Into<Arc<str>>>(mut self, tools: impl IntoIterator<Item = N>) -> Self {
        let names = tools.into_iter().map(Into::into);
        self.control().ask_before.extend(names);
        self
    }

    /// Resumes the run although the agent is not what it was when it began; without this, that is
    /// [`RunErrorKind::Changed`](super::RunErrorKind::Changed).
    pub fn accept_changes(mut self) -> Self {
        self.control().accept_changes = true;
        self
    }

    /// What the agent of this run is made of.
    pub(crate) fn settings_mut(&mut self) -> &mut Settings {
        Arc::make_mut(&mut self.settings)
    }

    fn control(&mut self) -> &mut Control {
        self.control.get_or_insert_default()
    }

    /// Calls a function for each event of the run, from within the run: it must not block.
    pub fn on_progress(mut self, call: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        self.callbacks.progress = Some(Box::new(call));
        self
    }

    /// Calls a function for each tool call, with the tool's name and its arguments as JSON text, before the tool runs.
    pub fn on_tool_use(mut self, call: impl Fn(&str, &str) + Send + Sync + 'static) -> Self {
        self.callbacks.tool_use = Some(Box::new(call));
        self
    }

    /// Runs and yields the run's events as they happen; the last one is `run_report`.
    ///
    /// The stream is lazy and loses nothing: nothing happens unless it is polled, and a slow reader slows the model down.
    /// Dropping it cancels the run.
    pub fn stream(self) -> RunStream<'a> {
        let pace = Arc::new(Pace::default());
        let mut prepared = self.prepare();
        prepared.context = prepared.context.with_pace(pace.clone());
        let work = prepared.drive();
        RunStream::new(Box::pin(work), pace)
    }

    /// Runs for an answer of this type: the model is told its JSON schema, the answer is validated against it, and sent back
    /// once if it does not fit.
    pub async fn output<T: DeserializeOwned + JsonSchema>(
        mut self,
    ) -> Result<TypedReport<T>, RunError> {
        let settings = Arc::make_mut(&mut self.settings);
        settings.output = Output::of::<T>();
        let name = settings.name.clone();
        let report = self.await?;
        match Output::read(&report.text) {
            Ok(output) => Ok(TypedReport { output, report }),
            Err(_) => Err(RunError::new(&name, Cause::InvalidOutput, report)),
        }
    }

    pub(super) fn prepare(self) -> Prepared<'a> {
        let Self {
            mut settings,
            input,
            context,
            cancellation,
            store,
            resumed,
            application,
            control,
            session,
            compression,
            budgets,
            priority,
            callbacks,
        } = self;
        let mut context = context.unwrap_or_else(|| settings.new_context(resumed.as_ref()));
        if let Some(priority) = priority {
            context = context.with_priority(priority);
        }
        let mut refused = None;
        for budget in budgets {
            let ledger = match context.ledger() {
                Some(ledger) => ledger.with_budget(budget),
                None => Ledger::builder().budget(budget).build(),
            };
            match ledger {
                Ok(ledger) => context = context.with_ledger(Some(ledger)),
                Err(error) => refused = Some(error),
            }
        }
        if let Some(control) = control {
            let within = context.within().map(|within| &**within).cloned();
            context = context.with_within(within.unwrap_or_default().under(control));
        }
        if let Some(turn) = &session {
            context = context.with_labels(|labels| {
                labels.session = Some(turn.id().into());
                labels.user = Some(turn.user().into());
            });
        }
        let durable = store.map(|store| Durable {
            store,
            goes_on: resumed,
            session: None,
            application,
        });
        if callbacks.progress.is_some() || callbacks.tool_use.is_some() {
            context.subscribe(Arc::new(callbacks));
        }
        outputs::begin(&mut settings, &context);
        Prepared {
            settings,
            context,
            input,
            stop: cancellation,
            durable,
            session,
            compression,
            refused,
        }
    }
}

/// A run with everything in place.
pub(super) struct Prepared<'a> {
    settings: Arc<Settings>,
    context: RunContext,
    input: Input<'a>,
    stop: Option<CancellationToken>,
    durable: Option<Durable>,
    session: Option<Turn<'a>>,
    compression: Option<AutoCompress>,
    /// A budget that is none.
    refused: Option<BudgetError>,
}

impl Prepared<'_> {
    pub(super) async fn drive(mut self) -> Result<RunReport, RunError> {
        if let Some(error) = self.refused.take() {
            let report = RunReport::not_begun(self.context.run_id());
            return Err(RunError::new(
                &self.settings.name,
                Cause::Budget(error),
                report,
            ));
        }
        match self.session.take() {
            // Boxed, as are the journal's futures: what is not used takes no room in the future of a run.
            Some(turn) => Box::pin(self.drive_in(turn)).await,
            None => self.drive_alone().await,
        }
    }

    /// Drives it as a turn of a session.
    async fn drive_in(mut self, mut turn: Turn<'_>) -> Result<RunReport, RunError> {
        let name = self.settings.name.clone();
        let refused = |error, report| RunError::new(&name, Cause::Session(error), report);
        let run = self.context.run_id().clone();
        let goes_on = self.durable.as_ref().is_some_and(|it| it.goes_on.is_some());
        let begun = if goes_on {
            turn.go_on(&run).map(|()| Conversation::new())
        } else {
            let asked = std::mem::take(self.input.conversation());
            let short = turn.make_short(&self.context, self.compression.take());
            match short.await {
                Ok(()) => turn.begin(&run, asked).await,
                Err(error) => Err(error),
            }
        };
        match begun {
            Ok(conversation) => {
                if let Some(durable) = self.durable.as_mut().filter(|_| !goes_on) {
                    durable.session = turn.version(&durable.store);
                }
                *self.input.conversation() = conversation;
            }
            Err(error) => return Err(refused(error, RunReport::not_begun(&run))),
        }
        if turn.is_compacted() {
            self.context = self.context.with_labels(|labels| labels.compacted = true);
        }
        let result = self.drive_alone().await;
        let ended = turn.end(self.input.conversation().clone(), &result).await;
        match (ended, result) {
            (Err(error), Ok(report)) => Err(refused(error, report)),
            // Why the run failed says more.
            (_, result) => result,
        }
    }

    async fn drive_alone(&mut self) -> Result<RunReport, RunError> {
        let launch = Launch {
            settings: &self.settings,
            context: self.context.clone(),
            stop: self.stop.take(),
            durable: self.durable.take(),
        };
        drive(launch, self.input.conversation()).await
    }
}

impl Input<'_> {
    fn conversation(&mut self) -> &mut Conversation {
        match self {
            Self::Own(conversation) => conversation,
            Self::Theirs(conversation) => conversation,
        }
    }
}

impl<'a> IntoFuture for RunRequest<'a> {
    type Output = Result<RunReport, RunError>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.prepare().drive())
    }
}

impl fmt::Debug for RunRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunRequest")
            .field("agent", &self.settings.name)
            .finish_non_exhaustive()
    }
}

/// A run's report, and its answer read as a type.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TypedReport<T> {
    /// The answer.
    pub output: T,
    /// What the run came to.
    pub report: RunReport,
}

/// The caller's functions, as an observer.
#[derive(Default)]
pub(super) struct Callbacks {
    /// Where several runs share what they publish: which is meant.
    pub(super) member: Option<Arc<Member>>,
    progress: Option<Box<OnProgress>>,
    tool_use: Option<Box<OnToolUse>>,
}

type OnProgress = dyn Fn(&Event) + Send + Sync;
type OnToolUse = dyn Fn(&str, &str) + Send + Sync;

impl Observer for Callbacks {
    fn interests(&self) -> Interests {
        Interests::EVENTS
    }

    fn event(&self, event: &Arc<Event>) {
        if self
            .member
            .as_ref()
            .is_some_and(|member| !member.has(event))
        {
            return;
        }
        if let (Some(call), EventKind::ToolUse { tool, input, .. }) = (&self.tool_use, &event.kind)
        {
            call(tool, input.as_deref().unwrap_or("{}"));
        }
        if let Some(call) = &self.progress {
            call(event);
        }
    }
}
