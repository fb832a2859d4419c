//! The folder that a model may work in.

use std::path::{Path, PathBuf};

use agent_sdk::{
    operation::RunId,
    workspace::{Named, Workspace, Workspaces},
};
use jiff::tz::TimeZone;

use crate::{exit::Failure, home};

/// Makes a folder for a run, in the user's home of what is kept.
///
/// # Errors
///
/// It cannot be made.
pub(crate) fn own_workspace(prompt: &str, run: &RunId) -> Result<PathBuf, Failure> {
    let failure =
        |what: String| Failure::usage(format!("no folder can be made for the run: {what}"));
    let home = agent_sdk::store::home().map_err(|error| failure(error.to_string()))?;
    let named = Named::new(prompt, home::now())
        .time_zone(TimeZone::system())
        .run(run.as_str());
    Workspaces::new(home.join("workspaces"))
        .create(&named)
        .map(|workspace| workspace.path().to_owned())
        .map_err(|error| {
            failure(error.to_string())
                .because(&error)
                .advice("AGENT_SDK_HOME names the folder that it would be in; `--workspace DIR` names one of yours.")
        })
}

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
