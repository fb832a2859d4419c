//! Tools that depend on each other, as one plan.

#[cfg(test)]
mod tests;

use std::{collections::HashMap, fmt, sync::Arc};

use serde_json::Value;

use super::ToolHandle;
use crate::{
    orchestrator::{Orchestrator, PlanRequest},
    plan::{Plan, PlanError, Problem, Step, unknown},
    registry::Registry,
};

/// Tool calls, and which of them depends on which.
///
/// It is a [`Plan`] whose steps are calls of tools, for those who have tools in their hands and no registry: each call begins as soon
/// as those that it depends on have succeeded, so that what can run beside each other does, as many as
/// [64](crate::plan::DEFAULT_CONCURRENCY) at once. Arguments may [refer](crate::plan) to what another call gave, which makes
/// them depend on it.
///
/// # Example
///
/// ```
/// use agent_sdk::tool::{FnTool, ToolGraph};
/// use serde_json::{Value, json};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// #[derive(serde::Deserialize, schemars::JsonSchema)]
/// struct Place { city: String }
/// let weather = FnTool::new("weather", "", async |place: Place| Ok::<_, String>(format!("rain in {}", place.city)));
/// #[derive(serde::Deserialize, schemars::JsonSchema)]
/// struct Message { text: String }
/// let send = FnTool::new("send", "", async |message: Message| Ok::<_, String>(message.text));
///
/// let mut graph = ToolGraph::new("forecast");
/// graph
///     .register("oslo", weather, json!({"city": "Oslo"}))
///     .register("tell", send, json!({"text": "Take a coat: ${steps.oslo}!"}));
/// let report = graph.execute().await?;
/// assert_eq!(report.output, "Take a coat: rain in Oslo!");
/// # Ok(())
/// # }
/// ```
pub struct ToolGraph {
    name: Arc<str>,
    calls: Vec<(Step, ToolHandle)>,
    /// Which call depends on which others.
    edges: Vec<(Arc<str>, Vec<Arc<str>>)>,
    orchestrator: Orchestrator,
}

impl ToolGraph {
    /// A graph without calls. Its name is that of the workflow: letters, digits, `_`, `-`, `.` and spaces, at most 64.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self {
            name: name.into(),
            calls: Vec::new(),
            edges: Vec::new(),
            orchestrator: Orchestrator::new(Registry::new()),
        }
    }

    /// Runs it as this orchestrator runs plans: with its observers, prices, ledger, scheduler and state. What is in its registry is
    /// not used. Default: with none of these.
    pub fn orchestrator(&mut self, orchestrator: Orchestrator) -> &mut Self {
        self.orchestrator = orchestrator;
        self
    }

    /// Adds a call of a tool under an id of its own: 1 to 64 letters, digits, `_` and `-`. `${steps.ID}` in the arguments is what another
    /// call gave: an object or a list where it is one, and text otherwise.
    ///
    /// A tool may be there several times; two tools of the same name may not.
    pub fn register(
        &mut self,
        id: impl Into<Arc<str>>,
        tool: impl Into<ToolHandle>,
        arguments: impl Into<Value>,
    ) -> &mut Self {
        let tool = tool.into();
        let step = Step::tool(id, tool.spec().name.clone()).input(arguments);
        self.calls.push((step.into(), tool));
        self
    }

    /// Lets a call wait for others to succeed, beside those that its arguments refer to. Both may be registered later.
    pub fn depend<I: Into<Arc<str>>>(
        &mut self,
        id: impl Into<Arc<str>>,
        on: impl IntoIterator<Item = I>,
    ) -> &mut Self {
        let on = on.into_iter().map(Into::into);
        self.edges.push((id.into(), on.collect()));
        self
    }

    /// It as a plan, for a registry that has its tools.
    ///
    /// # Errors
    ///
    /// Every mistake at once: ids that are there twice or not at all, tools of the same name, rings of calls that depend on each other,
    /// arguments that the tool does not take.
    pub fn plan(&self) -> Result<Plan, PlanError> {
        match self.read() {
            (plan, _, None) => Ok(plan),
            (_, _, Some(wrong)) => Err(wrong),
        }
    }

    /// Begins to describe a run of it: await it for its report, which has every call exactly once, the
    /// [speedup](crate::orchestrator::PlanOutcome::speedup) over one call after the other, the
    /// [parallelism](crate::orchestrator::PlanOutcome::parallelism) and the length of the
    /// [critical path](crate::orchestrator::PlanOutcome::critical_path).
    ///
    /// When a call fails, those that depend on it are skipped and the others go on. Dropping the future drops what runs. A graph with
    /// [mistakes](Self::plan) calls nothing and fails with all of them.
    pub fn execute(&self) -> PlanRequest {
        let (plan, registry, wrong) = self.read();
        self.orchestrator.run_with(registry, plan, wrong)
    }

    /// The plan, the tools that it names, and what is wrong with either.
    fn read(&self) -> (Plan, Registry, Option<PlanError>) {
        let mut problems = Vec::new();
        let registry = Registry::new();
        let mut steps: Vec<Step> = Vec::with_capacity(self.calls.len());
        let mut numbers = HashMap::with_capacity(self.calls.len());
        for (number, (step, tool)) in self.calls.iter().enumerate() {
            if let Err(taken) = registry.tool(tool.clone())
                && !registry
                    .find_tool(taken.name())
                    .is_ok_and(|other| other.is_same(tool))
            {
                let place = format!("steps[{number}].tool");
                problems.push(Problem::new(place, taken.to_string()));
            }
            steps.push(step.clone());
            numbers.entry(&step.id).or_insert(number);
        }
        for (number, (id, on)) in self.edges.iter().enumerate() {
            match numbers.get(id).and_then(|number| steps.get_mut(*number)) {
                Some(step) => step.depends_on.extend(on.iter().cloned()),
                None => problems.push(Problem::new(
                    format!("depend[{number}]"),
                    unknown("step", id, self.calls.iter().map(|(step, _)| &*step.id)),
                )),
            }
        }
        let plan = Plan::builder(self.name.clone()).steps(steps).unchecked();
        if let Err(wrong) = plan.check(&registry) {
            problems.extend(wrong.into_problems());
        }
        let wrong = (!problems.is_empty()).then(|| PlanError::new(problems));
        (plan, registry, wrong)
    }
}

impl fmt::Debug for ToolGraph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ToolGraph")
            .field("name", &self.name)
            .field("calls", &self.calls.len())
            .finish_non_exhaustive()
    }
}
