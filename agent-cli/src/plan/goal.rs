//! `agent run --plan`: a model makes the plan, a person sees it, and it is run.

use std::{
    error::Error,
    io::{self, BufRead},
    thread,
};

use agent_sdk::{
    budget::BudgetError,
    operation::Outcome,
    plan::{Plan, Planned, Planner, PlannerError, PlannerErrorKind},
};
use tokio::sync::oneshot;

use super::{
    perform::{PlanJob, Start, perform},
    team::Team,
};
use crate::{
    args::RunArguments,
    budget,
    exit::{Exit, Failure},
    interrupt::{self, Interrupt},
    model,
    output::Output,
    person, prompt,
    recipe::Recipe,
    run::{remark, run_id, with_own_workspace},
    screen::Form,
    stage::Stage,
    terminal::{Paint, safe},
    tree::Totals,
};

/// Does what `agent run --plan` says.
///
/// # Errors
///
/// Something that was given cannot be used, or nobody can be asked whether the plan is to be run. Nothing was asked then.
pub(crate) fn run(arguments: RunArguments, mut output: Output) -> Result<Exit, Failure> {
    if !arguments.yes && !person::is_there() {
        return Err(
            Failure::usage("nobody can be asked here whether the plan is to be run")
                .advice("`--yes` runs it, whatever it is."),
        );
    }
    let with = arguments.with;
    let mut recipe = Recipe::of_agents(&with)?;
    let id = run_id(&with)?;
    let goal = prompt::read(&arguments.prompt)?;
    let team = with_own_workspace(&mut recipe, &goal, &id, Team::make)?;
    remark(&with, team.chosen.as_ref(), &mut output);
    let (shown, yes) = (arguments.shown, arguments.yes);
    let job = PlanJob::new(with, id, recipe, team, Start::Goal(goal), shown, yes)?;
    interrupt::run(|interrupt| perform(job, output, interrupt))
}

/// Makes the plan, shows it, and asks whether it is to be run. Where it is not, the command is over with this code.
///
/// # Errors
///
/// Standard output cannot be written.
pub(super) async fn plan(
    stage: &mut Stage,
    team: &Team,
    goal: &str,
    yes: bool,
    interrupt: &Interrupt,
) -> Result<Result<Plan, Exit>, Failure> {
    let chosen = team.chosen.as_ref().ok_or_else(model::none_is_named)?;
    let planner = Planner::new(chosen.model.clone());
    let request = planner.plan(goal, &team.registry).context(&stage.context);
    let mut made = match stage.screen.follow(request.stream()).await? {
        Ok(made) => made,
        Err(error) => return Ok(Err(failed(stage, &error, interrupt))),
    };
    show(stage, &made)?;
    if stage.screen.output.is_closed() {
        return Ok(Err(Exit::Ok));
    }
    if !yes && !agreed(&mut stage.screen.output, interrupt).await {
        stage.screen.output.note("the plan is not run");
        return Ok(Err(interrupt.exit().unwrap_or(Exit::Ok)));
    }
    made.plan
        .description
        .get_or_insert_with(|| goal.trim().into());
    Ok(Ok(made.plan))
}

/// Shows the plan and what it took to make it; the events have it already.
fn show(stage: &mut Stage, planned: &Planned) -> Result<(), Failure> {
    if stage.screen.form() == Form::Json {
        return Ok(());
    }
    let output = &mut stage.screen.output;
    let report = &planned.report;
    let totals = Totals {
        time: report.duration,
        model_calls: report.model_calls,
        tool_calls: report.tool_calls,
        usage: report.usage,
        cost: report.cost,
        unpriced_calls: report.unpriced_calls,
    };
    let label = output.out_style.paint(Paint::Strong, "Planned:");
    let sums = totals.line(output.out_style);
    output.line(safe(planned.plan.to_text().trim_end()))?;
    output.line(format_args!("{label} {sums}\n"))
}

/// Asks whether the plan is to be run. Whoever closes standard input, or interrupts, says no.
async fn agreed(output: &mut Output, interrupt: &Interrupt) -> bool {
    output.prompt("Run this plan? y = yes, anything else = no:");
    let (answer, heard) = oneshot::channel();
    let read = move || {
        let mut line = String::new();
        // What cannot be read is no yes.
        let _ = io::stdin().lock().read_line(&mut line);
        let _ = answer.send(line);
    };
    if thread::Builder::new()
        .name("stdin".to_owned())
        .spawn(read)
        .is_err()
    {
        return false;
    }
    let line = tokio::select! {
        () = interrupt.token().cancelled() => return false,
        line = heard => line.unwrap_or_default(),
    };
    matches!(line.trim().to_lowercase().as_str(), "y" | "yes")
}

/// Says why there is no plan.
fn failed(stage: &mut Stage, error: &PlannerError, interrupt: &Interrupt) -> Exit {
    let exit = match error.kind() {
        PlannerErrorKind::Cancelled if stage.screen.output.is_closed() => return Exit::Ok,
        PlannerErrorKind::Cancelled => interrupt.exit().unwrap_or(Exit::Interrupted),
        PlannerErrorKind::Budget => Outcome::Budget.into(),
        _ => Exit::Failed,
    };
    let output = &mut stage.screen.output;
    for problem in error.problems() {
        output.note(problem);
    }
    let mut failure = Failure::new(exit, error.to_string()).because(error);
    if let Some(refused) = refusal(error) {
        failure = failure.advice(budget::advice(refused));
    }
    output.note(&failure);
    exit
}

/// The budget's refusal behind an error.
fn refusal<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a BudgetError> {
    let mut behind = Some(error);
    while let Some(error) = behind {
        if let Some(refused) = error.downcast_ref() {
            return Some(refused);
        }
        behind = error.source();
    }
    None
}
