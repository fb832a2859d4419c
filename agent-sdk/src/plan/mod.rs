//! Plans: steps, what they wait for, and what happens when they fail.
//!
//! A [`Plan`] is data. It is written in Rust with its [builder](Plan::builder), in TOML or in JSON, and [checked](Plan::check) as
//! a whole: every mistake is said at once, with its place. An [`Orchestrator`](crate::orchestrator::Orchestrator) runs it, as wide as what its steps wait for allows.
//!
//! ```toml
//! name = "review"
//!
//! [params.change]
//! type = "string"
//!
//! [[steps]]
//! id = "security"
//! agent = "reviewer"
//! action = "Look for security holes in the change."
//! input = "${params.change}"
//!
//! [[steps]]
//! id = "speed"
//! agent = "reviewer"
//! action = "Look for what makes the change slow."
//! input = "${params.change}"
//!
//! [[steps]]
//! id = "report"
//! agent = "writer"
//! action = "Write one report."
//! input = { security = "${steps.security}", speed = "${steps.speed}" }
//! ```
//!
//! **References.** `${steps.ID}` is what a step gave, `${steps.ID/json/pointer}` a part of it, `${params.NAME}` a parameter, and in a map
//! `${item}` and `${index}` the element and its number. A string that is one whole reference keeps the JSON type of what it
//! refers to; inside a longer string it is written out, text as it is and everything else as JSON. `$${` is a `${` that is none. A step waits
//! for those that it refers to. A part that is not there fails the step; of a step that did not succeed, under a join that did not
//! need it, a reference is `null`.
//!
//! **Ends.** A step ends once: it succeeded, failed, ran out of time, was cancelled, or was skipped for a reason. A step that waits for one
//! that did not succeed is skipped, unless its join can do without. The plan has succeeded when none of the steps that nothing waits for
//! has failed, or was skipped because of a failure: one that was skipped by its condition or by a person failed nothing.
//!
//! [`Machine`] decides all that. It does no I/O and reads no clock; the same inputs give the same commands, in the plan's order.

mod builder;
mod change;
mod check;
mod condition;
mod file;
mod graph;
mod machine;
mod params;
mod planner;
mod problem;
mod reference;
mod show;
mod step;
#[cfg(test)]
pub(crate) mod tests;
mod time;

use std::{collections::BTreeMap, num::NonZeroU32, sync::Arc, time::Duration};

pub use builder::{PlanBuilder, StepBuilder};
pub use change::Change;
pub use check::{Catalog, Open};
pub(crate) use file::MAX_DEPTH;
pub use file::VERSION;
pub(crate) use graph::unknown;
pub use machine::{
    Command, End, Ended, Fault, Input, Machine, SkipReason, StepEnd, StepState, StepStatus, Task,
    Timer,
};
pub use params::{Param, ParamKind, Params};
pub use planner::{
    Planned, Planner, PlannerBuilder, PlannerError, PlannerErrorKind, PlannerRequest,
};
pub use problem::{PlanError, Problem};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
pub use step::{AgentConfig, Alternative, Join, Map, Retry, Step, Work, WorkKind};

/// Steps, and what they wait for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a plan, which is a table")]
#[non_exhaustive]
pub struct Plan {
    /// The version of the form that it is written in: 1.
    #[serde(default = "file::version")]
    pub version: u32,
    /// Its name, which is also the workflow's: letters, digits, `_`, `-`, `.` and spaces, at most 64.
    pub name: Arc<str>,
    /// What it is for, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Arc<str>>,
    /// What it is given by whoever runs it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<Arc<str>, Param>,
    /// What it gives, with references to what its steps gave. Default: what the last step gave that nothing waits for, or, of several, an
    /// object of them by id.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub output: Value,
    /// The longest that it may take. Default: as long as it takes.
    #[serde(
        default,
        with = "time::optional",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<String>")]
    pub timeout: Option<Duration>,
    /// Whether steps run beside each other; if not, they run one after the other in the plan's order, as far as what they wait for
    /// allows. Default: yes.
    #[serde(default = "file::yes", skip_serializing_if = "file::is_yes")]
    pub parallel: bool,
    /// How many run at once. Default: [`DEFAULT_CONCURRENCY`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<NonZeroU32>,
    /// What becomes of the others when a step fails. Default: what can be finished is finished.
    #[serde(default, skip_serializing_if = "step::is_default")]
    pub on_failure: FailurePolicy,
    /// The plan that is run in its place when it fails, with the same parameters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<Box<Plan>>,
    /// The steps; their order decides where nothing else does.
    pub steps: Vec<Step>,
}

/// How many steps of a plan run at once where it does not say.
pub const DEFAULT_CONCURRENCY: NonZeroU32 = NonZeroU32::new(64).unwrap();

/// What becomes of the others when a step fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FailurePolicy {
    /// Whatever does not wait for it is finished.
    #[default]
    Finish,
    /// As soon as the plan can no longer succeed, what runs is cancelled and nothing more begins.
    Stop,
}

impl Plan {
    /// Begins a plan in Rust.
    pub fn builder(name: impl Into<Arc<str>>) -> PlanBuilder {
        PlanBuilder::new(name)
    }

    /// How many of its steps run at once.
    pub fn width(&self) -> NonZeroU32 {
        if self.parallel {
            self.concurrency.unwrap_or(DEFAULT_CONCURRENCY)
        } else {
            NonZeroU32::MIN
        }
    }

    /// The step of this id.
    pub fn step(&self, id: &str) -> Option<&Step> {
        self.steps.iter().find(|step| *step.id == *id)
    }
}
