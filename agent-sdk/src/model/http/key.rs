//! The key of a request.

use std::{fmt, sync::Arc};

use http::{HeaderName, HeaderValue, header};
use secrecy::{ExposeSecret, SecretString};

use super::{Auth, configuration};
use crate::model::ModelError;

/// Where keys come from.
#[derive(Clone)]
pub(super) enum Key {
    /// Nobody said.
    Unset,
    /// None is sent.
    None,
    /// Always the same.
    Fixed(SecretString),
    /// Asked for anew with each request.
    Each(Arc<dyn Fn() -> Option<SecretString> + Send + Sync>),
}

impl Key {
    /// The key as it is now.
    pub(super) fn current(&self) -> Option<SecretString> {
        match self {
            Self::Unset | Self::None => None,
            Self::Fixed(key) => Some(key.clone()),
            Self::Each(key) => key(),
        }
    }

    /// The header that carries it; `None` where no key is sent.
    pub(super) fn header(
        &self,
        auth: &Auth,
    ) -> Result<Option<(HeaderName, HeaderValue)>, ModelError> {
        let key = match self {
            Self::Unset | Self::None => return Ok(None),
            Self::Fixed(key) => key.clone(),
            Self::Each(key) => key().ok_or_else(|| {
                configuration("the function given to `api_key_from` has no key now")
            })?,
        };
        let key = key.expose_secret().trim();
        if key.is_empty() {
            return Err(configuration("the key is empty"));
        }
        let name = match auth {
            Auth::Bearer => header::AUTHORIZATION,
            Auth::Header(name) => HeaderName::from_static(name),
            Auth::Named(name) => name.clone(),
        };
        let value = match auth {
            Auth::Bearer => secret_value(&format!("Bearer {key}")),
            Auth::Header(_) | Auth::Named(_) => secret_value(key),
        };
        let value =
            value.ok_or_else(|| configuration("the key holds characters that no header can"))?;
        Ok(Some((name, value)))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unset => "Unset",
            Self::None => "None",
            Self::Fixed(_) => "Fixed",
            Self::Each(_) => "Each",
        })
    }
}

/// A header value that is never printed.
pub(super) fn secret_value(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}
