//! The `agent` command: runs an agent and shows what it did, how long it took and what it cost.
//!
//! [`args`] is the command line, one module each does what a subcommand says, [`output`] writes, [`exit`] has the exit codes.
#![forbid(unsafe_code)]

mod approve;
mod args;
mod budget;
mod cleanup;
mod columns;
mod cost;
mod demo;
mod doctor;
mod exit;
mod explain;
mod file;
mod halt;
mod home;
mod inspect;
mod interrupt;
mod live;
mod model;
mod output;
mod perform;
mod person;
mod plan;
mod prices;
mod prompt;
mod questions;
mod recipe;
mod replay;
mod resume;
mod run;
mod runs;
mod screen;
mod secret;
mod sessions;
mod stage;
mod steps;
mod terminal;
mod text;
mod tools;
mod tree;
mod watch;

use std::{ffi::OsString, process::ExitCode};

use agent_sdk::operation::SystemClock;
use clap::Parser;

use crate::{
    args::{Arguments, Command, Inspect},
    exit::{Exit, Failure},
    output::Output,
};

fn main() -> ExitCode {
    let exit = run(std::env::args_os().collect()).unwrap_or_else(|failure| {
        Output::standard().note(&failure);
        failure.exit
    });
    exit.into()
}

fn run(arguments: Vec<OsString>) -> Result<Exit, Failure> {
    let mut output = Output::standard();
    let shown: Vec<_> = arguments
        .iter()
        .map(|argument| argument.to_string_lossy())
        .collect();
    if let Some(warning) = secret::warning(shown.iter().map(|argument| &**argument)) {
        output.note(warning);
    }
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(answer) if answer.use_stderr() => {
            output.note(answer);
            return Ok(Exit::Usage);
        }
        // Help and version are answers, not errors.
        Err(answer) => {
            output.write(answer)?;
            return Ok(Exit::Ok);
        }
    };
    match arguments.command {
        Command::Budget(arguments) => budget::run(&arguments.what, &mut output),
        Command::Cost(arguments) => cost::run(&arguments, &SystemClock::default(), &mut output),
        Command::Plan(arguments) => plan::run(arguments.what, output),
        Command::Prices(arguments) => prices::run(&arguments.what, &mut output),
        Command::Doctor(arguments) => doctor::run(&arguments, &mut output),
        Command::Inspect(arguments) => match arguments.what {
            Inspect::Response(arguments) => inspect::response(&arguments, &mut output),
        },
        Command::Run(arguments) => run::run(*arguments, output),
        Command::Resume(arguments) => resume::run(arguments, output),
        Command::Replay(arguments) => replay::run(&arguments, output),
        Command::Interrupt(arguments) => halt::run(&arguments, &mut output),
        Command::Approve(arguments) => approve::run(arguments, &mut output),
        Command::Runs(arguments) => runs::run(&arguments.what, &mut output),
        Command::Sessions(arguments) => sessions::run(arguments, &mut output),
        Command::Cleanup(arguments) => cleanup::run(&arguments, &mut output),
        Command::Demo(arguments) => demo::run(arguments, output),
    }
}
