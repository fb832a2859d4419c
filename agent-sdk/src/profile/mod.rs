//! Where the time of a run went.

use std::{sync::Arc, time::Duration};

use serde::Serialize;

use crate::{
    cost::Usd,
    model::Usage,
    operation::{Kind, OperationId, Outcome, SpanId},
};

/// A finished operation, as the profile needs it. Times count from the run's start.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ProfiledOperation {
    /// Its number within the run.
    pub id: OperationId,
    /// The operation around it.
    pub parent: Option<OperationId>,
    /// What it is.
    pub kind: Kind,
    /// The agent's, model's or tool's name.
    pub name: Arc<str>,
    /// Its span.
    pub span_id: SpanId,
    /// When it started.
    pub start: Duration,
    /// When it ended.
    pub end: Duration,
    /// How it ended.
    pub outcome: Outcome,
    /// What it cost itself, where known.
    pub cost: Option<Usd>,
    /// What it used itself.
    pub usage: Usage,
}

/// Where the time of a run went.
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct Profile {}

impl Profile {
    pub(crate) fn of(
        _root: OperationId,
        _operations: &[ProfiledOperation],
        _left_out: u64,
    ) -> Self {
        Self {}
    }
}
