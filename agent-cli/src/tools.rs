//! The folder that a model may work in.

use std::path::Path;

use agent_sdk::workspace::Workspace;

use crate::exit::Failure;

/// Opens the folder that `--workspace` names.
///
/// # Errors
///
/// It cannot be opened.
pub(crate) fn workspace(folder: &Path) -> Result<Workspace, Failure> {
    Workspace::open(folder).map_err(|error| {
        let shown = folder.display();
        Failure::usage(format!("`--workspace {shown}` cannot be opened"))
            .because(&error)
            .advice("Name a folder that exists and that you may read.")
    })
}
