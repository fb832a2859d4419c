//! What the clients of all HTTP APIs share: settings, one exchange as an `attempt` operation, its time limits, its answer.
//!
//! An API is told by its [`Api`]: where it is, how a request is written, and, by its `Decode`, how an answer is read. The macro
//! [`http_client`] makes a public client and its builder of it. None of them tries again by itself: that is for the layers around
//! a model.

mod api;
mod attempt;
pub(in crate::model) mod body;
mod client;
mod exchange;
mod gather;
mod key;
mod public;
mod reply;
mod settings;
mod structured;
#[cfg(test)]
pub(in crate::model) mod testing;
mod transport;
mod waits;

use std::sync::Arc;

use http::HeaderMap;
use secrecy::SecretString;

pub(in crate::model) use self::{
    api::{Api, Auth, Defaults},
    client::Client,
    exchange::{Body, Exchange, Outgoing},
    public::{client_and_builder, http_client},
    settings::{Settings, address, configuration},
    transport::Way,
};
use self::{key::Key, transport::Transport};
pub use self::{settings::Timeouts, structured::StructuredOutput};
pub(crate) use self::{
    settings::{client_builder, default_client},
    waits::retry_after,
};
use super::{
    ModelError, ModelInfo,
    wire::{Limits, Secrets},
};

/// What the clones of a client share, whatever its API.
pub(in crate::model) struct Http {
    transport: Transport,
    /// The base URL; answers come from its server or are refused.
    base: reqwest::Url,
    pub(in crate::model) headers: HeaderMap,
    key: Key,
    auth: Auth,
    /// The values of the headers that must not stand in an error.
    secrets: Vec<SecretString>,
    /// Host and port, for people.
    address: String,
    info: Arc<ModelInfo>,
    timeouts: Timeouts,
    limits: Limits,
}

impl Http {
    pub(in crate::model) fn info(&self) -> &Arc<ModelInfo> {
        &self.info
    }

    pub(in crate::model) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Whether answers come out of a cassette.
    pub(in crate::model) fn is_replayed(&self) -> bool {
        self.transport.is_replayed()
    }

    /// What must not stand in an error.
    pub(in crate::model) fn secrets(&self) -> Secrets {
        let mut secrets = self.secrets.clone();
        secrets.extend(self.key.current());
        Secrets(secrets)
    }

    /// Names the provider in an error of a request that was not sent.
    pub(in crate::model) fn unsent(&self, error: ModelError) -> ModelError {
        error.with_provider(self.info.provider.to_string())
    }
}
