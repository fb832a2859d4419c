//! `agent inspect response`: what a client would have read in the bytes of a provider's answer.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use agent_sdk::{
    model::{Limits, provider::inspect},
    text::escape_json,
};

use crate::{
    args::InspectResponseArguments,
    exit::{Exit, Failure},
    output::Output,
};

/// Does what `agent inspect response` says. An answer that is an error is printed as one, and is no failure of the command.
///
/// # Errors
///
/// The file cannot be read, or is larger than any answer may be.
pub(crate) fn response(
    arguments: &InspectResponseArguments,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let bytes = read(&arguments.file)?;
    let inspection = inspect(arguments.api, arguments.status, arguments.stream, &bytes);
    let json = serde_json::to_string_pretty(&inspection).map_err(|error| {
        Failure::new(Exit::Failed, "the result cannot be written as JSON").because(&error)
    })?;
    for line in json.lines() {
        output.line(escape_json(line))?;
    }
    Ok(Exit::Ok)
}

/// The bytes of a file, or of standard input where it is `-`.
fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let limit = Limits::default().reply_bytes;
    let mut bytes = Vec::new();
    let more_than_allowed = limit as u64 + 1;
    let read = if path.as_os_str() == "-" {
        io::stdin()
            .lock()
            .take(more_than_allowed)
            .read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|file| file.take(more_than_allowed).read_to_end(&mut bytes))
    };
    read.map_err(|error| {
        Failure::usage(format!("`{}` cannot be read", path.display())).because(&error)
    })?;
    if bytes.len() > limit {
        return Err(Failure::usage(format!(
            "`{}` is larger than the {limit} bytes that an answer may have",
            path.display()
        )));
    }
    Ok(bytes)
}
