//! Where operations stand: the agents, the step and the tool around each.

use std::{collections::HashMap, sync::Arc};

use crate::operation::{Kind, OperationId, OperationInfo, OperationRecord, RunId};

/// How many open operations are remembered. What starts beyond stands where its own description says: in its nearest agent.
const MAX_OPEN: usize = 65_536;

/// What is around an operation, itself included.
#[derive(Debug, Default)]
pub(super) struct Place {
    /// From the outermost to the innermost.
    pub(super) agents: Arc<[Arc<str>]>,
    pub(super) step: Option<Arc<str>>,
    pub(super) tool: Option<Arc<str>>,
}

/// The places of the operations that are open now.
#[derive(Debug, Default)]
pub(super) struct Places(HashMap<(RunId, OperationId), Arc<Place>>);

impl Places {
    /// Remembers an operation that starts.
    pub(super) fn started(&mut self, info: &OperationInfo) {
        if self.0.len() < MAX_OPEN {
            let place = self.of(info);
            self.0.insert((info.run_id.clone(), info.id), place);
        }
    }

    /// Forgets an operation that ended, and says where it stood.
    pub(super) fn ended(&mut self, record: &OperationRecord<'_>) -> Arc<Place> {
        let info = record.info;
        let known = self.0.remove(&(info.run_id.clone(), info.id));
        known.unwrap_or_else(|| self.of(info))
    }

    /// Where an operation stands: where its parent does, and in itself.
    fn of(&self, info: &OperationInfo) -> Arc<Place> {
        let parent = info.parent.map(|parent| (info.run_id.clone(), parent));
        let around = parent.and_then(|parent| self.0.get(&parent).cloned());
        let name = || Some(info.name.clone());
        match (info.kind, around) {
            (Kind::Agent, Some(around)) => Arc::new(Place {
                agents: around.agents.iter().cloned().chain(name()).collect(),
                step: around.step.clone(),
                tool: around.tool.clone(),
            }),
            (Kind::Step, around) => Arc::new(Place {
                step: name(),
                ..Place::inside(around.as_deref(), info)
            }),
            (Kind::Tool, around) => Arc::new(Place {
                tool: name(),
                ..Place::inside(around.as_deref(), info)
            }),
            (_, Some(around)) => around,
            (_, None) => Arc::new(Place::inside(None, info)),
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

impl Place {
    /// What is around an operation, or what it says itself where that is not known.
    fn inside(around: Option<&Self>, info: &OperationInfo) -> Self {
        match around {
            Some(around) => Self {
                agents: around.agents.clone(),
                step: around.step.clone(),
                tool: around.tool.clone(),
            },
            None => Self {
                agents: info.agent.iter().cloned().collect(),
                ..Self::default()
            },
        }
    }
}
