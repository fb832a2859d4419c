//! Doing as a plan's machine says.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, HashMap, VecDeque},
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
    ask::{Answer, Open},
    error::Cause,
    handle::{StepSnapshot, Wish, Wishes},
    kept::{About, Begun, Heard, Left},
    outbox::Outbox,
    task::Made,
    tries::{Kinds, Note},
};
use crate::{
    journal::{Journal, Question, Record},
    operation::{EventKind, RunContext, Totals},
    plan::{Change, Command, End, Ended, Input, Machine, PlanError, StepEnd, Task, Timer},
    run::Within,
    store::StoreError,
};

/// How many tries that are over are taken in before anything else is looked at.
pub(super) const AT_ONCE: usize = 32;

pub(super) struct Drive<'a> {
    pub(super) began: Instant,
    pub(super) settings: &'a Arc<Settings>,
    pub(super) context: RunContext,
    pub(super) journal: Option<Arc<Journal>>,
    pub(super) path: Arc<str>,
    pub(super) machine: Machine,
    /// Tries that have just begun, in their order: what is over at once need not join what runs.
    pub(super) fresh: VecDeque<(Task, BoxFuture<'static, Made>)>,
    pub(super) tries: FuturesUnordered<Abortable<BoxFuture<'static, Made>>>,
    /// What runs, and the way to drop it.
    pub(super) live: HashMap<Task, AbortHandle>,
    pub(super) timers: BinaryHeap<Reverse<(Instant, Timer)>>,
    /// Ends that are being kept, which the machine is told of when they are.
    pub(super) outbox: Outbox,
    pub(super) answers: FuturesUnordered<Abortable<BoxFuture<'static, Answer>>>,
    /// What a person is being asked.
    pub(super) open: BTreeMap<About, Open>,
    /// Tries that ask by themselves, what they are given, and what they ask.
    pub(super) asking: VecDeque<(Task, Value, String)>,
    /// What earlier lives asked and nobody has answered.
    pub(super) asked: BTreeMap<About, Question>,
    pub(super) heard: BTreeMap<Task, Heard>,
    pub(super) kinds: Kinds,
    /// By step.
    pub(super) notes: Vec<Note>,
    /// Whether something in a step waits for the run to go on.
    pub(super) has_paused: bool,
    /// How many tries were taken in since anything else was looked at.
    pub(super) in_a_row: usize,
    /// Until when what runs may go on that was told to stop.
    grace: Option<Instant>,
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
        let notes = Vec::with_capacity(machine.len() as usize);
        Self {
            began: Instant::now(),
            settings,
            context,
            outbox: Outbox::new(journal.clone(), path.clone()),
            journal,
            path,
            machine,
            fresh: VecDeque::new(),
            tries: FuturesUnordered::new(),
            live: HashMap::new(),
            timers: BinaryHeap::new(),
            answers: FuturesUnordered::new(),
            open: BTreeMap::new(),
            asking: VecDeque::new(),
            asked: left.asked,
            heard: left.heard,
            kinds: Kinds::default(),
            notes,
            has_paused: false,
            in_a_row: 0,
            grace: None,
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
            self.change(change, None).await?.map_err(Cause::Invalid)?;
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
        let mut is_pausing = false;
        loop {
            room(&self.context).await;
            if let Some(end) = self.obey(is_pausing).await? {
                return Ok(end);
            }
            if let Some(made) = self.over_at_once() {
                self.made(made)?;
                continue;
            }
            if self.tries.is_empty() && self.outbox.is_empty() {
                if is_pausing || (self.has_paused && !self.machine.is_resting()) {
                    return Err(Cause::Paused(self.questions()));
                }
                if self.take_left_answer().await? {
                    continue;
                }
            }
            // Mostly there is nothing else to look at; whatever else there is, is looked at every so often.
            let made = if self.in_a_row < AT_ONCE {
                self.tries.next().now_or_never().flatten()
            } else {
                None
            };
            self.heed();
            if let Some(made) = made {
                self.in_a_row += 1;
                self.left(made)?;
                continue;
            }
            self.in_a_row = 0;
            let grace = self.grace;
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
                () = given_up.cancelled(), if grace.is_none() => self.stop(),
                () = stopped => {
                    self.stop();
                    self.context.cancellation().cancel();
                }
                () = &mut over, if grace.is_none() => {
                    self.machine.apply(Input::Timer(Timer::Plan));
                    self.grace = Some(Instant::now() + self.settings.grace);
                    self.context.cancellation().cancel();
                }
                error = &mut lost => return Err(Cause::Journal(error)),
                wish = wish => match wish {
                    Some(wish) => self.grant(wish).await?,
                    None => wishes = None,
                },
                () = timer => self.ring().await?,
                Some(made) = self.tries.next() => self.left(made)?,
                kept = self.outbox.kept() => self.take_in(kept)?,
                () = at_once => {
                    for abort in self.live.values() {
                        abort.abort();
                    }
                    self.grace = Some(Instant::now() + self.settings.grace);
                }
                Some(answer) = self.answers.next() => {
                    if let Ok(answer) = answer {
                        self.decided(answer).await?;
                    }
                }
                () = pause => is_pausing = true,
            }
        }
    }

    /// Does what the machine says; answers with the plan's end, once it has one.
    async fn obey(&mut self, is_pausing: bool) -> Result<Option<End>, Cause> {
        while let Some((task, input, text)) = self.asking.pop_front() {
            self.ask_by_itself(task, input, text).await?;
        }
        while !is_pausing || self.machine.has_commands() {
            let Some(command) = self.machine.command() else {
                break;
            };
            room(&self.context).await;
            match command {
                Command::Start { task, input } => self.start(task, input).await?,
                Command::Drop { task } => {
                    self.join_fresh();
                    if let Some(abort) = self.live.get(&task) {
                        abort.abort();
                    } else {
                        self.nothing_runs_of(task);
                    }
                }
                Command::Interrupt { task } => {
                    self.context.cancellation().cancel();
                    self.join_fresh();
                    if !self.live.contains_key(&task) {
                        self.nothing_runs_of(task);
                    }
                }
                Command::Wait { timer, time } => {
                    // One that is further away than time itself never rings.
                    if let Some(at) = Instant::now().checked_add(time) {
                        self.timers.push(Reverse((at, timer)));
                    }
                }
                Command::Ask { step, round, input } => {
                    self.ask_about_step(step, round, &input).await?;
                }
                Command::Passed { step } => self.passed(step),
                Command::Finish(end) => {
                    self.withdraw();
                    return Ok(Some(end));
                }
            }
        }
        self.withdraw();
        Ok(None)
    }

    /// Of a task that is to end nothing runs.
    pub(super) fn nothing_runs_of(&mut self, task: Task) {
        // Where it does not wait for a person, it ended and that is being kept.
        if !self.outbox.has(task) {
            let ended = Ended::Cancelled;
            self.machine.apply(Input::Ended { task, ended });
        }
    }

    /// Tells the machine of ends that are kept.
    fn take_in(&mut self, kept: Result<Vec<(Task, Ended)>, StoreError>) -> Result<(), Cause> {
        for (task, ended) in kept.map_err(Cause::Journal)? {
            self.machine.apply(Input::Ended { task, ended });
        }
        Ok(())
    }

    /// Waits until everything that happened is kept, and tells the machine. What is kept next comes after all of it.
    pub(super) async fn flush(&mut self) -> Result<(), Cause> {
        while !self.outbox.is_empty() {
            let kept = self.outbox.kept().await;
            self.take_in(kept)?;
        }
        Ok(())
    }

    /// The first timer is up.
    async fn ring(&mut self) -> Result<(), Cause> {
        let Some(Reverse((_, timer))) = self.timers.pop() else {
            return Ok(());
        };
        if let Timer::Step { step, round } = timer {
            self.flush().await?;
            let is_timed = self.machine.is_timed(step, round);
            if let Some(it) = self.machine.step(step).filter(|_| is_timed) {
                let step = it.id.clone();
                self.keep(&[Record::StepTimedOut { step, round }]).await?;
            }
        }
        self.machine.apply(Input::Timer(timer));
        Ok(())
    }

    fn stop(&mut self) {
        self.machine.apply(Input::Stop);
        self.grace = Some(Instant::now() + self.settings.grace);
    }

    /// Stops where the run was cancelled.
    pub(super) fn heed(&mut self) {
        if self.grace.is_none() && self.context.cancellation().is_cancelled() {
            self.stop();
        }
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

    /// Changes the plan: what can be changed is kept first, so that nothing is done that nobody knows of later.
    async fn change(
        &mut self,
        change: Change,
        by: Option<Arc<str>>,
    ) -> Result<Result<(), PlanError>, Cause> {
        self.flush().await?;
        let registry = &self.settings.registry;
        if let Err(refused) = self.machine.check(&change, registry) {
            return Ok(Err(refused));
        }
        let record = Record::PlanChanged { change, by };
        self.keep(std::slice::from_ref(&record)).await?;
        let Record::PlanChanged { change, by } = record else {
            return Ok(Ok(()));
        };
        let changed = self.machine.change(&change, registry);
        self.context.publish(|| EventKind::PlanChanged {
            change: change.as_str(),
            changed_step: change.step().cloned(),
            by,
        });
        Ok(changed)
    }

    async fn grant(&mut self, wish: Wish) -> Result<(), Cause> {
        match wish {
            Wish::Change { change, by, answer } => {
                let changed = self.change(change, by).await?;
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

/// Waits until whoever reads the run's events has made room for more.
async fn room(context: &RunContext) {
    if let Some(pace) = context.pace() {
        pace.room().await;
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
