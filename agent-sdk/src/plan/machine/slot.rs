//! A step's place in a machine.

use std::{cmp::Reverse, fmt, sync::Arc};

use serde_json::Value;

use super::{Fault, StepEnd, StepState, Task};
use crate::plan::graph::Node;

/// The most failures that a step remembers; later ones replace the last.
const MAX_CAUSES: usize = 1_000;

pub(super) struct Slot {
    pub(super) node: Node,
    pub(super) waited_for_by: Vec<u32>,
    /// How many of those that it waits for have not ended, and how many succeeded.
    pub(super) waiting: u32,
    pub(super) ok: u32,
    pub(super) state: State,
    /// How often it was begun anew.
    pub(super) round: u32,
    pub(super) attempts: u32,
    /// Tasks that run on although nobody waits for them.
    pub(super) lingering: Vec<Task>,
    pub(super) is_removed: bool,
}

#[derive(Debug)]
pub(super) enum State {
    Waiting,
    /// A person is asked; with the steps that are [unseen](Active::unseen), so that it is given what the person was shown.
    Asking(Box<[u32]>),
    Active(Box<Active>),
    Ended(StepEnd),
}

/// A step that could begin.
#[derive(Debug)]
pub(super) struct Active {
    /// How often the step was begun anew before.
    pub(super) round: u32,
    /// The steps which it waits for that had not succeeded when its turn came: what they gave later is not for it.
    pub(super) unseen: Box<[u32]>,
    /// Whether its time runs.
    pub(super) is_timed: bool,
    /// The list of a step that has one.
    pub(super) over: Option<Arc<[Value]>>,
    pub(super) items: Vec<Progress>,
    /// The first element that did not have its turn.
    pub(super) next: u32,
    /// Elements that had their turn and have not ended.
    pub(super) under_way: u32,
    pub(super) ok: u32,
    pub(super) lost: u32,
    pub(super) causes: Vec<Fault>,
}

/// How far one element of a step is; a step without a list is one.
#[derive(Debug)]
pub(super) struct Progress {
    pub(super) choice: u32,
    pub(super) attempt: u32,
    pub(super) phase: Phase,
}

#[derive(Debug, PartialEq)]
pub(super) enum Phase {
    Ready,
    Running,
    Resting,
    Ok(Value),
    Lost,
}

/// A task that could begin; the greatest begins first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ready {
    pub(super) priority: i32,
    pub(super) step: Reverse<u32>,
    pub(super) item: Reverse<u32>,
    pub(super) round: u32,
}

impl Slot {
    pub(super) fn new(node: Node, waited_for_by: Vec<u32>) -> Self {
        Self {
            waiting: u32::try_from(node.waits_for.len()).unwrap_or(u32::MAX),
            node,
            waited_for_by,
            ok: 0,
            state: State::Waiting,
            round: 0,
            attempts: 0,
            lingering: Vec::new(),
            is_removed: false,
        }
    }

    /// What it gave.
    pub(super) fn output(&self) -> Option<&Value> {
        match &self.state {
            State::Ended(StepEnd::Ok { output, .. }) => Some(output),
            _ => None,
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        matches!(self.state, State::Ended(_))
    }

    /// How many of those that it waits for must succeed.
    pub(super) fn needed(&self) -> u32 {
        let all = u32::try_from(self.node.waits_for.len()).unwrap_or(u32::MAX);
        self.node.step.join.needed(all)
    }

    /// Whether as many of those that it waits for succeeded as it needs.
    pub(super) fn has_enough(&self) -> bool {
        self.ok >= self.needed()
    }

    /// Whether so many can no longer succeed.
    pub(super) fn has_too_few(&self) -> bool {
        self.ok.saturating_add(self.waiting) < self.needed()
    }

    pub(super) fn shown(&self) -> StepState {
        match &self.state {
            State::Waiting => StepState::Waiting,
            State::Asking(_) => StepState::Asking,
            State::Ended(_) => StepState::Ended,
            State::Active(active) => {
                let has = |phase: &Phase| active.items.iter().any(|item| item.phase == *phase);
                if has(&Phase::Running) {
                    StepState::Running
                } else if has(&Phase::Resting) && !has(&Phase::Ready) {
                    StepState::Resting
                } else if self.attempts > 0 {
                    StepState::Running
                } else {
                    StepState::Ready
                }
            }
        }
    }

    /// How far a task is; `None` where another try of it has its turn, or none.
    pub(super) fn phase_of(&self, task: Task) -> Option<&Phase> {
        let State::Active(active) = &self.state else {
            return None;
        };
        let item = task.item.unwrap_or_default();
        let is_it = active.task(task.step, item) == Some(task);
        let progress = active.items.get(item as usize)?;
        is_it.then_some(&progress.phase)
    }

    /// The next element that may have its turn, which it then has had.
    pub(super) fn next_item(&mut self) -> Option<u32> {
        let width = self.node.step.map.as_ref().and_then(|map| map.concurrency);
        let active = self.active_mut()?;
        let all = u32::try_from(active.items.len()).unwrap_or(u32::MAX);
        if active.next >= all || width.is_some_and(|width| active.under_way >= width.get()) {
            return None;
        }
        active.under_way += 1;
        active.next += 1;
        Some(active.next - 1)
    }

    /// How far an element of it is, while it is under way.
    pub(super) fn progress_mut(&mut self, item: u32) -> Option<&mut Progress> {
        self.active_mut()?.items.get_mut(item as usize)
    }

    pub(super) fn active_mut(&mut self) -> Option<&mut Active> {
        match &mut self.state {
            State::Active(active) => Some(active),
            _ => None,
        }
    }
}

impl Active {
    pub(super) fn new(over: Option<Arc<[Value]>>, unseen: Box<[u32]>, round: u32) -> Self {
        let many = over.as_ref().map_or(1, |over| over.len());
        let fresh = || Progress {
            choice: 0,
            attempt: 1,
            phase: Phase::Ready,
        };
        Self {
            round,
            unseen,
            is_timed: false,
            over,
            items: std::iter::repeat_with(fresh).take(many).collect(),
            next: 0,
            under_way: 0,
            ok: 0,
            lost: 0,
            causes: Vec::new(),
        }
    }

    /// The number of an element, for those that have a list.
    pub(super) fn item_of(&self, number: u32) -> Option<u32> {
        self.over.as_ref().map(|_| number)
    }

    pub(super) fn task(&self, step: u32, number: u32) -> Option<Task> {
        let progress = self.items.get(number as usize)?;
        Some(Task {
            step,
            round: self.round,
            item: self.item_of(number),
            choice: progress.choice,
            attempt: progress.attempt,
        })
    }

    /// The tasks of it that run.
    pub(super) fn running(&self, step: u32) -> Vec<Task> {
        let running = self.items.iter().enumerate();
        let running = running.filter(|(_, item)| item.phase == Phase::Running);
        let numbers = running.filter_map(|(number, _)| u32::try_from(number).ok());
        numbers
            .filter_map(|number| self.task(step, number))
            .collect()
    }

    pub(super) fn is_running(&self) -> bool {
        self.items.iter().any(|item| item.phase == Phase::Running)
    }

    /// Whether one of its elements waits for its next try.
    pub(super) fn is_resting(&self) -> bool {
        self.items.iter().any(|item| item.phase == Phase::Resting)
    }

    pub(super) fn remember(&mut self, fault: Fault) {
        if self.causes.len() >= MAX_CAUSES {
            self.causes.pop();
        }
        self.causes.push(fault);
    }

    /// What its elements gave, in the list's order; of a step without a list, what it gave.
    pub(super) fn output(&mut self) -> (Value, u32) {
        let fallback = self.items.iter();
        let fallback = fallback.filter(|item| matches!(item.phase, Phase::Ok(_)));
        let fallback = fallback.map(|item| item.choice).max().unwrap_or_default();
        let mut given = self.items.iter_mut().map(|item| match &mut item.phase {
            Phase::Ok(output) => std::mem::take(output),
            _ => Value::Null,
        });
        let output = match self.over {
            Some(_) => Value::Array(given.collect()),
            None => given.next().unwrap_or(Value::Null),
        };
        (output, fallback)
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot")
            .field("id", &self.node.step.id)
            .field("waiting", &self.waiting)
            .field("ok", &self.ok)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}
