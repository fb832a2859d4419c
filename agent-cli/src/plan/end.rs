//! What is said of a plan that did not succeed, and what to do about it.

use agent_sdk::{
    operation::{Outcome, RunId},
    orchestrator::{PlanRunError, PlanRunErrorKind},
    plan::StepEnd,
    run::RunErrorKind,
    store::{StoreError, StoreErrorKind},
};

use crate::{
    exit::{Exit, Failure},
    home, questions,
    screen::Screen,
};

/// Says why a plan did not succeed and how it can go on; answers with the code that the command ends with.
pub(super) fn tell(
    screen: &mut Screen,
    is_kept: bool,
    id: &RunId,
    error: &PlanRunError,
    exit: Exit,
) -> Exit {
    let exit = exit_of(error, exit);
    if error.kind() != PlanRunErrorKind::Paused {
        screen.output.note(explain(id, error, exit));
    }
    if let Some(hint) = hint(is_kept, id, error) {
        screen.output.note(hint);
    }
    exit
}

/// The code that says how a plan ended; `exit` is that of its run.
fn exit_of(error: &PlanRunError, exit: Exit) -> Exit {
    match error.kind() {
        PlanRunErrorKind::Invalid | PlanRunErrorKind::Changed | PlanRunErrorKind::Budget => {
            Exit::Usage
        }
        PlanRunErrorKind::Failed if exit == Exit::Failed && is_limited(error) => Exit::Limit,
        PlanRunErrorKind::Journal if error.report().is_none() => error
            .store_error()
            .map_or(exit, |it| home::failure(it).exit),
        _ => exit,
    }
}

/// Whether limits are all that made it fail.
fn is_limited(error: &PlanRunError) -> bool {
    let Some(report) = error.report() else {
        return false;
    };
    let limit = RunErrorKind::LimitExceeded.as_str();
    let mut failed = report
        .steps
        .iter()
        .filter(|step| is_failed(&step.end))
        .peekable();
    failed.peek().is_some()
        && failed.all(|step| {
            let last = step.end.causes().last();
            last.is_some_and(|fault| &*fault.class == limit)
        })
}

const fn is_failed(end: &StepEnd) -> bool {
    matches!(end, StepEnd::Failed { .. } | StepEnd::TimedOut { .. })
}

fn explain(id: &RunId, error: &PlanRunError, exit: Exit) -> Failure {
    let failure = Failure::new(exit, error.to_string()).because(error);
    match error.kind() {
        PlanRunErrorKind::Changed => failure.advice(format!(
            "`agent resume {id} --accept-changes` goes on all the same."
        )),
        PlanRunErrorKind::Journal => match error.store_error().map(StoreError::kind) {
            Some(StoreErrorKind::Exists) => home::exists(id.as_str()),
            Some(StoreErrorKind::Held) => {
                failure.advice(format!("`agent interrupt {id}` asks it to pause."))
            }
            _ => failure,
        },
        PlanRunErrorKind::Failed if was_refused(error) => failure.advice(
            "A budget refused what it would have cost: nothing of that was sent. `--max-cost-usd` and `agent budget` say what may be spent.",
        ),
        PlanRunErrorKind::Failed if exit == Exit::Limit => {
            failure.advice("`--max-turns N` allows more model calls. What it spent is above.")
        }
        _ => failure,
    }
}

fn was_refused(error: &PlanRunError) -> bool {
    let report = error.report();
    report.is_some_and(|report| report.run.outcome == Outcome::Budget)
}

/// What to do about a plan that did not succeed, where something can be done.
fn hint(is_kept: bool, id: &RunId, error: &PlanRunError) -> Option<String> {
    if !is_kept {
        return (error.kind() == PlanRunErrorKind::Paused).then(|| {
            format!("run {id} is paused; nothing of it was kept (`--no-store`), so it cannot go on")
        });
    }
    let go_on = format!("agent resume {id}");
    Some(match error.kind() {
        PlanRunErrorKind::Paused if error.questions().is_empty() => {
            format!("run {id} is paused; go on with: {go_on}")
        }
        PlanRunErrorKind::Paused => {
            let asked = error.questions();
            let (waits, listed) = (questions::waits(asked), questions::list(id.as_str(), asked));
            format!("run {id} is paused: {waits}\n{listed}then go on with: {go_on}")
        }
        PlanRunErrorKind::Cancelled => format!("run {id} is interrupted; go on with: {go_on}"),
        PlanRunErrorKind::Failed => {
            let steps = &error.report()?.steps;
            let failed = steps.iter().filter(|step| is_failed(&step.end));
            let mut flags = String::new();
            for step in failed {
                flags.push_str(" --from-step ");
                flags.push_str(&questions::quoted(&step.id));
            }
            let cap = if was_refused(error) {
                " --max-cost-usd X"
            } else {
                ""
            };
            if flags.is_empty() {
                return None;
            }
            format!("run {id} can begin again where it failed: {go_on}{cap}{flags}")
        }
        PlanRunErrorKind::Journal if error.report().is_some() => {
            format!("run {id} can go on where it stopped: {go_on}")
        }
        _ => return None,
    })
}
