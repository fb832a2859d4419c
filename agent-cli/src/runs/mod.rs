//! `agent runs`: the runs that are kept.

mod export;
mod list;
mod show;
mod timeline;

use std::borrow::Cow;

use agent_sdk::journal::StoredRun;
use jiff::Timestamp;
use serde_json::Value;

use crate::{
    args::RunsCommand,
    exit::{Exit, Failure},
    home::{self, Home},
    output::Output,
    recipe::Recipe,
};

/// Does what `agent runs` says.
///
/// # Errors
///
/// The store cannot be opened, or the run is not there.
pub(crate) fn run(command: &RunsCommand, output: &mut Output) -> Result<Exit, Failure> {
    let home = Home::open()?;
    match command {
        RunsCommand::List(arguments) => list::run(&home, arguments, output)?,
        RunsCommand::Show(arguments) => show::run(&home, arguments, output)?,
        RunsCommand::Export(arguments) => export::run(&home, arguments, output)?,
        RunsCommand::Delete(arguments) => {
            let run = home.run(&arguments.id)?;
            home.wait(home.runs().delete(run.id.as_str()))?;
            output.line(format_args!("deleted run {}", run.id))?;
        }
    }
    Ok(Exit::Ok)
}

/// The model of a run; of a plan's, the one that its agents ask where their steps name no other;
/// empty where it has no agents.
fn model(run: &StoredRun) -> Cow<'_, str> {
    if Recipe::is_of_plan(run) {
        let recipe = Recipe::kept_of_plan(run).unwrap_or_default();
        return recipe.model.into();
    }
    Cow::Borrowed(&run.summary.model)
}

/// A run as JSON, with its status in the words of the list.
fn json(run: &StoredRun, now: Timestamp) -> Result<Value, Failure> {
    let mut json = to_value(run)?;
    if let Some(object) = json.as_object_mut() {
        object.insert("status".to_owned(), home::status(run, now).into());
    }
    Ok(json)
}

fn to_value(value: &impl serde::Serialize) -> Result<Value, Failure> {
    serde_json::to_value(value)
        .map_err(|error| Failure::new(Exit::Failed, format!("a run is no JSON: {error}")))
}
