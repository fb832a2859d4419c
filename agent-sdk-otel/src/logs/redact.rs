//! What every text passes before it is logged.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

type Function = dyn for<'a> Fn(&'a str) -> Cow<'a, str> + Send + Sync;

/// Takes out of a text what must not be logged. Clones share it; the default takes out nothing.
#[derive(Clone, Default)]
pub(crate) struct Redact(Option<Arc<Function>>);

impl Redact {
    pub(crate) fn new(
        function: impl for<'a> Fn(&'a str) -> Cow<'a, str> + Send + Sync + 'static,
    ) -> Self {
        Self(Some(Arc::new(function)))
    }

    pub(crate) fn apply<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match &self.0 {
            Some(function) => function(text),
            None => Cow::Borrowed(text),
        }
    }
}

impl fmt::Debug for Redact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Redact").field(&self.0.is_some()).finish()
    }
}
