//! What the agent of a run is made of, so that it can be made again.
//!
//! It is kept beside the run as the application's value. Keys are not among it: they come from the variables each time.

use std::{
    num::NonZeroU32,
    path::{Path, PathBuf},
};

use agent_sdk::{
    agent::{Agent, Role},
    cost::{PriceBook, Usd},
    journal::StoredRun,
    tool::ToolHandle,
    workspace::Workspace,
};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Value, json};

use crate::{
    args::{AgentArguments, BuiltinTool, ModelName, RunArguments},
    exit::Failure,
    model::{self, Chosen, Tape},
    prices, secret, tools,
};

/// The agent's name, in traces and messages.
pub(crate) const NAME: &str = "agent";

/// The key of the application's value that says whose it is: an agent's, or a plan's.
const AGENT: &str = "agent_run";
const PLAN: &str = "agent_plan";

/// What an agent is made of.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Recipe {
    /// `provider:name`; empty where no model is asked.
    pub(crate) model: String,
    /// Where the provider's API is, if that is not the provider's own address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) base_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) system: Option<String>,
    /// The built-in role that the agent has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) role: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_turns: Option<NonZeroU32>,
    /// The most that it may cost.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "exact")]
    pub(crate) max_cost_usd: Option<Usd>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) workspace: Option<PathBuf>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) tags: Vec<(String, String)>,
    /// Whether the model may write in the workspace.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) write: bool,
    /// Whether the workspace was made for the run, and its answer and its report are saved there.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) own_workspace: bool,
    /// The built-in tools, and what is allowed to them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) tools: Vec<BuiltinTool>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) allow_hosts: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) allow_programs: Vec<String>,
    /// The tools whose calls a person approves.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) ask: Vec<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) no_stream: bool,
    /// The files of exchanges.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) record: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) replay: Option<PathBuf>,
}

/// An agent that was made, and what it asks.
pub(crate) struct Made {
    pub(crate) agent: Agent,
    pub(crate) chosen: Chosen,
    pub(crate) tape: Tape,
    /// What models cost.
    pub(crate) prices: PriceBook,
}

/// What agents are made of.
pub(crate) struct Parts {
    /// The model, where one is asked.
    pub(crate) chosen: Option<Chosen>,
    pub(crate) tape: Tape,
    pub(crate) prices: PriceBook,
    /// The tools for files, of the workspace.
    pub(crate) files: Vec<ToolHandle>,
    pub(crate) builtin: Vec<ToolHandle>,
    workspace: Option<Workspace>,
}

impl Recipe {
    /// What the arguments of `agent run` ask for.
    ///
    /// # Errors
    ///
    /// No model is named, there is no such role, or the folder it is in cannot be known.
    pub(crate) fn of(arguments: &RunArguments) -> Result<Self, Failure> {
        if let Some(name) = &arguments.role {
            role(name)?;
        }
        Ok(Self {
            system: arguments.system.clone(),
            role: arguments.role.clone(),
            ..Self::of_agents(&arguments.with)?
        })
    }

    /// What the arguments ask for that all agents of a command share.
    ///
    /// # Errors
    ///
    /// No model is named, or the folder it is in cannot be known.
    pub(crate) fn of_agents(arguments: &AgentArguments) -> Result<Self, Failure> {
        let model = model::name(arguments.model.as_ref(), |name| std::env::var(name).ok())?;
        Ok(Self {
            model: model.to_string(),
            ..Self::of_tools(arguments)?
        })
    }

    /// What the arguments ask for where no agent is: no model is, whichever is named.
    ///
    /// # Errors
    ///
    /// The folder it is in cannot be known.
    pub(crate) fn of_tools(arguments: &AgentArguments) -> Result<Self, Failure> {
        let full = |path: &Option<PathBuf>| path.as_deref().map(full).transpose();
        let tags = arguments.tags.iter();
        Ok(Self {
            model: String::new(),
            base_url: arguments.base_url.clone(),
            system: None,
            role: None,
            max_turns: arguments.max_turns,
            max_cost_usd: arguments.max_cost_usd,
            workspace: full(&arguments.workspace)?,
            tags: tags
                .map(|tag| (tag.key.clone(), tag.value.clone()))
                .collect(),
            write: arguments.write,
            own_workspace: false,
            tools: arguments.tools.clone(),
            allow_hosts: arguments.allow_hosts.clone(),
            allow_programs: arguments.allow_programs.clone(),
            ask: arguments.ask.clone(),
            no_stream: arguments.no_stream,
            record: full(&arguments.record)?,
            replay: full(&arguments.replay)?,
        })
    }

    /// The agent's name, in traces and messages.
    pub(crate) fn name(&self) -> &str {
        self.role.as_deref().unwrap_or(NAME)
    }

    /// Whether a model is asked.
    pub(crate) fn asks_model(&self) -> bool {
        !self.model.is_empty()
    }

    /// Whether a run is a plan's.
    pub(crate) fn is_of_plan(run: &StoredRun) -> bool {
        run.summary.application.get(PLAN).is_some()
    }

    /// What was kept beside the run of a plan.
    ///
    /// # Errors
    ///
    /// Another program made the run.
    pub(crate) fn kept_of_plan(run: &StoredRun) -> Result<Self, Failure> {
        Self::read(run, PLAN)
    }

    /// What was kept beside a run.
    ///
    /// # Errors
    ///
    /// Another program made the run.
    pub(crate) fn kept(run: &StoredRun) -> Result<Self, Failure> {
        Self::read(run, AGENT)
    }

    fn read(run: &StoredRun, made_by: &str) -> Result<Self, Failure> {
        let kept = run.summary.application.get(made_by);
        let recipe = kept.and_then(|kept| Self::deserialize(kept).ok());
        recipe.ok_or_else(|| {
            Failure::usage(format!(
                "run {} was not begun by `agent run`: it is not known what its agent is made of",
                run.id
            ))
            .advice("The program that began it can resume it.")
        })
    }

    /// The value to keep beside the run; `chosen` is what the model's name led to.
    ///
    /// # Errors
    ///
    /// A path is no Unicode text.
    pub(crate) fn to_value(&self, chosen: &Chosen) -> Result<Value, Failure> {
        self.value(Some(chosen), AGENT)
    }

    /// The value to keep beside the run of a plan, as [`to_value`](Self::to_value).
    ///
    /// # Errors
    ///
    /// A path is no Unicode text.
    pub(crate) fn to_value_of_plan(&self, chosen: Option<&Chosen>) -> Result<Value, Failure> {
        self.value(chosen, PLAN)
    }

    fn value(&self, chosen: Option<&Chosen>, made_by: &str) -> Result<Value, Failure> {
        let is_secret = |url: &String| secret::seems_to_hold_a_key(url);
        let base_url = chosen.and_then(|chosen| chosen.base_url.clone());
        let kept = Self {
            base_url: base_url.filter(|url| !is_secret(url)),
            ..self.clone()
        };
        let kept = serde_json::to_value(kept).map_err(|error| {
            Failure::usage(format!("the run cannot be kept: {error}"))
                .advice("Name files and folders in UTF-8, or pass `--no-store`.")
        })?;
        Ok(json!({ made_by: kept }))
    }

    /// Makes the agent.
    ///
    /// # Errors
    ///
    /// A part of it cannot be had: the key, the folder, a file.
    pub(crate) fn make(&self) -> Result<Made, Failure> {
        self.make_of(self.parts()?)
    }

    /// Makes the agent to be replayed: no model is asked, so that no key is needed and no file of exchanges.
    ///
    /// # Errors
    ///
    /// The folder cannot be had.
    pub(crate) fn make_to_replay(&self) -> Result<Made, Failure> {
        self.make_of(self.parts_without_key()?)
    }

    /// What agents are made of.
    ///
    /// # Errors
    ///
    /// A part of it cannot be had: the key, the folder, a file.
    pub(crate) fn parts(&self) -> Result<Parts, Failure> {
        let tape = Tape::open(self.record.as_deref(), self.replay.as_deref())?;
        self.parts_with(tape, |name| std::env::var(name).ok())
    }

    /// What agents are made of that ask no model.
    ///
    /// # Errors
    ///
    /// The folder cannot be had.
    pub(crate) fn parts_without_key(&self) -> Result<Parts, Failure> {
        self.parts_with(Tape::None, |name| {
            let is_set = std::env::var(name).ok();
            is_set.or_else(|| name.ends_with("_KEY").then(|| "none".to_owned()))
        })
    }

    fn parts_with(
        &self,
        tape: Tape,
        variable: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
    ) -> Result<Parts, Failure> {
        let chosen = if self.asks_model() {
            let name: ModelName = self.model.parse().map_err(Failure::usage)?;
            let base_url = self.base_url.as_deref();
            let streaming = !self.no_stream;
            Some(model::choose(&name, base_url, streaming, &tape, variable)?)
        } else {
            None
        };
        let builtin = tools::builtin(self)?;
        let workspace = self
            .workspace
            .as_deref()
            .map(tools::workspace)
            .transpose()?;
        let files = match &workspace {
            Some(workspace) if self.write => workspace.tools(),
            Some(workspace) => workspace.read_tools(),
            None => Vec::new(),
        };
        self.check_asks(&[files.as_slice(), &builtin].concat())?;
        Ok(Parts {
            chosen,
            tape,
            prices: prices::book()?,
            files,
            builtin,
            workspace,
        })
    }

    fn make_of(&self, parts: Parts) -> Result<Made, Failure> {
        let Parts {
            chosen,
            tape,
            prices,
            files,
            builtin,
            workspace,
        } = parts;
        let chosen = chosen.ok_or_else(model::none_is_named)?;
        let mut agent = match &self.role {
            Some(name) => role(name)?.agent(chosen.model.clone()),
            None => Agent::builder(NAME, chosen.model.clone()),
        };
        agent = agent.prices(prices.clone()).tools(builtin);
        if let Some(system) = &self.system {
            agent = agent.instructions(system);
        }
        if let Some(turns) = self.max_turns {
            agent = agent.max_turns(turns);
        }
        agent = match workspace.filter(|_| self.own_workspace) {
            // With it come its tools.
            Some(workspace) => agent.workspace(workspace),
            None => agent.tools(files),
        };
        let agent = agent
            .build()
            .map_err(|error| Failure::usage(error.to_string()).because(&error))?;
        Ok(Made {
            agent,
            chosen,
            tape,
            prices,
        })
    }

    /// Whether a person has to approve calls.
    pub(crate) fn asks(&self) -> bool {
        !self.ask.is_empty() || self.tools.contains(&BuiltinTool::RunCommand)
    }

    /// A tool that is not there would never be asked about, and nobody would notice.
    fn check_asks(&self, tools: &[ToolHandle]) -> Result<(), Failure> {
        let has = |name: &String| tools.iter().any(|tool| *tool.spec().name == **name);
        let Some(unknown) = self.ask.iter().find(|name| !has(name)) else {
            return Ok(());
        };
        let known: Vec<_> = tools.iter().map(|tool| &*tool.spec().name).collect();
        let failure = Failure::usage(format!("`--ask {unknown}`: the agent has no such tool"));
        Err(failure.advice(if known.is_empty() {
            "It has none; `--workspace DIR` gives it tools for files, `--tool TOOL` a built-in one."
                .to_owned()
        } else {
            format!("It has {}.", known.join(", "))
        }))
    }
}

/// The built-in role of a name.
fn role(name: &str) -> Result<&'static Role, Failure> {
    Role::named(name).ok_or_else(|| {
        let names: Vec<_> = Role::all().iter().map(|role| role.name).collect();
        Failure::usage(format!("`--role {name}`: there is no such role"))
            .advice(format!("There are {}.", names.join(", ")))
    })
}

/// An amount as text: a number would not hold each.
#[expect(clippy::ref_option, reason = "what a serializer of a field is given")]
fn exact<S: Serializer>(amount: &Option<Usd>, serializer: S) -> Result<S::Ok, S::Error> {
    amount
        .map(|amount| amount.to_string())
        .serialize(serializer)
}

fn full(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path)
        .map_err(|error| Failure::usage(format!("{}: {error}", path.display())))
}
