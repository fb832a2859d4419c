//! The tries of steps: how they begin, and what becomes of them.

use std::{sync::Arc, time::Duration};

use futures_util::{
    FutureExt,
    future::{AbortHandle, Abortable, Aborted, BoxFuture},
};
use serde_json::Value;
use tokio::time::Instant;

use super::{
    PlanOutcome,
    drive::{AT_ONCE, Drive},
    error::Cause,
    kept::{self, About},
    outbox::End,
    task::{Came, Made, Try},
};
use crate::{
    operation::{Details, Kind, Outcome, Payload, StepDetails, TraceContext},
    plan::{Ended, Input, Step, StepEnd, Task, Work, WorkKind},
};

/// The names of the kinds of work, made once for a plan.
pub(super) struct Kinds([(WorkKind, Arc<str>); 4]);

impl Default for Kinds {
    fn default() -> Self {
        let kinds = [
            WorkKind::Agent,
            WorkKind::Tool,
            WorkKind::Function,
            WorkKind::Plan,
        ];
        Self(kinds.map(|kind| (kind, kind.as_str().into())))
    }
}

impl Kinds {
    fn of(&self, kind: WorkKind) -> Arc<str> {
        let name = self.0.iter().find(|(it, _)| *it == kind);
        name.map_or_else(|| kind.as_str().into(), |(_, name)| name.clone())
    }
}

/// What is known of a step beside what the machine knows.
#[derive(Clone, Default)]
pub(super) struct Note {
    started: Option<Instant>,
    ended: Option<Instant>,
    /// How long the longest way to it took.
    before: Duration,
    work: Duration,
    pub(super) trace: Option<TraceContext>,
    inner: Option<Box<PlanOutcome>>,
}

impl Note {
    /// From its first try to its end.
    fn duration(&self) -> Duration {
        let times = self.started.zip(self.ended);
        times.map_or(Duration::ZERO, |(from, to)| {
            to.saturating_duration_since(from)
        })
    }
}

impl Drive<'_> {
    pub(super) async fn start(&mut self, task: Task, input: Value) -> Result<(), Cause> {
        // A plan of steps that are over at once leaves room for others.
        tokio::task::consume_budget().await;
        let Some(step) = self.machine.step(task.step).cloned() else {
            return Ok(());
        };
        let path = kept::path(&self.path, &step.id, task);
        if let Some(question) = self.question_about(&step, task, &path, &input) {
            let about = About::Try(task);
            return self.ask(&step, about, input, question, false).await;
        }
        self.begin(&step, task, input, path);
        Ok(())
    }

    /// Begins a try.
    pub(super) fn begin(&mut self, step: &Arc<Step>, task: Task, input: Value, path: Arc<str>) {
        let mut start = self.context.start(Kind::Step, step.id.clone());
        for note in self.waited_for(task.step) {
            if let Some(trace) = note.trace {
                start = start.link(trace);
            }
        }
        let before = self.way_to(task.step);
        let details = self.details(step, task.step, step.work_of(task.choice));
        let details = Details::Step(StepDetails {
            attempt: Some(task.attempt),
            ..details
        });
        let operation = start.details(details).begin();
        let now = operation.info().started_at;
        let heard = self.heard.get(&task).is_some_and(|heard| heard.is_allowed);
        let note = self.note(task.step);
        if note.started.is_none() {
            (note.started, note.before) = (Some(now), before);
        }
        let work = Try {
            // Who approved the step approved what it is said to do, not what stands in for that.
            is_approved: heard || (task.choice == 0 && step.approval.is_some()),
            settings: self.settings.clone(),
            step: step.clone(),
            task,
            input,
            operation,
            journal: self.journal.clone(),
            path,
        };
        self.fresh.push_back((task, Box::pin(work.make())));
    }

    /// What came of the first try that has just begun and is over at once; those before it join what runs.
    pub(super) fn over_at_once(&mut self) -> Option<Made> {
        while self.in_a_row < AT_ONCE
            && let Some((task, mut work)) = self.fresh.pop_front()
        {
            if let Some(made) = (&mut work).now_or_never() {
                self.in_a_row += 1;
                return Some(made);
            }
            // Nobody is woken by what was asked just now: among those that run it is asked again.
            self.join(task, work);
        }
        self.join_fresh();
        None
    }

    /// Lets all tries that have just begun join what runs.
    pub(super) fn join_fresh(&mut self) {
        while let Some((task, work)) = self.fresh.pop_front() {
            self.join(task, work);
        }
    }

    fn join(&mut self, task: Task, work: BoxFuture<'static, Made>) {
        let (abort, registration) = AbortHandle::new_pair();
        self.live.insert(task, abort);
        self.tries.push(Abortable::new(work, registration));
    }

    /// What is said of a step when it begins.
    fn details(&self, step: &Step, number: u32, work: &Work) -> StepDetails {
        let agent_type = match work {
            Work::Agent { name, .. } => {
                let agent = self.settings.registry.find_agent(name).ok();
                agent.and_then(|agent| agent.settings().agent_type.clone())
            }
            _ => None,
        };
        StepDetails {
            id: Some(step.id.clone()),
            step_kind: Some(self.kinds.of(work.kind())),
            attempt: None,
            number: Some(number.saturating_add(1)),
            total_steps: Some(self.machine.len()),
            description: step.description.clone(),
            agent_type,
        }
    }

    /// Notes what became of the plan that a step was in an earlier life.
    pub(super) fn note_inside(&mut self, step: u32, inner: PlanOutcome) {
        self.note(step).inner = Some(Box::new(inner));
    }

    /// What is known of those that a step waits for.
    fn waited_for(&self, step: u32) -> impl Iterator<Item = &Note> {
        let others = self.machine.waits_for(step).iter();
        others.filter_map(|other| self.notes.get(*other as usize))
    }

    /// How long the longest way to a step took, of those that it waits for and that have ended.
    fn way_to(&self, step: u32) -> Duration {
        let ways = self.waited_for(step);
        let ways = ways.map(|note| note.before + note.duration());
        ways.max().unwrap_or_default()
    }

    fn note(&mut self, step: u32) -> &mut Note {
        let step = step as usize;
        if self.notes.len() <= step {
            self.notes.resize(step + 1, Note::default());
        }
        #[expect(
            clippy::indexing_slicing,
            reason = "it was made long enough right here"
        )]
        &mut self.notes[step]
    }

    /// One of those that ran is over.
    pub(super) fn left(&mut self, made: Result<Made, Aborted>) -> Result<(), Cause> {
        let Ok(made) = made else {
            self.heed();
            self.dropped();
            return Ok(());
        };
        self.live.remove(&made.task);
        self.made(made)
    }

    /// Takes in what came of a try.
    pub(super) fn made(&mut self, made: Made) -> Result<(), Cause> {
        // What a cancellation cut short is no failure: the machine hears of the stop first.
        self.heed();
        let Made {
            task,
            came,
            at,
            took,
            trace,
            spent,
            inner,
        } = made;
        let note = self.note(task.step);
        note.work += took;
        note.trace = Some(trace);
        note.ended = Some(at);
        if inner.is_some() {
            note.inner = inner;
        }
        match came {
            Came::Ended(ended) => {
                if self.journal.is_none() {
                    self.machine.apply(Input::Ended { task, ended });
                    return Ok(());
                }
                let step = self.machine.step(task.step).map(|step| step.id.clone());
                self.outbox.push(End {
                    step: step.unwrap_or_default(),
                    task,
                    ended,
                    took,
                    spent: spent.map(|it| *it).unwrap_or_default(),
                });
                Ok(())
            }
            Came::Stopped => {
                let ended = Ended::Cancelled;
                self.machine.apply(Input::Ended { task, ended });
                Ok(())
            }
            Came::Asks(text, input) => {
                self.asking.push_back((task, input, text));
                Ok(())
            }
            Came::Paused => {
                self.has_paused = true;
                Ok(())
            }
            Came::Halted(cause) => Err(cause),
        }
    }

    /// Tells the machine of the tries that were dropped.
    pub(super) fn dropped(&mut self) {
        let gone = self.live.extract_if(|_, abort| abort.is_aborted());
        let gone: Vec<Task> = gone.map(|(task, _)| task).collect();
        for task in gone {
            let ended = Ended::Cancelled;
            self.machine.apply(Input::Ended { task, ended });
            self.note(task.step).ended = Some(Instant::now());
        }
    }

    /// A step ended without being begun.
    pub(super) fn passed(&mut self, step: u32) {
        let Some(end) = self.machine.end(step) else {
            return;
        };
        let (outcome, class) = match end {
            StepEnd::Ok { .. } => (Outcome::Ok, None),
            StepEnd::Skipped { .. } => (Outcome::Skipped, None),
            StepEnd::Cancelled { .. } => (Outcome::Cancelled, None),
            StepEnd::TimedOut { .. } => (Outcome::Timeout, Some("timeout".into())),
            StepEnd::Failed { causes } => {
                (Outcome::Error, causes.last().map(|it| it.class.clone()))
            }
        };
        let Some(it) = self.machine.step(step).cloned() else {
            return;
        };
        let operation = self.context.start(Kind::Step, it.id.clone());
        let details = self.details(&it, step, &it.work);
        let operation = operation.details(Details::Step(details)).begin();
        if let Some(class) = class {
            let handle = operation.handle();
            handle.fail(class.to_string(), format!("the step failed: {class}"));
        }
        let trace = operation.info().trace;
        operation.end(outcome, Payload::None);
        let before = self.way_to(step);
        let note = self.note(step);
        (note.trace, note.before) = (Some(trace), before);
    }

    pub(super) fn outcome(&mut self, name: &Arc<str>) -> PlanOutcome {
        let began = self.began;
        let mut outcome = PlanOutcome::of(&self.machine, name.clone());
        outcome.duration = began.elapsed();
        let mut notes = std::mem::take(&mut self.notes);
        for (step, status) in outcome.steps.iter_mut().zip(self.machine.steps()) {
            let Some(note) = notes.get_mut(status.number as usize) else {
                continue;
            };
            let duration = note.duration();
            outcome.critical_path = outcome.critical_path.max(note.before + duration);
            step.started = note.started.map(|at| at.saturating_duration_since(began));
            step.duration = duration;
            step.work = note.work;
            step.inner = note.inner.take();
            step.trace = note.trace;
        }
        outcome
    }
}
