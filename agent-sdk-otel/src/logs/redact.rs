//! What every text passes before it is logged.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use agent_sdk::redact::Redactor;

type Function = dyn for<'a> Fn(&'a str) -> Cow<'a, str> + Send + Sync;

/// Takes out of a text what must not be logged: what looks like a key, in any case, and what a function of the user's finds.
#[derive(Clone)]
pub(crate) struct Redact {
    keys: Redactor,
    own: Option<Arc<Function>>,
}

impl Default for Redact {
    fn default() -> Self {
        Self {
            keys: Redactor::new().for_keys(),
            own: None,
        }
    }
}

impl Redact {
    /// Also applies a function, after everything else.
    pub(crate) fn with(
        self,
        function: impl for<'a> Fn(&'a str) -> Cow<'a, str> + Send + Sync + 'static,
    ) -> Self {
        Self {
            own: Some(Arc::new(function)),
            ..self
        }
    }

    /// Also takes out a secret, by its value.
    pub(crate) fn with_secret(self, secret: &str) -> Self {
        Self {
            keys: self.keys.with_secret(secret),
            ..self
        }
    }

    /// Also takes out the secrets that this redactor was told by their value.
    pub(crate) fn with_secrets_of(self, redactor: &Redactor) -> Self {
        Self {
            keys: self.keys.with_secrets_of(redactor),
            ..self
        }
    }

    pub(crate) fn apply<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let clean = self.keys.text(text);
        match &self.own {
            Some(function) => Cow::Owned(function(&clean).into_owned()),
            None => clean,
        }
    }
}

impl fmt::Debug for Redact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redact")
            .field("own", &self.own.is_some())
            .finish_non_exhaustive()
    }
}
