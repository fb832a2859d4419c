//! A session as one JSON document, and the form of that document.

use std::sync::Arc;

use bytes::Bytes;
use data_encoding::BASE64;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{
    Session, SessionError, SessionErrorKind,
    record::{Imported, Record},
};
use crate::store::StoreErrorKind;

/// What the document says that it is.
pub(super) const FORMAT_NAME: &str = "agent-sdk/session";

/// The version of the document's form.
pub(super) const FORMAT_VERSION: u64 = 1;

#[derive(Serialize)]
struct Document<'a> {
    format: &'static str,
    version: u64,
    id: &'a str,
    records: Vec<Item>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    files: Vec<FileContent>,
}

/// A record as it was kept, to the byte, so that nothing of it is lost that this library does not know.
#[derive(Serialize, Deserialize)]
pub(super) struct Item {
    pub(super) at: Timestamp,
    pub(super) record: Box<RawValue>,
}

/// An entry of the files' log.
#[derive(Serialize, Deserialize)]
pub(super) struct FileContent {
    pub(super) path: Arc<str>,
    /// The content, in base64.
    pub(super) content: String,
}

impl FileContent {
    fn of(path: Arc<str>, content: &Bytes) -> Self {
        Self {
            path,
            content: BASE64.encode(content),
        }
    }

    pub(super) fn bytes(&self) -> Option<Bytes> {
        let bytes = BASE64.decode(self.content.as_bytes()).ok()?;
        Some(bytes.into())
    }
}

impl Session {
    /// The whole session, with its history and the contents of its files, as one JSON document; its form is described in
    /// `docs/session-format.md`. Whoever reads it reads all that was said.
    ///
    /// # Errors
    ///
    /// The store cannot be read.
    pub async fn export(&self) -> Result<String, SessionError> {
        let log = &self.log;
        let mut records: Vec<Item> = Vec::new();
        let taken = log.each(&log.id, 0, self.version(), |entry| {
            let damaged = |fault: super::error::Fault| fault.in_log(&log.id, entry.version);
            if let Some(Record::Imported(Imported { at, .. })) =
                Record::read(&entry.body).map_err(damaged)?
            {
                for (record, at) in records.iter_mut().zip(at) {
                    record.at = at;
                }
            }
            let record = super::record::parse(&entry.body).map_err(damaged)?;
            let at = entry.at;
            records.push(Item { at, record });
            Ok(())
        });
        taken.await?;
        let document = Document {
            format: FORMAT_NAME,
            version: FORMAT_VERSION,
            id: self.id(),
            records,
            files: self.contents().await?,
        };
        serde_json::to_string(&document).map_err(|error| {
            SessionError::new(
                SessionErrorKind::Invalid,
                "the session cannot be written as JSON",
            )
            .because(error)
        })
    }

    /// All contents that this version or one before refers to, in the order of their entries.
    async fn contents(&self) -> Result<Vec<FileContent>, SessionError> {
        let log = &self.log;
        let mut contents = Vec::new();
        let through = self.view.files_version;
        let taken = log.each(&log.files, 0, through, |entry| {
            contents.push(FileContent::of(entry.path, &entry.body));
            Ok(())
        });
        taken.await?;
        if contents.len() as u64 == through {
            return Ok(contents);
        }
        let lost = format!(
            "{} of the {through} contents of its files are gone",
            through - contents.len() as u64
        );
        let error = crate::store::StoreError::new(StoreErrorKind::Corrupt, lost);
        Err(log.refused(error))
    }
}
