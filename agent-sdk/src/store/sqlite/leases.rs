//! Lock files: how it is known that the holder of a log is gone.
//!
//! Each lease has a file of its own beside the store, named by the log's row and the fence, and locked by who holds it. The
//! operating system lets go of the lock when the process ends, however it ends, so that a log whose file can be locked is free at
//! once. What keeps two holders apart is the fence in the store; the file only says whether there still is one.

use std::{
    collections::HashMap,
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io,
    path::{Path, PathBuf},
};

use super::errors;
use crate::store::StoreError;

/// A log's row, and a fence that was given for it.
type Key = (i64, u64);

/// The lock files that are held here. Changes take effect with the transaction that they are part of.
#[derive(Debug)]
pub(super) struct Leases {
    folder: PathBuf,
    held: HashMap<Key, File>,
    taken: Vec<(Key, File)>,
    forgotten: Vec<Key>,
}

impl Leases {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            held: HashMap::new(),
            taken: Vec::new(),
            forgotten: Vec::new(),
        }
    }

    /// Whether the one who took the lease is still there.
    pub(super) fn is_alive(&self, id: i64, fence: u64) -> bool {
        self.held.contains_key(&(id, fence)) || is_alive(&self.folder, id, fence)
    }

    /// Whether the lease is held here, or just being taken.
    pub(super) fn has(&self, id: i64, fence: u64) -> bool {
        let key = (id, fence);
        self.held.contains_key(&key) || self.taken.iter().any(|(taken, _)| *taken == key)
    }

    /// Locks the file of a lease that is just being given.
    pub(super) fn take(&mut self, id: i64, fence: u64) -> Result<(), StoreError> {
        let path = file(&self.folder, id, fence);
        let failed = |error| errors::io(&path, "locked for the lease", error);
        make_folder(&self.folder).map_err(failed)?;
        // What is there was left by a transaction that did not happen.
        remove(&path).map_err(failed)?;
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&path).map_err(failed)?;
        file.try_lock().map_err(|error| match error {
            TryLockError::Error(error) => failed(error),
            TryLockError::WouldBlock => failed(io::ErrorKind::WouldBlock.into()),
        })?;
        self.taken.push(((id, fence), file));
        Ok(())
    }

    /// The lease is over.
    pub(super) fn forget(&mut self, id: i64, fence: u64) {
        self.forgotten.push((id, fence));
    }

    /// The transaction happened.
    pub(super) fn commit(&mut self) {
        self.held.extend(self.taken.drain(..));
        for key in self.forgotten.drain(..) {
            // A file that stays takes a name that is not used again.
            drop(remove(&file(&self.folder, key.0, key.1)));
            self.held.remove(&key);
        }
    }

    /// The transaction did not happen.
    pub(super) fn rollback(&mut self) {
        self.taken.clear();
        self.forgotten.clear();
    }
}

impl Drop for Leases {
    fn drop(&mut self) {
        self.forgotten.extend(self.held.keys());
        self.commit();
    }
}

/// Whether the one who took a lease is still there. Where that cannot be told, they are.
pub(super) fn is_alive(folder: &Path, id: i64, fence: u64) -> bool {
    match File::open(file(folder, id, fence)) {
        // A shared lock, so that two who ask do not take each other for the holder.
        Ok(file) => file.try_lock_shared().is_err(),
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    }
}

fn file(folder: &Path, id: i64, fence: u64) -> PathBuf {
    folder.join(format!("{id}-{fence}"))
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn make_folder(folder: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            // Also where it is a link to one: nothing is followed.
            if fs::symlink_metadata(folder)?.is_dir() {
                Ok(())
            } else {
                Err(io::ErrorKind::NotADirectory.into())
            }
        }
        done => done,
    }
}
