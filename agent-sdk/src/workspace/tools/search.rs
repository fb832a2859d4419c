//! `search_files`.

use std::{fmt::Write, io::Read, ops::ControlFlow};

use cap_std::fs::File;
use regex::bytes::{Regex, RegexBuilder};
use schemars::JsonSchema;
use serde::Deserialize;

use super::read::PROBED_BYTES;
use crate::workspace::{
    WorkspaceError,
    jail::{self, Jail, Place},
    walk::{self, Walk, Wanted},
};

pub(in crate::workspace) const DESCRIPTION: &str = "Searches the text files of the workspace for a text, or a regular expression, within lines. \
    Each match is `path:line: the line`. At most 200 matches; binary files, links, and folders such as `.git`, `target` and \
    `node_modules` are left out.";

/// The most matches of an answer.
pub(in crate::workspace) const MATCHES: usize = 200;
/// The most bytes that are searched of one file, and of all.
pub(in crate::workspace) const FILE_BYTES: u64 = 1024 * 1024;
const ALL_BYTES: u64 = 128 * 1024 * 1024;
/// The most files and folders that are looked at.
const ENTRIES: usize = 50_000;
/// The most characters of a line that are shown, and how many of them before the match.
pub(in crate::workspace) const LINE_CHARS: usize = 240;
const BEFORE_MATCH: usize = 80;
const PATTERN_BYTES: usize = 1000;
const DEPTH: usize = 24;

/// What `search_files` takes.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::workspace) struct SearchArguments {
    /// What to look for within a line: as it is written, unless `regex` is true.
    pub(in crate::workspace) pattern: String,
    /// The file or folder to search, from the workspace. Default: the whole workspace.
    #[serde(default)]
    pub(in crate::workspace) path: Option<String>,
    /// Whether `pattern` is a regular expression, without look-around and back-references. Default: false.
    #[serde(default)]
    pub(in crate::workspace) regex: bool,
    /// Whether upper and lower case are the same. Default: false.
    #[serde(default)]
    pub(in crate::workspace) ignore_case: bool,
}

pub(in crate::workspace) fn search(
    jail: &Jail,
    arguments: &SearchArguments,
    wanted: Wanted<'_>,
) -> Result<String, WorkspaceError> {
    let path = arguments.path.as_deref().unwrap_or(".");
    let mut search = Search {
        pattern: compile(arguments)?,
        found: String::new(),
        matches: 0,
        files: 0,
        bytes_left: ALL_BYTES,
        shortened: 0,
        stopped: None,
    };
    let mut walk = Walk {
        wanted,
        depth: DEPTH,
        generated: false,
        is_cut: false,
    };
    match jail.find(path)? {
        Place::File(file, _) => {
            if search.file(&walk::tidy(path), file) == Searched::Binary {
                return Err(WorkspaceError::invalid(format!(
                    "{} is not text",
                    jail::shown(path)
                )));
            }
        }
        Place::Folder(folder) => {
            let mut entries = 0;
            let ended = walk.visit(&folder, &walk::tidy(path), &mut |entry| {
                entries += 1;
                if entries > ENTRIES {
                    search.stopped = Some("too many files");
                } else if entry.kind.is_file()
                    && let Ok((file, _)) = jail::open_file(entry.path, entry.folder, entry.name)
                {
                    search.file(entry.path, file);
                }
                match search.stopped {
                    Some(_) => ControlFlow::Break(()),
                    None => ControlFlow::Continue(()),
                }
            });
            if ended.is_break() {
                search.stopped.get_or_insert("the time is up");
            }
        }
    }
    Ok(search.answer(walk.is_cut))
}

fn compile(arguments: &SearchArguments) -> Result<Regex, WorkspaceError> {
    let pattern = &arguments.pattern;
    if pattern.is_empty() || pattern.len() > PATTERN_BYTES {
        return Err(WorkspaceError::invalid(format!(
            "`pattern` must have 1 to {PATTERN_BYTES} bytes"
        )));
    }
    if !arguments.regex && pattern.contains('\n') {
        return Err(WorkspaceError::invalid(
            "`pattern` must not hold a line feed: lines are searched one by one".to_owned(),
        ));
    }
    let expression = if arguments.regex {
        pattern.clone()
    } else {
        regex::escape(pattern)
    };
    RegexBuilder::new(&expression)
        .case_insensitive(arguments.ignore_case)
        .size_limit(1 << 20)
        .dfa_size_limit(1 << 20)
        .build()
        .map_err(|error| {
            WorkspaceError::invalid(format!(
                "`pattern` is no regular expression that can be used: {error}"
            ))
        })
}

/// A search under way.
struct Search {
    pattern: Regex,
    found: String,
    matches: usize,
    files: usize,
    bytes_left: u64,
    /// How many files were not searched to their end.
    shortened: usize,
    /// Why it ended early.
    stopped: Option<&'static str>,
}

#[derive(PartialEq, Eq)]
enum Searched {
    Text,
    Binary,
}

impl Search {
    /// Searches a file. One that cannot be read counts as empty: it may have gone.
    fn file(&mut self, path: &str, file: File) -> Searched {
        let mut bytes = Vec::new();
        let limit = FILE_BYTES.min(self.bytes_left);
        let mut limited = file.take(limit + 1);
        if limited.read_to_end(&mut bytes).is_err() {
            return Searched::Text;
        }
        if memchr::memchr(0, bytes.get(..PROBED_BYTES).unwrap_or(&bytes)).is_some() {
            return Searched::Binary;
        }
        self.files += 1;
        self.bytes_left = self.bytes_left.saturating_sub(bytes.len() as u64);
        if bytes.len() as u64 > limit {
            self.shortened += 1;
        }
        for (number, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let Some(found) = self.pattern.find(line) else {
                continue;
            };
            if self.matches == MATCHES {
                self.stopped = Some("200 matches");
                return Searched::Text;
            }
            self.matches += 1;
            let shown = around(line, found.start());
            // Writing to a `String` cannot fail.
            let _ = writeln!(
                self.found,
                "{}:{}: {shown}",
                path.escape_debug(),
                number + 1
            );
        }
        if self.bytes_left == 0 {
            self.stopped = Some("128 MiB searched");
        }
        Searched::Text
    }

    fn answer(mut self, is_cut: bool) -> String {
        let _ = match self.matches {
            0 => writeln!(self.found, "[no match in {} files]", self.files),
            _ => Ok(()),
        };
        if let Some(why) = self.stopped {
            let _ = writeln!(
                self.found,
                "[stopped early: {why}; search a narrower path or pattern]"
            );
        }
        if self.shortened > 0 {
            let _ = writeln!(
                self.found,
                "[of {} large files only the first MiB was searched]",
                self.shortened
            );
        }
        if is_cut {
            self.found
                .push_str("[some folders hold too many entries to search them all]\n");
        }
        self.found
    }
}

/// The part of a line around a match.
fn around(line: &[u8], start: usize) -> String {
    let before = String::from_utf8_lossy(line.get(..start).unwrap_or_default());
    let after = String::from_utf8_lossy(line.get(start..).unwrap_or_default());
    let skipped = before.chars().count().saturating_sub(BEFORE_MATCH);
    let mut shown = String::new();
    if skipped > 0 {
        shown.push('…');
    }
    let mut rest = before.chars().skip(skipped).chain(after.chars());
    let room = LINE_CHARS - before.chars().count().min(BEFORE_MATCH);
    let shown_before = before.chars().count() - skipped;
    shown.extend(rest.by_ref().take(shown_before + room));
    if rest.next().is_some() {
        shown.push('…');
    }
    shown
}
