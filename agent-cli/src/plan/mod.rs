//! `agent plan`: whether a plan is right, how it looks, and running it.
//!
//! [`mod@run`] and [`goal`] begin plans, [`mod@resume`] goes on with them, [`perform`] does it and shows it, with the agents of [`team`];
//! [`outputs`] saves what came of it in a folder of the run's own.

mod check;
mod end;
mod goal;
mod outputs;
mod params;
mod perform;
mod place;
mod resume;
mod run;
mod show;
mod source;
mod team;
mod walk;

use agent_sdk::{plan::Plan, text::escape_json};

pub(crate) use self::{goal::run as run_goal, resume::run as resume};
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
pub(crate) fn run(command: PlanCommand, mut output: Output) -> Result<Exit, Failure> {
    match command {
        PlanCommand::Check(arguments) => check::run(&arguments, &mut output),
        PlanCommand::Show(arguments) => show::run(&arguments, &mut output),
        PlanCommand::Run(arguments) => run::run(*arguments, output),
        PlanCommand::Schema => schema(&mut output),
    }
}

fn schema(output: &mut Output) -> Result<Exit, Failure> {
    for line in format!("{:#}", Plan::json_schema()).lines() {
        output.line(escape_json(line))?;
    }
    Ok(Exit::Ok)
}
