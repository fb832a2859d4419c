//! Addresses of collectors, and where they were set.

use std::borrow::Cow;
use std::fmt;

use reqwest::Url;

use crate::error::TelemetryError;
use crate::otlp::Protocol;

/// An address as it was given, which may hold a password, and by what: a variable, or a method of the builder.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Address {
    text: String,
    from: Cow<'static, str>,
}

impl Address {
    pub(crate) fn new(text: impl Into<String>, from: impl Into<Cow<'static, str>>) -> Self {
        Self {
            text: text.into(),
            from: from.into(),
        }
    }

    /// Who set it.
    pub(crate) fn from(&self) -> &str {
        &self.from
    }

    /// The address; `example` is one that would do.
    ///
    /// # Errors
    ///
    /// [`Setting`](crate::TelemetryErrorKind::Setting), which says who set it and what is wrong with it, and repeats nothing of it.
    pub(super) fn url(&self, example: &str) -> Result<Url, TelemetryError> {
        let text = self.text.trim();
        let unusable = |what: &str| {
            let from = &self.from;
            TelemetryError::setting(format!(
                "{from} takes an address such as {example}; this one {what}"
            ))
        };
        let has_scheme = ["http://", "https://"].iter().any(|scheme| {
            let start = text.get(..scheme.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(scheme))
        });
        if !has_scheme {
            return Err(unusable("does not begin with http:// or https://"));
        }
        // The cause is one of a list of words, without the text.
        Url::parse(text).map_err(|error| unusable(&format!("cannot be read: {error}")))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[set by {}]", self.from)
    }
}

/// Where a signal is sent under a base address.
pub(super) fn under(mut base: Url, path: &str) -> Url {
    let path = format!("{}{path}", base.path().trim_end_matches('/'));
    base.set_path(&path);
    base
}

/// As [`under`], where the address is that of a host alone.
pub(super) fn at_host(mut url: Url, path: &str) -> Url {
    url.set_path(path);
    url.set_query(None);
    url
}

/// Where a collector on this machine listens.
pub(super) fn default(protocol: Protocol) -> Address {
    Address::new(protocol.default_endpoint(), "the default")
}
