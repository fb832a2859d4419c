//! What a session's log holds: one record for each change.
//!
//! A record is a JSON object whose `type` says what it is; the form is written down in `docs/session-format.md`. Fields that are not
//! known are passed over, and so are whole records whose type is not known: a newer library wrote them.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    FileInfo, NotKept, SessionError, StateChange,
    error::{Fault, SessionErrorKind},
};
use crate::{message::Message, operation::RunId};

/// The version of the records' form.
pub(super) const FORMAT: u64 = 1;

/// The largest record, in bytes.
const MAX_RECORD_BYTES: usize = 32 << 20;

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Record {
    Created(Created),
    Updated(Updated),
    Snapshot(Snapshot),
    Compressed(Compressed),
    Branched(Branched),
    Imported(Imported),
}

/// The session began. The first record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Created {
    /// [`FORMAT`] of the library that began it.
    pub(super) format: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) title: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) tags: BTreeMap<Arc<str>, Arc<str>>,
}

/// Something was said, set, removed or named, all at once.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Updated {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) messages: Vec<Message>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) changes: Vec<StateChange>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) title: Option<Arc<str>>,
    /// A tag without a value goes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) tags: BTreeMap<Arc<str>, Option<Arc<str>>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) run: Option<RunChange>,
    /// How many tokens the conversation has, as the last answer's usage says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) tokens: Option<u64>,
}

/// What happened to a run of the session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum RunChange {
    Began(RunId),
    Finished(RunId),
    Abandoned(RunId),
}

impl RunChange {
    pub(super) fn id(&self) -> &RunId {
        let (Self::Began(id) | Self::Finished(id) | Self::Abandoned(id)) = self;
        id
    }
}

/// A version was named, or the files of a folder were kept, or both.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Snapshot {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) files: Option<FileChanges>,
}

/// What is different in a folder since its files were kept last.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct FileChanges {
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) written: BTreeMap<Arc<str>, FileInfo>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) removed: Vec<Arc<str>>,
    /// All that there are, also those from before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) not_kept: Vec<NotKept>,
}

/// The oldest messages gave way to a summary, and keys of the state went.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Compressed {
    /// How many messages, from the first on, the summary stands for; an earlier summary is one of them.
    #[serde(default)]
    pub(super) replaced: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) summary: Option<Message>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) removed_keys: Vec<Arc<str>>,
    /// The model that wrote the summary; none wrote a plain note.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) model: Option<Arc<str>>,
}

/// From here on it is a session of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Branched {
    pub(super) from: Arc<str>,
    pub(super) version: u64,
}

/// What stands before came from somewhere else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Imported {
    /// The id that it had there.
    pub(super) id: Arc<str>,
    /// When the records before were kept there, in their order.
    pub(super) at: Vec<Timestamp>,
}

impl Record {
    /// Reads a record; `None` is one of a type that is not known.
    ///
    /// The type decides first what is read, so that a fault has its exact place: `serde` loses it inside a tagged enum.
    pub(super) fn read(json: &[u8]) -> Result<Option<Self>, Fault> {
        #[derive(Deserialize)]
        struct Typed {
            r#type: String,
        }
        let typed: Typed = parse(json)?;
        let record = match typed.r#type.as_str() {
            "created" => parse(json).map(Self::Created),
            "updated" => parse(json).map(Self::Updated),
            "snapshot" => parse(json).map(Self::Snapshot),
            "compressed" => parse(json).map(Self::Compressed),
            "branched" => parse(json).map(Self::Branched),
            "imported" => parse(json).map(Self::Imported),
            _ => return Ok(None),
        };
        record.map(Some)
    }

    /// Its type, as it is kept.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Created(_) => "created",
            Self::Updated(_) => "updated",
            Self::Snapshot(_) => "snapshot",
            Self::Compressed(_) => "compressed",
            Self::Branched(_) => "branched",
            Self::Imported(_) => "imported",
        }
    }

    /// The bytes that are kept.
    pub(super) fn write(&self) -> Result<Vec<u8>, SessionError> {
        let json = serde_json::to_vec(self).map_err(|error| {
            SessionError::new(
                SessionErrorKind::Invalid,
                "the change cannot be written as JSON",
            )
            .because(error)
        })?;
        if json.len() > MAX_RECORD_BYTES {
            return Err(SessionError::too_large(format!(
                "the change has {} bytes, and at most {MAX_RECORD_BYTES} are kept at once; say it in smaller parts, or keep what is large as a file",
                json.len()
            )));
        }
        Ok(json)
    }
}

/// Reads JSON to its end.
pub(super) fn parse<T: DeserializeOwned>(json: &[u8]) -> Result<T, Fault> {
    let mut reader = serde_json::Deserializer::from_slice(json);
    let value =
        serde_path_to_error::deserialize(&mut reader).map_err(|error| Fault::of_json(&error))?;
    reader
        .end()
        .map_err(|_| Fault::new("", "there is more after its end"))?;
    Ok(value)
}
