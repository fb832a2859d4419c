//! `list_files`.

use std::{fmt::Write, ops::ControlFlow};

use schemars::JsonSchema;
use serde::Deserialize;

use crate::workspace::{
    WorkspaceError,
    jail::Jail,
    walk::{self, Walk, Wanted},
};

pub(in crate::workspace) const DESCRIPTION: &str = "Lists the files and folders of a folder in the workspace, and of the folders inside it, \
    with sizes in bytes. Folders end in `/`; `...` after one means that what it holds is not listed. At most 1,000 entries.";

/// The most entries of an answer.
pub(in crate::workspace) const ENTRIES: usize = 1000;
const DEPTH: usize = 4;
const MAX_DEPTH: usize = 12;

/// What `list_files` takes.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::workspace) struct ListArguments {
    /// The folder, from the workspace, such as `src`. Default: the workspace itself.
    #[serde(default)]
    pub(in crate::workspace) path: Option<String>,
    /// How many folders deep to look, 1 to 12. Default: 4.
    #[serde(default)]
    pub(in crate::workspace) depth: Option<usize>,
}

pub(in crate::workspace) fn list(
    jail: &Jail,
    arguments: &ListArguments,
    wanted: Wanted<'_>,
) -> Result<String, WorkspaceError> {
    let path = arguments.path.as_deref().unwrap_or(".");
    let folder = jail.folder(path)?;
    let depth = arguments.depth.unwrap_or(DEPTH).clamp(1, MAX_DEPTH);
    let mut walk = Walk {
        wanted,
        depth,
        generated: false,
        is_cut: false,
    };
    let (mut listed, mut entries) = (String::new(), 0);
    let ended = walk.visit(&folder, &walk::tidy(path), &mut |entry| {
        if entries == ENTRIES {
            return ControlFlow::Break(());
        }
        entries += 1;
        // A name may hold a line feed, which would look like another entry. Writing to a `String` cannot fail.
        let name = entry.path.escape_debug();
        let _ = if entry.kind.is_symlink() {
            writeln!(listed, "{name} (link, not followed)")
        } else if entry.kind.is_dir() {
            writeln!(
                listed,
                "{name}/{}",
                if entry.is_entered { "" } else { " ..." }
            )
        } else {
            match entry.folder.symlink_metadata(entry.name) {
                Ok(found) if found.is_file() => writeln!(listed, "{name} {}", found.len()),
                _ => writeln!(listed, "{name} (no regular file)"),
            }
        };
        ControlFlow::Continue(())
    });
    if ended.is_break() {
        listed.push_str("[cut at 1,000 entries: list a folder inside, or less deep]\n");
    } else if walk.is_cut {
        listed.push_str("[some folders hold too many entries to list them all]\n");
    } else if entries == 0 {
        listed.push_str("[empty]\n");
    }
    Ok(listed)
}
