//! Whether another model may help where one failed.

use tokio::time::Instant;

use crate::{
    model::{ModelError, ModelErrorKind},
    operation::RunContext,
};

/// Whether another model may answer what one failed at: by the class of the failure, as the table at
/// [`ModelHandleBuilder::fallback`](super::ModelHandleBuilder::fallback) says, and never once the run is cancelled or past its
/// deadline.
pub(super) fn may_help(error: &ModelError, context: &RunContext) -> bool {
    use ModelErrorKind as Kind;
    let is_over = context.cancellation().is_cancelled()
        || context
            .deadline()
            .is_some_and(|deadline| deadline <= Instant::now());
    !is_over
        && match error.kind() {
            Kind::RateLimited
            | Kind::Overloaded
            | Kind::Timeout
            | Kind::Transport
            | Kind::Truncated
            | Kind::Decode
            | Kind::CircuitOpen
            | Kind::Authentication
            | Kind::Quota
            | Kind::NotFound
            | Kind::ContextLength => true,
            Kind::BadRequest
            | Kind::ContentFilter
            | Kind::Cancelled
            | Kind::Configuration
            | Kind::Budget => false,
        }
}
