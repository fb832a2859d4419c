//! `agent plan`: whether a plan is right, and how it looks.

mod check;
mod place;
mod show;
mod source;

use agent_sdk::{plan::Plan, text::escape_json};

use crate::{
    args::PlanCommand,
    exit::{Exit, Failure},
    output::Output,
};

/// Does what `agent plan` says.
///
/// # Errors
///
/// The plan cannot be read or has mistakes, or what was asked for cannot be written.
pub(crate) fn run(command: &PlanCommand, output: &mut Output) -> Result<Exit, Failure> {
    match command {
        PlanCommand::Check(arguments) => check::run(arguments, output),
        PlanCommand::Show(arguments) => show::run(arguments, output),
        PlanCommand::Schema => schema(output),
    }
}

fn schema(output: &mut Output) -> Result<Exit, Failure> {
    for line in format!("{:#}", Plan::json_schema()).lines() {
        output.line(escape_json(line))?;
    }
    Ok(Exit::Ok)
}
