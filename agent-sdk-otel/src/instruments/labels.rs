//! The labels of a key: an allow-list, in the order of the conventions.

use std::sync::Arc;

use agent_sdk::redact::Redactor;
use opentelemetry::KeyValue;

use super::key::Key;
use crate::attrs;
use crate::openmetrics::names::capped;

/// Makes labels, without those that the user does not want.
#[derive(Clone, Debug)]
pub(super) struct Labels {
    /// What values pass: a server says itself what model answered.
    pub(super) keys: Redactor,
    pub(super) unwanted: Arc<[String]>,
}

impl Labels {
    /// What every metric of a model request has.
    pub(super) fn request(&self, key: &Key<'_>) -> Vec<KeyValue> {
        let mut labels = self.of(&[
            (attrs::OPERATION_NAME, key.kind.span_name()),
            (attrs::PROVIDER_NAME, key.provider),
            (attrs::REQUEST_MODEL, key.name),
            (attrs::RESPONSE_MODEL, key.answered),
            (attrs::SERVER_ADDRESS, key.address),
        ]);
        let port = key.port.filter(|_| self.wants(attrs::SERVER_PORT));
        labels.extend(port.map(|port| attrs::int(attrs::SERVER_PORT, port.into())));
        labels
    }

    /// The labels whose values are known.
    pub(super) fn of(&self, labels: &[(&'static str, &str)]) -> Vec<KeyValue> {
        let mut made = Vec::with_capacity(labels.len() + 2);
        let known = labels.iter().filter(|(_, value)| !value.is_empty());
        for (name, value) in known.filter(|(name, _)| self.wants(name)) {
            // Shared, because every page copies it.
            made.push(attrs::text(
                name,
                Arc::<str>::from(capped(&self.keys.text(value))),
            ));
        }
        made
    }

    fn wants(&self, name: &str) -> bool {
        self.unwanted.iter().all(|unwanted| unwanted != name)
    }
}
