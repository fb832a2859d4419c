//! Running a plan, from its first moment or from where it stopped, and showing all of it.

use std::{path::Path, sync::Arc};

use agent_sdk::{
    journal::{Approver, Question, QuestionKind, Verdict},
    operation::RunId,
    orchestrator::{PlanReport, PlanRequest, PlanRunError},
    plan::{Params, Plan},
};
use futures_util::future::BoxFuture;
use tokio::task::block_in_place;
use tokio_util::sync::CancellationToken;

use super::{end, goal, outputs, team::Team, walk::asks_person};
use crate::{
    args::{AgentArguments, Shown},
    budget::Purse,
    exit::{Exit, Failure},
    home,
    interrupt::Interrupt,
    output::Output,
    perform::{Keep, Work},
    person::{self, Asker},
    recipe::Recipe,
    run::home_for,
    screen::Form,
    stage::{Setting, Stage},
    terminal::{Paint, safe_line},
};

/// The run of a plan that is to be made.
pub(super) struct PlanJob {
    pub(super) team: Team,
    pub(super) recipe: Recipe,
    pub(super) id: RunId,
    pub(super) user: Option<String>,
    pub(super) purse: Option<Purse>,
    pub(super) work: Work<Start>,
    /// At which steps one that goes on begins again.
    pub(super) from_steps: Vec<String>,
    pub(super) shown: Shown,
    /// Whether what is asked is answered with yes.
    pub(super) yes: bool,
}

impl PlanJob {
    /// A plan that is to be run from its first moment: says where it is kept, what it may spend from, and on whose behalf.
    ///
    /// # Errors
    ///
    /// The store cannot be opened or has a run of this id, or the budgets cannot be read.
    pub(super) fn new(
        with: AgentArguments,
        id: RunId,
        recipe: Recipe,
        team: Team,
        start: Start,
        shown: Shown,
        yes: bool,
    ) -> Result<Self, Failure> {
        let application = recipe.to_value_of_plan(team.chosen.as_ref())?;
        let home = home_for(&with, &id)?;
        let purse = Purse::of(home.as_ref(), &recipe, &team.tape)?;
        let keep = home.map(|home| Keep {
            store: home.store(),
            application,
        });
        Ok(Self {
            team,
            recipe,
            id,
            user: with.user,
            purse,
            work: Work::Begin { with: start, keep },
            from_steps: Vec::new(),
            shown,
            yes,
        })
    }
}

/// What a plan's run begins with.
pub(super) enum Start {
    Plan {
        plan: Plan,
        params: Params,
    },
    /// A plan is to be made that reaches it.
    Goal(String),
}

/// Runs a plan and shows what it does.
pub(super) async fn perform(mut job: PlanJob, output: Output, interrupt: Interrupt) -> Exit {
    let setting = Setting {
        // Several agents write at once; none of them is the one whose text is shown as it is written.
        name: "",
        id: &job.id,
        user: job.user.as_deref(),
        tags: &job.recipe.tags,
        shown: &job.shown,
        prices: &job.team.prices,
        tape: &job.team.tape,
        store: job.work.store(),
        purse: job.purse.take(),
    };
    let work = async |stage: &mut Stage| show(stage, &job, &interrupt).await;
    Stage::during(setting, output, interrupt.clone(), work).await
}

async fn show(stage: &mut Stage, job: &PlanJob, interrupt: &Interrupt) -> Result<Exit, Failure> {
    let orchestrator = job.team.orchestrator(&job.recipe);
    let mut asks = job.recipe.asks();
    let request = match &job.work {
        Work::Begin { with, keep } => {
            let request = match with {
                Start::Plan { plan, params } => {
                    asks |= asks_person(plan);
                    orchestrator.run(plan).params(params.clone())
                }
                Start::Goal(goal) => {
                    match goal::plan(stage, &job.team, goal, job.yes, interrupt).await? {
                        Ok(plan) => orchestrator.run(&plan),
                        Err(exit) => return Ok(exit),
                    }
                }
            };
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
            let request = orchestrator.resume(job.id.clone(), store.clone());
            let request = if *accept_changes {
                request.accept_changes()
            } else {
                request
            };
            let steps = job.from_steps.iter();
            steps.fold(request, |request, step| request.from_step(step.as_str()))
        }
    };
    if let Some(store) = job.work.store() {
        stage.keep_events(store.clone());
    }
    let request = steered(stage, job, request, asks);
    stage.screen.show_steps();
    let ended = stage.screen.follow(request.stream()).await?;
    over(stage, job, &ended).await
}

/// Says whom the plan asks, and how it is paused.
fn steered(stage: &mut Stage, job: &PlanJob, request: PlanRequest, asks: bool) -> PlanRequest {
    let pause = CancellationToken::new();
    let mut request = request
        .context(&stage.context)
        .pause(pause.clone())
        .ask_before(job.recipe.ask.iter().map(String::as_str));
    if let Some(folder) = &job.recipe.workspace {
        request = request.workspace(Arc::<Path>::from(folder.as_path()));
    }
    let mut asker = None;
    if person::is_there() {
        let (person, own) = person::person(pause.clone());
        stage.screen.ask(person);
        asker = Some(own);
    }
    if job.yes {
        return request.approver(Agreeing { asker, pause });
    }
    if let Some(asker) = asker {
        return request.approver(asker);
    }
    if asks && job.work.store().is_none() {
        stage.screen.output.note(
            "warning: nobody can be asked here and nothing is kept, so what needs a person's approval is refused",
        );
    }
    request
}

/// Answers with yes what a person would be asked, except about what may have taken effect already.
struct Agreeing {
    asker: Option<Asker>,
    pause: CancellationToken,
}

impl Approver for Agreeing {
    fn decide<'a>(&'a self, question: &'a Question) -> BoxFuture<'a, Verdict> {
        Box::pin(async move {
            if question.kind == QuestionKind::Approval {
                return Verdict::allow().by(home::user());
            }
            if let Some(asker) = &self.asker {
                return asker.decide(question).await;
            }
            self.pause.cancel();
            std::future::pending().await
        })
    }
}

/// Shows what the plan came to.
async fn over(
    stage: &mut Stage,
    job: &PlanJob,
    ended: &Result<PlanReport, PlanRunError>,
) -> Result<Exit, Failure> {
    let Stage {
        screen,
        context,
        watch,
        purse,
        ..
    } = stage;
    let (report, error) = match ended {
        Ok(report) => (Some(report), None),
        Err(error) => (error.report(), Some(error)),
    };
    let exit = match report {
        Some(report) => screen.plan_report(report)?,
        None => Exit::Failed,
    };
    let is_text = screen.form() == Form::Text && !screen.output.is_closed();
    if is_text && report.is_some() {
        let label = screen.output.out_style.paint(Paint::Strong, "Run:");
        screen.output.line(format_args!("{label} {}.", job.id))?;
    }
    if let Some(purse) = purse
        && report.is_some()
    {
        screen.budgets(&purse.stands(context).await)?;
    }
    if let Some(report) = report.filter(|_| watch.exports_traces() && !screen.output.is_closed()) {
        let trace = report.run.trace_id;
        screen.output.note(format_args!("trace: {trace}"));
    }
    if let Some(folder) = &job.recipe.workspace
        && job.recipe.own_workspace
    {
        let began_again = !job.from_steps.is_empty();
        let files = block_in_place(|| {
            let report = report.filter(|_| error.is_none());
            let saved = report.map(|report| outputs::save(folder, report, began_again));
            saved.transpose().map(|_| outputs::listed(folder))
        })?;
        if is_text {
            let label = screen.output.out_style.paint(Paint::Strong, "Files:");
            let (files, folder) = (safe_line(&files), folder.display().to_string());
            let folder = safe_line(&folder);
            screen
                .output
                .line(format_args!("{label} {files} in {folder}"))?;
        }
    }
    let Some(error) = error else { return Ok(exit) };
    if screen.output.is_closed() && exit == Exit::Ok {
        return Ok(exit);
    }
    Ok(end::tell(
        screen,
        job.work.store().is_some(),
        &job.id,
        error,
        exit,
    ))
}
