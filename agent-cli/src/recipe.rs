//! What the agent of a run is made of, so that it can be made again.
//!
//! It is kept beside the run as the application's value. Keys are not among it: they come from the variables each time.

use std::{
    num::NonZeroU32,
    path::{Path, PathBuf},
};

use agent_sdk::{
    agent::Agent,
    cost::{PriceBook, Usd},
    journal::StoredRun,
    tool::ToolHandle,
};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Value, json};

use crate::{
    args::{BuiltinTool, ModelName, RunArguments},
    exit::Failure,
    model::{self, Chosen, Tape},
    prices, secret, tools,
};

/// The agent's name, in traces and messages.
pub(crate) const NAME: &str = "agent";

/// The key of the application's value that says whose it is.
const MADE_BY: &str = "agent_run";

/// What an agent is made of.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Recipe {
    /// `provider:name`.
    pub(crate) model: String,
    /// Where the provider's API is, if that is not the provider's own address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) base_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) system: Option<String>,
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

impl Recipe {
    /// What the arguments of `agent run` ask for.
    ///
    /// # Errors
    ///
    /// No model is named, or the folder it is in cannot be known.
    pub(crate) fn of(arguments: &RunArguments) -> Result<Self, Failure> {
        let model = model::name(arguments.model.as_ref(), |name| std::env::var(name).ok())?;
        let full = |path: &Option<PathBuf>| path.as_deref().map(full).transpose();
        let tags = arguments.tags.iter();
        Ok(Self {
            model: model.to_string(),
            base_url: arguments.base_url.clone(),
            system: arguments.system.clone(),
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

    /// What was kept beside a run.
    ///
    /// # Errors
    ///
    /// Another program made the run.
    pub(crate) fn kept(run: &StoredRun) -> Result<Self, Failure> {
        let kept = run.summary.application.get(MADE_BY);
        let recipe = kept.and_then(|kept| Self::deserialize(kept).ok());
        recipe.ok_or_else(|| {
            Failure::usage(format!(
                "run {} was not begun by `agent run`: it is not known what its agent is made of",
                run.id
            ))
            .advice("The program that began it can resume it, with `Agent::resume`.")
        })
    }

    /// The value to keep beside the run; `chosen` is what the model's name led to.
    ///
    /// # Errors
    ///
    /// A path is no Unicode text.
    pub(crate) fn to_value(&self, chosen: &Chosen) -> Result<Value, Failure> {
        let is_secret = |url: &String| secret::seems_to_hold_a_key(url);
        let kept = Self {
            base_url: chosen.base_url.clone().filter(|url| !is_secret(url)),
            ..self.clone()
        };
        let kept = serde_json::to_value(kept).map_err(|error| {
            Failure::usage(format!("the run cannot be kept: {error}"))
                .advice("Name files and folders in UTF-8, or pass `--no-store`.")
        })?;
        Ok(json!({ MADE_BY: kept }))
    }

    /// Makes the agent.
    ///
    /// # Errors
    ///
    /// A part of it cannot be had: the key, the folder, a file.
    pub(crate) fn make(&self) -> Result<Made, Failure> {
        let tape = Tape::open(self.record.as_deref(), self.replay.as_deref())?;
        self.make_with(tape, |name| std::env::var(name).ok())
    }

    /// Makes the agent to be replayed: no model is asked, so that no key is needed and no file of exchanges.
    ///
    /// # Errors
    ///
    /// The folder cannot be had.
    pub(crate) fn make_to_replay(&self) -> Result<Made, Failure> {
        self.make_with(Tape::None, |name| {
            let is_set = std::env::var(name).ok();
            is_set.or_else(|| name.ends_with("_KEY").then(|| "none".to_owned()))
        })
    }

    fn make_with(
        &self,
        tape: Tape,
        variable: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
    ) -> Result<Made, Failure> {
        let name: ModelName = self.model.parse().map_err(Failure::usage)?;
        let base_url = self.base_url.as_deref();
        let chosen = model::choose(&name, base_url, !self.no_stream, &tape, variable)?;
        let prices = prices::book()?;
        let mut agent = Agent::builder(NAME, chosen.model.clone()).prices(prices.clone());
        if let Some(system) = &self.system {
            agent = agent.instructions(system);
        }
        if let Some(turns) = self.max_turns {
            agent = agent.max_turns(turns);
        }
        let builtin = tools::builtin(self)?;
        agent = agent.tools(builtin.clone());
        match &self.workspace {
            Some(workspace) => {
                let workspace = tools::workspace(workspace)?;
                let tools = if self.write {
                    workspace.tools()
                } else {
                    workspace.read_tools()
                };
                self.check_asks(&[tools.as_slice(), &builtin].concat())?;
                agent = if self.own_workspace {
                    // With it come its tools.
                    agent.workspace(workspace)
                } else {
                    agent.tools(tools)
                };
            }
            None => self.check_asks(&builtin)?,
        }
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
