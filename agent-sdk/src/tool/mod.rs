//! Tools: what a model may have done for it.
//!
//! An `async fn` with a typed argument becomes a [`Tool`] by [`FnTool`] or the [`tool!`](macro@crate::tool) macro, with the JSON schema
//! of its argument; anything else implements the trait. A tool that fails, panics or runs out of time does not end the run: the
//! model is told, and decides.

#[cfg(any(feature = "http", all(feature = "command", unix)))]
pub mod builtin;
mod context;
mod error;
mod function;
mod graph;
mod handle;
mod options;
mod perform;
mod scheduler;
mod set;
#[cfg(test)]
mod tests;
mod turn;

use std::future::Future;

pub use context::{Expense, State, ToolContext};
pub use error::{ToolError, ToolErrorKind};
#[doc(hidden)]
pub use function::__doc;
pub use function::{BlockingTool, FnTool, NoArguments, ToolFn};
pub(crate) use function::{error_of, parse, schema_of};
pub use graph::ToolGraph;
pub use handle::ToolHandle;
pub use options::{Concurrency, Effect, ToolOptions};
pub(crate) use perform::{Calling, perform, shown};
pub(crate) use scheduler::Holding;
pub use scheduler::{
    BatchCall, BatchTool, BatchedTool, Priority, ToolCounts, ToolPolicy, ToolScheduler,
    ToolSchedulerBuilder, ToolSchedulerError, ToolStats,
};
pub(crate) use set::ToolSet;
pub(crate) use turn::{Admitted, Batch, Finished, Returned, Turn};

use crate::{message::Content, model::ToolSpec};

/// Something that a model may have done for it; implementers write `async fn call`.
///
/// Cancellation: the future is dropped when the run is cancelled or the call's time is up.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a tool",
    note = "wrap an `async fn` with `FnTool::new` or the `tool!` macro, or implement `Tool`"
)]
pub trait Tool: Send + Sync + 'static {
    /// Its name, its description and its arguments' schema, for the model. Asked once.
    fn spec(&self) -> ToolSpec;

    /// How it may be run. Asked once.
    fn options(&self) -> ToolOptions {
        ToolOptions::default()
    }

    /// Does it. `arguments` is the JSON text that the model wrote; it may be anything.
    fn call(
        &self,
        context: ToolContext,
        arguments: &str,
    ) -> impl Future<Output = Result<ToolOutput, ToolError>> + Send;
}

/// What a tool gave.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ToolOutput {
    /// What the model is shown: text, or JSON text.
    pub content: Content,
}

impl<T: Into<Content>> From<T> for ToolOutput {
    fn from(content: T) -> Self {
        Self {
            content: content.into(),
        }
    }
}
