//! A run that is about to start.

use std::{fmt, future::IntoFuture, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use super::{Limits, Pace, RunError, RunReport, RunStream, drive, error::Cause, outputs};
use crate::{
    agent::{Agent, Output, Settings},
    journal::Journal,
    message::Conversation,
    model::ToolChoice,
    operation::{Event, EventKind, Interests, Observer, RunContext},
};

/// A run that is about to start; made by [`Agent::run`] and [`Agent::run_with`].
///
/// Await it for its [`RunReport`], or [`stream`](Self::stream) its events. Dropping the future cancels the run: what is under way
/// is dropped, each operation ends as cancelled, children first.
#[must_use = "a run does nothing until it is awaited or streamed"]
pub struct RunRequest<'a> {
    settings: Arc<Settings>,
    input: Input<'a>,
    context: Option<RunContext>,
    cancellation: Option<CancellationToken>,
    journal: Option<Arc<dyn Journal>>,
    callbacks: Callbacks,
}

enum Input<'a> {
    Own(Conversation),
    Theirs(&'a mut Conversation),
}

impl<'a> RunRequest<'a> {
    pub(crate) fn new(agent: &Agent, conversation: Conversation) -> Self {
        Self::of(agent, Input::Own(conversation))
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
            journal: None,
            callbacks: Callbacks::default(),
        }
    }

    /// Runs inside a run that is under way, or in one with settings of its own. Default: a new run with the agent's observers.
    pub fn context(mut self, context: &RunContext) -> Self {
        self.context = Some(context.clone());
        self
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

    /// Keeps the run's outcomes in a journal.
    pub fn journal(mut self, journal: Arc<dyn Journal>) -> Self {
        self.journal = Some(journal);
        self
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
        let Prepared {
            settings,
            context,
            mut input,
            stop,
        } = self.prepare();
        let context = context.with_pace(pace.clone());
        let work =
            async move { drive(&settings, &context, stop.as_ref(), input.conversation()).await };
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

    fn prepare(self) -> Prepared<'a> {
        let Self {
            mut settings,
            input,
            context,
            cancellation,
            journal,
            callbacks,
        } = self;
        let mut context = context.unwrap_or_else(|| settings.new_context());
        if let Some(journal) = journal {
            context = context.with_journal(journal);
        }
        if callbacks.progress.is_some() || callbacks.tool_use.is_some() {
            context.subscribe(Arc::new(callbacks));
        }
        outputs::begin(&mut settings, &context);
        Prepared {
            settings,
            context,
            input,
            stop: cancellation,
        }
    }
}

/// A run with everything in place.
struct Prepared<'a> {
    settings: Arc<Settings>,
    context: RunContext,
    input: Input<'a>,
    stop: Option<CancellationToken>,
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
        let Prepared {
            settings,
            context,
            mut input,
            stop,
        } = self.prepare();
        Box::pin(
            async move { drive(&settings, &context, stop.as_ref(), input.conversation()).await },
        )
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
struct Callbacks {
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
        if let (Some(call), EventKind::ToolUse { tool, input, .. }) = (&self.tool_use, &event.kind)
        {
            call(tool, input.as_deref().unwrap_or("{}"));
        }
        if let Some(call) = &self.progress {
            call(event);
        }
    }
}
