//! `agent runs export`.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::Path,
};

use serde_json::Value;

use agent_sdk::text::escape_json;

use crate::{
    args::ExportArguments,
    exit::{Exit, Failure},
    home::Home,
    output::Output,
    text::bytes,
};

pub(super) fn run(
    home: &Home,
    arguments: &ExportArguments,
    output: &mut Output,
) -> Result<(), Failure> {
    let run = home.run(&arguments.id)?;
    let document = home.wait(home.runs().export(run.id.as_str()))?;
    let Some(path) = &arguments.output else {
        return output.line(escape_json(&document.to_string()));
    };
    let written = write(path, &document).map_err(|error| {
        Failure::new(
            Exit::Failed,
            format!("{} cannot be written: {error}", path.display()),
        )
        .advice("Name a file in a folder that you may write.")
    })?;
    output.line(format_args!(
        "exported run {} to {}, {}",
        run.id,
        path.display(),
        bytes(written)
    ))
}

/// Writes a file that only this user may read. It takes its name when it is whole, in place of whatever had it.
fn write(path: &Path, document: &Value) -> io::Result<u64> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let new = path.with_file_name(format!(".{name}.{}", std::process::id()));
    let done = private(&new).and_then(|mut file| {
        let json = document.to_string();
        file.write_all(json.as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        fs::rename(&new, path)?;
        Ok(json.len() as u64 + 1)
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
