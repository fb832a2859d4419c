//! `agent sessions`: conversations that outlive their runs.

mod show;
mod table;

use std::{fs, future::Future, io::Read, path::Path};

use agent_sdk::{
    operation::RunContext,
    session::{At, Compression, NewSession, Session, SessionError, SessionErrorKind, Sessions},
    text::escape_json,
};

use crate::{
    args::{Pair, SessionsArguments, SessionsCommand},
    exit::{Exit, Failure},
    file,
    home::{self, Home},
    output::Output,
    text::{bytes, count, counted},
};

/// The longest document that is imported, in bytes.
const IMPORT_BYTES: u64 = 64 << 20;

/// Does what `agent sessions` says.
///
/// # Errors
///
/// The session is not there, or what was given does not fit it.
pub(crate) fn run(arguments: SessionsArguments, output: &mut Output) -> Result<Exit, Failure> {
    let home = Home::open()?;
    let sessions = of_user(&home, arguments.user);
    let open = |id: &str| wait(&home, sessions.open(id));
    match arguments.what {
        SessionsCommand::Create { id, title, tags } => {
            let session = wait(&home, sessions.create(new(id, title, tags)))?;
            output.line(session.id())?;
        }
        SessionsCommand::List { limit, json } => {
            let listed = wait(&home, sessions.list(limit.get()))?;
            table::sessions(&listed, json, output)?;
        }
        SessionsCommand::Show { id, at, json } => {
            let view = match at {
                Some(at) => wait(&home, sessions.open_at(&id, moment(&at)))?,
                None => open(&id)?.view().clone(),
            };
            show::view(&view, json, output)?;
        }
        SessionsCommand::Versions { id, json } => {
            let versions = wait(&home, open(&id)?.versions())?;
            table::versions(&versions, json, output)?;
        }
        SessionsCommand::Diff { id, old, new, json } => {
            let diff = wait(&home, open(&id)?.diff(moment(&old), moment(&new)))?;
            show::diff(&diff, json, output)?;
        }
        SessionsCommand::Branch { id, at } => {
            let session = open(&id)?;
            let at = at.map_or(At::Version(session.version()), |at| moment(&at));
            let branch = wait(&home, session.branch(at))?;
            output.line(branch.id())?;
        }
        SessionsCommand::Snapshot { id, name } => {
            let version = wait(&home, open(&id)?.snapshot(&name))?;
            output.line(format_args!("version {version} is the snapshot"))?;
        }
        SessionsCommand::Compress { id, keep_turns } => {
            compress(&home, open(&id)?, keep_turns, output)?;
        }
        SessionsCommand::Abandon { id } => {
            let mut session = open(&id)?;
            let said = match session.open_run().cloned() {
                Some(run) => {
                    wait(&home, session.abandon_run())?;
                    format!("gave up run {run}")
                }
                None => "no run is under way".to_owned(),
            };
            output.line(said)?;
        }
        SessionsCommand::Export { id, output: to } => {
            let document = wait(&home, open(&id)?.export())?;
            match to {
                None => output.line(escape_json(&document))?,
                Some(path) => {
                    let size = file::write(&path, &document)?;
                    let (path, size) = (path.display(), bytes(size));
                    output.line(format_args!("exported session {id} to {path}, {size}"))?;
                }
            }
        }
        SessionsCommand::Import { file } => {
            let document = read(&file)?;
            let session = wait(&home, sessions.import(document))?;
            output.line(session.id())?;
        }
        SessionsCommand::Delete { id } => {
            wait(&home, sessions.delete(&id))?;
            output.line(format_args!("deleted session {id}"))?;
        }
    }
    Ok(Exit::Ok)
}

/// The sessions of a user; without a name, of who runs the command.
pub(crate) fn of_user(home: &Home, user: Option<String>) -> Sessions {
    Sessions::new(home.store(), user.unwrap_or_else(home::user))
}

/// Waits for what a session says.
///
/// # Errors
///
/// It refused or failed.
pub(crate) fn wait<T>(
    home: &Home,
    work: impl Future<Output = Result<T, SessionError>>,
) -> Result<T, Failure> {
    home.block_on(work).map_err(|error| failure(&error))
}

/// A session that is to be made.
pub(crate) fn new(id: Option<String>, title: Option<String>, tags: Vec<Pair>) -> NewSession {
    let mut new = match title {
        Some(title) => NewSession::titled(title),
        None => NewSession::new(),
    };
    if let Some(id) = id {
        new = new.id(id);
    }
    for tag in tags {
        new = new.tag(tag.key, tag.value);
    }
    new
}

/// What a session says, as a failure of the command.
pub(crate) fn failure(error: &SessionError) -> Failure {
    let exit = match error.kind() {
        SessionErrorKind::Model | SessionErrorKind::Store | SessionErrorKind::Conflict => {
            Exit::Failed
        }
        _ => Exit::Usage,
    };
    let failure = Failure::new(exit, error.to_string()).because(error);
    match error.kind() {
        SessionErrorKind::NotFound => {
            failure.advice("`agent sessions list` shows those that there are.")
        }
        _ => failure,
    }
}

/// A version's number, or a snapshot's name.
fn moment(at: &str) -> At {
    at.parse().map_or_else(|_| At::from(at), At::Version)
}

fn compress(
    home: &Home,
    mut session: Session,
    keep_turns: usize,
    output: &mut Output,
) -> Result<(), Failure> {
    let compression = Compression::keep_last_turns(keep_turns);
    let context = RunContext::new();
    let report = wait(home, session.compress(&context, &compression))?;
    let Some(report) = report else {
        return output.line("there is nothing to leave out");
    };
    output.line(format_args!(
        "{} left out: about {} tokens in place of {}; all is still there before version {}",
        counted(report.replaced as u64, "message"),
        count(report.tokens_after),
        count(report.tokens_before),
        report.version
    ))
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let failed = |error: std::io::Error| {
        Failure::usage(format!("{} cannot be read: {error}", file.display()))
            .advice("Name a file that `agent sessions export` wrote.")
    };
    let mut document = Vec::new();
    let mut source: Box<dyn Read> = if file.as_os_str() == "-" {
        Box::new(std::io::stdin().lock())
    } else {
        Box::new(fs::File::open(file).map_err(failed)?)
    };
    // One byte more than may be, so that the session says that it is too large.
    let read = source
        .by_ref()
        .take(IMPORT_BYTES + 1)
        .read_to_end(&mut document);
    read.map_err(failed)?;
    Ok(document)
}
