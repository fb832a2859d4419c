//! What the steps of a plan can name: the built-in roles, and the tools that were named.

use std::sync::Arc;

use agent_sdk::{
    agent::Role, cost::PriceBook, model::ModelHandle, orchestrator::Orchestrator,
    registry::Registry, tool::ToolHandle,
};

use crate::{
    args::ModelName,
    exit::Failure,
    model::{self, Chosen, Tape},
    recipe::{Parts, Recipe},
};

/// What to do about a name that nothing has.
pub(super) const ADVICE: &str = "Agents are researcher, analyst, writer, coder and reviewer; tools come with `--workspace`, \
    `--write` and `--tool`; functions are for plans that a program runs.";

/// The agents and tools of a plan.
pub(crate) struct Team {
    pub(crate) registry: Registry,
    /// The model of the agents; where there is none, there are no agents.
    pub(crate) chosen: Option<Chosen>,
    pub(crate) tape: Tape,
    pub(crate) prices: PriceBook,
}

impl Team {
    /// Makes them.
    ///
    /// # Errors
    ///
    /// A part cannot be had: the key, the folder, a file.
    pub(super) fn make(recipe: &Recipe) -> Result<Self, Failure> {
        Self::of(recipe, recipe.parts()?)
    }

    /// Makes them for a plan that has ended: no model is asked, so that no key is needed.
    ///
    /// # Errors
    ///
    /// The folder cannot be had.
    pub(super) fn make_without_key(recipe: &Recipe) -> Result<Self, Failure> {
        Self::of(recipe, recipe.parts_without_key()?)
    }

    fn of(recipe: &Recipe, parts: Parts) -> Result<Self, Failure> {
        let Parts {
            chosen,
            tape,
            prices,
            files,
            builtin,
            ..
        } = parts;
        let tools: Vec<ToolHandle> = files.into_iter().chain(builtin).collect();
        let registry = Registry::new();
        let model = chosen.as_ref().map(|chosen| &chosen.model);
        let roles = model
            .into_iter()
            .flat_map(|model| Role::all().iter().map(move |role| (role, model)));
        for (role, model) in roles {
            let helps = |tool: &&ToolHandle| role.tools.contains(&&*tool.spec().name);
            let mut agent = role
                .agent(model.clone())
                .prices(prices.clone())
                .tools(tools.iter().filter(helps).cloned());
            if let Some(turns) = recipe.max_turns {
                agent = agent.max_turns(turns);
            }
            let agent = agent
                .build()
                .map_err(|error| Failure::usage(error.to_string()).because(&error))?;
            registered(registry.agent(agent))?;
        }
        for tool in tools {
            registered(registry.tool(tool))?;
        }
        Ok(Self {
            registry,
            chosen,
            tape,
            prices,
        })
    }

    /// What runs their plans.
    pub(super) fn orchestrator(&self, recipe: &Recipe) -> Orchestrator {
        let finder = Finder {
            recipe: recipe.clone(),
            tape: self.tape.clone(),
        };
        let finder = Arc::new(finder);
        Orchestrator::new(self.registry.clone()).models(move |name| finder.find(name))
    }
}

fn registered<T, E: std::fmt::Display>(added: Result<T, E>) -> Result<(), Failure> {
    added
        .map(drop)
        .map_err(|error| Failure::usage(error.to_string()))
}

/// Finds the models that steps name.
struct Finder {
    recipe: Recipe,
    tape: Tape,
}

impl Finder {
    /// The model of a name: where the plan's own is, if the same provider has it.
    fn find(&self, name: &str) -> Result<ModelHandle, String> {
        let name: ModelName = name.parse()?;
        let is_same = |own: ModelName| own.provider == name.provider;
        let base_url = self.recipe.base_url.as_deref();
        let base_url = base_url.filter(|_| self.recipe.model.parse().is_ok_and(is_same));
        let variable = |name: &str| std::env::var(name).ok();
        let streaming = !self.recipe.no_stream;
        model::choose(&name, base_url, streaming, &self.tape, variable)
            .map(|chosen| chosen.model)
            .map_err(Failure::into_words)
    }
}
