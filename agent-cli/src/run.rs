//! `agent run`: asks a model, lets it use tools, and shows where time and money went.

use agent_sdk::{
    operation::RunId,
    store::{LogId, LogKind, StoreErrorKind},
};

use crate::{
    args::RunArguments,
    exit::{Exit, Failure},
    home::{self, Home},
    interrupt,
    output::Output,
    perform::{Job, Keep, Work, perform},
    prompt,
    recipe::Recipe,
};

/// Does what `agent run` says.
///
/// # Errors
///
/// Something that was given cannot be used. Nothing was asked then.
pub(crate) fn run(arguments: RunArguments, mut output: Output) -> Result<Exit, Failure> {
    let recipe = Recipe::of(&arguments)?;
    let made = recipe.make()?;
    if let Some(path) = &arguments.replay {
        let path = path.display();
        output.note(format_args!(
            "replay: the answers come from `{path}`, no provider is asked"
        ));
    } else if let Some(warning) = &made.chosen.warning {
        output.note(warning);
    }
    let id = match &arguments.id {
        Some(id) => checked(id)?,
        None => RunId::random(),
    };
    let prompt = prompt::read(&arguments.prompt)?;
    let application = recipe.to_value(&made.chosen)?;
    let home = if arguments.no_store {
        None
    } else {
        let home = Home::open()
            .map_err(|failure| failure.advice("Or pass `--no-store`: then nothing is kept."))?;
        refuse_known(&home, &id)?;
        Some(home)
    };
    let keep = home.as_ref().map(|home| Keep {
        store: home.store(),
        application,
    });
    let job = Job {
        made,
        recipe,
        id,
        user: arguments.user,
        work: Work::Begin { prompt, keep },
        shown: arguments.shown,
    };
    interrupt::run(|interrupt| perform(job, output, interrupt))
}

fn checked(id: &str) -> Result<RunId, Failure> {
    LogId::new(LogKind::Run, id)
        .map(|log| RunId::from(log.id()))
        .map_err(|error| Failure::usage(format!("`--id`: {error}")))
}

/// Says so before anything is asked where there is a run of that name.
fn refuse_known(home: &Home, id: &RunId) -> Result<(), Failure> {
    let there = home.wait(async {
        match home.runs().get(id.as_str()).await {
            Err(error) if error.kind() == StoreErrorKind::NotFound => Ok(false),
            found => found.map(|_| true),
        }
    })?;
    if there {
        return Err(home::exists(id.as_str()));
    }
    Ok(())
}
