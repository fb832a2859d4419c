//! `agent run`: asks a model, lets it use tools, and shows where time and money went.

use agent_sdk::{
    operation::RunId,
    session::{NewSession, Session},
    store::{LogId, LogKind, StoreErrorKind},
};

use crate::{
    args::{AgentArguments, RunArguments},
    budget::Purse,
    exit::{Exit, Failure},
    home::{self, Home},
    interrupt,
    model::Chosen,
    output::Output,
    perform::{Job, Keep, Work, perform},
    plan, prompt,
    recipe::Recipe,
    sessions, tools,
};

/// Does what `agent run` says.
///
/// # Errors
///
/// Something that was given cannot be used. Nothing was asked then.
pub(crate) fn run(arguments: RunArguments, mut output: Output) -> Result<Exit, Failure> {
    if arguments.plan {
        return plan::run_goal(arguments, output);
    }
    let mut recipe = Recipe::of(&arguments)?;
    let with = arguments.with;
    let id = run_id(&with)?;
    let prompt = prompt::read(&arguments.prompt)?;
    let made = with_own_workspace(&mut recipe, &prompt, &id, Recipe::make)?;
    remark(&with, Some(&made.chosen), &mut output);
    let application = recipe.to_value(&made.chosen)?;
    let home = home_for(&with, &id)?;
    let purse = Purse::of(home.as_ref(), &recipe, &made.tape)?;
    let session = match (&home, &arguments.session) {
        (Some(home), Some(name)) => {
            let user = with.user.clone();
            Some(open_session(home, name, user, &mut output)?)
        }
        _ => None,
    };
    let keep = home.as_ref().map(|home| Keep {
        store: home.store(),
        application,
    });
    let job = Job {
        made,
        recipe,
        id,
        user: with.user.or_else(|| session.as_ref().map(|_| home::user())),
        session,
        purse,
        work: Work::Begin { with: prompt, keep },
        shown: arguments.shown,
    };
    interrupt::run(|interrupt| perform(job, output, interrupt))
}

/// The id of a run that is to begin.
///
/// # Errors
///
/// The one that is given cannot be one.
pub(crate) fn run_id(arguments: &AgentArguments) -> Result<RunId, Failure> {
    match &arguments.id {
        Some(id) => checked(id),
        None => Ok(RunId::random()),
    }
}

/// Says what is to be known of the model before it is asked, where one is.
pub(crate) fn remark(arguments: &AgentArguments, chosen: Option<&Chosen>, output: &mut Output) {
    let Some(chosen) = chosen else { return };
    if let Some(path) = &arguments.replay {
        let path = path.display();
        output.note(format_args!(
            "replay: the answers come from `{path}`, no provider is asked"
        ));
    } else if let Some(warning) = &chosen.warning {
        output.note(warning);
    }
}

/// Where a run is to be kept, unless nothing is.
///
/// # Errors
///
/// The store cannot be opened, or has a run of this id.
pub(crate) fn home_for(arguments: &AgentArguments, id: &RunId) -> Result<Option<Home>, Failure> {
    if arguments.no_store {
        return Ok(None);
    }
    let home = Home::open()
        .map_err(|failure| failure.advice("Or pass `--no-store`: then nothing is kept."))?;
    refuse_known(&home, id)?;
    Ok(Some(home))
}

/// Makes agents, with a folder of the run's own to write in where they may write and no folder is named.
///
/// # Errors
///
/// The folder cannot be made, or what `make` says.
pub(crate) fn with_own_workspace<T>(
    recipe: &mut Recipe,
    task: &str,
    run: &RunId,
    make: impl FnOnce(&Recipe) -> Result<T, Failure>,
) -> Result<T, Failure> {
    if !recipe.write || recipe.workspace.is_some() {
        return make(recipe);
    }
    let folder = tools::own_workspace(task, run)?;
    recipe.workspace = Some(folder.clone());
    recipe.own_workspace = true;
    make(recipe).inspect_err(|_| {
        // Nothing is in it yet, and nothing will be.
        let _ = std::fs::remove_dir(folder);
    })
}

/// Opens a session, or makes one.
fn open_session(
    home: &Home,
    name: &str,
    user: Option<String>,
    output: &mut Output,
) -> Result<Session, Failure> {
    let of_user = sessions::of_user(home, user);
    if name == "new" {
        let made = sessions::wait(home, of_user.create(NewSession::new()))?;
        output.note(format_args!("session: {}", made.id()));
        return Ok(made);
    }
    let session = sessions::wait(home, of_user.open(name))?;
    if let Some(open) = session.open_run() {
        return Err(Failure::new(
            Exit::Failed,
            format!("run {open} is under way in session {name}"),
        )
        .advice(format!(
            "`agent resume {open}` goes on with it, `agent sessions abandon {name}` gives it up."
        )));
    }
    Ok(session)
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
