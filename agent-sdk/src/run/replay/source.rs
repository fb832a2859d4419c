//! Where the outcomes of a replay come from: stand-ins for models, tools and people that repeat what was recorded.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::future::BoxFuture;
use tokio::{
    sync::Notify,
    time::{Instant, sleep, sleep_until},
};

use super::{
    super::calls::may_call,
    recording::{Call, Recording},
};
use crate::{
    agent::Settings,
    journal::{Approver, Definition, Question, QuestionKind, Verdict},
    message::ToolResult,
    model::{
        ChatRequest, ChatResponse, ChatStream, Model, ModelError, ModelHandle, ModelInfo, ToolSpec,
    },
    operation::RunContext,
    schema,
    tool::{Tool, ToolContext, ToolError, ToolErrorKind, ToolHandle, ToolOptions, ToolOutput},
};

/// Where the outcomes of a replay come from.
pub(crate) struct Source {
    pub(super) recording: Recording,
    /// How many times as fast as it was; `None` does not wait at all.
    speed: Option<f64>,
    state: Mutex<State>,
    news: Notify,
}

#[derive(Default)]
struct State {
    /// How many outcomes are being waited for.
    playing: usize,
    /// Counts what happens, so that it can be seen that nothing does.
    steps: u64,
    missing: Vec<Missing>,
    /// How many calls of a path gave their result.
    given: HashMap<String, usize>,
}

/// Something that was asked for and not recorded.
struct Missing {
    /// The call around it that gave a result all the same, if there is one.
    settled_by: Option<String>,
    is_verdict: bool,
}

/// How a replay stands.
pub(super) enum Standing {
    /// It goes on.
    Going,
    /// It waits for what was not recorded, for nothing else, and has taken this many steps.
    Stuck {
        steps: u64,
        /// Whether it is people that it waits for.
        for_people: bool,
    },
}

impl Source {
    pub(super) fn new(recording: Recording, speed: Option<f64>) -> Self {
        Self {
            recording,
            speed: speed.filter(|speed| speed.is_finite() && *speed > 0.0),
            state: Mutex::default(),
            news: Notify::new(),
        }
    }

    /// Whether it takes as long as it took, or a part of it.
    pub(super) fn takes_time(&self) -> bool {
        self.speed.is_some()
    }

    /// What an agent is made of, with stand-ins for what reaches outside.
    pub(crate) fn in_place_of(self: &Arc<Self>, own: &Settings, path: &Arc<str>) -> Settings {
        let mut settings = own.clone();
        settings.output_file = None;
        // What is repeated is what came of it all.
        settings.scheduler = None;
        #[cfg(feature = "workspace")]
        {
            settings.workspace = None;
        }
        // Each life had the whole time.
        let lives = self.recording.lives.max(1);
        settings.limits.timeout = settings.limits.timeout.saturating_mul(lives);
        settings.model = ModelHandle::new(RecordedModel {
            source: self.clone(),
            path: path.clone(),
            info: own.model.info().clone(),
            next: AtomicUsize::new(0),
        });
        let then = self.recording.agents.get(path).map(|it| &it.definition);
        let now = Definition::of(own);
        settings.tools = own.tools.map(|tool| {
            let name = &tool.spec().name;
            let then = then.and_then(|then| then.tools.get(name));
            let changed = then.is_some_and(|then| now.tools.get(name) != Some(then));
            let mut options = *tool.options();
            if tool.is_agent() {
                options.timeout = options.timeout.saturating_mul(lives);
            }
            ToolHandle::from(RecordedTool {
                source: self.clone(),
                own: tool.clone().with_options(options),
                validator: changed.then(|| validator(tool.spec())).flatten(),
            })
        });
        settings
    }

    /// Takes as long as something took.
    async fn play(&self, took: Duration) {
        let _playing = Playing::begin(self);
        if let Some(time) = self.scaled(took) {
            sleep(time).await;
        }
    }

    async fn play_until(&self, since: Instant, took: Duration) {
        let _playing = Playing::begin(self);
        if let Some(time) = self.scaled(took).and_then(|took| since.checked_add(took)) {
            sleep_until(time).await;
        }
    }

    fn scaled(&self, took: Duration) -> Option<Duration> {
        let scaled = took.as_secs_f64() / self.speed?;
        let scaled = Duration::try_from_secs_f64(scaled).unwrap_or(Duration::MAX);
        (!scaled.is_zero()).then_some(scaled)
    }

    /// Waits for what was not recorded, and so for ever: whoever is around it knows more, or the replay is over.
    async fn missing<T>(&self, agent: &str, is_verdict: bool) -> T {
        let settled_by = self.recording.settled_around(agent);
        self.lock().note(Missing {
            settled_by: settled_by.map(str::to_owned),
            is_verdict,
        });
        self.news.notify_waiters();
        std::future::pending().await
    }

    /// Waits until the recording of what is inside a call has ended, although the call itself gave a result.
    async fn ran_out(&self, call: &str) {
        loop {
            let news = self.news.notified();
            tokio::pin!(news);
            news.as_mut().enable();
            let is_this = |missing: &Missing| missing.settled_by.as_deref() == Some(call);
            if self.lock().missing.iter().any(is_this) {
                return;
            }
            news.await;
        }
    }

    pub(super) fn standing(&self) -> Standing {
        let state = self.lock();
        let mut open = state.missing.iter().filter(|it| it.settled_by.is_none());
        match open.next() {
            Some(first) if state.playing == 0 => Standing::Stuck {
                steps: state.steps,
                for_people: first.is_verdict && open.all(|it| it.is_verdict),
            },
            _ => Standing::Going,
        }
    }

    /// The recorded call that is made now.
    fn call(&self, path: &str) -> Option<&Call> {
        let calls = self.recording.calls(path);
        let given = self.lock().given.get(path).copied().unwrap_or_default();
        calls.get(given).or(calls.last()).copied()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn note(&mut self, missing: Missing) {
        self.steps += 1;
        self.missing.push(missing);
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("speed", &self.speed)
            .finish_non_exhaustive()
    }
}

/// Marks that an outcome is on its way, until dropped.
struct Playing<'a>(&'a Source);

impl<'a> Playing<'a> {
    fn begin(source: &'a Source) -> Self {
        let mut state = source.lock();
        state.playing += 1;
        state.steps += 1;
        Self(source)
    }
}

impl Drop for Playing<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.playing -= 1;
        state.steps += 1;
    }
}

/// Gives the recorded answers of one agent, in order.
struct RecordedModel {
    source: Arc<Source>,
    path: Arc<str>,
    info: Arc<ModelInfo>,
    next: AtomicUsize,
}

impl Model for RecordedModel {
    fn info(&self) -> Arc<ModelInfo> {
        self.info.clone()
    }

    fn streams(&self) -> bool {
        false
    }

    async fn stream(
        &self,
        context: &RunContext,
        request: ChatRequest,
    ) -> Result<ChatStream, ModelError> {
        self.chat(context, request).await.map(ChatStream::whole)
    }

    async fn chat(&self, _: &RunContext, _: ChatRequest) -> Result<ChatResponse, ModelError> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let recording = &self.source.recording;
        let agent = recording.agents.get(&self.path);
        if let Some(turn) = agent.and_then(|agent| agent.turns.get(number)) {
            self.source.play(turn.took()).await;
            return Ok(turn.answered.response.clone());
        }
        match recording.model_failure().filter(|_| self.path.is_empty()) {
            Some((kind, took)) => {
                self.source.play(took).await;
                Err(ModelError::new(kind, "it failed when it was recorded"))
            }
            None => self.source.missing(&self.path, false).await,
        }
    }
}

/// Gives the recorded results of a tool; an agent as a tool runs, with what was recorded inside.
struct RecordedTool {
    source: Arc<Source>,
    own: ToolHandle,
    /// What the arguments have to fit, where the tool is not what it was.
    validator: Option<jsonschema::Validator>,
}

impl Tool for RecordedTool {
    fn spec(&self) -> ToolSpec {
        self.own.spec().clone()
    }

    fn options(&self) -> ToolOptions {
        *self.own.options()
    }

    async fn call(&self, context: ToolContext, arguments: &str) -> Result<ToolOutput, ToolError> {
        let path = context.path().to_owned();
        let recorded = self.source.call(&path).cloned();
        if let Some(question) = recorded.as_ref().and_then(asked_by_itself)
            && !context.is_approved()
        {
            return Err(ToolError::needs_approval(question));
        }
        if let Some(validator) = &self.validator {
            fits(validator, arguments)?;
        }
        let result = if self.own.is_agent() {
            self.inside(context, arguments, &path, recorded).await
        } else {
            self.given(&path, recorded, Instant::now()).await
        };
        *self.source.lock().given.entry(path).or_default() += 1;
        result
    }
}

impl RecordedTool {
    async fn inside(
        &self,
        context: ToolContext,
        arguments: &str,
        path: &str,
        recorded: Option<Call>,
    ) -> Result<ToolOutput, ToolError> {
        let since = Instant::now();
        let given = async {
            self.source.ran_out(path).await;
            self.given(path, recorded, since).await
        };
        tokio::select! {
            biased;
            result = self.own.call(context, arguments) => result,
            result = given => result,
        }
    }

    async fn given(
        &self,
        path: &str,
        recorded: Option<Call>,
        since: Instant,
    ) -> Result<ToolOutput, ToolError> {
        let Some((result, took)) = recorded.and_then(|call| call.result) else {
            let agent = self.source.recording.agent_of(path);
            return self.source.missing(agent, false).await;
        };
        self.source.play_until(since, took).await;
        output_of(result)
    }
}

/// What the tool itself asked about a call before it did anything.
fn asked_by_itself(call: &Call) -> Option<String> {
    let text = &call.approval()?.question.text;
    (text.as_str() != may_call(&call.wanted.name)).then(|| text.as_str().to_owned())
}

/// A result as the tool gave it.
fn output_of(result: ToolResult) -> Result<ToolOutput, ToolError> {
    if !result.is_error {
        return Ok(result.content.into());
    }
    let (class, words) = result.content.split_once(": ").unwrap_or_default();
    Err(match ToolErrorKind::named(class) {
        Some(kind) => ToolError::new(kind, words),
        None => ToolError::failed(result.content.as_str()),
    })
}

fn validator(spec: &ToolSpec) -> Option<jsonschema::Validator> {
    let schema = serde_json::from_str(spec.parameters.get()).ok()?;
    schema::validator(&schema, &spec.name)
}

/// Whether arguments fit a schema; the error names the place and quotes nothing.
fn fits(validator: &jsonschema::Validator, arguments: &str) -> Result<(), ToolError> {
    // What is not JSON is for the tool to judge, as it was.
    let Ok(value) = serde_json::from_str(arguments) else {
        return Ok(());
    };
    match validator.iter_errors(&value).next() {
        None => Ok(()),
        Some(error) => Err(ToolError::invalid_arguments(format!(
            "the arguments do not fit the schema: at `{}`: {}",
            error.instance_path(),
            error.masked()
        ))),
    }
}

/// Decides as people did.
pub(super) struct RecordedVerdicts(pub(super) Arc<Source>);

impl Approver for RecordedVerdicts {
    fn decide<'a>(&'a self, question: &'a Question) -> BoxFuture<'a, Verdict> {
        Box::pin(async move {
            let source = &*self.0;
            let recorded = source.call(&question.path);
            let asked = recorded.and_then(Call::approval);
            let asked = asked.filter(|_| question.kind == QuestionKind::Approval);
            match asked.map(|asked| &asked.verdict) {
                Some(Some((verdict, waited))) => {
                    source.play(*waited).await;
                    verdict.clone()
                }
                // It was not asked about then, and was made.
                None if recorded.is_some_and(|call| call.result.is_some()) => Verdict::allow(),
                _ => {
                    let agent = source.recording.agent_of(&question.path);
                    source.missing(agent, true).await
                }
            }
        })
    }
}
