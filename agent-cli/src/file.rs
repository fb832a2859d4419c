//! Files that hold what was said.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::Path,
};

use crate::exit::{Exit, Failure};

/// Writes a file that only this user may read. It takes its name when it is whole, in place of whatever had it.
///
/// # Errors
///
/// It cannot be written.
pub(crate) fn write(path: &Path, document: &str) -> Result<u64, Failure> {
    replace(path, document).map_err(|error| {
        Failure::new(
            Exit::Failed,
            format!("{} cannot be written: {error}", path.display()),
        )
        .advice("Name a file in a folder that you may write.")
    })
}

fn replace(path: &Path, document: &str) -> io::Result<u64> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let new = path.with_file_name(format!(".{name}.{}", std::process::id()));
    let done = private(&new).and_then(|mut file| {
        file.write_all(document.as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        fs::rename(&new, path)?;
        Ok(document.len() as u64 + 1)
    });
    if done.is_err() {
        // What was begun is of no use; that it cannot be removed is no second failure.
        let _ = fs::remove_file(&new);
    }
    done
}

fn private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
