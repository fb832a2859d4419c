//! One run of a plan, from its journal to its report.

use std::{collections::BTreeMap, num::NonZeroU32, path::Path, sync::Arc};

use futures_util::future::BoxFuture;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{
    PlanOutcome, Settings,
    drive::Drive,
    error::Cause,
    handle::Wishes,
    kept::{self, Begun, Left},
};
use crate::{
    journal::Journal,
    operation::{
        Details, EventKind, Kind, Meter, Operation, Outcome, Payload, PlanTimes, RunContext,
        WorkflowDetails,
    },
    plan::{Change, End, Machine, Params, Plan},
    run::{RunReport, Within},
};

/// What a plan begins with.
pub(super) struct Launch {
    pub(super) settings: Arc<Settings>,
    /// `None` where it began in an earlier life.
    pub(super) plan: Option<Plan>,
    pub(super) params: Params,
    pub(super) context: RunContext,
    /// Its place in the run; empty for the outermost.
    pub(super) path: Arc<str>,
    pub(super) is_root: bool,
    /// Where it works, for whoever watches.
    pub(super) workspace: Option<Arc<Path>>,
    pub(super) stop: Option<CancellationToken>,
    pub(super) wishes: Option<Wishes>,
    /// What is changed before it goes on.
    pub(super) changes: Vec<Change>,
}

/// What a plan came to.
pub(super) struct Finished {
    pub(super) plan: Arc<str>,
    pub(super) result: Result<(), Cause>,
    pub(super) outcome: Option<PlanOutcome>,
    /// Of the outermost only.
    pub(super) report: Option<RunReport>,
}

/// Runs a plan to its end, and its fallback where it fails.
pub(super) fn run_plan(launch: Launch) -> BoxFuture<'static, Finished> {
    Box::pin(run(launch))
}

async fn run(mut launch: Launch) -> Finished {
    let within = launch.context.within().cloned();
    let journal = within.as_ref().and_then(|it| it.journal.clone());
    let Opened {
        begun,
        machine,
        left,
        inside,
        goes_on,
    } = match open(&mut launch, journal.as_deref()) {
        Ok(opened) => opened,
        Err(refused) => return *refused,
    };
    let name = begun.plan.name.clone();
    let of_run = journal.clone().filter(|_| launch.is_root);
    let details = WorkflowDetails {
        total_steps: Some(machine.len()),
        workspace: launch.workspace.clone(),
    };
    let operation = begin(&launch.context, &name, details, of_run.as_deref());
    if let Some(journal) = &of_run {
        begin_life(journal, &operation, within.as_deref());
    }
    // Whatever runs in it learns that it is over, also where it is dropped.
    let inner = operation.context().clone().with_child_cancellation();
    let over = inner.cancellation().clone().drop_guard();
    let path = launch.path.clone();
    let mut drive = Drive::new(&launch.settings, inner, journal, path, machine, left);
    for (step, outcome) in inside {
        drive.note_inside(step, outcome);
    }
    let ended = drive
        .whole(
            (!goes_on).then_some(&begun),
            launch.changes,
            launch.stop,
            launch.wishes,
        )
        .await;
    drop(over);
    let mut outcome = drive.outcome(&name);
    drop(drive);
    let mut result = match ended {
        Ok(End::Ok) => Ok(()),
        Ok(End::Failed) => Err(Cause::Failed),
        Ok(End::TimedOut) => Err(Cause::TimedOut),
        Ok(End::Cancelled) => Err(Cause::Cancelled),
        Err(cause) => Err(cause),
    };
    if matches!(result, Err(Cause::Failed))
        && let Some(fallback) = &begun.plan.fallback
    {
        let (settings, path) = (&launch.settings, &launch.path);
        let other = instead(settings, fallback, &begun.params, &operation, path, outcome);
        (result, outcome) = other.await;
    }
    finish(name, operation, of_run, result, outcome, launch.is_root).await
}

/// A plan and how far it is.
struct Opened {
    begun: Begun,
    machine: Machine,
    left: Left,
    /// What became of the plans in steps that ended in an earlier life, by step.
    inside: BTreeMap<u32, PlanOutcome>,
    /// Whether it began in an earlier life.
    goes_on: bool,
}

fn open(launch: &mut Launch, journal: Option<&Journal>) -> Result<Opened, Box<Finished>> {
    let earlier = journal.map(|journal| journal.take_earlier(&launch.path));
    let earlier = earlier.and_then(kept::split);
    let goes_on = earlier.is_some();
    let (mut begun, records) = match (earlier, launch.plan.take()) {
        (Some(earlier), _) => earlier,
        (None, Some(mut plan)) => {
            if launch.context.is_retried() {
                // What is tried again as a whole is not tried again inside.
                for step in &mut plan.steps {
                    step.retry.attempts = NonZeroU32::MIN;
                }
            }
            let (params, seed) = (std::mem::take(&mut launch.params), fastrand::u64(..));
            (Begun { plan, params, seed }, Vec::new())
        }
        (None, None) => return Err(not_begun("resumed".into(), Cause::NotAPlan)),
    };
    let catalog = &launch.settings.registry;
    // The journal is told of the steps as well; where there is none, the machine has them.
    let plan = if journal.is_some() {
        begun.plan.clone()
    } else {
        let steps = std::mem::take(&mut begun.plan.steps);
        Plan {
            steps,
            ..begun.plan.clone()
        }
    };
    let refused = |error| not_begun(begun.plan.name.clone(), Cause::Invalid(error));
    let machine = Machine::of(plan, catalog, &begun.params, begun.seed);
    let mut machine = machine.map_err(refused)?;
    let left = if goes_on {
        kept::fold(&mut machine, records, catalog, &launch.path).map_err(refused)?
    } else {
        Left::default()
    };
    let inside = journal.map(|journal| kept::inside(journal, &left, catalog));
    Ok(Opened {
        begun,
        machine,
        left,
        inside: inside.unwrap_or_default(),
        goes_on,
    })
}

fn begin_life(journal: &Journal, operation: &Operation, within: Option<&Within>) {
    let ask_before = within.map(|within| &*within.control.ask_before);
    let trace = operation.info().trace;
    journal.begin_life(Meter::of(operation), trace, ask_before.unwrap_or_default());
}

/// Runs the plan that stands in for one that failed.
async fn instead(
    settings: &Arc<Settings>,
    fallback: &Plan,
    params: &Params,
    operation: &Operation,
    path: &str,
    mut outcome: PlanOutcome,
) -> (Result<(), Cause>, PlanOutcome) {
    operation.context().publish(|| EventKind::PlanFallback {
        reason: Cause::Failed.kind().as_str().into(),
    });
    let params = params
        .iter()
        .filter(|(name, _)| fallback.params.contains_key(*name));
    let launch = Launch {
        settings: settings.clone(),
        plan: Some(fallback.clone()),
        params: params
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
        context: operation.context().clone(),
        path: kept::place(path, kept::FALLBACK),
        is_root: false,
        workspace: None,
        stop: None,
        wishes: None,
        changes: Vec::new(),
    };
    let other = run_plan(launch).await;
    if let Some(other) = other.outcome {
        outcome.stand_in(other);
    }
    (other.result, outcome)
}

fn not_begun(plan: Arc<str>, cause: Cause) -> Box<Finished> {
    Box::new(Finished {
        plan,
        result: Err(cause),
        outcome: None,
        report: None,
    })
}

fn begin(
    context: &RunContext,
    name: &Arc<str>,
    details: WorkflowDetails,
    journal: Option<&Journal>,
) -> Operation {
    let start = context.start(Kind::Workflow, name.clone());
    let mut start = start.details(Details::Workflow(details));
    if let Some(earlier) = journal.and_then(|journal| journal.before().trace) {
        start = start.link(earlier);
    }
    start.begin()
}

/// Ends the operation, and the life of the run where it is the outermost.
async fn finish(
    plan: Arc<str>,
    operation: Operation,
    journal: Option<Arc<Journal>>,
    result: Result<(), Cause>,
    outcome: PlanOutcome,
    is_root: bool,
) -> Finished {
    let text = match &outcome.output {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let ended = match &result {
        Ok(()) => Outcome::Ok,
        Err(Cause::Failed) if was_refused(&outcome) => Outcome::Budget,
        Err(cause) => cause.outcome(),
    };
    let times = PlanTimes::new(outcome.work(), outcome.critical_path);
    operation.record(|facts| facts.plan = Some(times));
    if let Err(cause) = &result
        && !matches!(cause, Cause::Paused(_))
    {
        let class = cause.kind().as_str();
        operation
            .handle()
            .fail(class, format!("the plan failed: {class}"));
    }
    if let Some(journal) = &journal
        && (result.is_err() || journal.has_begun_life())
    {
        let class = result
            .as_ref()
            .err()
            .map(|cause| cause.kind().as_str().to_owned());
        if let Err(error) = journal.end_life(ended, class, &text).await {
            // Each outcome is kept already: whoever resumes the run finds it where it is.
            tracing::warn!(target: "agent_sdk::journal", error = &error as &dyn std::error::Error, "the end of a run was not kept");
        }
    }
    let report = if is_root {
        let mut report = operation.report(ended, Payload::Answer(&text));
        if let Some(journal) = &journal {
            report.add_earlier(journal.before());
        }
        if let Err(Cause::Paused(questions)) = &result {
            report.questions.clone_from(questions);
        }
        Some(report)
    } else {
        operation.end(ended, Payload::None);
        None
    };
    Finished {
        plan,
        result,
        outcome: Some(outcome),
        report,
    }
}

/// Whether a budget was what made it fail.
fn was_refused(outcome: &PlanOutcome) -> bool {
    let failures = outcome.failures();
    failures
        .iter()
        .any(|(_, fault)| &*fault.class == Outcome::Budget.as_str())
}
