//! Doing as a plan's machine says.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, HashMap},
    sync::Arc,
};

use futures_util::{
    FutureExt, StreamExt,
    future::{AbortHandle, Abortable, BoxFuture},
    stream::FuturesUnordered,
};
use serde_json::Value;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::{
    Settings,
    error::Cause,
    handle::{StepSnapshot, Wish, Wishes},
    kept::{Begun, Left},
    task::Made,
    tries::{Kinds, Note},
};
use crate::{
    journal::{Journal, Question, Record, Verdict},
    operation::{EventKind, RunContext, Totals},
    plan::{Change, Command, End, Ended, Input, Machine, PlanError, StepEnd, Task, Timer},
    run::Within,
    store::StoreError,
};

/// How many tries that are over are taken in before anything else is looked at.
const AT_ONCE: usize = 32;

pub(super) struct Drive<'a> {
    pub(super) began: Instant,
    pub(super) settings: &'a Arc<Settings>,
    pub(super) context: RunContext,
    pub(super) journal: Option<Arc<Journal>>,
    pub(super) path: Arc<str>,
    pub(super) machine: Machine,
    pub(super) tries: FuturesUnordered<Abortable<BoxFuture<'static, Made>>>,
    /// What runs, and the way to drop it.
    pub(super) live: HashMap<Task, AbortHandle>,
    pub(super) timers: BinaryHeap<Reverse<(Instant, Timer)>>,
    pub(super) answers: FuturesUnordered<BoxFuture<'static, Answer>>,
    /// What earlier lives asked and nobody has answered, by step.
    pub(super) asked: BTreeMap<Arc<str>, Question>,
    pub(super) doubts: BTreeMap<Arc<str>, Vec<bool>>,
    pub(super) kinds: Kinds,
    /// By step.
    pub(super) notes: Vec<Note>,
    /// Whether something in a step waits for the run to go on.
    pub(super) has_paused: bool,
}

/// A step, what was asked about it, what waits for the answer, and the answer.
type Answer = (Arc<str>, Question, Waits, Verdict);

/// What waits for a person's word.
pub(super) enum Waits {
    /// The step itself.
    Step(u32),
    /// One of its tries, with what it is given.
    Try(Task, Value),
}

impl<'a> Drive<'a> {
    pub(super) fn new(
        settings: &'a Arc<Settings>,
        context: RunContext,
        journal: Option<Arc<Journal>>,
        path: Arc<str>,
        machine: Machine,
        left: Left,
    ) -> Self {
        Self {
            began: Instant::now(),
            settings,
            context,
            journal,
            path,
            machine,
            tries: FuturesUnordered::new(),
            live: HashMap::new(),
            timers: BinaryHeap::new(),
            answers: FuturesUnordered::new(),
            asked: left.asked,
            doubts: left.doubts,
            kinds: Kinds::default(),
            notes: Vec::new(),
            has_paused: false,
        }
    }

    /// Runs to the end. `begun` is what a plan begins with that did not begin in an earlier life.
    pub(super) async fn whole(
        &mut self,
        begun: Option<&Begun>,
        changes: Vec<Change>,
        stop: Option<CancellationToken>,
        wishes: Option<Wishes>,
    ) -> Result<End, Cause> {
        if let Some(begun) = begun {
            self.keep(&[begun.record()]).await?;
        }
        for change in changes {
            self.machine
                .change(&change, &self.settings.registry)
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
        let lost = kept(journal.as_deref(), within.as_deref());
        tokio::pin!(lost);
        let over = until(self.context.deadline());
        tokio::pin!(over);
        // The caller's context, whose cancellation is the plan's too.
        let given_up = self.context.cancellation().clone();
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
            let made = if in_a_row < AT_ONCE {
                self.tries.next().now_or_never().flatten()
            } else {
                None
            };
            // What a cancellation cut short is no failure: the machine hears of the stop first.
            if grace.is_none() && given_up.is_cancelled() {
                grace = Some(self.stop());
            }
            if let Some(made) = made {
                in_a_row += 1;
                self.made(made)?;
                continue;
            }
            in_a_row = 0;
            let timer = until(self.timers.peek().map(|Reverse((at, _))| *at));
            let at_once = until(grace);
            let stopped = cancelled(stop.as_ref().filter(|_| grace.is_none()));
            let pause = cancelled(pausing.as_ref().filter(|_| !is_pausing));
            let wish = async {
                match &mut wishes {
                    Some(wishes) => wishes.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = given_up.cancelled(), if grace.is_none() => {
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
                Some(made) = self.tries.next() => {
                    if grace.is_none() && given_up.is_cancelled() {
                        grace = Some(self.stop());
                    }
                    self.made(made)?;
                }
                () = at_once => {
                    for abort in self.live.values() {
                        abort.abort();
                    }
                    grace = Some(Instant::now() + self.settings.grace);
                }
                Some((about, question, waits, verdict)) = self.answers.next() => {
                    self.decided(about, &question, waits, verdict).await?;
                }
                () = pause => is_pausing = true,
            }
        }
    }

    /// Does what the machine says; answers with the plan's end, once it has one.
    async fn obey(&mut self, is_pausing: bool) -> Result<Option<End>, Cause> {
        while !is_pausing || self.machine.has_commands() {
            let Some(command) = self.machine.command() else {
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
                let changed = self.machine.change(&change, &self.settings.registry);
                let is_changed = changed.is_ok();
                if is_changed {
                    self.context.publish(|| EventKind::PlanChanged {
                        change: change.as_str(),
                        changed_step: change.step().cloned(),
                        by: by.clone(),
                    });
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
}

/// Ends at this time; never where there is none.
async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Ends when the token is cancelled; never where there is none.
async fn cancelled(token: Option<&CancellationToken>) {
    match token {
        Some(token) => token.cancelled().await,
        None => std::future::pending().await,
    }
}

/// Keeps the run; ends when it is lost to another process.
async fn kept(journal: Option<&Journal>, within: Option<&Within>) -> StoreError {
    match (journal, within) {
        (Some(journal), Some(within)) => journal.keep(&within.control.pausing).await,
        _ => std::future::pending().await,
    }
}
