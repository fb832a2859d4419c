//! Plans in Rust.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use serde_json::Value;

use super::{
    AgentConfig, Alternative, FailurePolicy, Join, Map, Param, Plan, PlanError, Retry, Step,
    VERSION, Work,
};

/// Makes a [`Plan`].
#[derive(Clone, Debug)]
#[must_use]
pub struct PlanBuilder {
    plan: Plan,
}

impl PlanBuilder {
    pub(super) fn new(name: impl Into<Arc<str>>) -> Self {
        Self {
            plan: Plan {
                version: VERSION,
                name: name.into(),
                description: None,
                params: std::collections::BTreeMap::new(),
                output: Value::Null,
                timeout: None,
                parallel: true,
                concurrency: None,
                on_failure: FailurePolicy::Finish,
                fallback: None,
                steps: Vec::new(),
            },
        }
    }

    /// Says what it is for.
    pub fn description(mut self, text: impl Into<Arc<str>>) -> Self {
        self.plan.description = Some(text.into());
        self
    }

    /// Adds a parameter.
    pub fn param(mut self, name: impl Into<Arc<str>>, param: Param) -> Self {
        self.plan.params.insert(name.into(), param);
        self
    }

    /// Adds a step, or several.
    pub fn step(mut self, step: impl Into<Step>) -> Self {
        self.plan.steps.push(step.into());
        self
    }

    /// Adds steps.
    pub fn steps<S: Into<Step>>(mut self, steps: impl IntoIterator<Item = S>) -> Self {
        self.plan.steps.extend(steps.into_iter().map(Into::into));
        self
    }

    /// Sets what it gives, with references to what its steps gave.
    pub fn output(mut self, value: impl Into<Value>) -> Self {
        self.plan.output = value.into();
        self
    }

    /// Sets the longest that it may take.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.plan.timeout = Some(timeout);
        self
    }

    /// Runs its steps one after the other.
    pub fn sequential(mut self) -> Self {
        self.plan.parallel = false;
        self
    }

    /// Sets how many of its steps run at once; none becomes one.
    pub fn concurrency(mut self, steps: u32) -> Self {
        self.plan.concurrency = Some(NonZeroU32::new(steps).unwrap_or(NonZeroU32::MIN));
        self
    }

    /// Sets what becomes of the others when a step fails.
    pub fn on_failure(mut self, policy: FailurePolicy) -> Self {
        self.plan.on_failure = policy;
        self
    }

    /// Sets the plan that is run in its place when it fails.
    pub fn fallback(mut self, plan: Plan) -> Self {
        self.plan.fallback = Some(Box::new(plan));
        self
    }

    /// The plan, whatever is wrong with it.
    pub(crate) fn unchecked(self) -> Plan {
        self.plan
    }

    /// The plan.
    ///
    /// # Errors
    ///
    /// Every mistake in its form: ids, references, conditions, edges and lengths. Whether what it names exists is said by
    /// [`Plan::check`], and before it runs.
    pub fn build(self) -> Result<Plan, PlanError> {
        self.plan.check(&super::Open)?;
        Ok(self.plan)
    }
}

/// Makes a [`Step`].
#[derive(Clone, Debug)]
#[must_use]
pub struct StepBuilder {
    step: Step,
}

impl From<StepBuilder> for Step {
    fn from(builder: StepBuilder) -> Self {
        builder.step
    }
}

impl Step {
    fn of(id: impl Into<Arc<str>>, work: Work) -> StepBuilder {
        StepBuilder {
            step: Self {
                id: id.into(),
                description: None,
                work,
                input: Value::Null,
                depends_on: Vec::new(),
                join: Join::All,
                when: None,
                approval: None,
                map: None,
                retry: Retry::default(),
                timeout: None,
                fallback: Vec::new(),
                priority: 0,
            },
        }
    }

    /// A step in which an agent runs.
    pub fn agent(id: impl Into<Arc<str>>, name: impl Into<Arc<str>>) -> StepBuilder {
        Self::of(id, Work::agent(name))
    }

    /// A step in which a tool runs.
    pub fn tool(id: impl Into<Arc<str>>, name: impl Into<Arc<str>>) -> StepBuilder {
        Self::of(id, Work::tool(name))
    }

    /// A step in which a function runs.
    pub fn function(id: impl Into<Arc<str>>, name: impl Into<Arc<str>>) -> StepBuilder {
        Self::of(id, Work::function(name))
    }

    /// A step in which another plan runs; the step's input is its parameters.
    pub fn plan(id: impl Into<Arc<str>>, plan: Plan) -> StepBuilder {
        Self::of(id, Work::Plan(Box::new(plan)))
    }
}

impl Work {
    /// An agent of the registry.
    pub fn agent(name: impl Into<Arc<str>>) -> Self {
        Self::Agent {
            name: name.into(),
            action: None,
            config: AgentConfig::default(),
        }
    }

    /// A tool of the registry.
    pub fn tool(name: impl Into<Arc<str>>) -> Self {
        Self::Tool {
            name: name.into(),
            action: None,
        }
    }

    /// A function of the registry.
    pub fn function(name: impl Into<Arc<str>>) -> Self {
        Self::Function {
            name: name.into(),
            action: None,
        }
    }
}

impl StepBuilder {
    /// Says what it is for.
    pub fn description(mut self, text: impl Into<Arc<str>>) -> Self {
        self.step.description = Some(text.into());
        self
    }

    /// Sets what an agent is to do, or which of the things a tool or a function can do. A plan has none.
    pub fn action(mut self, text: impl Into<Arc<str>>) -> Self {
        match &mut self.step.work {
            Work::Agent { action, .. }
            | Work::Tool { action, .. }
            | Work::Function { action, .. } => {
                *action = Some(text.into());
            }
            Work::Plan(_) => {}
        }
        self
    }

    /// Sets what is different about the agent in this step; anything else has nothing to be set.
    pub fn config(mut self, other: AgentConfig) -> Self {
        if let Work::Agent { config, .. } = &mut self.step.work {
            *config = other;
        }
        self
    }

    /// Sets what it is given; [references](super) in it are resolved when it begins.
    pub fn input(mut self, value: impl Into<Value>) -> Self {
        self.step.input = value.into();
        self
    }

    /// Lets it wait for these, beside those that it refers to.
    pub fn after<I: Into<Arc<str>>>(mut self, ids: impl IntoIterator<Item = I>) -> Self {
        self.step.depends_on.extend(ids.into_iter().map(Into::into));
        self
    }

    /// Sets how many of those that it waits for must have succeeded.
    pub fn join(mut self, join: Join) -> Self {
        self.step.join = join;
        self
    }

    /// Skips it where this CEL expression is false.
    pub fn when(mut self, condition: impl Into<Arc<str>>) -> Self {
        self.step.when = Some(condition.into());
        self
    }

    /// Asks a person before it begins. Where the answer is no, the step has failed, and its fallbacks are not tried.
    pub fn approval(mut self, question: impl Into<Arc<str>>) -> Self {
        self.step.approval = Some(question.into());
        self
    }

    /// Runs it once for each element of a list.
    pub fn map(mut self, map: Map) -> Self {
        self.step.map = Some(map);
        self
    }

    /// Sets what happens after a failure.
    pub fn retry(mut self, retry: Retry) -> Self {
        self.step.retry = retry;
        self
    }

    /// Sets the longest that it may take, all tries and waits included.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.step.timeout = Some(timeout);
        self
    }

    /// Adds what runs in its place when everything before it has failed, with the same input.
    pub fn fallback(mut self, work: Work) -> Self {
        self.step.fallback.push(Alternative { work, input: None });
        self
    }

    /// Adds what runs in its place when everything before it has failed, with an input of its own.
    pub fn fallback_with(mut self, work: Work, input: impl Into<Value>) -> Self {
        let input = Some(input.into());
        self.step.fallback.push(Alternative { work, input });
        self
    }

    /// Lets it begin before those with a lower one.
    pub fn priority(mut self, priority: i32) -> Self {
        self.step.priority = priority;
        self
    }
}
