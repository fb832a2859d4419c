//! State that an agent, its tools and whoever runs them share.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{SessionError, error::Fault};

/// The longest key, in bytes.
const MAX_KEY_BYTES: usize = 256;

/// How deep a value may be nested. JSON is read to 128 levels, and a value stands inside others.
const MAX_VALUE_DEPTH: usize = 64;

/// A change of shared state.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum StateChange {
    /// A key got a value.
    Set {
        /// The key.
        key: Arc<str>,
        /// The value.
        value: Value,
    },
    /// A key went.
    Removed {
        /// The key.
        key: Arc<str>,
    },
}

impl StateChange {
    /// A key gets a value.
    pub fn set(key: impl Into<Arc<str>>, value: impl Into<Value>) -> Self {
        Self::Set {
            key: key.into(),
            value: value.into(),
        }
    }

    /// A key goes.
    pub fn removed(key: impl Into<Arc<str>>) -> Self {
        Self::Removed { key: key.into() }
    }

    /// The key that changed.
    pub fn key(&self) -> &Arc<str> {
        match self {
            Self::Set { key, .. } | Self::Removed { key } => key,
        }
    }

    /// Does it.
    pub(super) fn apply(&self, values: &mut BTreeMap<Arc<str>, Value>) {
        match self {
            Self::Set { key, value } => values.insert(key.clone(), value.clone()),
            Self::Removed { key } => values.remove(key),
        };
    }

    /// Whether it can be kept and read back.
    pub(super) fn check(&self) -> Result<(), Fault> {
        match self {
            Self::Set { key, value } => check(key, value),
            Self::Removed { .. } => Ok(()),
        }
    }
}

/// Shows the key alone: values are content.
impl fmt::Debug for StateChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Set { key, .. } => write!(f, "Set({key:?})"),
            Self::Removed { key } => write!(f, "Removed({key:?})"),
        }
    }
}

/// JSON values under keys, as a tool is given them, with a record of what was changed. Cheap to clone; clones share everything.
///
/// Tools that run beside each other each get a [`fork`](Self::fork): what was there when they began, and a record of their own. Whoever
/// runs them keeps the [changes](Self::take_changes) with the call's result and then [adopts](Self::adopt) them, in the order in
/// which results are kept, so that reading the results back gives the same state. Of two that set one key, the one kept last wins.
#[derive(Clone, Default)]
pub struct SharedState {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    values: Arc<BTreeMap<Arc<str>, Value>>,
    /// The last change of each key.
    changes: BTreeMap<Arc<str>, StateChange>,
}

impl SharedState {
    /// No values yet.
    pub fn new() -> Self {
        Self::default()
    }

    pub(super) fn over(values: Arc<BTreeMap<Arc<str>, Value>>) -> Self {
        let changes = BTreeMap::new();
        Self {
            inner: Arc::new(Mutex::new(Inner { values, changes })),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The value under a key.
    pub fn get(&self, key: &str) -> Option<Value> {
        self.lock().values.get(key).cloned()
    }

    /// The keys, in alphabetical order.
    pub fn keys(&self) -> Vec<Arc<str>> {
        self.lock().values.keys().cloned().collect()
    }

    /// All of it, as it is now.
    pub fn values(&self) -> Arc<BTreeMap<Arc<str>, Value>> {
        self.lock().values.clone()
    }

    /// Puts a value under a key.
    ///
    /// # Errors
    ///
    /// [`Invalid`](super::SessionErrorKind::Invalid): a key is 1 to 256 bytes long and has no control characters; a value is nested at most
    /// 64 levels deep.
    pub fn set(
        &self,
        key: impl Into<Arc<str>>,
        value: impl Into<Value>,
    ) -> Result<(), SessionError> {
        let change = StateChange::set(key, value);
        change.check()?;
        self.lock().change(change);
        Ok(())
    }

    /// Takes a key away and answers with its value, if there was one.
    pub fn remove(&self, key: &str) -> Option<Value> {
        let mut inner = self.lock();
        let old = inner.values.get(key).cloned()?;
        inner.change(StateChange::removed(key));
        Some(old)
    }

    /// What was changed since the last time that this was asked: the last change of each key, in alphabetical order.
    pub fn take_changes(&self) -> Vec<StateChange> {
        let changes = std::mem::take(&mut self.lock().changes);
        changes.into_values().collect()
    }

    /// Does what was done in a [`fork`](Self::fork); it is a change of this one's own from now on.
    pub fn adopt(&self, changes: &[StateChange]) {
        let mut inner = self.lock();
        for change in changes {
            inner.change(change.clone());
        }
    }

    /// Takes on other values, before anybody has used these.
    pub(super) fn become_as(&self, values: &Arc<BTreeMap<Arc<str>, Value>>) {
        self.lock().values = values.clone();
    }

    /// The same values, from here on apart, with a record of changes of its own.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self::over(self.values())
    }
}

impl Inner {
    fn change(&mut self, change: StateChange) {
        change.apply(Arc::make_mut(&mut self.values));
        self.changes.insert(change.key().clone(), change);
    }
}

/// Shows the keys alone: values are content.
impl fmt::Debug for SharedState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedState")
            .field("keys", &self.keys())
            .finish_non_exhaustive()
    }
}

fn check(key: &str, value: &Value) -> Result<(), Fault> {
    if key.is_empty() || key.len() > MAX_KEY_BYTES || key.contains(char::is_control) {
        let what =
            format!("a key has 1 to {MAX_KEY_BYTES} bytes and no control characters; rename it");
        return Err(Fault::new("key", what));
    }
    if is_deeper(value, MAX_VALUE_DEPTH) {
        let what =
            format!("the value is nested more than {MAX_VALUE_DEPTH} levels deep; flatten it");
        return Err(Fault::new("value", what));
    }
    Ok(())
}

fn is_deeper(value: &Value, levels: usize) -> bool {
    let Some(left) = levels.checked_sub(1) else {
        return true;
    };
    match value {
        Value::Array(items) => items.iter().any(|item| is_deeper(item, left)),
        Value::Object(fields) => fields.values().any(|field| is_deeper(field, left)),
        _ => false,
    }
}
