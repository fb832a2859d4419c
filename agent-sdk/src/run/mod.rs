//! Running an agent: the machine that decides, the driver that acts, the limits, the report.
//!
//! [`RunRequest`], made by [`Agent::run`](crate::agent::Agent::run), is a run that is about to start: await it for its
//! [`RunReport`], or [`stream`](RunRequest::stream) it. Both are the same loop.

mod asking;
mod calls;
mod context;
mod control;
mod driver;
mod durable;
mod error;
mod evaluation;
mod limits;
mod machine;
mod member;
mod outputs;
mod pace;
mod replay;
mod report;
mod request;
mod stream;
#[cfg(test)]
mod tests;

pub(crate) use asking::{Standing, needs_approval};
pub(crate) use context::new_context;
pub(crate) use control::{Control, Within};
pub(crate) use driver::{Launch, drive};
pub(crate) use durable::Durable;
pub(crate) use error::Cause;
pub use error::{RunError, RunErrorKind};
pub use evaluation::Evaluation;
pub use limits::{Limit, Limits};
pub use machine::{Command, End, Machine, Stage};
pub(crate) use member::Feed;
pub(crate) use pace::Pace;
pub use replay::{Difference, DifferenceKind, ReplayRequest, Replayed};
pub use report::{Artifact, RunReport};
pub use request::{RunRequest, TypedReport};
pub use stream::RunStream;
/// Cancels the runs that it was given to: [`RunRequest::cancellation`], `tokio-util`'s own type.
pub use tokio_util::sync::CancellationToken;
