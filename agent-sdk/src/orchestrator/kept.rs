//! A plan's journal: what was kept, and going on from there.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    journal::{Question, QuestionKind, Record, StepTask, VERSION},
    plan::{Catalog, Ended, Input, Machine, Params, Plan, PlanError, Task, Timer},
};

/// What a plan began with.
pub(super) struct Begun {
    pub(super) plan: Plan,
    pub(super) params: Params,
    pub(super) seed: u64,
}

impl Begun {
    pub(super) fn record(&self) -> Record {
        Record::PlanStarted {
            version: VERSION,
            plan: Box::new(self.plan.clone()),
            params: self.params.clone(),
            seed: self.seed,
        }
    }
}

/// What earlier lives of a plan left beside what the machine knows.
#[derive(Default)]
pub(super) struct Left {
    /// The questions about steps that nobody has answered, by step.
    pub(super) asked: BTreeMap<Arc<str>, Question>,
    /// By the path of a try, how often somebody decided that it may be made again, and how often that it may not.
    pub(super) doubts: BTreeMap<Arc<str>, Vec<bool>>,
}

/// Cuts what was kept into what the plan began with and what happened then.
pub(super) fn split(records: Vec<Record>) -> Option<(Begun, Vec<Record>)> {
    let mut records = records.into_iter();
    match records.next()? {
        Record::PlanStarted {
            plan, params, seed, ..
        } => {
            let begun = Begun {
                plan: *plan,
                params,
                seed,
            };
            Some((begun, records.collect()))
        }
        _ => None,
    }
}

/// Brings a machine to where its plan was.
pub(super) fn fold(
    machine: &mut Machine,
    records: Vec<Record>,
    catalog: &dyn Catalog,
) -> Result<Left, PlanError> {
    let mut left = Left::default();
    for record in records {
        match record {
            Record::StepEnded { task, ended, .. } => {
                if let Some(number) = machine.number(&task.step) {
                    let task = task.of(number);
                    machine.apply(Input::Ended { task, ended });
                }
            }
            Record::StepTimedOut { step, round } => {
                if let Some(step) = machine.number(&step) {
                    machine.apply(Input::Timer(Timer::Step { step, round }));
                }
            }
            Record::StepAsked { step, question } => {
                left.asked.insert(step, question);
            }
            Record::StepDecided { step, verdict } => {
                let question = left.asked.remove(&step);
                if let Some(question) = question.filter(|it| it.kind == QuestionKind::InDoubt) {
                    left.doubts
                        .entry(question.path)
                        .or_default()
                        .push(verdict.allowed);
                } else if let Some(step) = machine.number(&step) {
                    let (allowed, reason) = (verdict.allowed, verdict.reason);
                    machine.apply(Input::Decided {
                        step,
                        allowed,
                        reason,
                    });
                }
            }
            Record::PlanChanged { change, .. } => machine.change(&change, catalog)?,
            _ => {}
        }
    }
    machine.go_on();
    Ok(left)
}

/// What is kept of a try that ended.
pub(super) fn step_ended(step: Arc<str>, task: Task, ended: &Ended, took_ms: f64) -> Record {
    Record::StepEnded {
        task: StepTask::new(step, task),
        ended: ended.clone(),
        took_ms,
    }
}

/// The place of a step in its run.
pub(super) fn place(around: &str, step: &str) -> Arc<str> {
    match around {
        "" => step.into(),
        around => format!("{around}/{step}").into(),
    }
}

/// The place of a try in its run: no two share it, so that an agent inside goes on where it was, and nowhere else.
pub(super) fn path(around: &str, step: &Arc<str>, task: Task) -> Arc<str> {
    use std::fmt::Write as _;

    let is_first = task.item.is_none() && (task.choice, task.attempt, task.round) == (0, 1, 0);
    if around.is_empty() && is_first {
        return step.clone();
    }
    let mut path = String::with_capacity(around.len() + step.len() + 8);
    if !around.is_empty() {
        path.push_str(around);
        path.push('/');
    }
    path.push_str(step);
    // Writing into a string cannot fail.
    if let Some(item) = task.item {
        let _ = write!(path, ".{item}");
    }
    if task.choice > 0 {
        let _ = write!(path, "~{}", task.choice);
    }
    if task.attempt > 1 {
        let _ = write!(path, "@{}", task.attempt);
    }
    if task.round > 0 {
        let _ = write!(path, "+{}", task.round);
    }
    path.into()
}
