//! `read_file`.

use std::{
    fmt::Write,
    io::{BufRead, BufReader, Read},
};

use cap_std::fs::File;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::workspace::{
    WorkspaceError,
    jail::{Jail, shown},
    walk::Wanted,
};

pub(in crate::workspace) const DESCRIPTION: &str = "Reads a text file of the workspace, whole or some of its lines. At most 256 KiB at once; \
    where more is left, the answer says from which line to go on.";

/// The most bytes of an answer, the note at its end included.
pub(in crate::workspace) const ANSWER_BYTES: usize = 256 * 1024;
/// What is kept for the note.
const NOTE_BYTES: usize = 128;
/// How far into a file lines are counted.
const SCANNED_BYTES: u64 = 256 * 1024 * 1024;
/// Where a NUL byte means that the file is no text.
pub(in crate::workspace) const PROBED_BYTES: usize = 8 * 1024;

/// What `read_file` takes.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::workspace) struct ReadArguments {
    /// The file, from the workspace, such as `src/lib.rs`.
    pub(in crate::workspace) path: String,
    /// The first line to read, from 1. Default: 1.
    #[serde(default)]
    pub(in crate::workspace) first_line: Option<u64>,
    /// The most lines to read. Default: all.
    #[serde(default)]
    pub(in crate::workspace) max_lines: Option<u64>,
}

pub(in crate::workspace) fn read(
    jail: &Jail,
    arguments: &ReadArguments,
    wanted: Wanted<'_>,
) -> Result<String, WorkspaceError> {
    let path = &arguments.path;
    let (file, size) = jail.file(path)?;
    let failed = |error: std::io::Error| {
        WorkspaceError::invalid(format!("{} cannot be read: {}", shown(path), error.kind()))
    };
    let mut reader = BufReader::with_capacity(64 * 1024, file.take(SCANNED_BYTES));
    let probe = reader.fill_buf().map_err(failed)?;
    if memchr::memchr(0, probe.get(..PROBED_BYTES).unwrap_or(probe)).is_some() {
        return Err(WorkspaceError::invalid(format!(
            "{} is not text: {size} bytes of something else",
            shown(path)
        )));
    }
    let first = arguments.first_line.unwrap_or(1).max(1);
    let skipped = skip_lines(&mut reader, first - 1, wanted).map_err(failed)?;
    if skipped < first - 1 {
        return Err(WorkspaceError::invalid(format!(
            "{} has no line {first}",
            shown(path)
        )));
    }
    let mut lines = Lines::read(&mut reader, arguments.max_lines, wanted).map_err(failed)?;
    let mut text = String::from_utf8_lossy(&lines.bytes).into_owned();
    if text.len() > ANSWER_BYTES - NOTE_BYTES {
        text.truncate(text.floor_char_boundary(ANSWER_BYTES - NOTE_BYTES));
        lines.is_cut = true;
    }
    let ended = text.bytes().filter(|byte| *byte == b'\n').count() as u64;
    let next = first.saturating_add(ended);
    // Writing to a `String` cannot fail.
    if lines.is_cut {
        let _ = write!(
            text,
            "\n[cut at 256 KiB of {size} bytes, within line {next}]"
        );
    } else if lines.more {
        let _ = write!(text, "\n[more: go on with `first_line` {next}]");
    } else if text.is_empty() {
        text.push_str("[empty]");
    }
    Ok(text)
}

/// Reads over lines; how many there were.
fn skip_lines(
    reader: &mut BufReader<std::io::Take<File>>,
    lines: u64,
    wanted: Wanted<'_>,
) -> std::io::Result<u64> {
    let mut skipped = 0;
    while skipped < lines && wanted() {
        let found = reader.fill_buf()?;
        if found.is_empty() {
            break;
        }
        let end = memchr::memchr(b'\n', found);
        let length = end.map_or(found.len(), |end| end + 1);
        skipped += u64::from(end.is_some());
        reader.consume(length);
    }
    // A line that nothing follows is no line to go on with.
    if skipped == lines && lines > 0 && reader.fill_buf()?.is_empty() {
        return Ok(lines - 1);
    }
    Ok(skipped)
}

/// The lines that were read.
struct Lines {
    bytes: Vec<u8>,
    /// How many were read to their end.
    ended: u64,
    /// There are more lines.
    more: bool,
    /// The last one is not whole, because the answer is full.
    is_cut: bool,
}

impl Lines {
    fn read(
        reader: &mut BufReader<std::io::Take<File>>,
        most: Option<u64>,
        wanted: Wanted<'_>,
    ) -> std::io::Result<Self> {
        let most = most.unwrap_or(u64::MAX).max(1);
        let mut lines = Self {
            bytes: Vec::new(),
            ended: 0,
            more: false,
            is_cut: false,
        };
        while wanted() {
            let found = reader.fill_buf()?;
            if found.is_empty() {
                break;
            }
            let room = ANSWER_BYTES - NOTE_BYTES - lines.bytes.len();
            if lines.ended == most {
                lines.more = true;
                break;
            }
            if room == 0 {
                lines.is_cut = true;
                break;
            }
            let end = memchr::memchr(b'\n', found).map_or(found.len(), |end| end + 1);
            let taken = found.get(..end.min(room)).unwrap_or_default();
            lines.ended += u64::from(taken.last() == Some(&b'\n'));
            lines.bytes.extend_from_slice(taken);
            let taken = taken.len();
            reader.consume(taken);
        }
        if lines.is_cut {
            // Bytes of a character that is not whole would show as damage.
            let whole = lines.bytes.utf8_chunks().last().map_or(0, |last| {
                if last.invalid().len() < 4 {
                    last.invalid().len()
                } else {
                    0
                }
            });
            lines.bytes.truncate(lines.bytes.len() - whole);
        }
        Ok(lines)
    }
}
