//! Putting an agent together.

use std::{
    fmt,
    fs::File,
    io::Read,
    num::{NonZeroU32, NonZeroUsize},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use schemars::JsonSchema;

use super::{Agent, Output, Settings};
#[cfg(feature = "workspace")]
use crate::workspace::Workspace;
use crate::{
    budget::Ledger,
    cost::PriceBook,
    model::{ChatSettings, ModelError, ModelHandle, Prompt, ToolChoice},
    operation::Observers,
    run::Limits,
    tool::{State, ToolHandle, ToolScheduler, ToolSet},
};

/// The largest context file that is read, in bytes, unless the builder is told otherwise.
const CONTEXT_FILE_BYTES: u64 = 256 * 1024;

/// Settings for an [`Agent`]; made by [`Agent::builder`].
#[derive(Debug)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct AgentBuilder {
    name: Arc<str>,
    agent_type: Option<Arc<str>>,
    description: Option<Arc<str>>,
    capabilities: Vec<Arc<str>>,
    instructions: Option<String>,
    model: Result<ModelHandle, ModelError>,
    tools: Vec<ToolHandle>,
    scheduler: Option<ToolScheduler>,
    tool_choice: ToolChoice,
    chat: ChatSettings,
    prompt: Option<Prompt>,
    output: Output,
    output_file: Option<PathBuf>,
    #[cfg(feature = "workspace")]
    workspace: Option<Workspace>,
    context_files: Vec<PathBuf>,
    context_file_bytes: u64,
    limits: Limits,
    tags: Vec<(Arc<str>, Arc<str>)>,
    state: State,
    observers: Observers,
    prices: Option<PriceBook>,
    ledger: Option<Ledger>,
}

impl AgentBuilder {
    pub(super) fn new(name: Arc<str>, model: Result<ModelHandle, ModelError>) -> Self {
        Self {
            name,
            agent_type: None,
            description: None,
            capabilities: Vec::new(),
            instructions: None,
            model,
            tools: Vec::new(),
            scheduler: None,
            tool_choice: ToolChoice::default(),
            chat: ChatSettings::default(),
            prompt: None,
            output: Output::default(),
            output_file: None,
            #[cfg(feature = "workspace")]
            workspace: None,
            context_files: Vec::new(),
            context_file_bytes: CONTEXT_FILE_BYTES,
            limits: Limits::default(),
            tags: Vec::new(),
            state: State::default(),
            observers: Observers::none(),
            prices: None,
            ledger: None,
        }
    }

    /// Sets the kind of agent, for example `researcher`. Default: none.
    pub fn agent_type(mut self, agent_type: impl Into<Arc<str>>) -> Self {
        self.agent_type = Some(agent_type.into());
        self
    }

    /// Says what the agent is for; as a tool, this is what the calling model reads. Default: none.
    pub fn description(mut self, description: impl Into<Arc<str>>) -> Self {
        self.description = Some(description.into());
        self
    }

    /// Says one thing that the agent can do, in a word: for [`Registry::capable`](crate::registry::Registry::capable) and for whoever
    /// chooses among agents. Default: none.
    pub fn capability(mut self, capability: impl Into<Arc<str>>) -> Self {
        self.capabilities.push(capability.into());
        self
    }

    /// Sets the instructions that the model is given before every conversation. Default: none.
    pub fn instructions(mut self, instructions: impl Into<String>) -> Self {
        self.instructions = Some(instructions.into());
        self
    }

    /// Adds a tool.
    pub fn tool(mut self, tool: impl Into<ToolHandle>) -> Self {
        self.tools.push(tool.into());
        self
    }

    /// Adds tools.
    pub fn tools(mut self, tools: impl IntoIterator<Item = ToolHandle>) -> Self {
        self.tools.extend(tools);
        self
    }

    /// Sets what the tool calls pass before their tools are called; it may be shared by many agents. Default: nothing.
    ///
    /// Agents inside this one have their own.
    pub fn tool_scheduler(mut self, scheduler: ToolScheduler) -> Self {
        self.scheduler = Some(scheduler);
        self
    }

    /// Sets whether the model may, must or must not call a tool. Default: it decides. A forced call is forced in the first
    /// turn only.
    pub fn tool_choice(mut self, choice: ToolChoice) -> Self {
        self.tool_choice = choice;
        self
    }

    /// Sets sampling and lengths. Default: the provider's.
    pub fn chat_settings(mut self, settings: ChatSettings) -> Self {
        self.chat = settings;
        self
    }

    /// Names the prompt that the instructions come from, as a library of prompts knows it; it is recorded on the model requests.
    pub fn prompt(mut self, prompt: Prompt) -> Self {
        self.prompt = Some(prompt);
        self
    }

    /// Stops a run after this many model calls. Default: 16.
    pub fn max_turns(mut self, max_turns: NonZeroU32) -> Self {
        self.limits.max_turns = max_turns;
        self
    }

    /// Stops a run before the turn that would pass this many tool calls. Default: 64.
    pub fn max_tool_calls(mut self, max_tool_calls: u32) -> Self {
        self.limits.max_tool_calls = max_tool_calls;
        self
    }

    /// Stops a run after this time. Default: 10 minutes.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.limits.timeout = timeout;
        self
    }

    /// Sets how many tool calls run at once. Default: 16.
    pub fn parallel_tools(mut self, parallel_tools: NonZeroUsize) -> Self {
        self.limits.parallel_tools = parallel_tools;
        self
    }

    /// Sets how many agents may be inside each other. Default: 4.
    pub fn max_depth(mut self, max_depth: u8) -> Self {
        self.limits.max_depth = max_depth;
        self
    }

    /// Makes every answer JSON of a type's schema, validated. Default: text.
    pub fn output_type<T: JsonSchema>(mut self) -> Self {
        self.output = Output::of::<T>();
        self
    }

    /// Writes each answer into this file, in place of what it held. Default: none.
    ///
    /// With a workspace a relative path begins there, and its control characters are left out as in all that is
    /// saved there.
    pub fn output_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.output_file = Some(path.into());
        self
    }

    /// Lets the agent work in a directory: adds the [file tools](Workspace::tools), and remembers it.
    ///
    /// The [report](crate::run::RunReport::artifacts) of a run lists the files that it wrote there. At the end of a run that answered,
    /// the answer is saved there as `answer.md`, or as `answer.json` where it is JSON of a type, and the report as `report.json`, in
    /// place of those of a run before; escape sequences and other control characters are left out. An agent inside another saves
    /// neither. Where they cannot be saved the run fails with [`OutputFile`](crate::run::RunErrorKind::OutputFile), and its report
    /// has the answer. The agent's own tools reach the workspace by [`ToolContext::state`](crate::tool::ToolContext::state).
    ///
    /// Default: none.
    #[cfg(feature = "workspace")]
    pub fn workspace(mut self, workspace: Workspace) -> Self {
        self.workspace = Some(workspace);
        self
    }

    /// Adds a file's text to the instructions; it is read once, when the agent is built.
    pub fn context_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.context_files.push(path.into());
        self
    }

    /// Sets the largest context file that is accepted, in bytes. Default: 256 KiB.
    pub fn context_file_bytes(mut self, bytes: u64) -> Self {
        self.context_file_bytes = bytes;
        self
    }

    /// Attaches a tag to everything in each run.
    pub fn tag(mut self, key: impl Into<Arc<str>>, value: impl Into<Arc<str>>) -> Self {
        self.tags.push((key.into(), value.into()));
        self
    }

    /// Gives tools a value of the application's own: [`ToolContext::state`](crate::tool::ToolContext::state).
    pub fn state<T: Send + Sync + 'static>(mut self, value: Arc<T>) -> Self {
        self.state.insert(value);
        self
    }

    /// Sets who watches the runs that do not bring a context of their own. Default: nobody.
    pub fn observers(mut self, observers: Observers) -> Self {
        self.observers = observers;
        self
    }

    /// Sets what the runs that do not bring a context of their own may spend. Default: as much as their limits let them.
    pub fn ledger(mut self, ledger: &Ledger) -> Self {
        self.ledger = Some(ledger.clone());
        self
    }

    /// Sets the prices of the runs that do not bring a context of their own. Default: the embedded table.
    pub fn prices(mut self, prices: PriceBook) -> Self {
        self.prices = Some(prices);
        self
    }

    /// Puts the agent together.
    ///
    /// # Errors
    ///
    /// A model's name that leads to no model, two tools of one name, a tool name that providers refuse, a context file that
    /// cannot be read or is too large, or an output file that leads out of the workspace.
    pub fn build(self) -> Result<Agent, BuildError> {
        let model = self.model.map_err(|error| BuildError {
            message: format!("the agent `{}` has no model", self.name),
            source: Some(Box::new(error)),
        })?;
        for tool in &self.tools {
            check_name(&tool.spec().name)?;
        }
        #[cfg(feature = "workspace")]
        if self.workspace.is_some()
            && let Some(path) = self.output_file.as_ref().filter(|path| path.is_relative())
            && let Err(error) = crate::workspace::check_path(&path.to_string_lossy())
        {
            return Err(BuildError::new(format!(
                "the answer cannot be written in the workspace: {error}"
            )));
        }
        #[cfg(feature = "workspace")]
        let own = self.workspace.iter().flat_map(Workspace::tools);
        #[cfg(not(feature = "workspace"))]
        let own = std::iter::empty();
        let tools = self.tools.into_iter().chain(own).collect();
        let tools = ToolSet::new(tools).map_err(|name| {
            BuildError::new(format!(
                "two tools are called `{name}`; give one of them another name"
            ))
        })?;
        let mut instructions = self.instructions;
        for path in &self.context_files {
            let text = read_context(path, self.context_file_bytes)?;
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let all = instructions.get_or_insert_default();
            if !all.is_empty() {
                all.push_str("\n\n");
            }
            all.extend(["<file name=\"", &name, "\">\n", &text, "\n</file>"]);
        }
        Ok(Agent(Arc::new(Settings {
            name: self.name,
            agent_type: self.agent_type,
            description: self.description,
            capabilities: self.capabilities,
            instructions: instructions.map(Into::into),
            model,
            tools,
            scheduler: self.scheduler,
            tool_choice: self.tool_choice,
            chat: Arc::new(self.chat),
            prompt: self.prompt.map(Arc::new),
            output: self.output,
            output_file: self.output_file.map(Into::into),
            #[cfg(feature = "workspace")]
            workspace: self.workspace,
            limits: self.limits,
            tags: self.tags,
            state: self.state,
            observers: self.observers,
            prices: self.prices,
            ledger: self.ledger,
        })))
    }
}

/// An agent that cannot be put together.
#[derive(Debug)]
pub struct BuildError {
    message: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl BuildError {
    fn new(message: String) -> Self {
        Self {
            message,
            source: None,
        }
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for BuildError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// The names that all providers take: letters, digits, `_` and `-`, 1 to 64 of them.
fn check_name(name: &str) -> Result<(), BuildError> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if (1..=64).contains(&name.len()) && name.chars().all(fits) {
        return Ok(());
    }
    Err(BuildError::new(format!(
        "`{}` cannot be a tool's name: use 1 to 64 letters, digits, `_` and `-`",
        name.chars().take(80).collect::<String>().escape_debug()
    )))
}

fn read_context(path: &Path, limit: u64) -> Result<String, BuildError> {
    let failed = |error: std::io::Error| BuildError {
        message: format!("the context file `{}` cannot be read", path.display()),
        source: Some(Box::new(error)),
    };
    let mut text = String::new();
    File::open(path)
        .map_err(failed)?
        .take(limit + 1)
        .read_to_string(&mut text)
        .map_err(failed)?;
    if text.len() as u64 > limit {
        return Err(BuildError::new(format!(
            "the context file `{}` is larger than {limit} bytes; raise `context_file_bytes` or shorten it",
            path.display()
        )));
    }
    Ok(text)
}
