//! The labels of a key: an allow-list, in the order of the conventions.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use agent_sdk::redact::Redactor;
use opentelemetry::KeyValue;

use super::key::Key;
use super::known::OTHER;
use crate::attrs;
use crate::openmetrics::names::capped;
use crate::settings::Settings;

/// Makes labels, without those that the user does not want.
#[derive(Clone, Debug)]
pub(crate) struct Labels {
    /// What values pass: a server says itself what model answered.
    keys: Redactor,
    unwanted: Arc<[String]>,
}

impl Labels {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            keys: settings.capture.redactor.for_keys(),
            unwanted: settings.unwanted_labels.as_slice().into(),
        }
    }

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
    pub(crate) fn of(&self, labels: &[(&'static str, &str)]) -> Vec<KeyValue> {
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

/// The names of what is watched, as values of one label. Instruments that are read when metrics are collected know nothing of sums: what has
/// one value here is put together before it is shown.
#[derive(Debug)]
pub(crate) struct WatchedNames {
    labels: Labels,
    label: &'static str,
    shown: Mutex<HashSet<Arc<str>>>,
}

/// How many names are shown; the kinds of alerts on each stay within what a metric may have.
const WATCHED_NAMES: usize = 400;

impl WatchedNames {
    pub(crate) fn new(labels: Labels, label: &'static str) -> Self {
        Self {
            labels,
            label,
            shown: Mutex::default(),
        }
    }

    /// What a name is shown as: itself without keys, or `other` once others are too many; empty where the label is not wanted.
    pub(crate) fn value(&self, name: &str) -> Arc<str> {
        if !self.labels.wants(self.label) {
            return "".into();
        }
        let value = self.labels.keys.text(name);
        let value = capped(&value);
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = shown.get(&*value) {
            return known.clone();
        }
        if shown.len() >= WATCHED_NAMES {
            return OTHER.into();
        }
        let value: Arc<str> = value.into();
        shown.insert(value.clone());
        value
    }

    /// What another label is shown as: itself, or empty where it is not wanted.
    pub(crate) fn other(&self, label: &str, value: &'static str) -> &'static str {
        if self.labels.wants(label) { value } else { "" }
    }

    /// The label with such a value, and others.
    pub(crate) fn of(&self, value: &str, others: &[(&'static str, &str)]) -> Vec<KeyValue> {
        let own = [(self.label, value)];
        self.labels.of(&[own.as_slice(), others].concat())
    }
}
