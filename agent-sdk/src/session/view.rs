//! A session at one of its versions: the fold of its records.

use std::{collections::BTreeMap, fmt, sync::Arc};

use serde_json::Value;

use super::{
    FileInfo, NotKept,
    compress::tokens,
    error::Fault,
    files::check_path,
    outline::Outline,
    record::{Compressed, FORMAT, Record, Snapshot, Updated},
};
use crate::{message::Conversation, operation::RunId};

/// A session at one of its versions. It is read only and cheap to clone.
#[derive(Clone)]
pub struct View {
    pub(super) id: Arc<str>,
    pub(super) version: u64,
    pub(super) outline: Outline,
    pub(super) conversation: Conversation,
    /// Which message of the session each message is, counted from 1: what compression leaves keeps its number.
    pub(super) numbers: Arc<Vec<u64>>,
    said: u64,
    /// How many messages gave way to the first one; 0 where it is no summary.
    pub(super) left_out: u64,
    pub(super) state: Arc<BTreeMap<Arc<str>, Value>>,
    pub(super) files: Arc<BTreeMap<Arc<str>, FileInfo>>,
    pub(super) not_kept: Arc<[NotKept]>,
    /// The last entry of the files' log that any version up to here refers to.
    pub(super) files_version: u64,
    pub(super) names: Arc<BTreeMap<Arc<str>, u64>>,
    /// What an answer's usage said of the conversation's tokens, and how many messages it then had.
    measured: Option<(u64, usize)>,
    pub(super) unknown_records: u64,
}

impl View {
    pub(super) fn new(id: &str) -> Self {
        Self {
            id: id.into(),
            version: 0,
            outline: Outline::default(),
            conversation: Conversation::new().with_id(id),
            numbers: Arc::default(),
            said: 0,
            left_out: 0,
            state: Arc::default(),
            files: Arc::default(),
            not_kept: Arc::from([]),
            files_version: 0,
            names: Arc::default(),
            measured: None,
            unknown_records: 0,
        }
    }

    /// The session's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The version that this is.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// What people call the session.
    pub fn title(&self) -> Option<&str> {
        self.outline.title.as_deref()
    }

    /// What it is found by.
    pub fn tags(&self) -> &BTreeMap<Arc<str>, Arc<str>> {
        &self.outline.tags
    }

    /// What was said, as a model is to see it. Its id is the session's.
    pub fn conversation(&self) -> &Conversation {
        &self.conversation
    }

    /// The shared state.
    pub fn state(&self) -> &BTreeMap<Arc<str>, Value> {
        &self.state
    }

    /// The files of the folder, by their paths, as they were kept last.
    pub fn files(&self) -> &BTreeMap<Arc<str>, FileInfo> {
        &self.files
    }

    /// The files that were in the folder then, and were not kept.
    pub fn not_kept(&self) -> &[NotKept] {
        &self.not_kept
    }

    /// The run that is under way.
    pub fn open_run(&self) -> Option<&RunId> {
        self.outline.run.as_ref()
    }

    /// The records that this version of the library does not know, and passed over.
    pub fn unknown_records(&self) -> u64 {
        self.unknown_records
    }

    /// How many tokens the conversation has, about.
    ///
    /// Where the usage of its last answer [is known](super::Update::usage), that, and for what was said since (else for everything) a token
    /// for each four bytes of text and a thousand for each picture, sound or document.
    pub fn estimated_tokens(&self) -> u64 {
        let (known, messages) = self.measured.unwrap_or_default();
        let since = self.conversation.messages().iter().skip(messages);
        known.saturating_add(since.map(tokens).sum())
    }

    /// Takes in the next record; `None` is one that is not known. After an error it is not to be used any more.
    pub(super) fn apply(&mut self, version: u64, record: Option<Record>) -> Result<(), Fault> {
        if self.version == 0 && !matches!(record, Some(Record::Created(_))) {
            return Err(Fault::new("type", "the first record has to be `created`"));
        }
        if let Some(record) = &record {
            self.outline.apply(record);
        }
        match record {
            None => self.unknown_records += 1,
            Some(Record::Created(created)) => {
                if created.format > FORMAT {
                    return Err(Fault::newer("format", created.format, FORMAT));
                }
                if self.version > 0 {
                    let what = "a session is created once, with its first record";
                    return Err(Fault::new("type", what));
                }
            }
            Some(Record::Updated(updated)) => self.updated(updated)?,
            Some(Record::Snapshot(snapshot)) => self.snapshot(version, snapshot)?,
            Some(Record::Compressed(compressed)) => self.compressed(compressed)?,
            Some(Record::Branched(_) | Record::Imported(_)) => {}
        }
        self.version = version;
        Ok(())
    }

    fn updated(&mut self, updated: Updated) -> Result<(), Fault> {
        if !updated.changes.is_empty() {
            let state = Arc::make_mut(&mut self.state);
            for (place, change) in updated.changes.iter().enumerate() {
                let at = |fault: Fault| fault.within(&format!("changes[{place}]"));
                change.check().map_err(at)?;
                change.apply(state);
            }
        }
        for message in updated.messages {
            self.say(message);
        }
        if let Some(tokens) = updated.tokens {
            self.measured = Some((tokens, self.conversation.len()));
        }
        Ok(())
    }

    fn say(&mut self, message: crate::message::Message) {
        self.said += 1;
        self.conversation.push(message);
        Arc::make_mut(&mut self.numbers).push(self.said);
    }

    fn snapshot(&mut self, version: u64, snapshot: Snapshot) -> Result<(), Fault> {
        if let Some(name) = snapshot.name {
            Arc::make_mut(&mut self.names).insert(name, version);
        }
        let Some(changes) = snapshot.files else {
            return Ok(());
        };
        let files = Arc::make_mut(&mut self.files);
        for path in &changes.removed {
            files.remove(path);
        }
        for (path, info) in changes.written {
            // Whoever restores a folder trusts these paths.
            if !check_path(&path) || info.version == 0 {
                let what = "a path has to stay inside its folder, and a version is at least 1";
                return Err(Fault::new("files.written", what));
            }
            self.files_version = self.files_version.max(info.version);
            files.insert(path, info);
        }
        self.not_kept = changes.not_kept.into();
        Ok(())
    }

    fn compressed(&mut self, compressed: Compressed) -> Result<(), Fault> {
        let Compressed {
            replaced,
            summary,
            removed_keys,
            ..
        } = compressed;
        let has = self.conversation.len();
        if replaced > has {
            let what = format!("{replaced} messages cannot go where there are {has}");
            return Err(Fault::new("replaced", what));
        }
        if replaced > 0 {
            let earlier_summary = u64::from(self.left_out > 0);
            self.left_out += replaced as u64 - earlier_summary;
            self.said += 1;
            let numbers = self.numbers.iter().skip(replaced).copied();
            self.numbers = Arc::new(std::iter::once(self.said).chain(numbers).collect());
            let summary = summary.ok_or_else(|| Fault::new("summary", "missing field"))?;
            let kept = self.conversation.messages().iter().skip(replaced).cloned();
            let messages = std::iter::once(summary).chain(kept);
            self.conversation = messages.collect::<Conversation>().with_id(&*self.id);
            self.measured = None;
        }
        if !removed_keys.is_empty() {
            let state = Arc::make_mut(&mut self.state);
            state.retain(|key, _| !removed_keys.contains(key));
        }
        Ok(())
    }
}

/// Shows no content.
impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View")
            .field("id", &self.id)
            .field("version", &self.version)
            .field("messages", &self.conversation.len())
            .field("keys", &self.state.len())
            .field("files", &self.files.len())
            .finish_non_exhaustive()
    }
}
