//! What a plan does next.
//!
//! [`Machine`] is told what happened and answers what to do; a driver does it. It is a fold: the same inputs give the same commands,
//! so a plan can be looked at, resumed and moved to another driver between any two of them.
//!
//! Invariants: nothing here awaits, reads a clock or draws a random number (what is left to chance comes from the seed). Each step ends
//! once. Steps are looked at in the plan's order; nothing recurses, so neither a chain nor a fan of any length overflows. All work over a
//! plan's life is O(steps + edges), times the logarithm of how many could begin at once.

mod begin;
mod change;
mod end;
mod fold;
mod join;
mod schedule;
mod slot;
mod stop;

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

pub use end::{End, Ended, Fault, SkipReason, StepEnd};
use serde_json::Value;
use slot::{Active, Ready, Slot, State};

use super::{
    Catalog, Change, FailurePolicy, Params, Plan, PlanError, Step, check,
    reference::{Scope, Template},
};

/// Decides what a plan does next.
#[derive(Debug)]
pub struct Machine {
    /// The plan without its steps, which are in the slots.
    frame: Plan,
    slots: Vec<Slot>,
    numbers: HashMap<Arc<str>, u32>,
    output: Option<Template>,
    params: Params,
    seed: u64,
    ready: BinaryHeap<Ready>,
    commands: VecDeque<Command>,
    /// Steps whose place in the plan is to be looked at.
    unsettled: BinaryHeap<Reverse<u32>>,
    /// Tasks that were begun and have not ended.
    running: u32,
    /// Steps, those that were taken out aside.
    count: u32,
    /// Steps that have not ended.
    open: usize,
    is_paused: bool,
    life: Life,
    /// Why nothing more begins.
    stopped: Option<End>,
    /// Whether a step that nothing waits for ended badly since that was last looked at.
    is_doomed: bool,
}

/// Which part of its life a machine is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    /// No command was asked for yet: what is applied happened in an earlier life, and what of it ran is not known.
    Earlier,
    /// It says what to do.
    Now,
    /// It said that nothing is left to do.
    Over,
}

/// One try of a step, or of one element of its list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Task {
    /// The number of the step, from 0; see [`Machine::step`].
    pub step: u32,
    /// How often the step was begun anew before.
    pub round: u32,
    /// The number of the element, from 0, where the step has a list.
    pub item: Option<u32>,
    /// What runs: 0 is the step's own work, others are its fallbacks in their order.
    pub choice: u32,
    /// The number of the try, from 1.
    pub attempt: u32,
}

/// What to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Timer {
    /// The next try of a step.
    Retry(Task),
    /// The end of a step's time, of the so-manieth time that it was begun.
    Step {
        /// The number of the step.
        step: u32,
        /// How often it was begun anew before.
        round: u32,
    },
    /// The end of the plan's time.
    Plan,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Command {
    /// Begin a task, and say [how it ended](Input::Ended).
    Start {
        /// The task.
        task: Task,
        /// What it is given.
        input: Value,
    },
    /// Drop a task that runs: nobody waits for it any more. That it ended is to be said all the same.
    Drop {
        /// The task.
        task: Task,
    },
    /// Tell a task that runs to stop, give it its grace, and say how it ended.
    Interrupt {
        /// The task.
        task: Task,
    },
    /// Say [`Input::Timer`] after this time. One that is too late is ignored. It takes the place of one for the same timer.
    Wait {
        /// What for.
        timer: Timer,
        /// How long.
        time: Duration,
    },
    /// Ask a person whether a step may begin, and say [`Input::Decided`]. It takes the place of an earlier question about the step.
    Ask {
        /// The number of the step.
        step: u32,
        /// How often it was begun anew before.
        round: u32,
        /// What it will be given. Of a step with a list, an object of `over`, the list, and of `input`, in which the references to the
        /// element stay as they are written. Where something that it refers to is not there, what is written in the plan.
        input: Value,
    },
    /// A step ended without being begun: it was skipped, or what it should have been given is not there.
    Passed {
        /// The number of the step.
        step: u32,
    },
    /// Nothing is left to do; what was still to be waited for can be forgotten.
    Finish(End),
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Input {
    /// A task ended.
    Ended {
        /// The task.
        task: Task,
        /// How.
        ended: Ended,
    },
    /// A time is up.
    Timer(Timer),
    /// A person decided whether a step may begin.
    Decided {
        /// The number of the step.
        step: u32,
        /// How often it was begun anew before it was asked about: what is said of an earlier round does not count.
        round: u32,
        /// Whether it may.
        allowed: bool,
        /// Why not.
        reason: Option<String>,
    },
    /// The plan is to stop: what runs is told to, nothing more begins.
    Stop,
}

/// How far a step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StepState {
    /// It waits for other steps.
    Waiting,
    /// A person is asked.
    Asking,
    /// It could begin, and waits for its turn.
    Ready,
    /// It runs.
    Running,
    /// It waits for its next try.
    Resting,
    /// It is over.
    Ended,
}

/// A step and how far it is.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StepStatus<'a> {
    /// Its number.
    pub number: u32,
    /// The step.
    pub step: &'a Arc<Step>,
    /// How far it is.
    pub state: StepState,
    /// How it ended, once it has.
    pub end: Option<&'a StepEnd>,
    /// How many tries were begun, those of all elements together.
    pub attempts: u32,
}

impl Machine {
    /// A machine that will run a plan with these parameters. `seed` decides what is left to chance.
    ///
    /// # Errors
    ///
    /// Every mistake in the plan, as [`Plan::check`] says, and in the parameters, as [`Plan::fill`] does.
    pub fn new(
        plan: &Plan,
        catalog: &dyn Catalog,
        params: &Params,
        seed: u64,
    ) -> Result<Self, PlanError> {
        Self::of(plan.clone(), catalog, params, seed)
    }

    /// [`new`](Self::new), of a plan that nobody else needs.
    pub(crate) fn of(
        mut plan: Plan,
        catalog: &dyn Catalog,
        params: &Params,
        seed: u64,
    ) -> Result<Self, PlanError> {
        let steps = std::mem::take(&mut plan.steps);
        let graph = check::read_with(&plan, steps, catalog)?;
        let params = plan.fill(params)?;
        let mut machine = Self {
            slots: Vec::with_capacity(graph.nodes.len()),
            numbers: graph.numbers,
            output: graph.output,
            params,
            seed,
            ready: BinaryHeap::new(),
            commands: VecDeque::new(),
            unsettled: BinaryHeap::new(),
            running: 0,
            count: u32::try_from(graph.nodes.len()).unwrap_or(u32::MAX),
            open: graph.nodes.len(),
            is_paused: false,
            life: Life::Earlier,
            stopped: None,
            is_doomed: false,
            frame: plan,
        };
        for (node, waited_for_by) in graph.nodes.into_iter().zip(graph.waited_for_by) {
            machine.slots.push(Slot::new(node, waited_for_by));
        }
        if let Some(time) = machine.frame.timeout {
            let timer = Timer::Plan;
            machine.commands.push_back(Command::Wait { timer, time });
        }
        let all = 0..u32::try_from(machine.slots.len()).unwrap_or(u32::MAX);
        machine.unsettled.extend(all.map(Reverse));
        machine.settle();
        Ok(machine)
    }

    /// The step of a number.
    pub fn step(&self, number: u32) -> Option<&Arc<Step>> {
        self.slots.get(number as usize).map(|slot| &slot.node.step)
    }

    /// The number of the step of an id.
    pub fn number(&self, id: &str) -> Option<u32> {
        self.numbers.get(id).copied()
    }

    /// The numbers of the steps that one waits for.
    pub fn waits_for(&self, number: u32) -> &[u32] {
        let slot = self.slots.get(number as usize);
        slot.map_or(&[], |slot| &slot.node.waits_for)
    }

    /// How a step ended, once it has.
    pub fn end(&self, number: u32) -> Option<&StepEnd> {
        match &self.slots.get(number as usize)?.state {
            State::Ended(end) => Some(end),
            _ => None,
        }
    }

    /// Every step and how far it is, in the plan's order; those that were added behind.
    pub fn steps(&self) -> impl Iterator<Item = StepStatus<'_>> {
        let slots = self.slots.iter().enumerate();
        let slots = slots.filter(|(_, slot)| !slot.is_removed);
        slots.map(|(number, slot)| StepStatus {
            number: u32::try_from(number).unwrap_or(u32::MAX),
            step: &slot.node.step,
            state: slot.shown(),
            end: match &slot.state {
                State::Ended(end) => Some(end),
                _ => None,
            },
            attempts: slot.attempts,
        })
    }

    /// The plan as it stands, with what was changed.
    pub fn plan(&self) -> Plan {
        let steps = self.slots.iter().filter(|slot| !slot.is_removed);
        Plan {
            steps: steps.map(|slot| Step::clone(&slot.node.step)).collect(),
            ..self.frame.clone_frame()
        }
    }

    /// The parameters that it runs with, defaults included.
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// Whether no more steps begin until it is resumed.
    pub fn is_paused(&self) -> bool {
        self.is_paused
    }

    /// Whether nothing more begins, and the plan is over as soon as what runs has ended.
    pub fn is_stopping(&self) -> bool {
        self.stopped.is_some() && self.life != Life::Over
    }

    /// How it ended, once it has.
    pub fn over(&self) -> Option<End> {
        if self.life != Life::Over {
            return None;
        }
        Some(self.stopped.unwrap_or_else(|| self.verdict()))
    }

    /// What the plan gives: its [output](Plan::output) with what the steps gave in its place.
    ///
    /// # Errors
    ///
    /// Which reference in it refers to what is not there.
    pub fn output(&self) -> Result<Value, String> {
        if let Some(output) = &self.output {
            let scope = Inside {
                machine: self,
                unseen: &[],
                item: None,
            };
            return output.resolve(&scope);
        }
        let last = self.slots.iter();
        let mut last = last.filter(|slot| !slot.is_removed && slot.waited_for_by.is_empty());
        match (last.next(), last.next()) {
            (Some(one), None) => Ok(one.output().cloned().unwrap_or(Value::Null)),
            (None, _) => Ok(Value::Null),
            (Some(first), Some(second)) => {
                let all = [first, second].into_iter().chain(last);
                let given = all.filter_map(|slot| {
                    Some((slot.node.step.id.to_string(), slot.output()?.clone()))
                });
                Ok(Value::Object(given.collect()))
            }
        }
    }

    /// Whether there is something to be done that needs no room.
    pub(crate) fn has_commands(&self) -> bool {
        !self.commands.is_empty()
    }

    /// How many steps it has, those that were taken out aside.
    pub(crate) fn len(&self) -> u32 {
        self.count
    }

    /// Whether a step waits for its next try.
    pub(crate) fn is_resting(&self) -> bool {
        self.steps().any(|step| step.state == StepState::Resting)
    }

    /// Whether a task was begun and something still waits for it.
    pub(crate) fn runs(&self, task: Task) -> bool {
        let slot = self.slot(task.step);
        slot.and_then(|slot| slot.phase_of(task)) == Some(&slot::Phase::Running)
    }

    /// Whether a step waits for a person's word.
    pub(crate) fn asks(&self, step: u32, round: u32) -> bool {
        let slot = self.slot(step).filter(|slot| !slot.is_removed);
        slot.is_some_and(|slot| slot.round == round && matches!(slot.state, State::Asking(_)))
    }

    /// Whether a step's time runs.
    pub(crate) fn is_timed(&self, step: u32, round: u32) -> bool {
        let slot = self.slot(step).filter(|slot| slot.round == round);
        slot.is_some_and(|slot| matches!(&slot.state, State::Active(active) if active.is_timed))
    }

    /// What comes of all steps together.
    fn verdict(&self) -> End {
        let last = self.slots.iter();
        let mut last = last.filter(|slot| !slot.is_removed && slot.waited_for_by.is_empty());
        if last.all(|slot| matches!(&slot.state, State::Ended(end) if end.is_harmless())) {
            End::Ok
        } else {
            End::Failed
        }
    }

    fn slot(&self, number: u32) -> Option<&Slot> {
        self.slots.get(number as usize)
    }

    fn slot_mut(&mut self, number: u32) -> Option<&mut Slot> {
        self.slots.get_mut(number as usize)
    }
}

impl Plan {
    /// Everything but the steps.
    pub(super) fn clone_frame(&self) -> Self {
        Self {
            version: self.version,
            name: self.name.clone(),
            description: self.description.clone(),
            params: self.params.clone(),
            output: self.output.clone(),
            timeout: self.timeout,
            parallel: self.parallel,
            concurrency: self.concurrency,
            on_failure: self.on_failure,
            fallback: self.fallback.clone(),
            steps: Vec::new(),
        }
    }
}

/// What the references of a step refer to.
struct Inside<'a> {
    machine: &'a Machine,
    /// Steps that had not succeeded when the step's turn came.
    unseen: &'a [u32],
    item: Option<(&'a Value, usize)>,
}

impl Scope for Inside<'_> {
    fn step(&self, id: &str) -> Option<&Value> {
        let number = self.machine.number(id)?;
        if self.unseen.contains(&number) {
            return None;
        }
        self.machine.slot(number)?.output()
    }

    fn params(&self) -> &Params {
        &self.machine.params
    }

    fn item(&self) -> Option<(&Value, usize)> {
        self.item
    }
}

impl StepState {
    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Asking => "asking",
            Self::Ready => "ready",
            Self::Running => "running",
            Self::Resting => "resting",
            Self::Ended => "ended",
        }
    }
}
