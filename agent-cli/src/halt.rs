//! `agent interrupt`: asks a run that is under way to pause.

use agent_sdk::journal::StoredRun;

use crate::{
    args::InterruptArguments,
    exit::{Exit, Failure},
    home::{self, Home},
    output::Output,
};

/// Does what `agent interrupt` says.
///
/// # Errors
///
/// The run is not there.
pub(crate) fn run(arguments: &InterruptArguments, output: &mut Output) -> Result<Exit, Failure> {
    let home = Home::open()?;
    let run = home.run(&arguments.id)?;
    let said = match home::status(&run, home::now()) {
        "running" => {
            home.wait(home.runs().interrupt(run.id.as_str()))?;
            asked(&run)
        }
        "ok" => format!("run {} has ended already", run.id),
        status => format!(
            "run {} is not under way (it is `{status}`); go on with: agent resume {0}",
            run.id
        ),
    };
    output.line(said)?;
    Ok(Exit::Ok)
}

fn asked(run: &StoredRun) -> String {
    let process = run.holder.as_ref().map(|holder| holder.pid);
    let process = process.map_or_else(String::new, |pid| format!(", process {pid},"));
    format!(
        "run {}{process} was asked to pause: it finishes what it has begun. Go on with: agent resume {0}",
        run.id
    )
}
