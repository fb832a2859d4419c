//! `write_file` and `append_file`.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    text::strip_controls,
    workspace::{Workspace, WorkspaceError, write::Mode},
};

pub(in crate::workspace) const WRITE: &str = "Writes a text file of the workspace, whole. Folders on the way are made. Escape \
    sequences and other control characters but line feed and tab are left out. Answers with the path and the bytes that the file holds.";

pub(in crate::workspace) const APPEND: &str = "Adds text to the end of a text file of the workspace; a file that does not exist is made, \
    and folders on the way. Escape sequences and other control characters but line feed and tab are left out. Answers with the path \
    and the bytes that the file holds then.";

/// What `write_file` takes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::workspace) struct WriteArguments {
    /// The file, from the workspace, such as `notes/summary.md`.
    pub(in crate::workspace) path: String,
    /// All that the file shall hold.
    pub(in crate::workspace) content: String,
    /// What happens to a file that exists: `overwrite` replaces it, `create` fails unless it holds the same. Default: `overwrite`.
    #[serde(default)]
    pub(in crate::workspace) mode: WriteMode,
}

/// What `write_file` does with a file that exists.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(in crate::workspace) enum WriteMode {
    #[default]
    Overwrite,
    Create,
}

/// What `append_file` takes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::workspace) struct AppendArguments {
    /// The file, from the workspace, such as `notes/log.md`.
    pub(in crate::workspace) path: String,
    /// What comes after what the file holds.
    pub(in crate::workspace) content: String,
}

/// What both answer.
#[derive(Debug, PartialEq, Serialize)]
pub(in crate::workspace) struct Written {
    pub(in crate::workspace) path: String,
    pub(in crate::workspace) bytes: u64,
    /// Said where the file holds something else than was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::workspace) note: Option<&'static str>,
}

pub(in crate::workspace) fn write(
    workspace: &Workspace,
    arguments: &WriteArguments,
) -> Result<Written, WorkspaceError> {
    let mode = match arguments.mode {
        WriteMode::Overwrite => Mode::Overwrite,
        WriteMode::Create => Mode::Create,
    };
    save(workspace, &arguments.path, &arguments.content, mode)
}

pub(in crate::workspace) fn append(
    workspace: &Workspace,
    arguments: &AppendArguments,
) -> Result<Written, WorkspaceError> {
    save(workspace, &arguments.path, &arguments.content, Mode::Append)
}

fn save(
    workspace: &Workspace,
    path: &str,
    content: &str,
    mode: Mode,
) -> Result<Written, WorkspaceError> {
    let text = strip_controls(content);
    let artifact = workspace.put(path, text.as_bytes(), mode)?;
    let note = match text {
        Cow::Borrowed(_) => None,
        Cow::Owned(_) => Some("control characters were left out"),
    };
    Ok(Written {
        path: artifact.path,
        bytes: artifact.bytes,
        note,
    })
}
