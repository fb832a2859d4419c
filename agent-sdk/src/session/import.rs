//! Reading a session from a document, which may come from anywhere.

use std::sync::Arc;

use bytes::Bytes;
use serde::Deserialize;

use super::{
    Session, SessionError, Sessions, View,
    error::Fault,
    export::{FORMAT_NAME, FORMAT_VERSION, FileContent, Item},
    log::SessionLog,
    record::{Imported, Record, Snapshot, parse},
    sessions::{Earlier, random_id},
};
use crate::store::{NewEntry, NewLog};

/// What is read first: whether the rest can be understood.
#[derive(Deserialize)]
struct Heading {
    format: String,
    version: u64,
}

#[derive(Deserialize)]
struct Document {
    id: Arc<str>,
    records: Vec<Item>,
    #[serde(default)]
    files: Vec<FileContent>,
}

/// A document whose every record was read and folded.
struct Read {
    view: View,
    entries: Vec<NewEntry>,
    contents: Vec<NewEntry>,
    /// What is added at the end.
    imported: Imported,
}

impl Sessions {
    /// Makes a session of an [exported](Session::export) document: with its history, its names and its files, as this user's. It keeps its
    /// id where that is free, and gets a new one where it is not.
    ///
    /// Fields that are not known are kept and passed over. Records of types that are not known are kept too, and
    /// [counted](View::unknown_records): a newer library may make sense of them.
    ///
    /// # Errors
    ///
    /// [`TooLarge`](super::SessionErrorKind::TooLarge) above the [limit](Self::max_import_bytes), [`Newer`](super::SessionErrorKind::Newer)
    /// where the form is a newer one, [`Invalid`](super::SessionErrorKind::Invalid) with the path of what does not fit. Nothing was made then.
    pub async fn import(&self, json: impl AsRef<[u8]> + Send) -> Result<Session, SessionError> {
        let json_bytes = json.as_ref().len();
        if json_bytes > self.max_import_bytes {
            return Err(SessionError::too_large(format!(
                "the document has {json_bytes} bytes, and at most {} are read; `max_import_bytes` allows more",
                self.max_import_bytes
            )));
        }
        let read = Read::of(json.as_ref())?;
        drop(json);
        let log = match self.log(&read.imported.id) {
            Ok(log) if self.is_free(&log).await? => log,
            _ => self.log(&random_id())?,
        };
        let has_files = !read.contents.is_empty();
        if has_files {
            // First the files, because the session's records refer to them.
            let mut files = NewLog::new(log.files.clone()).owner(Some(self.user.clone()));
            files.entries = read.contents;
            let created = self.store.create(files).await;
            created.map_err(|error| log.refused(error))?;
        }
        let earlier = Earlier::Entries(read.entries);
        let record = Record::Imported(read.imported);
        let begun = self.begin(log.clone(), earlier, read.view, record).await;
        if begun.is_err() && has_files {
            // Without its session nobody asks for it; the failure that counts is the first one.
            let _ = self.store.delete(&log.files).await;
        }
        begun
    }

    async fn is_free(&self, log: &SessionLog) -> Result<bool, SessionError> {
        for id in [&log.id, &log.files] {
            let head = self.store.head(id).await;
            if head.map_err(|error| log.refused(error))?.is_some() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl Read {
    fn of(json: &[u8]) -> Result<Self, Fault> {
        let heading: Heading = parse(json)?;
        if heading.format != FORMAT_NAME {
            let what = format!("this is no `{FORMAT_NAME}` document");
            return Err(Fault::new("format", what));
        }
        if heading.version > FORMAT_VERSION {
            return Err(Fault::newer("version", heading.version, FORMAT_VERSION));
        }
        let document: Document = parse(json)?;
        if document.records.is_empty() {
            return Err(Fault::new("records", "a session has at least one record"));
        }
        let contents = contents(&document.files)?;
        let mut view = View::new(&document.id);
        let mut entries = Vec::new();
        let mut at = Vec::new();
        for (version, item) in (1_u64..).zip(document.records) {
            let place = format!("records[{}].record", version - 1);
            let within = |fault: Fault| fault.within(&place);
            let json: Box<str> = item.record.into();
            let record = Record::read(json.as_bytes()).map_err(within)?;
            check_files(record.as_ref(), &contents).map_err(within)?;
            view.apply(version, record).map_err(within)?;
            at.push(item.at);
            entries.push(NewEntry::new("", Bytes::from(json.into_boxed_bytes())));
        }
        Ok(Self {
            view,
            entries,
            contents,
            imported: Imported {
                id: document.id,
                at,
            },
        })
    }
}

fn contents(files: &[FileContent]) -> Result<Vec<NewEntry>, Fault> {
    let contents = files.iter().enumerate().map(|(place, file)| {
        let content = file
            .bytes()
            .ok_or_else(|| Fault::new(format!("files[{place}].content"), "this is no base64"))?;
        Ok(NewEntry::new(file.path.clone(), content))
    });
    contents.collect()
}

/// Each file that a record names has to be there, as it says.
fn check_files(record: Option<&Record>, contents: &[NewEntry]) -> Result<(), Fault> {
    let Some(Record::Snapshot(Snapshot {
        files: Some(files), ..
    })) = record
    else {
        return Ok(());
    };
    for (path, info) in &files.written {
        let place = info.version.checked_sub(1).map(usize::try_from);
        let content = place.and_then(|place| contents.get(place.ok()?));
        if !content.is_some_and(|content| content.path == *path && info.is_of(&content.body)) {
            let what = "the document does not hold the content of a file that is named here";
            return Err(Fault::new("files.written", what));
        }
    }
    Ok(())
}
