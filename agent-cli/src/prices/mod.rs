//! `agent prices`: which prices are in use, where they are from, and newer ones.

mod diff;
mod list;
mod refresh;
mod show;

use std::path::PathBuf;

use agent_sdk::{
    cost::{PriceBook, PriceEntry, PriceError, PriceErrorKind, PriceRate, PriceTable},
    store,
};

use crate::{
    args::PricesCommand,
    exit::{Exit, Failure},
    output::Output,
};

/// The table that `agent prices refresh` writes, in the folder of the store.
const FILE: &str = "prices.json";

/// Does what `agent prices` says.
///
/// # Errors
///
/// A price file cannot be read, fetched or written, or the model is not known.
pub(crate) fn run(command: &PricesCommand, output: &mut Output) -> Result<Exit, Failure> {
    match command {
        PricesCommand::List(arguments) => list::run(arguments, output)?,
        PricesCommand::Show(arguments) => show::run(arguments, output)?,
        PricesCommand::Diff(arguments) => diff::run(arguments, output)?,
        PricesCommand::Refresh(arguments) => refresh::run(arguments, output)?,
    }
    Ok(Exit::Ok)
}

/// The prices in use: the file that `AGENT_SDK_PRICES` names over the refreshed table over the built-in one. A refreshed
/// table that is older than the built-in one is left out; `agent doctor` says so.
///
/// # Errors
///
/// One of the files cannot be read, or is no price table: the wrong amounts would be worse than none.
pub(crate) fn book() -> Result<PriceBook, Failure> {
    let book = PriceBook::from_env().map_err(|error| {
        failure(&error).advice("AGENT_SDK_PRICES names it: mend the file, or unset the variable.")
    })?;
    match refreshed()?.map(|table| book.refresh(table)) {
        None | Some(Ok(())) => Ok(book),
        Some(Err(error)) if error.kind() == PriceErrorKind::Older => Ok(book),
        Some(Err(error)) => Err(unusable(&error)),
    }
}

/// Where the refreshed table is, or would be; `None` where no folder is known.
pub(crate) fn path() -> Option<PathBuf> {
    Some(store::home().ok()?.join(FILE))
}

/// The refreshed table, where there is one.
///
/// # Errors
///
/// It cannot be read.
pub(crate) fn refreshed() -> Result<Option<PriceTable>, Failure> {
    let Some(path) = path().filter(|path| path.exists()) else {
        return Ok(None);
    };
    PriceTable::from_file(path)
        .map(Some)
        .map_err(|error| unusable(&error))
}

fn unusable(error: &PriceError) -> Failure {
    failure(error).advice(
        "`agent prices refresh --file FILE` puts another in its place; `--remove` drops it.",
    )
}

/// What is wrong with a price table, as a failure of the command.
fn failure(error: &PriceError) -> Failure {
    let exit = match error.kind() {
        PriceErrorKind::Unreachable => Exit::Failed,
        _ => Exit::Usage,
    };
    Failure::new(exit, error.to_string()).because(error)
}

/// When an entry holds, in words; empty for always.
fn condition(entry: &PriceEntry) -> String {
    let mut words: Vec<_> = entry
        .when
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    if let Some(from) = &entry.valid_from {
        words.push(format!("from {from}"));
    }
    if let Some((start, end)) = &entry.time_of_day_utc {
        words.push(format!("{start} to {end} UTC"));
    }
    words.join(", ")
}

/// What a rate is for: its name in a table, in words.
fn name(rate: &PriceRate) -> String {
    let words = rate.kind.as_str().replace('_', " ");
    words.replace("per 1k", "1,000")
}
