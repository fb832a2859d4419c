//! The folder that may be read, and nothing outside of it.

use std::{
    ffi::OsStr,
    io,
    path::{Component, Path},
};

use cap_fs_ext::{DirExt, FollowSymlinks, MetadataExt, OpenOptionsFollowExt, OpenOptionsSyncExt};
use cap_std::{
    ambient_authority,
    fs::{Dir, File, OpenOptions},
};

use super::FileError;

/// The longest path, in bytes, and the most names in it.
const PATH_BYTES: usize = 1024;
const PATH_NAMES: usize = 64;

/// Where version control keeps its own files, which may hold credentials.
const VERSION_CONTROL: [&str; 5] = [".git", ".hg", ".svn", ".jj", "CVS"];
/// What is made by tools, large, and seldom worth reading; read only when named.
const GENERATED: [&str; 2] = ["target", "node_modules"];

/// A folder, by a handle to it.
///
/// A path is taken apart into names. `..`, absolute paths, NUL and whatever else is not a plain name are refused; then each name
/// is opened from the handle of the one before, never through a symbolic link. There is no moment between a check and its use
/// in which a path could come to mean something else. A file with several names (hard links) is refused too, because one of them
/// may lie outside.
#[derive(Debug)]
pub(crate) struct Jail {
    root: Dir,
}

/// What a path leads to.
pub(super) enum Place {
    /// A folder.
    Folder(Dir),
    /// A file and its size.
    File(File, u64),
}

impl Jail {
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        let root = Dir::open_ambient_dir(folder, ambient_authority())?;
        Ok(Self { root })
    }

    /// Opens a file; its size comes with it.
    pub(super) fn file(&self, path: &str) -> Result<(File, u64), FileError> {
        match self.find(path)? {
            Place::File(file, size) => Ok((file, size)),
            Place::Folder(_) => Err(FileError(format!(
                "{} is a folder; list it with `list_files`",
                shown(path)
            ))),
        }
    }

    /// Opens a folder.
    pub(super) fn folder(&self, path: &str) -> Result<Dir, FileError> {
        match self.find(path)? {
            Place::Folder(folder) => Ok(folder),
            Place::File(..) => Err(FileError(format!(
                "{} is a file; read it with `read_file`",
                shown(path)
            ))),
        }
    }

    /// Opens what a path leads to.
    pub(super) fn find(&self, path: &str) -> Result<Place, FileError> {
        let names = names(path)?;
        let failed = |error| FileError(format!("{} {error}", shown(path)));
        let mut folder = self
            .root
            .try_clone()
            .map_err(|error| failed(explained(&error)))?;
        let Some((last, above)) = names.split_last() else {
            return Ok(Place::Folder(folder));
        };
        for name in above {
            let next = folder.open_dir_nofollow(name);
            folder = next.map_err(|error| failed(why(&folder, name, &error)))?;
        }
        if folder
            .symlink_metadata(last)
            .is_ok_and(|found| found.is_dir())
        {
            let next = folder.open_dir_nofollow(last);
            return next
                .map(Place::Folder)
                .map_err(|error| failed(why(&folder, last, &error)));
        }
        let (file, size) = open_file(&folder, last).map_err(failed)?;
        Ok(Place::File(file, size))
    }
}

/// Opens a regular file of a folder; what is not one is not read from, and does not make the caller wait.
pub(super) fn open_file(folder: &Dir, name: &OsStr) -> Result<(File, u64), String> {
    let mut options = OpenOptions::new();
    // A named pipe would otherwise wait for a writer.
    options.read(true).follow(FollowSymlinks::No).nonblock(true);
    let file = folder
        .open_with(name, &options)
        .map_err(|error| why(folder, name, &error))?;
    // The metadata of what is open, not of what the name means by now.
    let found = file.metadata().map_err(|error| explained(&error))?;
    if !found.is_file() {
        return Err("is no regular file".to_owned());
    }
    if found.nlink() > 1 {
        return Err(
            "has several names (hard links), one of which may lie outside of the workspace"
                .to_owned(),
        );
    }
    Ok((file, found.len()))
}

/// Whether a walk goes into a folder of this name.
pub(super) fn is_walked(name: &OsStr) -> bool {
    !VERSION_CONTROL
        .iter()
        .chain(&GENERATED)
        .any(|skipped| name.eq_ignore_ascii_case(skipped))
}

/// The names that a path consists of; none for the workspace itself.
fn names(path: &str) -> Result<Vec<&OsStr>, FileError> {
    let refused = |why: &str| Err(FileError(format!("{} {why}", shown(path))));
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
    if names.iter().any(|name| {
        VERSION_CONTROL
            .iter()
            .any(|kept| name.eq_ignore_ascii_case(kept))
    }) {
        return refused("belongs to version control and is not read");
    }
    Ok(names)
}

/// A path as an error names it, cut where it is long.
pub(super) fn shown(path: &str) -> String {
    let mut chars = path.chars();
    let start: String = chars.by_ref().take(120).collect();
    let more = if chars.next().is_some() { "…" } else { "" };
    format!("`{}{more}`", start.escape_debug())
}

/// Why a name could not be opened, in words. What they say of links was looked up afterwards and decides nothing.
fn why(folder: &Dir, name: &OsStr, error: &io::Error) -> String {
    if folder
        .symlink_metadata(name)
        .is_ok_and(|found| found.is_symlink())
    {
        return "leads over a symbolic link, which is not followed".to_owned();
    }
    explained(error)
}

fn explained(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "does not exist".to_owned(),
        io::ErrorKind::NotADirectory => "leads through something that is no folder".to_owned(),
        io::ErrorKind::PermissionDenied => "may not be read".to_owned(),
        kind => format!("cannot be read: {kind}"),
    }
}
