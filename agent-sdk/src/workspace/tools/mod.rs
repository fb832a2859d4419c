//! Tools that work in a workspace: `list_files`, `read_file`, `search_files`, `write_file` and `append_file`.
//!
//! The first three only read, give the same answer for the same files, and stop at limits that their answers name. The other two
//! change one file at once, and run alone: several calls of one turn see each other's changes in the order of the calls.

pub(super) mod list;
pub(super) mod read;
pub(super) mod search;
pub(super) mod write;

use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};

use super::{Workspace, WorkspaceError, jail::Jail, walk::Wanted};
use crate::tool::{BlockingTool, Concurrency, Effect, ToolContext, ToolHandle, ToolOptions};

/// The tools that only read.
pub(super) fn reading(workspace: &Workspace) -> Vec<ToolHandle> {
    vec![
        reader(workspace, "list_files", list::DESCRIPTION, list::list),
        reader(workspace, "read_file", read::DESCRIPTION, read::read),
        reader(
            workspace,
            "search_files",
            search::DESCRIPTION,
            search::search,
        ),
    ]
}

/// The tools that write.
pub(super) fn writing(workspace: &Workspace) -> Vec<ToolHandle> {
    vec![
        // Both of its modes leave the same file when the call is made again.
        writer(
            workspace,
            "write_file",
            write::WRITE,
            Effect::Idempotent,
            write::write,
        ),
        writer(
            workspace,
            "append_file",
            write::APPEND,
            Effect::Write,
            write::append,
        ),
    ]
}

fn reader<A>(
    workspace: &Workspace,
    name: &str,
    description: &str,
    work: fn(&Jail, &A, Wanted<'_>) -> Result<String, WorkspaceError>,
) -> ToolHandle
where
    A: DeserializeOwned + JsonSchema + Send + 'static,
{
    let workspace = workspace.clone();
    let call = move |context: ToolContext, arguments: A| {
        work(workspace.jail(), &arguments, &|| {
            !context.cancellation().is_cancelled()
        })
    };
    let options = ToolOptions::default().with_effect(Effect::ReadOnly);
    BlockingTool::new(name, description, call)
        .options(options)
        .into()
}

fn writer<A, T>(
    workspace: &Workspace,
    name: &str,
    description: &str,
    effect: Effect,
    work: fn(&Workspace, &A) -> Result<T, WorkspaceError>,
) -> ToolHandle
where
    A: DeserializeOwned + JsonSchema + Send + 'static,
    T: Serialize + 'static,
{
    let workspace = workspace.clone();
    let call = move |context: ToolContext, arguments: A| {
        work(&workspace.within(context.run().run_id()), &arguments)
    };
    let options = ToolOptions::default()
        .with_effect(effect)
        .with_concurrency(Concurrency::Exclusive);
    BlockingTool::new(name, description, call)
        .options(options)
        .into()
}
