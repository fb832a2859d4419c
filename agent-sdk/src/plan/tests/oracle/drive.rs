//! A driver in virtual time, which watches what must hold whatever happens.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use super::world::World;
use crate::plan::{
    Change, Command, End, Ended, Input, Machine, Open, Params, Plan, StepEnd, StepState, Task,
    Timer,
};

/// What the machine was told and took in.
#[derive(Clone, Debug)]
pub(crate) enum Told {
    Input(Input),
    Change(Change),
}

/// What will happen.
#[derive(Debug)]
pub(crate) enum Event {
    Input(Input),
    /// A change, made when its moment has come; it is random, so that it may be refused.
    Change(Box<dyn Wish>),
}

/// Makes a change of a plan as it stands.
pub(crate) trait Wish: std::fmt::Debug {
    fn change(&self, plan: &Plan) -> Option<Change>;
}

pub(crate) struct Run {
    pub(crate) machine: Machine,
    world: World,
    pub(crate) now: u64,
    queue: BTreeMap<(u64, u64), Event>,
    events: u64,
    /// Tasks that run, and the events of their ends.
    running: BTreeMap<Task, (u64, u64)>,
    timers: BTreeMap<Timer, (u64, u64)>,
    /// Tasks that nobody waited for any more.
    dropped: BTreeSet<Task>,
    /// Timers that were waited for, all of them.
    pub(crate) late: Vec<Timer>,
    begun: BTreeMap<Task, u64>,
    is_stopped: bool,
    /// When each step that has ended did.
    pub(crate) ended: BTreeMap<u32, u64>,
    pub(crate) over: Option<(u64, End)>,
    pub(crate) told: Vec<(Told, Mark)>,
    /// Whether two things that do not lead to each other happened at the same moment.
    pub(crate) has_ties: bool,
}

/// How things stood after the machine was told something.
#[derive(Clone, Debug)]
pub(crate) struct Mark {
    /// Whether the plan was stopping, with tasks that had not ended.
    pub(crate) is_stopping: bool,
    pub(crate) ends: Vec<Option<StepEnd>>,
    /// Whether it was the end of a task that nobody waited for.
    pub(crate) is_in_vain: bool,
}

impl Run {
    pub(crate) fn new(plan: &Plan, world: World) -> Self {
        let machine = Machine::new(plan, &Open, &Params::new(), world.seed).unwrap();
        Self::with(machine, world, BTreeMap::new())
    }

    /// Runs one that goes on after an earlier life.
    pub(crate) fn of(machine: Machine, world: World) -> Self {
        let ended = machine.steps().filter(|step| step.end.is_some());
        let ended = ended.map(|step| (step.number, 0)).collect();
        Self::with(machine, world, ended)
    }

    fn with(machine: Machine, world: World, ended: BTreeMap<u32, u64>) -> Self {
        let mut run = Self {
            machine,
            world,
            now: 0,
            queue: BTreeMap::new(),
            events: 0,
            running: BTreeMap::new(),
            timers: BTreeMap::new(),
            dropped: BTreeSet::new(),
            late: Vec::new(),
            begun: BTreeMap::new(),
            is_stopped: false,
            ended,
            over: None,
            told: Vec::new(),
            has_ties: false,
        };
        run.obey();
        run
    }

    pub(crate) fn at(&mut self, time: u64, event: Event) -> (u64, u64) {
        self.events += 1;
        let key = (time, self.events);
        self.queue.insert(key, event);
        key
    }

    /// Runs on until the plan is over, whatever would happen then.
    pub(crate) fn finish_once(&mut self) {
        while self.over.is_none() {
            let Some(((now, _), event)) = self.queue.pop_first() else {
                assert!(self.machine.is_paused(), "nothing happens");
                self.change(Change::Resume);
                continue;
            };
            let next = self.queue.keys().next();
            self.has_ties |= next.is_some_and(|next| next.0 == now);
            self.now = now;
            self.happen(event);
        }
    }

    /// Runs on until the plan is over and nothing more will happen.
    pub(crate) fn finish(&mut self) {
        let mut steps = 0;
        loop {
            steps += 1;
            assert!(steps < 100_000, "it does not come to an end");
            if let Some(((now, _), event)) = self.queue.pop_first() {
                self.now = now;
                self.happen(event);
            } else if self.over.is_some() {
                break;
            } else {
                assert!(
                    self.machine.is_paused(),
                    "it stands still: {:?}",
                    self.machine
                );
                self.change(Change::Resume);
            }
        }
        for timer in std::mem::take(&mut self.late) {
            assert!(!self.machine.apply(Input::Timer(timer)), "{timer:?}");
            assert_eq!(self.machine.command(), None);
        }
        assert!(!self.machine.apply(Input::Stop));
        assert!(self.running.is_empty());
        let ids: BTreeSet<_> = self
            .machine
            .steps()
            .map(|step| step.step.id.clone())
            .collect();
        assert_eq!(ids.len(), self.machine.steps().count());
        assert!(self.machine.steps().all(|step| step.end.is_some()));
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Change(change) => {
                if let Some(change) = change.change(&self.machine.plan()) {
                    self.change(change);
                }
            }
            Event::Input(input) => self.tell(input),
        }
    }

    fn tell(&mut self, input: Input) {
        let fitted = self.machine.apply(input.clone());
        let mut is_in_vain = false;
        match &input {
            Input::Ended { task, .. } => {
                assert!(fitted, "{task:?} ran");
                assert!(self.running.remove(task).is_some());
                is_in_vain = self.dropped.contains(task);
                assert!(!self.machine.apply(input.clone()), "{task:?} ends once");
            }
            Input::Timer(timer) => drop(self.timers.remove(timer)),
            Input::Stop => self.is_stopped |= fitted,
            Input::Decided { .. } => {}
        }
        if let Input::Timer(Timer::Plan) = &input {
            self.is_stopped |= fitted;
        }
        if fitted {
            self.note(Told::Input(input), is_in_vain);
        } else {
            self.obey();
        }
    }

    fn note(&mut self, told: Told, is_in_vain: bool) {
        self.obey();
        let is_stopping = self.machine.is_stopping();
        let ends = self.ends();
        self.told.push((
            told,
            Mark {
                is_stopping,
                ends,
                is_in_vain,
            },
        ));
    }

    pub(crate) fn ends(&self) -> Vec<Option<StepEnd>> {
        let all = 0..=self.machine.steps().map(|step| step.number).max().unwrap();
        all.map(|number| self.machine.end(number).cloned())
            .collect()
    }

    fn change(&mut self, change: Change) {
        let before = (self.machine.plan(), self.ends());
        let was_over = self.over.is_some();
        if let Ok(()) = self.machine.change(&change, &Open) {
            if matches!(change, Change::Retry { .. } | Change::Restart { .. }) {
                self.over = None;
                self.is_stopped = false;
                let machine = &self.machine;
                self.ended
                    .retain(|number, _| machine.end(*number).is_some());
            } else {
                assert!(!was_over, "{change:?}");
            }
            self.note(Told::Change(change), false);
        } else {
            assert_eq!((self.machine.plan(), self.ends()), before, "{change:?}");
            assert_eq!(self.machine.command(), None, "{change:?}");
        }
    }

    /// Does as the machine says until it wants to be told something.
    fn obey(&mut self) {
        let mut passed = BTreeSet::new();
        while let Some(command) = self.machine.command() {
            assert!(self.over.is_none(), "{command:?} after the end");
            match command {
                Command::Start { task, .. } => self.start(task),
                Command::Drop { task } => {
                    assert!(self.machine.end(task.step).is_some());
                    self.dropped.insert(task);
                    self.end_at(task, self.now, Ended::Cancelled);
                }
                Command::Interrupt { task } => {
                    let (end, _) = self.running[&task];
                    let early = self.world.obeys(task).map(|grace| self.now + grace);
                    if let Some(early) = early.filter(|early| *early < end) {
                        self.end_at(task, early, Ended::Cancelled);
                    }
                }
                Command::Wait { timer, time } => {
                    let time = u64::try_from(time.as_nanos()).unwrap();
                    let key = self.at(self.now + time, Event::Input(Input::Timer(timer)));
                    self.late.push(timer);
                    if let Some(earlier) = self.timers.insert(timer, key) {
                        self.queue.remove(&earlier);
                    }
                }
                Command::Ask { step, round, .. } => {
                    let (time, allowed) = self.world.decides(step.into());
                    let decided = Input::Decided {
                        step,
                        round,
                        allowed,
                        reason: None,
                    };
                    // What was decided about an earlier round is said all the same, and must not count.
                    self.at(self.now + time, Event::Input(decided));
                }
                Command::Passed { step } => {
                    assert!(self.machine.end(step).is_some());
                    assert!(passed.insert(step), "{step} passed twice");
                    let begun = self.machine.steps().find(|s| s.number == step).unwrap();
                    assert_eq!(begun.attempts, 0);
                }
                Command::Finish(end) => {
                    assert!(self.running.is_empty());
                    assert_eq!(self.machine.over(), Some(end));
                    assert!(self.machine.steps().all(|step| step.end.is_some()));
                    self.over = Some((self.now, end));
                    for (_, key) in std::mem::take(&mut self.timers) {
                        self.queue.remove(&key);
                    }
                }
            }
        }
        for step in self.machine.steps().filter(|step| step.end.is_some()) {
            if !self.ended.contains_key(&step.number) {
                let was_begun = step.attempts > 0;
                assert_ne!(was_begun, passed.contains(&step.number), "{step:?}");
                self.ended.insert(step.number, self.now);
            }
        }
    }

    fn start(&mut self, task: Task) {
        assert!(!self.is_stopped && !self.machine.is_paused());
        let width = self.machine.plan().width().get() as usize;
        let twin = |other: &Task| {
            (other.step, other.round, other.item) == (task.step, task.round, task.item)
        };
        assert!(!self.running.keys().any(twin), "two tries of {task:?}");
        assert!(
            self.begun.insert(task, self.now).is_none(),
            "{task:?} again"
        );
        let (time, ended) = self.world.does(task);
        let input = Input::Ended { task, ended };
        let key = self.at(self.now + time, Event::Input(input));
        self.running.insert(task, key);
        assert!(self.running.len() <= width);
        let step = self.machine.step(task.step).unwrap();
        let tries = if task.choice == 0 {
            step.retry.attempts.get()
        } else {
            1
        };
        assert!(task.attempt <= tries && task.choice as usize <= step.fallback.len());
        let waits_for = self.machine.waits_for(task.step);
        let ok = waits_for.iter().filter(|other| {
            let end = self.machine.end(**other);
            end.is_some_and(StepEnd::is_ok)
        });
        let all = u32::try_from(waits_for.len()).unwrap();
        assert!(
            ok.count() >= step.join.needed(all) as usize,
            "{task:?} is too early"
        );
        let first = (step.priority, Reverse(task.step));
        for other in self.machine.steps() {
            if other.state == StepState::Ready && other.number != task.step {
                let its = (other.step.priority, Reverse(other.number));
                assert!(its < first, "{} was first", other.step.id);
            }
        }
    }

    /// Lets a task that runs end otherwise than it would.
    fn end_at(&mut self, task: Task, time: u64, ended: Ended) {
        let key = self.at(time, Event::Input(Input::Ended { task, ended }));
        let before = self.running.insert(task, key).expect("it runs");
        self.queue.remove(&before);
    }
}
