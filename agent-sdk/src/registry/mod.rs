//! What can be run by its name: agents, tools and functions.
//!
//! A [`Registry`] is where names are looked up, those of a plan's steps for example. Each kind has names of its own: an agent and
//! a tool may share one. Nothing is ever taken out or replaced, so a name that was found stays what it was.
//!
//! # Example
//!
//! ```
//! use agent_sdk::{agent::Agent, operation::RunContext, registry::{EntryKind, Registry}, testing::ScriptedModel};
//! use serde_json::{Value, json};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let writer = Agent::builder("writer", ScriptedModel::new(["Done."])).description("Writes.").build()?;
//! let registry = Registry::new();
//! registry.agent(writer)?.function("count", async |_: RunContext, input: Value| {
//!     Ok::<_, String>(input.as_array().map_or(0, Vec::len))
//! })?;
//!
//! let count = registry.find_function("count")?;
//! assert_eq!(count.call(RunContext::new(), json!(["a", "b"])).await?, json!(2));
//! let error = registry.get(EntryKind::Agent, "writter").unwrap_err();
//! assert_eq!(error.to_string(), "there is no agent `writter`; did you mean `writer`?");
//! # Ok(())
//! # }
//! ```

mod catalog;
mod entry;
mod error;
mod function;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
};

use catalog::Held;
pub use entry::{Entry, EntryKind, Listing};
pub use error::{DuplicateName, UnknownName};
pub(crate) use error::{nearest, shown};
pub use function::{FunctionHandle, RunFn};

use crate::{
    agent::Agent,
    monitor::{LiveOperation, LiveOperations},
    operation::Kind,
    tool::ToolHandle,
};

/// Agents, tools and functions by name. Cheap to clone; clones share what they hold.
#[derive(Clone, Default)]
pub struct Registry(Arc<RwLock<Entries>>);

type Entries = BTreeMap<EntryKind, BTreeMap<Arc<str>, Held>>;

impl Registry {
    /// An empty registry.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an agent, a [`ToolHandle`] or a [`FunctionHandle`].
    ///
    /// # Errors
    ///
    /// There is one of its kind and name already; that one stays.
    pub fn register(&self, entry: impl Into<Entry>) -> Result<&Self, DuplicateName> {
        let entry = entry.into();
        let (kind, name) = (entry.kind(), entry.shared_name());
        let mut entries = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let of_kind = entries.entry(kind).or_default();
        if of_kind.contains_key(&name) {
            return Err(DuplicateName::new(kind, name));
        }
        of_kind.insert(name, Held::new(entry));
        drop(entries);
        Ok(self)
    }

    /// Adds an agent.
    ///
    /// # Errors
    ///
    /// There is an agent of this name already.
    pub fn agent(&self, agent: Agent) -> Result<&Self, DuplicateName> {
        self.register(agent)
    }

    /// Adds a tool.
    ///
    /// # Errors
    ///
    /// There is a tool of this name already.
    pub fn tool(&self, tool: impl Into<ToolHandle>) -> Result<&Self, DuplicateName> {
        self.register(tool.into())
    }

    /// Adds a function; see [`FunctionHandle::new`].
    ///
    /// # Errors
    ///
    /// There is a function of this name already.
    pub fn function<F: RunFn<Marker>, Marker>(
        &self,
        name: impl Into<Arc<str>>,
        function: F,
    ) -> Result<&Self, DuplicateName> {
        self.register(FunctionHandle::new(name, function))
    }

    /// What has this kind and name.
    ///
    /// # Errors
    ///
    /// Nothing has; the error names what comes nearest.
    pub fn get(&self, kind: EntryKind, name: &str) -> Result<Entry, UnknownName> {
        let entries = self.read();
        if let Some(found) = entries.get(&kind).and_then(|of_kind| of_kind.get(name)) {
            return Ok(found.entry.clone());
        }
        let others = EntryKind::ALL.into_iter().filter(|other| {
            let of_kind = entries.get(other);
            of_kind.is_some_and(|of_kind| of_kind.contains_key(name))
        });
        let known = entries.get(&kind).into_iter().flat_map(BTreeMap::keys);
        Err(UnknownName::new(kind, name, known, others.collect()))
    }

    /// The agent of this name.
    ///
    /// # Errors
    ///
    /// There is none; the error names what comes nearest.
    pub fn find_agent(&self, name: &str) -> Result<Agent, UnknownName> {
        match self.get(EntryKind::Agent, name)? {
            Entry::Agent(agent) => Ok(agent),
            _ => Err(UnknownName::bare(EntryKind::Agent, name)),
        }
    }

    /// The tool of this name.
    ///
    /// # Errors
    ///
    /// There is none; the error names what comes nearest.
    pub fn find_tool(&self, name: &str) -> Result<ToolHandle, UnknownName> {
        match self.get(EntryKind::Tool, name)? {
            Entry::Tool(tool) => Ok(tool),
            _ => Err(UnknownName::bare(EntryKind::Tool, name)),
        }
    }

    /// The function of this name.
    ///
    /// # Errors
    ///
    /// There is none; the error names what comes nearest.
    pub fn find_function(&self, name: &str) -> Result<FunctionHandle, UnknownName> {
        match self.get(EntryKind::Function, name)? {
            Entry::Function(function) => Ok(function),
            _ => Err(UnknownName::bare(EntryKind::Function, name)),
        }
    }

    /// The names of a kind, in order.
    pub fn names(&self, kind: EntryKind) -> Vec<Arc<str>> {
        let entries = self.read();
        let names = entries.get(&kind).into_iter().flat_map(BTreeMap::keys);
        names.cloned().collect()
    }

    /// Everything, as it stands now: agents, then tools, then functions, each in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = Entry> + use<> {
        let entries: Vec<_> = self
            .read()
            .values()
            .flat_map(BTreeMap::values)
            .map(|held| held.entry.clone())
            .collect();
        entries.into_iter()
    }

    /// Everything, in words: for people, and for models that choose among it. In the order of [`iter`](Self::iter).
    pub fn list(&self) -> Vec<Listing> {
        self.iter().map(|entry| entry.listing()).collect()
    }

    /// The agents that [say](crate::agent::AgentBuilder::capability) that they can do this, in the order of their names.
    pub fn capable(&self, capability: &str) -> Vec<Agent> {
        self.iter()
            .filter_map(|entry| match entry {
                Entry::Agent(agent) if agent.capabilities().any(|it| it == capability) => {
                    Some(agent)
                }
                _ => None,
            })
            .collect()
    }

    /// The runs of agents of these names that are under way, the oldest first, as far as `live` watches them.
    pub fn running(&self, live: &LiveOperations) -> Vec<LiveOperation> {
        let mut running = live.snapshot().operations;
        let entries = self.read();
        let agents = entries.get(&EntryKind::Agent);
        running.retain(|it| {
            it.kind == Kind::Agent && agents.is_some_and(|agents| agents.contains_key(&it.name))
        });
        running
    }

    /// How much there is.
    pub fn len(&self) -> usize {
        self.read().values().map(BTreeMap::len).sum()
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn read(&self) -> RwLockReadGuard<'_, Entries> {
        // Nothing that happens under the lock can panic half way.
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry")
            .field("agents", &self.names(EntryKind::Agent))
            .field("tools", &self.names(EntryKind::Tool))
            .field("functions", &self.names(EntryKind::Function))
            .finish()
    }
}
