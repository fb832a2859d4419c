//! One folder, and nothing outside of it.

use std::{
    ffi::OsStr,
    io,
    path::{Component, Path},
};

use cap_fs_ext::{DirExt, FollowSymlinks, MetadataExt, OpenOptionsFollowExt, OpenOptionsSyncExt};
use cap_std::{
    ambient_authority,
    fs::{Dir, DirBuilder, File, OpenOptions},
};

use super::{
    WorkspaceError,
    name::{TEMPORARY, is_version_control, portable},
};

/// The longest path, in bytes, and the most names in it.
const PATH_BYTES: usize = 1024;
const PATH_NAMES: usize = 64;

/// A folder, by a handle to it.
///
/// A path is taken apart into names. `..`, absolute paths, NUL and whatever else is not a plain name are refused; then each name
/// is opened from the handle of the one before, never through a symbolic link. There is no moment between a check and its use
/// in which a path could come to mean something else. A file with several names (hard links) is refused too, because one of them
/// may lie outside.
#[derive(Debug)]
pub(super) struct Jail {
    root: Dir,
}

/// What a path leads to.
pub(super) enum Place {
    /// A folder.
    Folder(Dir),
    /// A file and its size.
    File(File, u64),
}

/// Where a file shall be written.
pub(super) struct Target<'a> {
    /// The folder that it will be in.
    pub(super) folder: Dir,
    /// Its name there.
    pub(super) name: &'a str,
}

impl Jail {
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        Dir::open_ambient_dir(folder, ambient_authority()).map(Self::of)
    }

    pub(super) fn of(root: Dir) -> Self {
        Self { root }
    }

    /// Opens a file; its size comes with it.
    pub(super) fn file(&self, path: &str) -> Result<(File, u64), WorkspaceError> {
        match self.find(path)? {
            Place::File(file, size) => Ok((file, size)),
            Place::Folder(_) => Err(WorkspaceError::invalid(format!(
                "{} is a folder; list it with `list_files`",
                shown(path)
            ))),
        }
    }

    /// Opens a folder.
    pub(super) fn folder(&self, path: &str) -> Result<Dir, WorkspaceError> {
        match self.find(path)? {
            Place::Folder(folder) => Ok(folder),
            Place::File(..) => Err(WorkspaceError::invalid(format!(
                "{} is a file; read it with `read_file`",
                shown(path)
            ))),
        }
    }

    /// Opens what a path leads to.
    pub(super) fn find(&self, path: &str) -> Result<Place, WorkspaceError> {
        let names = names(path)?;
        let mut folder = self.root(path)?;
        let Some((last, above)) = names.split_last() else {
            return Ok(Place::Folder(folder));
        };
        for name in above {
            let next = folder.open_dir_nofollow(name);
            folder = next.map_err(|error| why(path, &folder, name, "read", error))?;
        }
        if folder
            .symlink_metadata(last)
            .is_ok_and(|found| found.is_dir())
        {
            let next = folder.open_dir_nofollow(last);
            return next
                .map(Place::Folder)
                .map_err(|error| why(path, &folder, last, "read", error));
        }
        let (file, size) = open_file(path, &folder, last)?;
        Ok(Place::File(file, size))
    }

    /// Opens the folder in which a file shall be written; folders on the way that do not exist are made.
    pub(super) fn target<'a>(&self, path: &'a str) -> Result<Target<'a>, WorkspaceError> {
        let names = names_to_make(path)?;
        let Some((last, above)) = names.split_last() else {
            return Err(WorkspaceError::invalid(format!(
                "{} names no file",
                shown(path)
            )));
        };
        let mut folder = self.root(path)?;
        for name in above {
            folder = open_or_make(path, &folder, name, &DirBuilder::new())?;
        }
        Ok(Target { folder, name: last })
    }

    fn root(&self, path: &str) -> Result<Dir, WorkspaceError> {
        let root = self.root.try_clone();
        root.map_err(|error| WorkspaceError::io(shown(path), "opened", error))
    }
}

/// Opens a folder of a folder; one that does not exist is made.
pub(super) fn open_or_make(
    path: &str,
    folder: &Dir,
    name: &str,
    how: &DirBuilder,
) -> Result<Dir, WorkspaceError> {
    let made = folder.create_dir_with(name, how);
    if let Err(error) = made
        && error.kind() != io::ErrorKind::AlreadyExists
    {
        return Err(why(path, folder, name.as_ref(), "made", error));
    }
    // What exists may be anything: a link is not followed, and what is no folder is not opened.
    let opened = folder.open_dir_nofollow(name);
    opened.map_err(|error| why(path, folder, name.as_ref(), "opened", error))
}

/// Opens a regular file of a folder; what is not one is not read from, and does not make the caller wait.
pub(super) fn open_file(
    path: &str,
    folder: &Dir,
    name: &OsStr,
) -> Result<(File, u64), WorkspaceError> {
    let mut options = OpenOptions::new();
    // A named pipe would otherwise wait for a writer.
    options.read(true).follow(FollowSymlinks::No).nonblock(true);
    let file = folder
        .open_with(name, &options)
        .map_err(|error| why(path, folder, name, "read", error))?;
    // The metadata of what is open, not of what the name means by now.
    let found = file
        .metadata()
        .map_err(|error| WorkspaceError::io(shown(path), "read", error))?;
    is_plain(path, found.is_file(), found.nlink())?;
    Ok((file, found.len()))
}

/// Refuses what is no regular file with one name.
pub(super) fn is_plain(path: &str, is_file: bool, links: u64) -> Result<(), WorkspaceError> {
    let refused = |why| Err(WorkspaceError::refused(format!("{} {why}", shown(path))));
    if !is_file {
        return refused("is no regular file");
    }
    if links > 1 {
        return refused(
            "has several names (hard links), one of which may lie outside of the workspace",
        );
    }
    Ok(())
}

/// The names that a path consists of; none for the workspace itself.
pub(super) fn names(path: &str) -> Result<Vec<&OsStr>, WorkspaceError> {
    let refused = |why: &str| Err(WorkspaceError::refused(format!("{} {why}", shown(path))));
    if path.len() > PATH_BYTES {
        return refused("is too long for a path");
    }
    if path.contains('\0') {
        return refused("holds a NUL character");
    }
    if path.contains('\\') || (cfg!(windows) && path.contains(':')) {
        return refused("is no path of the workspace: write `/` between names");
    }
    let mut names = Vec::new();
    for component in Path::new(path).components() {
        match component {
            Component::CurDir => {}
            Component::Normal(name) => names.push(name),
            Component::ParentDir => {
                return refused("leads out of the workspace: `..` is not allowed");
            }
            Component::RootDir | Component::Prefix(_) => {
                return refused("is absolute: paths begin at the workspace, such as `src/lib.rs`");
            }
        }
    }
    if names.len() > PATH_NAMES {
        return refused("is too deep for a path");
    }
    for name in &names {
        let name = name.to_string_lossy();
        if is_version_control(&name) {
            return refused("belongs to version control, which is neither read nor written");
        }
        if name.starts_with(TEMPORARY) {
            return refused("is being written");
        }
    }
    Ok(names)
}

/// As [`names`], of a file that shall be written: each name must mean the same on every system.
pub(super) fn names_to_make(path: &str) -> Result<Vec<&str>, WorkspaceError> {
    if path.ends_with('/') || path.ends_with("/.") {
        return Err(WorkspaceError::refused(format!(
            "{} names a folder: a file's path ends in its name",
            shown(path)
        )));
    }
    let names = names(path)?.into_iter().filter_map(OsStr::to_str);
    names
        .map(|name| match portable(name) {
            Ok(()) => Ok(name),
            Err(why) => Err(WorkspaceError::refused(format!("{} {why}", shown(path)))),
        })
        .collect()
}

/// A path as an error names it, cut where it is long.
pub(super) fn shown(path: &str) -> String {
    let mut chars = path.chars();
    let start: String = chars.by_ref().take(120).collect();
    let more = if chars.next().is_some() { "…" } else { "" };
    format!("`{}{more}`", start.escape_debug())
}

/// Why a name could not be opened, in words. What they say of links was looked up afterwards and decides nothing.
fn why(path: &str, folder: &Dir, name: &OsStr, doing: &str, error: io::Error) -> WorkspaceError {
    if folder
        .symlink_metadata(name)
        .is_ok_and(|found| found.is_symlink())
    {
        return WorkspaceError::refused(format!(
            "{} leads over a symbolic link, which is not followed",
            shown(path)
        ));
    }
    WorkspaceError::io(shown(path), doing, error)
}
