//! What a list shows of a session; it stands in the head of its log.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    SessionError,
    record::{Record, RunChange},
};
use crate::operation::RunId;

/// The most that an outline takes, as JSON.
const MAX_BYTES: usize = 16 << 10;

/// What a list shows of a session.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Outline {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) title: Option<Arc<str>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) tags: BTreeMap<Arc<str>, Arc<str>>,
    pub(super) messages: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) run: Option<RunId>,
}

impl Outline {
    /// Takes in the next record. It is cheap, whatever the session holds: it is done before the record is kept, and again after.
    pub(super) fn apply(&mut self, record: &Record) {
        match record {
            Record::Created(created) => {
                self.title.clone_from(&created.title);
                self.tags.clone_from(&created.tags);
            }
            Record::Updated(updated) => {
                self.messages += updated.messages.len();
                if updated.title.is_some() {
                    self.title.clone_from(&updated.title);
                }
                for (key, value) in &updated.tags {
                    match value {
                        Some(value) => self.tags.insert(key.clone(), value.clone()),
                        None => self.tags.remove(key),
                    };
                }
                match &updated.run {
                    Some(RunChange::Began(id)) => self.run = Some(id.clone()),
                    Some(RunChange::Finished(_) | RunChange::Abandoned(_)) => self.run = None,
                    None => {}
                }
            }
            Record::Compressed(compressed) if compressed.replaced > 0 => {
                self.messages = self.messages.saturating_sub(compressed.replaced) + 1;
            }
            Record::Compressed(_) | Record::Snapshot(_) => {}
            // A run belongs to the session that began it.
            Record::Branched(_) | Record::Imported(_) => self.run = None,
        }
    }

    /// The outline once another record is kept.
    pub(super) fn after(&self, record: &Record) -> Self {
        let mut after = self.clone();
        after.apply(record);
        after
    }

    /// What stands in the head: little, because a list reads it for each session.
    pub(super) fn about(&self) -> Result<Value, SessionError> {
        let about = serde_json::to_value(self).unwrap_or_default();
        if about.to_string().len() > MAX_BYTES {
            return Err(SessionError::too_large(format!(
                "title and tags together take more than {MAX_BYTES} bytes; keep what is long in the shared state"
            )));
        }
        Ok(about)
    }

    /// How the log stands.
    pub(super) fn status(&self) -> &'static str {
        if self.run.is_some() {
            "running"
        } else {
            "idle"
        }
    }
}
