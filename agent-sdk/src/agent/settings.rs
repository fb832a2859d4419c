//! What an agent is made of.

use std::{path::Path, sync::Arc};

use super::Output;
#[cfg(feature = "workspace")]
use crate::workspace::Workspace;
use crate::{
    budget::Ledger,
    cost::PriceBook,
    model::{ChatSettings, ModelHandle, Prompt, ToolChoice},
    operation::{Observers, RunContext, RunId},
    run::{Limits, new_context},
    tool::{State, ToolScheduler, ToolSet},
};

/// What an agent is made of; cheap to clone, for runs that change a part of it.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) name: Arc<str>,
    pub(crate) agent_type: Option<Arc<str>>,
    pub(crate) description: Option<Arc<str>>,
    pub(crate) capabilities: Vec<Arc<str>>,
    pub(crate) instructions: Option<Arc<str>>,
    pub(crate) model: ModelHandle,
    pub(crate) tools: ToolSet,
    pub(crate) scheduler: Option<ToolScheduler>,
    pub(crate) tool_choice: ToolChoice,
    pub(crate) chat: Arc<ChatSettings>,
    pub(crate) prompt: Option<Arc<Prompt>>,
    pub(crate) output: Output,
    pub(crate) output_file: Option<Arc<Path>>,
    /// Where the runs work: what they wrote is listed, and their answers are saved.
    #[cfg(feature = "workspace")]
    pub(crate) workspace: Option<Workspace>,
    pub(crate) limits: Limits,
    pub(crate) tags: Vec<(Arc<str>, Arc<str>)>,
    pub(crate) state: State,
    pub(crate) observers: Observers,
    pub(crate) prices: Option<PriceBook>,
    pub(crate) ledger: Option<Ledger>,
}

impl Settings {
    /// A run with the agent's observers, prices and ledger: a new one, or the one of this id.
    pub(crate) fn new_context(&self, id: Option<&RunId>) -> RunContext {
        let (prices, ledger) = (self.prices.as_ref(), self.ledger.as_ref());
        new_context(&self.observers, prices, ledger, id)
    }
}
