//! Agents: a model, instructions, tools and limits under a name.
//!
//! [`Agent::builder`] puts one together; [`Agent::run`] answers a prompt, [`Agent::run_with`] goes on with a conversation, and
//! [`Agent::as_tool`] lets another agent use it. [`parallel()`] runs many at once; a [`Role`] is one that is ready for use.

mod as_tool;
mod builder;
mod output;
mod parallel;
mod roles;
mod settings;
#[cfg(test)]
mod tests;

use std::{fmt, sync::Arc};

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

pub use as_tool::AgentTool;
pub use builder::{AgentBuilder, BuildError};
pub(crate) use output::{Output, unfenced};
pub use parallel::{Parallel, ParallelEvent, ParallelReport, ParallelStream, parallel};
pub use roles::Role;
pub(crate) use settings::Settings;

use crate::{
    message::Conversation,
    model::{IntoModel, ModelInfo, ToolSpec},
    operation::RunId,
    run::{ReplayRequest, RunError, RunRequest, RunStream, TypedReport},
    store::Store,
};

/// An agent. Cheap to clone; clones share everything.
///
/// # Example
///
/// ```
/// use agent_sdk::{agent::Agent, model::Usage, testing::{ScriptedModel, Turn}};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let model = ScriptedModel::new([Turn::from("42").usage(Usage::new(7, 1))]);
/// let agent = Agent::builder("deep-thought", model).instructions("Answer briefly.").build()?;
/// let report = agent.run("What is the answer?").await?;
/// assert_eq!(report.text, "42");
/// assert_eq!(report.usage.output_tokens, Some(1));
/// # Ok(())
/// # }
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(example()).unwrap();
/// ```
#[derive(Clone)]
pub struct Agent(Arc<Settings>);

impl Agent {
    /// Settings for an agent of this name that asks this model: a client, a handle, or a name such as `openai:gpt-5-mini`.
    pub fn builder(name: impl Into<Arc<str>>, model: impl IntoModel) -> AgentBuilder {
        AgentBuilder::new(name.into(), model.into_model())
    }

    /// The agent's name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The kind of agent.
    pub fn agent_type(&self) -> Option<&str> {
        self.0.agent_type.as_deref()
    }

    /// What the agent is for.
    pub fn description(&self) -> Option<&str> {
        self.0.description.as_deref()
    }

    /// What the agent says that it can do.
    pub fn capabilities(&self) -> impl Iterator<Item = &str> {
        self.0.capabilities.iter().map(|it| &**it)
    }

    /// The model that the agent asks.
    pub fn model(&self) -> &ModelInfo {
        self.0.model.info()
    }

    /// The agent's tools.
    pub fn tools(&self) -> &[ToolSpec] {
        self.0.tools.specs()
    }

    /// A run on a prompt: await it for its report.
    pub fn run(&self, prompt: impl Into<Conversation>) -> RunRequest<'static> {
        RunRequest::new(self, prompt.into())
    }

    /// A run that goes on with a conversation: push a message of the user, then await this. The agent's messages are added to
    /// it, also where the run fails or is dropped; each tool call in it then has exactly one result.
    pub fn run_with<'a>(&self, conversation: &'a mut Conversation) -> RunRequest<'a> {
        RunRequest::continuing(self, conversation)
    }

    /// Goes on with a run that was kept in a [store](RunRequest::store), where it is: nothing that was kept is done again. A model
    /// request or a call of a tool that is idempotent or only reads, of which no outcome was kept, is made again with the same
    /// idempotency key; a call of a tool that writes is asked about first ([`QuestionKind::InDoubt`](crate::journal::QuestionKind)).
    ///
    /// The run keeps its id and has a new trace, linked to the one before; its report sums up all its lives. A run that has
    /// ended gives its answer again. Limits are those of the agent now, and the time limit counts from now.
    ///
    /// # Errors
    ///
    /// Beside those of a run, [`RunErrorKind::Journal`](crate::run::RunErrorKind::Journal): there is no such run, or another process
    /// has it; and [`RunErrorKind::Changed`](crate::run::RunErrorKind::Changed): instructions, tools or the form of the answer are
    /// not what they were.
    pub fn resume(&self, run: impl Into<RunId>, store: Arc<dyn Store>) -> RunRequest<'static> {
        RunRequest::resuming(self, run.into(), store)
    }

    /// Runs a run of a [store](RunRequest::store) again, against what was recorded, and says in what it differs now: see
    /// [`ReplayRequest`]. No model is asked, no tool is called, and the stored run stays as it is.
    pub fn replay(&self, run: impl Into<RunId>, store: Arc<dyn Store>) -> ReplayRequest {
        ReplayRequest::new(self, run.into(), store)
    }

    /// A run on a prompt, as a stream of its events.
    pub fn stream(&self, prompt: impl Into<Conversation>) -> RunStream<'static> {
        self.run(prompt).stream()
    }

    /// A run for an answer of a type; see [`RunRequest::output`].
    pub async fn run_as<T: DeserializeOwned + JsonSchema>(
        &self,
        prompt: impl Into<Conversation>,
    ) -> Result<TypedReport<T>, RunError> {
        self.run(prompt).output().await
    }

    /// The agent as a tool of another: it inherits deadline, cancellation and observers, and its operations hang under the
    /// call's. Its argument is the task, in words.
    pub fn as_tool(&self) -> AgentTool {
        AgentTool::new(self.clone())
    }

    pub(crate) fn settings(&self) -> &Arc<Settings> {
        &self.0
    }
}

impl fmt::Debug for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Agent")
            .field("name", &self.0.name)
            .field("model", self.0.model.info())
            .finish_non_exhaustive()
    }
}
