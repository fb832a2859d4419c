//! A plan's journal: what was kept, and going on from there.

use std::{collections::BTreeMap, sync::Arc};

use super::PlanOutcome;
use crate::{
    journal::{Journal, Question, QuestionKind, Record, StepTask, VERSION},
    plan::{
        Catalog, Command, End, Ended, Input, Machine, Params, Plan, PlanError, Task, Timer, Work,
    },
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

/// What a person is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum About {
    /// A step as a whole, of the so-manieth time that it is begun anew.
    Step { step: u32, round: u32 },
    /// One of its tries.
    Try(Task),
}

/// What was said of a try.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Heard {
    /// How many questions were answered.
    pub(super) answers: u32,
    /// Of how many times that it was begun it is known what became of it.
    pub(super) settled: usize,
    pub(super) is_allowed: bool,
}

impl Heard {
    /// A question was answered.
    pub(super) fn hear(&mut self, question: &Question, allowed: bool) {
        self.answers = self.answers.saturating_add(1);
        self.settled += usize::from(question.kind == QuestionKind::InDoubt);
        self.is_allowed = allowed;
    }
}

/// What earlier lives of a plan left beside what the machine knows.
#[derive(Default)]
pub(super) struct Left {
    /// The questions that nobody has answered.
    pub(super) asked: BTreeMap<About, Question>,
    pub(super) heard: BTreeMap<Task, Heard>,
    /// The tries that were plans and ended: the number of the step, and the place of the plan.
    plans: Vec<(u32, Arc<str>)>,
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
    around: &str,
) -> Result<Left, PlanError> {
    let mut left = Left::default();
    for record in records {
        match record {
            Record::StepEnded { task, ended, .. } => {
                if let Some(number) = machine.number(&task.step) {
                    let task = task.of(number);
                    let step = machine.step(number);
                    if let Some(step) =
                        step.filter(|it| matches!(it.work_of(task.choice), Work::Plan(_)))
                    {
                        left.plans.push((number, path(around, &step.id, task)));
                    }
                    machine.apply(Input::Ended { task, ended });
                }
            }
            Record::StepTimedOut { step, round } => {
                if let Some(step) = machine.number(&step) {
                    machine.apply(Input::Timer(Timer::Step { step, round }));
                }
            }
            Record::StepAsked {
                step,
                round,
                task,
                by_itself,
                question,
            } => {
                let Some(step) = machine.number(&step) else {
                    continue;
                };
                let about = match task {
                    Some(task) => About::Try(task.of(step)),
                    None => About::Step { step, round },
                };
                if let (About::Try(task), true) = (about, by_itself) {
                    left.heard.entry(task).or_default().settled += 1;
                }
                left.asked.insert(about, question);
            }
            Record::StepDecided { path, verdict, .. } => {
                let mut asked = left.asked.iter();
                let asked = asked.find(|(_, question)| question.path == path);
                let Some(about) = asked.map(|(about, _)| *about) else {
                    continue;
                };
                let question = left.asked.remove(&about);
                match about {
                    About::Step { step, round } => {
                        machine.apply(Input::Decided {
                            step,
                            round,
                            allowed: verdict.allowed,
                            reason: verdict.reason,
                        });
                    }
                    About::Try(task) => {
                        let heard = left.heard.entry(task).or_default();
                        if let Some(question) = question {
                            heard.hear(&question, verdict.allowed);
                        }
                    }
                }
            }
            Record::PlanChanged { change, .. } => machine.change(&change, catalog)?,
            _ => {}
        }
    }
    machine.go_on();
    Ok(left)
}

/// What became of the plans in steps that ended in an earlier life, by the number of the step; of several the last.
pub(super) fn inside(
    journal: &Journal,
    left: &Left,
    catalog: &dyn Catalog,
) -> BTreeMap<u32, PlanOutcome> {
    let plans = left.plans.iter();
    let plans = plans.filter_map(|(step, at)| Some((*step, ended(journal, at, catalog)?)));
    plans.collect()
}

/// What became of a plan that ended in an earlier life.
fn ended(journal: &Journal, at: &str, catalog: &dyn Catalog) -> Option<PlanOutcome> {
    let (begun, records) = split(journal.take_earlier(at))?;
    let mut machine = Machine::new(&begun.plan, catalog, &begun.params, begun.seed).ok()?;
    let left = fold(&mut machine, records, catalog, at).ok()?;
    if begun.plan.timeout.is_some() {
        // Where it did not end by itself, its time was up.
        machine.apply(Input::Timer(Timer::Plan));
    }
    // What is left to do is nothing where it ended.
    std::iter::from_fn(|| machine.command())
        .take_while(|command| !matches!(command, Command::Start { .. }))
        .find(|command| matches!(command, Command::Finish(_)))?;
    let inside = inside(journal, &left, catalog);
    let mut outcome = PlanOutcome::of(&machine, begun.plan.name.clone());
    for (step, inner) in inside {
        let id = machine.step(step).map(|step| &step.id);
        if let Some(step) = outcome.steps.iter_mut().find(|step| Some(&step.id) == id) {
            step.inner = Some(Box::new(inner));
        }
    }
    if outcome.end == End::Failed
        && let Some(other) = ended(journal, &place(at, FALLBACK), catalog)
    {
        outcome.stand_in(other);
    }
    Some(outcome)
}

/// The place of a plan's fallback in the plan.
pub(super) const FALLBACK: &str = "~fallback";

/// What is kept of a try that ended.
pub(super) fn step_ended(step: Arc<str>, task: Task, ended: &Ended, took_ms: f64) -> Record {
    Record::StepEnded {
        task: StepTask::new(step, task),
        ended: ended.clone(),
        took_ms,
    }
}

/// The place of a question about a step: what is asked about it anew has one of its own.
pub(super) fn place_of_question(around: &str, step: &str, round: u32) -> Arc<str> {
    let place = place(around, step);
    match round {
        0 => place,
        round => format!("{place}+{round}").into(),
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
