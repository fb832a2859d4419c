//! What tool calls of many runs pass before their tools are called.

use tokio::time::Instant;

use super::{
    State, ToolContext, ToolError, ToolHandle, ToolOutput,
    perform::{Calling, guarded, perform},
};
use crate::{message::ToolCall, operation::RunContext};

/// What tool calls of many runs pass before their tools are called. Cheap to clone; clones are one scheduler.
#[derive(Clone, Debug, Default)]
pub struct ToolScheduler {}

impl ToolScheduler {
    /// Calls a tool, in a `tool` operation under a context.
    ///
    /// # Errors
    ///
    /// What the tool says, and what a call may fail with by itself: its time was up, it panicked, a budget does not admit it.
    pub async fn call(
        &self,
        context: &RunContext,
        tool: &ToolHandle,
        arguments: &str,
    ) -> Result<ToolOutput, ToolError> {
        let id = uuid::Uuid::now_v7().to_string();
        let path = context.call_path(0, &id);
        let call = ToolCall::new(id.as_str(), tool.spec().name.clone(), arguments);
        let calling = Calling {
            context,
            tool: Some(tool),
            call: &call,
            path,
            is_approved: false,
            queued: Instant::now(),
            state: &State::default(),
            scheduler: Some(self),
        };
        perform(calling).await.result
    }

    /// Passes a call on to its tool.
    pub(super) async fn pass(
        &self,
        tool: &ToolHandle,
        context: ToolContext,
        arguments: &str,
    ) -> Result<ToolOutput, ToolError> {
        guarded(tool, context, arguments).await
    }
}
