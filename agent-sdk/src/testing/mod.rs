//! What tests of agents are made of: a model that answers from a script, observers that keep what they saw, and tools that
//! behave badly on demand.
//!
//! Everything here is offline and deterministic. Delays are Tokio's, so with paused time they take no time at all and the
//! offsets that a [`TraceCapture`] shows are exact.
//!
//! # Example
//!
//! ```
//! use agent_sdk::model::{ChatRequest, ModelHandle};
//! use agent_sdk::testing::{ScriptedModel, TraceCapture};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let trace = TraceCapture::new();
//! let model = ModelHandle::new(ScriptedModel::new(["Hello."]));
//! let answer = model.chat(&trace.context(), ChatRequest::new("Hi.")).await?;
//! assert_eq!(answer.text(), "Hello.");
//! assert_eq!(trace.tree(), "chat scripted-1\n");
//! trace.well_formed()?;
//! # Ok(())
//! # }
//! ```

mod event_log;
mod polls;
mod scripted;
mod store;
#[cfg(test)]
mod tests;
mod tools;
mod trace;
mod turn;

pub use event_log::EventLog;
pub use polls::drop_at_every_poll;
pub use scripted::ScriptedModel;
pub use store::{FaultyStore, StoreCounts};
pub use tools::{BarrierTool, CountingTool, failing_tool, hanging_tool, panicking_tool};
pub use trace::{CapturedOperation, TraceCapture};
pub use turn::Turn;
