//! The tools of an agent.

use std::{collections::HashMap, sync::Arc};

use super::ToolHandle;
use crate::model::ToolSpec;

/// The tools of an agent. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct ToolSet {
    specs: Arc<[ToolSpec]>,
    by_name: Arc<HashMap<Arc<str>, ToolHandle>>,
}

impl ToolSet {
    /// `Err` is the name that two of them share.
    pub(crate) fn new(tools: Vec<ToolHandle>) -> Result<Self, Arc<str>> {
        let specs = tools.iter().map(|tool| tool.spec().clone()).collect();
        let mut by_name = HashMap::with_capacity(tools.len());
        for tool in tools {
            let name = tool.spec().name.clone();
            if by_name.insert(name.clone(), tool).is_some() {
                return Err(name);
            }
        }
        Ok(Self {
            specs,
            by_name: Arc::new(by_name),
        })
    }

    pub(crate) fn specs(&self) -> &Arc<[ToolSpec]> {
        &self.specs
    }

    pub(crate) fn get(&self, name: &str) -> Option<&ToolHandle> {
        self.by_name.get(name)
    }

    /// Other tools in the place of these, with the same specs.
    pub(crate) fn map(&self, other: impl Fn(&ToolHandle) -> ToolHandle) -> Self {
        let by_name = self.by_name.iter();
        let by_name = by_name.map(|(name, tool)| (name.clone(), other(tool)));
        Self {
            specs: self.specs.clone(),
            by_name: Arc::new(by_name.collect()),
        }
    }

    /// These as well, in place of those of the same names.
    #[cfg(feature = "workspace")]
    pub(crate) fn with(&self, tools: Vec<ToolHandle>) -> Self {
        let mut by_name = HashMap::clone(&self.by_name);
        let is_kept = |spec: &&ToolSpec| tools.iter().all(|tool| tool.spec().name != spec.name);
        let kept = self.specs.iter().filter(is_kept).cloned();
        let specs = kept.chain(tools.iter().map(|tool| tool.spec().clone()));
        let specs = specs.collect();
        by_name.extend(
            tools
                .into_iter()
                .map(|tool| (tool.spec().name.clone(), tool)),
        );
        Self {
            specs,
            by_name: Arc::new(by_name),
        }
    }

    /// Only the named ones.
    pub(crate) fn only(&self, names: &[Arc<str>]) -> Self {
        let specs: Arc<[_]> = self
            .specs
            .iter()
            .filter(|spec| names.contains(&spec.name))
            .cloned()
            .collect();
        let mut by_name = HashMap::clone(&self.by_name);
        by_name.retain(|name, _| names.contains(name));
        Self {
            specs,
            by_name: Arc::new(by_name),
        }
    }
}
