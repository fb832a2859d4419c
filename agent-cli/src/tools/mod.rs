//! Tools that read files: `list_files`, `read_file` and `search_files`.
//!
//! They see one folder, the workspace, through a handle that was opened when the run began ([`Jail`]). Names are looked up one
//! after the other from that handle and links are not followed, so what somebody swaps in between leads nowhere else. All three
//! only read, give the same answer for the same files, and stop at limits that their answers name.

mod jail;
mod list;
mod read;
mod search;
#[cfg(test)]
mod tests;
mod walk;

use std::{fmt, path::Path, sync::Arc};

use agent_sdk::tool::{BlockingTool, Effect, ToolContext, ToolHandle, ToolOptions};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;

pub(crate) use self::jail::Jail;
use crate::exit::Failure;

/// Why a file tool cannot answer; the model reads it.
#[derive(Debug)]
pub(crate) struct FileError(String);

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Asks whether the work is still wanted.
type Wanted<'a> = &'a dyn Fn() -> bool;

/// The file tools for a folder.
///
/// # Errors
///
/// The folder cannot be opened.
pub(crate) fn file_tools(workspace: &Path) -> Result<Vec<ToolHandle>, Failure> {
    let jail = Arc::new(Jail::open(workspace).map_err(|error| {
        let shown = workspace.display();
        Failure::usage(format!("`--workspace {shown}` cannot be opened: {error}"))
            .advice("Name a folder that exists and that you may read.")
    })?);
    Ok(vec![
        tool(&jail, "list_files", list::DESCRIPTION, list::list),
        tool(&jail, "read_file", read::DESCRIPTION, read::read),
        tool(&jail, "search_files", search::DESCRIPTION, search::search),
    ])
}

fn tool<A>(
    jail: &Arc<Jail>,
    name: &str,
    description: &str,
    work: fn(&Jail, &A, Wanted<'_>) -> Result<String, FileError>,
) -> ToolHandle
where
    A: DeserializeOwned + JsonSchema + Send + 'static,
{
    let jail = Arc::clone(jail);
    let call = move |context: ToolContext, arguments: A| {
        work(&jail, &arguments, &|| {
            !context.cancellation().is_cancelled()
        })
    };
    let options = ToolOptions::default().with_effect(Effect::ReadOnly);
    BlockingTool::new(name, description, call)
        .options(options)
        .into()
}
