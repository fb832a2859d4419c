//! An agent that another agent calls.

use schemars::JsonSchema;
use serde::Deserialize;

use super::Agent;
use crate::{
    model::ToolSpec,
    run::RunErrorKind,
    session::SharedState,
    tool::{
        Effect, Tool, ToolContext, ToolError, ToolErrorKind, ToolOptions, ToolOutput, parse,
        schema_of,
    },
};

/// An agent that another agent calls; made by [`Agent::as_tool`].
///
/// The sub-agent inherits deadline, cancellation, observers and labels. Its own limits hold beside those of the call.
#[derive(Clone, Debug)]
pub struct AgentTool {
    agent: Agent,
    options: ToolOptions,
}

#[derive(Deserialize, JsonSchema)]
struct Task {
    /// What to do, with everything needed to do it: the agent sees nothing else.
    task: String,
}

impl AgentTool {
    pub(super) fn new(agent: Agent) -> Self {
        // What is done inside is journaled inside: an agent that is called again goes on where it was.
        let options = ToolOptions::default()
            .with_effect(Effect::Idempotent)
            .with_timeout(agent.settings().limits.timeout);
        Self { agent, options }
    }

    /// Sets how it may be run. Default: beside others, for as long as the agent's own runs may take.
    ///
    /// Its [effect](ToolOptions::effect) stays [`Effect::Idempotent`] whatever is set: each call inside is kept by itself, and
    /// those that write are asked about by themselves.
    #[must_use]
    pub fn options(mut self, options: ToolOptions) -> Self {
        self.options = options.with_effect(Effect::Idempotent);
        self
    }
}

impl Tool for AgentTool {
    fn spec(&self) -> ToolSpec {
        let settings = self.agent.settings();
        let description = settings.description.clone();
        let description =
            description.unwrap_or_else(|| format!("Hands a task to {}.", settings.name).into());
        ToolSpec::new(settings.name.clone(), description, schema_of::<Task>())
    }

    fn options(&self) -> ToolOptions {
        self.options
    }

    async fn call(&self, context: ToolContext, arguments: &str) -> Result<ToolOutput, ToolError> {
        let Task { task } = parse(arguments)?;
        let inside = context.run().clone().inside_call(context.path());
        let mut run = self.agent.run(task.as_str()).context(&inside);
        if let Some(shared) = context.state::<SharedState>() {
            run = run.shared(shared);
        }
        match run.await {
            Ok(report) => Ok(report.text.into_string().into()),
            Err(error) => {
                if matches!(error.kind(), RunErrorKind::Journal | RunErrorKind::Changed)
                    && let Some(within) = inside.within()
                {
                    within.control.halt(error.into_cause());
                    return Err(ToolError::new(
                        ToolErrorKind::Paused,
                        "the run cannot go on",
                    ));
                }
                let kind = match error.kind() {
                    RunErrorKind::LimitExceeded => ToolErrorKind::Limit,
                    RunErrorKind::Budget => ToolErrorKind::Budget,
                    RunErrorKind::Timeout => ToolErrorKind::Timeout,
                    RunErrorKind::Cancelled => ToolErrorKind::Cancelled,
                    RunErrorKind::Paused => ToolErrorKind::Paused,
                    _ => ToolErrorKind::Failed,
                };
                Err(ToolError::new(kind, error.to_string()))
            }
        }
    }
}
