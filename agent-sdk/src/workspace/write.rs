//! Writing a file so that nobody sees a part of it.

use std::io::{self, Read, Write};

use cap_fs_ext::{FollowSymlinks, MetadataExt, OpenOptionsFollowExt};
use cap_std::fs::{Dir, File, Metadata, OpenOptions};
#[cfg(unix)]
use cap_std::fs::{OpenOptionsExt, PermissionsExt};

use super::{
    WorkspaceError, WorkspaceErrorKind,
    jail::{self, Target, shown},
    name::TEMPORARY,
};

/// What happens to a file that exists already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// It is replaced.
    Overwrite,
    /// It stays; the same content is no error, so that writing it twice is the same as once.
    Create,
    /// What is written comes after what it holds.
    Append,
}

/// How a file is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct How {
    pub(super) mode: Mode,
    /// The largest file, in bytes.
    pub(super) max_bytes: u64,
    /// Whether it must survive a loss of power.
    pub(super) sync: bool,
}

/// Writes a file, and answers how many bytes it holds then.
///
/// The bytes go into a file with a name of its own in the same folder, which then takes the path's name in one step. Whoever reads
/// meanwhile sees the old file or the new one. The step replaces the name and not what the name leads to, so that a link which
/// somebody puts there in the last moment is replaced and not followed.
pub(super) fn write(
    path: &str,
    target: &Target<'_>,
    bytes: &[u8],
    how: How,
) -> Result<u64, WorkspaceError> {
    let Target { folder, name } = target;
    let failed = |error| WorkspaceError::io(shown(path), "written", error);
    let existing = match folder.symlink_metadata(name) {
        Ok(found) => Some(found),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(failed(error)),
    };
    let mut whole = Vec::new();
    if let Some(found) = &existing {
        let links = if found.is_file() { found.nlink() } else { 1 };
        jail::is_plain(path, found.is_file(), links)?;
        match how.mode {
            Mode::Overwrite => {}
            Mode::Create => return is_the_same(path, target, bytes),
            Mode::Append => {
                let (file, size) = jail::open_file(path, folder, name.as_ref())?;
                check_size(path, size.saturating_add(bytes.len() as u64), how.max_bytes)?;
                file.take(how.max_bytes)
                    .read_to_end(&mut whole)
                    .map_err(failed)?;
            }
        }
    }
    whole.extend_from_slice(bytes);
    let size = whole.len() as u64;
    check_size(path, size, how.max_bytes)?;
    replace(folder, name, &whole, existing.as_ref(), how.sync).map_err(failed)?;
    Ok(size)
}

/// Refuses what is too large.
pub(super) fn check_size(path: &str, size: u64, max_bytes: u64) -> Result<(), WorkspaceError> {
    if size <= max_bytes {
        return Ok(());
    }
    Err(WorkspaceError::limit(format!(
        "{} would hold {size} bytes; a file may hold {max_bytes}",
        shown(path)
    )))
}

fn is_the_same(path: &str, target: &Target<'_>, bytes: &[u8]) -> Result<u64, WorkspaceError> {
    let (file, size) = jail::open_file(path, &target.folder, target.name.as_ref())?;
    let wanted = bytes.len() as u64;
    let mut held = Vec::new();
    if size == wanted {
        file.take(wanted)
            .read_to_end(&mut held)
            .map_err(|error| WorkspaceError::io(shown(path), "read", error))?;
    }
    if size == wanted && held == bytes {
        return Ok(wanted);
    }
    Err(WorkspaceError::new(
        WorkspaceErrorKind::AlreadyExists,
        format!("{} exists already and holds something else", shown(path)),
    ))
}

fn replace(
    folder: &Dir,
    name: &str,
    bytes: &[u8],
    existing: Option<&Metadata>,
    sync: bool,
) -> io::Result<()> {
    let (mut file, temporary) = Temporary::make(folder, existing.is_some())?;
    file.write_all(bytes)?;
    #[cfg(unix)]
    if let Some(existing) = existing {
        // The bits that make a program run as somebody else are not passed on.
        let mode = existing.permissions().mode() & 0o777;
        file.set_permissions(PermissionsExt::from_mode(mode))?;
    }
    if sync {
        file.sync_all()?;
    }
    // Some systems do not rename a file that is open.
    drop(file);
    temporary.becomes(name)?;
    #[cfg(unix)]
    if sync {
        // The handle itself may be one that only names the folder.
        folder.open(".")?.sync_all()?;
    }
    Ok(())
}

/// A file under a name that nobody else uses; removed unless it [becomes](Self::becomes) another.
struct Temporary<'a> {
    folder: &'a Dir,
    name: String,
    is_over: bool,
}

impl<'a> Temporary<'a> {
    fn make(folder: &'a Dir, is_private: bool) -> io::Result<(File, Self)> {
        let mut options = OpenOptions::new();
        options
            .write(true)
            .create_new(true)
            .follow(FollowSymlinks::No);
        // What replaces a file that only its owner may read is never readable by others. A new one is as the system makes files.
        #[cfg(unix)]
        options.mode(if is_private { 0o600 } else { 0o666 });
        #[cfg(not(unix))]
        let _ = is_private;
        let name = format!("{TEMPORARY}{:032x}", fastrand::u128(..));
        let file = folder.open_with(&name, &options)?;
        let temporary = Self {
            folder,
            name,
            is_over: false,
        };
        Ok((file, temporary))
    }

    fn becomes(mut self, name: &str) -> io::Result<()> {
        self.folder.rename(&self.name, self.folder, name)?;
        self.is_over = true;
        Ok(())
    }
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            // The error that led here is the one to tell.
            let _ = self.folder.remove_file(&self.name);
        }
    }
}
