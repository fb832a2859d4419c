//! Running an agent, from its first moment or from where it stopped, and showing all of it.

use std::sync::Arc;

use agent_sdk::{
    message::{Conversation, Part},
    operation::{RunContext, RunId},
    run::{Limit, RunError, RunErrorKind, RunReport},
    session::Session,
    store::{Store, StoreErrorKind},
};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::{
    args::Shown,
    budget::{self, Purse},
    exit::{Exit, Failure},
    explain::explain,
    interrupt::Interrupt,
    output::Output,
    person, questions,
    recipe::{Made, Recipe},
    screen::{Form, Screen},
    stage::{Setting, Stage},
    terminal::Paint,
};

/// A run that is to be made.
pub(crate) struct Job {
    pub(crate) made: Made,
    pub(crate) recipe: Recipe,
    pub(crate) id: RunId,
    pub(crate) user: Option<String>,
    /// The session that it is under way in.
    pub(crate) session: Option<Session>,
    /// What it may spend from, where something limits that.
    pub(crate) purse: Option<Purse>,
    pub(crate) work: Work<String>,
    pub(crate) shown: Shown,
}

/// From where a run is made. `T` is what one begins with, an agent's prompt for example.
pub(crate) enum Work<T> {
    /// From its first moment.
    Begin { with: T, keep: Option<Keep> },
    /// From where it stopped.
    GoOn {
        store: Arc<dyn Store>,
        accept_changes: bool,
    },
}

/// Where a run is kept.
pub(crate) struct Keep {
    pub(crate) store: Arc<dyn Store>,
    /// What is kept beside it.
    pub(crate) application: Value,
}

impl<T> Work<T> {
    pub(crate) fn store(&self) -> Option<&Arc<dyn Store>> {
        match self {
            Self::Begin { keep, .. } => keep.as_ref().map(|keep| &keep.store),
            Self::GoOn { store, .. } => Some(store),
        }
    }
}

/// Runs an agent and shows what it does.
pub(crate) async fn perform(mut job: Job, output: Output, interrupt: Interrupt) -> Exit {
    let setting = Setting {
        name: job.recipe.name(),
        id: &job.id,
        user: job.user.as_deref(),
        tags: &job.recipe.tags,
        shown: &job.shown,
        prices: &job.made.prices,
        tape: &job.made.tape,
        store: job.work.store(),
        purse: job.purse.take(),
    };
    let mut session = job.session.take();
    let work = async |stage: &mut Stage| {
        if let Some(store) = job.work.store() {
            stage.keep_events(store.clone());
        }
        show(stage, &job, &mut session).await
    };
    Stage::during(setting, output, interrupt, work).await
}

/// Runs the agent and shows all of it.
async fn show(
    stage: &mut Stage,
    job: &Job,
    session: &mut Option<Session>,
) -> Result<Exit, Failure> {
    let Stage {
        screen,
        context,
        watch,
        purse,
        ..
    } = stage;
    let mut conversation = Conversation::new();
    let ended = follow(screen, job, session, context, &mut conversation).await?;
    let report = match &ended {
        Ok(report) => report,
        Err(error) => error.report(),
    };
    let exit = screen.report(report)?;
    if screen.form() == Form::Text && !screen.output.is_closed() {
        let label = screen.output.out_style.paint(Paint::Strong, "Run:");
        screen.output.line(format_args!("{label} {}.", job.id))?;
    }
    if let Some(purse) = purse {
        screen.budgets(&purse.stands(context).await)?;
    }
    if watch.exports_traces() && !screen.output.is_closed() {
        screen
            .output
            .note(format_args!("trace: {}", report.trace_id));
    }
    if let (Some(folder), Form::Text) = (&job.recipe.workspace, screen.form())
        && job.recipe.own_workspace
        && !screen.output.is_closed()
    {
        let label = screen.output.out_style.paint(Paint::Strong, "Files:");
        let names: Vec<&str> = report.artifacts.iter().map(|it| it.path.as_str()).collect();
        let names = crate::terminal::safe(&names.join(", ")).into_owned();
        let folder = folder.display();
        screen
            .output
            .line(format_args!("{label} {names} in {folder}"))?;
    }
    match &ended {
        Ok(_) => {
            if let Some(refusal) = refusal(&conversation) {
                screen
                    .output
                    .note(format_args!("the model refused: {refusal}"));
            }
            Ok(exit)
        }
        Err(_) if screen.output.is_closed() && exit == Exit::Ok => Ok(exit),
        Err(error) => {
            let mut exit = exit;
            if error.kind() != RunErrorKind::Paused {
                let failure = explain(error, exit, &job.made.chosen);
                exit = failure.exit;
                screen.output.note(&failure);
            }
            if let Some(hint) = hint(job, session.is_some(), error) {
                screen.output.note(hint);
            }
            Ok(exit)
        }
    }
}

async fn follow(
    screen: &mut Screen,
    job: &Job,
    session: &mut Option<Session>,
    context: &RunContext,
    conversation: &mut Conversation,
) -> Result<Result<RunReport, RunError>, Failure> {
    let agent = &job.made.agent;
    let mut request = match &job.work {
        Work::Begin { with, keep } => {
            let request = agent.run(with.as_str()).conversation(conversation);
            match keep {
                Some(keep) => request
                    .store(keep.store.clone())
                    .application(keep.application.clone()),
                None => request,
            }
        }
        Work::GoOn {
            store,
            accept_changes,
        } => {
            let request = agent
                .resume(job.id.clone(), store.clone())
                .conversation(conversation);
            if *accept_changes {
                request.accept_changes()
            } else {
                request
            }
        }
    };
    if let Some(session) = session {
        request = request.session(session);
    }
    let pause = CancellationToken::new();
    request = request
        .context(context)
        .pause(pause.clone())
        .ask_before(job.recipe.ask.iter().map(String::as_str));
    if person::is_there() {
        let (person, asker) = person::person(pause);
        screen.ask(person);
        request = request.approver(asker);
    } else if job.work.store().is_none() && job.recipe.asks() {
        screen.output.note(
            "warning: nobody can be asked here and nothing is kept, so calls that need a person's approval are refused",
        );
    }
    screen.follow(request.stream()).await
}

/// What to do about a run that did not end, where something can be done.
fn hint(job: &Job, in_session: bool, error: &RunError) -> Option<String> {
    let id = &job.id;
    if job.work.store().is_none() {
        return (error.kind() == RunErrorKind::Paused).then(|| {
            format!("run {id} is paused; nothing of it was kept (`--no-store`), so it cannot go on")
        });
    }
    let go_on = format!("agent resume {id}");
    Some(match error.kind() {
        RunErrorKind::Paused if error.questions().is_empty() => {
            format!("run {id} is paused; go on with: {go_on}")
        }
        RunErrorKind::Paused => {
            let asked = error.questions();
            let (waits, listed) = (questions::waits(asked), questions::list(id.as_str(), asked));
            format!("run {id} is paused: {waits}\n{listed}then go on with: {go_on}")
        }
        RunErrorKind::Cancelled => format!("run {id} is interrupted; go on with: {go_on}"),
        // A session takes such a run for over, and is asked again.
        RunErrorKind::Model | RunErrorKind::LimitExceeded | RunErrorKind::Budget if in_session => {
            return None;
        }
        RunErrorKind::Budget => budget::hint(id, error.budget_error()),
        // It has its answer, and only the session does not know of it.
        RunErrorKind::Session if error.report().model_calls == 0 => return None,
        RunErrorKind::Model | RunErrorKind::Timeout | RunErrorKind::Session => {
            format!("run {id} can go on where it stopped: {go_on}")
        }
        RunErrorKind::Journal if is_kept(error) => {
            format!("run {id} can go on where it stopped: {go_on}")
        }
        RunErrorKind::LimitExceeded => match error.limit() {
            Some(Limit::MaxTurns(turns)) => {
                let more = turns.saturating_mul(2);
                format!("run {id} can go on where it stopped: {go_on} --max-turns {more}")
            }
            _ => return None,
        },
        _ => return None,
    })
}

/// Whether the store has the run although it failed.
fn is_kept(error: &RunError) -> bool {
    let kind = error.store_error().map(agent_sdk::store::StoreError::kind);
    matches!(
        kind,
        Some(StoreErrorKind::Full | StoreErrorKind::Io | StoreErrorKind::Busy)
    )
}

/// What the model said in place of an answer.
fn refusal(conversation: &Conversation) -> Option<&str> {
    let said = conversation.last()?;
    said.parts.iter().find_map(|part| match part {
        Part::Refusal(refusal) => Some(refusal.as_str()),
        _ => None,
    })
}
