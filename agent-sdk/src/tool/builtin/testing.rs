//! Calling a tool without an agent.

use serde_json::Value;

use crate::{
    operation::{Kind, RunContext},
    tool::{State, Tool, ToolContext, ToolError},
};

/// Calls a tool as a run would.
pub(super) async fn call(tool: &impl Tool, arguments: Value) -> Result<String, ToolError> {
    call_with(tool, arguments, State::default(), false).await
}

/// Calls a tool with a state, after a person was asked or not.
pub(super) async fn call_with(
    tool: &impl Tool,
    arguments: Value,
    state: State,
    is_approved: bool,
) -> Result<String, ToolError> {
    let operation = RunContext::new().start(Kind::Tool, "tool").begin();
    let context = ToolContext::new(
        operation.handle(),
        "c".into(),
        state,
        "1/c".into(),
        is_approved,
    );
    let output = tool.call(context, &arguments.to_string()).await?;
    Ok(output.content.into_string())
}
