//! What requests are signed with.

use std::{fmt, sync::Arc};

use secrecy::{ExposeSecret, SecretString};

use crate::model::{ModelError, http::configuration};

/// Credentials of AWS. They are never printed.
#[derive(Clone)]
pub struct AwsCredentials {
    pub(super) access_key_id: Arc<str>,
    pub(super) secret_access_key: SecretString,
    pub(super) session_token: Option<SecretString>,
}

impl AwsCredentials {
    /// A pair of keys.
    pub fn new(
        access_key_id: impl Into<Arc<str>>,
        secret_access_key: impl Into<SecretString>,
    ) -> Self {
        Self {
            access_key_id: access_key_id.into(),
            secret_access_key: secret_access_key.into(),
            session_token: None,
        }
    }

    /// Adds the token that goes with keys that expire.
    #[must_use]
    pub fn with_session_token(mut self, token: impl Into<SecretString>) -> Self {
        self.session_token = Some(token.into());
        self
    }
}

impl fmt::Debug for AwsCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwsCredentials").finish_non_exhaustive()
    }
}

/// Where credentials come from.
#[derive(Clone)]
pub(super) enum Source {
    /// Always the same.
    Fixed(AwsCredentials),
    /// Asked for anew with each request.
    Each(Arc<dyn Fn() -> Option<AwsCredentials> + Send + Sync>),
}

impl Source {
    /// The credentials as they are now.
    pub(super) fn current(&self) -> Result<AwsCredentials, ModelError> {
        match self {
            Self::Fixed(credentials) => Ok(credentials.clone()),
            Self::Each(credentials) => credentials().ok_or_else(|| {
                configuration("the function given to `credentials_from` has no credentials now")
            }),
        }
    }

    /// What must not stand in an error, as far as it is known beforehand.
    pub(super) fn secrets(&self) -> impl Iterator<Item = SecretString> {
        let fixed = match self {
            Self::Fixed(credentials) => Some(credentials),
            Self::Each(_) => None,
        };
        fixed.into_iter().flat_map(|credentials| {
            let id = SecretString::from(credentials.access_key_id.to_string());
            let secret = credentials.secret_access_key.expose_secret();
            let token = credentials.session_token.clone();
            [Some(id), Some(SecretString::from(secret)), token]
                .into_iter()
                .flatten()
        })
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fixed(_) => "Fixed",
            Self::Each(_) => "Each",
        })
    }
}
