//! A tool with its type erased.

use std::{
    any::{Any, TypeId},
    fmt,
    sync::Arc,
};

use futures_util::future::BoxFuture;

use super::{BatchedTool, Tool, ToolContext, ToolError, ToolOptions, ToolOutput};
use crate::{agent::AgentTool, model::ToolSpec};

/// A [`Tool`] with its type erased; clones share one tool.
#[derive(Clone)]
pub struct ToolHandle {
    tool: Arc<dyn ErasedTool>,
    spec: ToolSpec,
    options: ToolOptions,
}

/// The dyn-compatible twin of [`Tool`]: private, so it can change freely.
trait ErasedTool: Send + Sync {
    fn call_boxed<'a>(
        &'a self,
        context: ToolContext,
        arguments: &'a str,
    ) -> BoxFuture<'a, Result<ToolOutput, ToolError>>;

    fn is_agent(&self) -> bool;

    fn as_any(&self) -> &dyn Any;
}

impl<T: Tool> ErasedTool for T {
    fn call_boxed<'a>(
        &'a self,
        context: ToolContext,
        arguments: &'a str,
    ) -> BoxFuture<'a, Result<ToolOutput, ToolError>> {
        Box::pin(self.call(context, arguments))
    }

    fn is_agent(&self) -> bool {
        TypeId::of::<T>() == TypeId::of::<AgentTool>()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl<T: Tool> From<T> for ToolHandle {
    fn from(tool: T) -> Self {
        Self {
            spec: tool.spec(),
            options: tool.options(),
            tool: Arc::new(tool),
        }
    }
}

impl ToolHandle {
    /// What the model is told of it.
    pub fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    /// How it may be run.
    pub fn options(&self) -> &ToolOptions {
        &self.options
    }

    /// Gives it other options than its own.
    #[must_use]
    pub fn with_options(mut self, options: ToolOptions) -> Self {
        self.options = options;
        self
    }

    /// Whether it is an agent: what happens inside is journaled inside.
    pub(crate) fn is_agent(&self) -> bool {
        self.tool.is_agent()
    }

    /// The tool as one that makes its calls together, if it is one.
    pub(super) fn batched(&self) -> Option<&BatchedTool> {
        self.tool.as_any().downcast_ref()
    }

    /// Whether both are one tool, run in the same way.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.address() == other.address() && self.options == other.options
    }

    /// Where the tool is: the same for all clones, and for no other tool while one of them lives.
    pub(super) fn address(&self) -> usize {
        Arc::as_ptr(&self.tool).addr()
    }

    pub(crate) fn call<'a>(
        &'a self,
        context: ToolContext,
        arguments: &'a str,
    ) -> BoxFuture<'a, Result<ToolOutput, ToolError>> {
        self.tool.call_boxed(context, arguments)
    }
}

impl fmt::Debug for ToolHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ToolHandle")
            .field("name", &self.spec.name)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
