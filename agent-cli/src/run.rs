//! `agent run`: asks a model, lets it use tools, and shows where time and money went.

use agent_sdk::{
    operation::RunId,
    session::{NewSession, Session},
    store::{LogId, LogKind, StoreErrorKind},
};

use crate::{
    args::RunArguments,
    budget::Purse,
    exit::{Exit, Failure},
    home::{self, Home},
    interrupt,
    output::Output,
    perform::{Job, Keep, Work, perform},
    prompt,
    recipe::{Made, Recipe},
    sessions, tools,
};

/// Does what `agent run` says.
///
/// # Errors
///
/// Something that was given cannot be used. Nothing was asked then.
pub(crate) fn run(arguments: RunArguments, mut output: Output) -> Result<Exit, Failure> {
    let mut recipe = Recipe::of(&arguments)?;
    let id = match &arguments.id {
        Some(id) => checked(id)?,
        None => RunId::random(),
    };
    let prompt = prompt::read(&arguments.prompt)?;
    let made = if recipe.write && recipe.workspace.is_none() {
        make_with_own_workspace(&mut recipe, &prompt, &id)?
    } else {
        recipe.make()?
    };
    if let Some(path) = &arguments.replay {
        let path = path.display();
        output.note(format_args!(
            "replay: the answers come from `{path}`, no provider is asked"
        ));
    } else if let Some(warning) = &made.chosen.warning {
        output.note(warning);
    }
    let application = recipe.to_value(&made.chosen)?;
    let home = if arguments.no_store {
        None
    } else {
        let home = Home::open()
            .map_err(|failure| failure.advice("Or pass `--no-store`: then nothing is kept."))?;
        refuse_known(&home, &id)?;
        Some(home)
    };
    let purse = Purse::of(home.as_ref(), &recipe, &made.tape)?;
    let session = match (&home, &arguments.session) {
        (Some(home), Some(name)) => Some(open_session(
            home,
            name,
            arguments.user.clone(),
            &mut output,
        )?),
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
        user: arguments
            .user
            .or_else(|| session.as_ref().map(|_| home::user())),
        session,
        purse,
        work: Work::Begin { prompt, keep },
        shown: arguments.shown,
    };
    interrupt::run(|interrupt| perform(job, output, interrupt))
}

/// Makes the agent with a folder of its own to write in.
fn make_with_own_workspace(
    recipe: &mut Recipe,
    prompt: &str,
    run: &RunId,
) -> Result<Made, Failure> {
    let folder = tools::own_workspace(prompt, run)?;
    recipe.workspace = Some(folder.clone());
    recipe.own_workspace = true;
    recipe.make().inspect_err(|_| {
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
