//! Who is told of an operation's budgets, by whoever learns of them later.

use std::{
    fmt,
    sync::{Arc, Weak},
};

use super::{EventKind, Kind, Run, Shared};
use crate::budget::Standing;

/// Who watches what an operation does; keeps the run of it from nothing, and tells nobody once it is gone.
#[derive(Clone)]
pub(crate) struct Watching {
    run: Weak<Run>,
    operation: Option<Arc<Shared>>,
}

impl fmt::Debug for Watching {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operation = self.operation.as_ref().map(|shared| shared.info.id);
        f.debug_tuple("Watching").field(&operation).finish()
    }
}

impl Watching {
    pub(super) fn new(run: &Arc<Run>, operation: Option<Arc<Shared>>) -> Self {
        Self {
            run: Arc::downgrade(run),
            operation,
        }
    }

    /// Tells the agents and workflows around the operation how a budget stands.
    pub(crate) fn stands(&self, standing: &Standing) {
        let mut above = self.operation.as_ref();
        while let Some(shared) = above {
            if matches!(shared.info.kind, Kind::Agent | Kind::Workflow) {
                let standing = Box::new(standing.clone());
                shared.record(|facts| facts.budget = Some(standing));
            }
            above = shared.parent.as_ref();
        }
    }

    /// Publishes an event of the operation, as [`RunContext::publish`] does.
    pub(crate) fn publish(&self, event: impl FnOnce() -> EventKind) {
        if let Some(run) = self.run.upgrade() {
            run.publish(self.operation.as_ref().map(|shared| &shared.info), event);
        }
    }
}
