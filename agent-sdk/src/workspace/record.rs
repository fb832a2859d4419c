//! What a run wrote.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use crate::{operation::RunId, run::Artifact};

/// The files that one run wrote in a workspace, agents inside it included.
#[derive(Debug)]
pub(super) struct Record {
    run: RunId,
    files: Mutex<BTreeMap<String, Written>>,
}

#[derive(Debug)]
struct Written {
    bytes: u64,
    /// Whether nobody has asked for it yet.
    is_new: bool,
}

impl Record {
    /// Notes a file, in place of what was noted of it before.
    pub(super) fn wrote(&self, path: String, bytes: u64) {
        self.insert(path, bytes, true);
    }

    /// Notes a file of an earlier life of the run.
    pub(super) fn remember(&self, file: &Artifact) {
        self.insert(file.path.clone(), file.bytes, false);
    }

    fn insert(&self, path: String, bytes: u64, is_new: bool) {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.insert(path, Written { bytes, is_new });
    }

    /// The files that were noted since this was last asked.
    pub(super) fn take_new(&self) -> Vec<Artifact> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let new = files.iter_mut().filter(|(_, file)| file.is_new);
        new.map(|(path, file)| {
            file.is_new = false;
            Artifact::new(path.as_str(), file.bytes)
        })
        .collect()
    }

    /// The files, ordered by path.
    pub(super) fn artifacts(&self) -> Vec<Artifact> {
        let files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let artifact = |(path, file): (&String, &Written)| Artifact::new(path.as_str(), file.bytes);
        files.iter().map(artifact).collect()
    }
}

/// The runs under way in a workspace. A run is forgotten with the last handle to its record.
#[derive(Debug, Default)]
pub(super) struct Runs(Mutex<Vec<Weak<Record>>>);

impl Runs {
    /// The record of a run, if it is under way here.
    pub(super) fn find(&self, run: &RunId) -> Option<Arc<Record>> {
        let runs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Self::among(&runs, run)
    }

    /// The record of a run; a new one where it is not under way here.
    pub(super) fn begin(&self, run: &RunId) -> Arc<Record> {
        let mut runs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        runs.retain(|record| record.strong_count() > 0);
        Self::among(&runs, run).unwrap_or_else(|| {
            let record = Arc::new(Record {
                run: run.clone(),
                files: Mutex::default(),
            });
            runs.push(Arc::downgrade(&record));
            record
        })
    }

    fn among(runs: &[Weak<Record>], run: &RunId) -> Option<Arc<Record>> {
        let mut runs = runs.iter().filter_map(Weak::upgrade);
        runs.find(|record| record.run == *run)
    }
}
