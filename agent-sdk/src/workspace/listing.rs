//! What lies in a workspace.

use std::ops::ControlFlow;

use cap_std::fs::{Dir, FileType, Metadata};
use jiff::Timestamp;
use serde::Serialize;

use super::walk::{self, Walk};

/// How many folders deep files are looked for.
const DEPTH: usize = 64;

/// What lies in a workspace, or in a folder of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Listing {
    /// The entries, sorted by path.
    pub entries: Vec<Entry>,
    /// Whether there is more than may be listed.
    pub truncated: bool,
}

/// Something that lies in a workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Entry {
    /// Its path from the workspace, with `/` between names. What is no UTF-8 in it shows as U+FFFD.
    pub path: String,
    /// What it is.
    pub kind: EntryKind,
    /// The size of a file; otherwise 0.
    pub bytes: u64,
    /// When it was last changed, as far as the system knows.
    pub modified: Option<Timestamp>,
}

/// What something in a workspace is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link, which is not followed.
    Link,
    /// A pipe, a socket, a device.
    Other,
}

impl Listing {
    /// One folder's entries.
    pub(super) fn of_folder(folder: &Dir, path: &str, most: usize) -> Self {
        Self::of(folder, &walk::tidy(path), 1, most, |_| true)
    }

    /// All files.
    pub(super) fn of_files(folder: &Dir, most: usize) -> Self {
        Self::of(folder, "", DEPTH, most, |kind| kind == EntryKind::File)
    }

    fn of(
        folder: &Dir,
        path: &str,
        depth: usize,
        most: usize,
        is_wanted: impl Fn(EntryKind) -> bool,
    ) -> Self {
        let mut walk = Walk {
            wanted: &|| true,
            depth,
            generated: true,
            is_cut: false,
        };
        let (mut entries, mut seen) = (Vec::new(), 0);
        let ended = walk.visit(folder, path, &mut |entry| {
            // What is not listed is counted too: a tree of empty folders has an end.
            if seen == most {
                return ControlFlow::Break(());
            }
            seen += 1;
            let kind = kind(entry.kind);
            if is_wanted(kind) {
                let found = entry.folder.symlink_metadata(entry.name).ok();
                entries.push(Entry {
                    path: entry.path.to_owned(),
                    kind,
                    bytes: found
                        .as_ref()
                        .filter(|_| kind == EntryKind::File)
                        .map_or(0, Metadata::len),
                    modified: found.as_ref().and_then(modified),
                });
            }
            ControlFlow::Continue(())
        });
        // A folder comes before what lies in it, which is not the order of paths: `a/b` and `a.txt`.
        entries.sort_unstable_by(|a: &Entry, b| a.path.cmp(&b.path));
        Self {
            entries,
            truncated: ended.is_break() || walk.is_cut,
        }
    }
}

fn kind(kind: FileType) -> EntryKind {
    if kind.is_symlink() {
        EntryKind::Link
    } else if kind.is_dir() {
        EntryKind::Folder
    } else if kind.is_file() {
        EntryKind::File
    } else {
        EntryKind::Other
    }
}

fn modified(found: &Metadata) -> Option<Timestamp> {
    let modified = found.modified().ok()?;
    Timestamp::try_from(modified.into_std()).ok()
}
