//! The folder that a model may work in, and the built-in tools that it is given.

use std::path::{Path, PathBuf};

use agent_sdk::{
    operation::RunId,
    tool::{
        ToolHandle,
        builtin::{BuiltinError, BuiltinErrorKind, HttpRequest},
    },
    workspace::{Named, Workspace, Workspaces},
};
use jiff::tz::TimeZone;

use crate::{args::BuiltinTool, exit::Failure, home, recipe::Recipe};

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

/// The built-in tools that a recipe names.
///
/// # Errors
///
/// Nothing is allowed to one of them, or something that is none; or something is allowed to one that is not named.
pub(crate) fn builtin(recipe: &Recipe) -> Result<Vec<ToolHandle>, Failure> {
    for (flag, tool, names, allowed) in [
        (
            "--allow-host",
            BuiltinTool::HttpRequest,
            "http_request",
            &recipe.allow_hosts,
        ),
        (
            "--allow-program",
            BuiltinTool::RunCommand,
            "run_command",
            &recipe.allow_programs,
        ),
    ] {
        if !allowed.is_empty() && !recipe.tools.contains(&tool) {
            return Err(
                Failure::usage(format!("`{flag}` goes with `--tool {names}`"))
                    .advice("Name the tool too, or leave out what would be allowed to it."),
            );
        }
    }
    let mut tools = Vec::<ToolHandle>::new();
    for (nth, tool) in recipe.tools.iter().enumerate() {
        if recipe.tools.iter().take(nth).any(|before| before == tool) {
            continue;
        }
        tools.push(match tool {
            BuiltinTool::HttpRequest => http_request(recipe)?,
            BuiltinTool::RunCommand => run_command(recipe)?,
        });
    }
    Ok(tools)
}

fn http_request(recipe: &Recipe) -> Result<ToolHandle, Failure> {
    let hosts = recipe.allow_hosts.iter();
    let tool = hosts.fold(HttpRequest::builder(), |tool, host| {
        tool.allow_host(host.as_str())
    });
    let failed = |error| unbuilt("http_request", "--allow-host HOST", &error);
    tool.build().map(Into::into).map_err(failed)
}

#[cfg(unix)]
fn run_command(recipe: &Recipe) -> Result<ToolHandle, Failure> {
    use agent_sdk::tool::builtin::RunCommand;

    let Some(folder) = &recipe.workspace else {
        return Err(
            Failure::usage("`--tool run_command` has no folder to run in")
                .advice("Name one with `--workspace DIR`."),
        );
    };
    let programs = recipe.allow_programs.iter();
    let tool = programs.fold(RunCommand::builder(), |tool, program| {
        tool.allow_program(program.as_str())
    });
    let failed = |error| unbuilt("run_command", "--allow-program NAME", &error);
    tool.directory(folder)
        .build()
        .map(Into::into)
        .map_err(failed)
}

#[cfg(not(unix))]
fn run_command(_: &Recipe) -> Result<ToolHandle, Failure> {
    Err(Failure::usage("`--tool run_command` works on Unix alone").advice("Leave it out."))
}

fn unbuilt(tool: &str, flag: &str, error: &BuiltinError) -> Failure {
    let failure = Failure::usage(format!("`--tool {tool}`: {error}"));
    match error.kind() {
        BuiltinErrorKind::NothingAllowed => failure.advice(format!("Name some with `{flag}`.")),
        _ => failure.advice(format!("Correct `{flag}`.")),
    }
}
