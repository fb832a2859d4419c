//! Alerts to code.

use std::fmt;

use futures_util::{
    FutureExt,
    future::{BoxFuture, ready},
};

use super::AlertSink;
use crate::budget::Alert;

/// Calls a function of the user's.
pub(in crate::budget) struct Closure<F>(pub(in crate::budget) F);

impl<F: Fn(&Alert) + Send + Sync + 'static> AlertSink for Closure<F> {
    fn deliver<'a>(&'a self, alert: &'a Alert) -> BoxFuture<'a, Result<(), String>> {
        (self.0)(alert);
        ready(Ok(())).boxed()
    }
}

impl<F> fmt::Debug for Closure<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Closure")
    }
}
