//! Doing as a plan's machine says.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    sync::Arc,
    time::Duration,
};

use futures_util::{
    FutureExt, StreamExt,
    future::{AbortHandle, Abortable, Aborted, BoxFuture},
    stream::FuturesUnordered,
};
use serde_json::Value;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::{
    PlanOutcome, Settings, StepReport,
    error::Cause,
    handle::{StepSnapshot, Wish, Wishes},
    kept::{self, Begun, Left},
    task::{Came, Made, Try},
};
use crate::{
    journal::{Journal, Question, Record, Verdict},
    operation::{
        Details, Kind, Meter, Operation, Outcome, Payload, RunContext, StepDetails, Totals,
        TraceContext,
    },
    plan::{
        Change, Command, End, Ended, Input, Machine, Params, Plan, PlanError, Step, StepEnd, Task,
        Timer,
    },
    registry::Registry,
    run::RunReport,
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

/// How many tries that are over are taken in before anything else is looked at.
const AT_ONCE: usize = 32;

/// Runs a plan to its end, and its fallback where it fails.
pub(super) fn run_plan(launch: Launch) -> BoxFuture<'static, Finished> {
    Box::pin(async move {
        let Launch {
            settings,
            plan,
            params,
            context,
            path,
            is_root,
            stop,
            wishes,
            changes,
        } = launch;
        let within = context.within().cloned();
        let journal = within.as_ref().and_then(|within| within.journal.clone());
        let earlier = journal.as_ref().map(|journal| journal.take_earlier(&path));
        let earlier = earlier.and_then(kept::split);
        let goes_on = earlier.is_some();
        let (begun, records) = match (earlier, plan) {
            (Some((begun, records)), _) => (begun, records),
            (None, Some(plan)) => {
                let seed = fastrand::u64(..);
                (Begun { plan, params, seed }, Vec::new())
            }
            (None, None) => return not_begun("resumed".into(), Cause::NotAPlan),
        };
        let name = begun.plan.name.clone();
        let catalog = settings.registry.clone();
        let machine = Machine::new(&begun.plan, &catalog, &begun.params, begun.seed);
        let mut machine = match machine {
            Ok(machine) => machine,
            Err(error) => return not_begun(name, Cause::Invalid(error)),
        };
        let mut left = Left::default();
        if goes_on {
            match kept::fold(&mut machine, records, &catalog) {
                Ok(folded) => left = folded,
                Err(error) => return not_begun(name, Cause::Invalid(error)),
            }
        }
        let operation = begin(&context, &name, journal.as_deref().filter(|_| is_root));
        if let Some(journal) = journal.as_ref().filter(|_| is_root) {
            let ask_before = within.as_ref().map(|within| &*within.control.ask_before);
            let trace = operation.info().trace;
            journal.begin_life(Meter::of(&operation), trace, ask_before.unwrap_or_default());
        }
        // Whatever runs in it learns that it is over, also where it is dropped.
        let inner = operation.context().clone().with_child_cancellation();
        let over = inner.cancellation().clone().drop_guard();
        let mut drive = Drive {
            began: Instant::now(),
            settings: &settings,
            context: inner,
            journal: journal.clone(),
            path: path.clone(),
            machine,
            catalog,
            tries: FuturesUnordered::new(),
            live: HashMap::new(),
            timers: BinaryHeap::new(),
            answers: FuturesUnordered::new(),
            asked: left.asked,
            doubts: left.doubts,
            notes: Vec::new(),
            has_paused: false,
        };
        let result = drive.whole(&begun, goes_on, changes, stop, wishes).await;
        drop(over);
        let mut outcome = drive.outcome(&name);
        let mut result = match result {
            Ok(End::Ok) => Ok(()),
            Ok(End::Failed) => Err(Cause::Failed),
            Ok(End::TimedOut) => Err(Cause::TimedOut),
            Ok(End::Cancelled) => Err(Cause::Cancelled),
            Err(cause) => Err(cause),
        };
        drop(drive);
        if matches!(result, Err(Cause::Failed))
            && let Some(fallback) = &begun.plan.fallback
        {
            (result, outcome) = instead(
                &settings,
                fallback,
                &begun.params,
                &operation,
                &path,
                outcome,
            )
            .await;
        }
        finish(
            name,
            operation,
            journal.filter(|_| is_root),
            result,
            outcome,
            is_root,
        )
        .await
    })
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
    let around = if path.is_empty() { "" } else { "/" };
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
        path: format!("{path}{around}~fallback").into(),
        is_root: false,
        stop: None,
        wishes: None,
        changes: Vec::new(),
    };
    let other = run_plan(launch).await;
    if let Some(other) = other.outcome {
        (outcome.end, outcome.output) = (other.end, other.output.clone());
        outcome.fallback = Some(Box::new(other));
    }
    (other.result, outcome)
}

fn not_begun(plan: Arc<str>, cause: Cause) -> Finished {
    Finished {
        plan,
        result: Err(cause),
        outcome: None,
        report: None,
    }
}

fn begin(context: &RunContext, name: &Arc<str>, journal: Option<&Journal>) -> Operation {
    let mut start = context.start(Kind::Workflow, name.clone());
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

pub(super) struct Drive<'a> {
    began: Instant,
    pub(super) settings: &'a Arc<Settings>,
    pub(super) context: RunContext,
    pub(super) journal: Option<Arc<Journal>>,
    pub(super) path: Arc<str>,
    pub(super) machine: Machine,
    catalog: Registry,
    tries: FuturesUnordered<Abortable<BoxFuture<'static, Made>>>,
    /// What runs, and the way to drop it.
    live: HashMap<Task, AbortHandle>,
    pub(super) timers: BinaryHeap<Reverse<(Instant, Timer)>>,
    pub(super) answers: FuturesUnordered<BoxFuture<'static, (Arc<str>, Question, Waits, Verdict)>>,
    /// What earlier lives asked and nobody has answered, by step.
    pub(super) asked: std::collections::BTreeMap<Arc<str>, Question>,
    pub(super) doubts: std::collections::BTreeMap<Arc<str>, Vec<bool>>,
    /// By step.
    notes: Vec<Note>,
    /// Whether something in a step waits for the run to go on.
    has_paused: bool,
}

/// What waits for a person's word.
pub(super) enum Waits {
    /// The step itself.
    Step(u32),
    /// One of its tries, with what it is given.
    Try(Task, Value),
}

/// What is known of a step beside what the machine knows.
#[derive(Clone, Default)]
struct Note {
    started: Option<Instant>,
    ended: Option<Instant>,
    work: Duration,
    trace: Option<TraceContext>,
    inner: Option<Box<PlanOutcome>>,
}

impl Drive<'_> {
    async fn whole(
        &mut self,
        begun: &Begun,
        goes_on: bool,
        changes: Vec<Change>,
        stop: Option<CancellationToken>,
        wishes: Option<Wishes>,
    ) -> Result<End, Cause> {
        if !goes_on {
            self.keep(&[begun.record()]).await?;
        }
        for change in changes {
            self.machine
                .change(&change, &self.catalog)
                .map_err(Cause::Invalid)?;
            self.keep(&[Record::PlanChanged { change, by: None }])
                .await?;
        }
        self.run(stop, wishes).await
    }

    async fn run(
        &mut self,
        stop: Option<CancellationToken>,
        mut wishes: Option<Wishes>,
    ) -> Result<End, Cause> {
        let within = self.context.within().cloned();
        let pausing = within.as_ref().and_then(|within| within.pausing().cloned());
        let journal = self.journal.clone().filter(|_| self.path.is_empty());
        let lost = async {
            match (&journal, &within) {
                (Some(journal), Some(within)) => journal.keep(&within.control.pausing).await,
                _ => std::future::pending().await,
            }
        };
        tokio::pin!(lost);
        let deadline = self.context.deadline();
        let over = async {
            match deadline {
                Some(deadline) => sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(over);
        // The caller's context, whose cancellation is the plan's too.
        let cancelled = self.context.cancellation().clone();
        let mut grace: Option<Instant> = None;
        let mut is_pausing = false;
        let mut in_a_row = 0;
        loop {
            // A plan of steps that are over at once leaves room for others.
            tokio::task::consume_budget().await;
            if let Some(end) = self.obey(is_pausing).await? {
                return Ok(end);
            }
            if self.tries.is_empty() {
                if is_pausing || (self.has_paused && !self.machine.is_resting()) {
                    return Err(Cause::Paused(self.questions()));
                }
                if self.take_left_answer().await? {
                    continue;
                }
            }
            // Mostly there is nothing else to look at; whatever else there is, is looked at every so often.
            if in_a_row < AT_ONCE
                && let Some(made) = self.tries.next().now_or_never().flatten()
            {
                in_a_row += 1;
                self.made(made)?;
                continue;
            }
            in_a_row = 0;
            let timer = self.timers.peek().map(|Reverse((at, _))| *at);
            let timer = async {
                match timer {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            let at_once = async {
                match grace {
                    Some(grace) => sleep_until(grace).await,
                    None => std::future::pending().await,
                }
            };
            let stopped = async {
                match &stop {
                    Some(stop) if grace.is_none() => stop.cancelled().await,
                    _ => std::future::pending().await,
                }
            };
            let pause = async {
                match &pausing {
                    Some(pausing) if !is_pausing => pausing.cancelled().await,
                    _ => std::future::pending().await,
                }
            };
            let wish = async {
                match &mut wishes {
                    Some(wishes) => wishes.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = cancelled.cancelled(), if grace.is_none() => {
                    grace = Some(self.stop());
                }
                () = stopped => {
                    grace = Some(self.stop());
                    self.context.cancellation().cancel();
                }
                () = &mut over, if grace.is_none() => {
                    self.machine.apply(Input::Timer(Timer::Plan));
                    grace = Some(Instant::now() + self.settings.grace);
                    self.context.cancellation().cancel();
                }
                error = &mut lost => return Err(Cause::Journal(error)),
                wish = wish => match wish {
                    Some(wish) => self.grant(wish).await?,
                    None => wishes = None,
                },
                () = timer => self.ring().await?,
                Some(made) = self.tries.next() => self.made(made)?,
                () = at_once => {
                    for abort in self.live.values() {
                        abort.abort();
                    }
                    grace = Some(Instant::now() + self.settings.grace);
                }
                Some((step, question, waits, verdict)) = self.answers.next() => {
                    self.decided(step, &question, waits, verdict).await?;
                }
                () = pause => is_pausing = true,
            }
        }
    }

    /// Does what the machine says; answers with the plan's end, once it has one.
    async fn obey(&mut self, is_pausing: bool) -> Result<Option<End>, Cause> {
        while !is_pausing || self.machine.has_commands() {
            let Some(command) = self.machine.next() else {
                break;
            };
            match command {
                Command::Start { task, input } => self.start(task, input).await?,
                Command::Drop { task } => {
                    if let Some(abort) = self.live.get(&task) {
                        abort.abort();
                    } else {
                        // It waits for a person, so that nothing of it runs.
                        self.machine.apply(Input::Ended {
                            task,
                            ended: Ended::Cancelled,
                        });
                    }
                }
                Command::Interrupt { task } => {
                    self.context.cancellation().cancel();
                    if !self.live.contains_key(&task) {
                        self.machine.apply(Input::Ended {
                            task,
                            ended: Ended::Cancelled,
                        });
                    }
                }
                Command::Wait { timer, time } => {
                    // One that is further away than time itself never rings.
                    if let Some(at) = Instant::now().checked_add(time) {
                        self.timers.push(Reverse((at, timer)));
                    }
                }
                Command::Ask { step } => self.ask_about_step(step).await?,
                Command::Passed { step } => self.passed(step),
                Command::Finish(end) => return Ok(Some(end)),
            }
        }
        Ok(None)
    }

    async fn start(&mut self, task: Task, input: Value) -> Result<(), Cause> {
        let Some(step) = self.machine.step(task.step).cloned() else {
            return Ok(());
        };
        let path = kept::path(&self.path, &step.id, task);
        if let Some(why) = self.must_be_asked(&step, task, &path) {
            let question = self.question(&step, &path, why, &input);
            return self.ask(&step, Waits::Try(task, input), question).await;
        }
        self.begin(&step, task, input, path);
        Ok(())
    }

    /// Begins a try.
    pub(super) fn begin(&mut self, step: &Arc<Step>, task: Task, input: Value, path: Arc<str>) {
        let mut start = self.context.start(Kind::Step, step.id.clone());
        for other in self.machine.waits_for(task.step) {
            let note = self.notes.get(*other as usize);
            if let Some(trace) = note.and_then(|note| note.trace) {
                start = start.link(trace);
            }
        }
        let work = step.work_of(task.choice);
        let operation = start
            .details(Details::Step(StepDetails {
                id: Some(step.id.clone()),
                step_kind: Some(work.kind().as_str().into()),
                attempt: Some(task.attempt),
                number: Some(task.step.saturating_add(1)),
                description: step.description.clone(),
                ..StepDetails::default()
            }))
            .begin();
        let now = operation.info().started_at;
        self.note(task.step).started.get_or_insert(now);
        let work = Try {
            settings: self.settings.clone(),
            step: step.clone(),
            task,
            input,
            operation,
            journal: self.journal.clone(),
            around: self.path.clone(),
            path,
        };
        let (abort, registration) = AbortHandle::new_pair();
        self.live.insert(task, abort);
        let work: BoxFuture<'static, Made> = Box::pin(work.make());
        self.tries.push(Abortable::new(work, registration));
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

    fn made(&mut self, made: Result<Made, Aborted>) -> Result<(), Cause> {
        let Ok(made) = made else {
            self.dropped();
            return Ok(());
        };
        let Made {
            task,
            came,
            took,
            trace,
            inner,
        } = made;
        self.live.remove(&task);
        let now = Instant::now();
        let note = self.note(task.step);
        note.work += took;
        note.trace = Some(trace);
        note.ended = Some(now);
        if inner.is_some() {
            note.inner = inner;
        }
        match came {
            Came::Ended(ended) => {
                self.machine.apply(Input::Ended { task, ended });
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
    fn dropped(&mut self) {
        let gone = self.live.extract_if(|_, abort| abort.is_aborted());
        let gone: Vec<Task> = gone.map(|(task, _)| task).collect();
        for task in gone {
            let ended = Ended::Cancelled;
            self.machine.apply(Input::Ended { task, ended });
            self.note(task.step).ended = Some(Instant::now());
        }
    }

    /// A step ended without being begun.
    fn passed(&mut self, step: u32) {
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
        let details = StepDetails {
            id: Some(it.id.clone()),
            step_kind: Some(it.work.kind().as_str().into()),
            number: Some(step.saturating_add(1)),
            description: it.description.clone(),
            ..StepDetails::default()
        };
        let operation = operation.details(Details::Step(details)).begin();
        if let Some(class) = class {
            let handle = operation.handle();
            handle.fail(class.to_string(), format!("the step failed: {class}"));
        }
        let trace = operation.info().trace;
        operation.end(outcome, Payload::None);
        self.note(step).trace = Some(trace);
    }

    /// The first timer is up.
    async fn ring(&mut self) -> Result<(), Cause> {
        let Some(Reverse((_, timer))) = self.timers.pop() else {
            return Ok(());
        };
        if let Timer::Step { step, round } = timer
            && self.machine.end(step).is_none()
            && let Some(it) = self.machine.step(step)
        {
            let step = it.id.clone();
            self.keep(&[Record::StepTimedOut { step, round }]).await?;
        }
        if self.machine.apply(Input::Timer(timer))
            && let Timer::Step { step, .. } = timer
        {
            for (task, abort) in &self.live {
                if task.step == step {
                    abort.abort();
                }
            }
        }
        Ok(())
    }

    fn stop(&mut self) -> Instant {
        self.machine.apply(Input::Stop);
        Instant::now() + self.settings.grace
    }

    /// Keeps records of the plan, where it is kept.
    pub(super) fn keep<'r>(
        &self,
        records: &'r [Record],
    ) -> impl Future<Output = Result<(), Cause>> + Send + use<'r> {
        let (journal, path) = (self.journal.clone(), self.path.clone());
        async move {
            let Some(journal) = journal else {
                return Ok(());
            };
            let kept = journal.commit(&path, records, Totals::default());
            Box::pin(kept).await.map_err(Cause::Journal)
        }
    }

    async fn grant(&mut self, wish: Wish) -> Result<(), Cause> {
        match wish {
            Wish::Change { change, by, answer } => {
                let changed = self.machine.change(&change, &self.catalog);
                let is_changed = changed.is_ok();
                if is_changed {
                    let record = Record::PlanChanged { change, by };
                    self.keep(&[record]).await?;
                }
                // Whoever asked may be gone.
                let _: Result<(), Result<(), PlanError>> = answer.send(changed);
            }
            Wish::Plan(answer) => drop(answer.send(self.machine.plan())),
            Wish::Steps(answer) => drop(answer.send(self.snapshot())),
        }
        Ok(())
    }

    fn snapshot(&self) -> Vec<StepSnapshot> {
        let steps = self.machine.steps();
        let steps = steps.map(|step| StepSnapshot {
            id: step.step.id.clone(),
            state: step.state,
            end: step.end.map(StepEnd::as_str),
            attempts: step.attempts,
        });
        steps.collect()
    }

    fn outcome(&mut self, name: &Arc<str>) -> PlanOutcome {
        let began = self.began;
        let notes = std::mem::take(&mut self.notes);
        let end = self.machine.over().unwrap_or(End::Cancelled);
        let steps = self.machine.steps().map(|status| {
            let note = notes
                .get(status.number as usize)
                .cloned()
                .unwrap_or_default();
            let end = status.end.cloned();
            let duration = note.started.zip(note.ended);
            StepReport {
                id: status.step.id.clone(),
                end: end.unwrap_or(StepEnd::Cancelled { causes: Vec::new() }),
                attempts: status.attempts,
                started: note.started.map(|at| at.saturating_duration_since(began)),
                duration: duration.map_or(Duration::ZERO, |(from, to)| {
                    to.saturating_duration_since(from)
                }),
                work: note.work,
                inner: note.inner,
                trace: note.trace,
            }
        });
        let steps = steps.collect();
        let output = match end {
            End::Ok => self.machine.output().unwrap_or(Value::Null),
            _ => Value::Null,
        };
        PlanOutcome {
            plan: name.clone(),
            end,
            output,
            steps,
            fallback: None,
        }
    }
}
