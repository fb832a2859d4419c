//! What could begin, and what it is given.

use std::cmp::Reverse;

use serde_json::{Value, json};

use super::{
    Command, Fault, Inside, Machine, Params, State, Timer,
    schedule::of,
    slot::{Active, Phase, Ready, Slot},
};
use crate::plan::reference::Scope;

impl Machine {
    /// Puts as many elements of a step into the queue as may be under way.
    pub(super) fn offer(&mut self, number: u32) {
        let mut is_any_lost = false;
        while let Some(item) = self.slot_mut(number).and_then(Slot::next_item) {
            is_any_lost |= !self.line_up(number, item);
        }
        if is_any_lost {
            self.weigh(number);
        }
    }

    /// Puts an element into the queue, with its choice or the first one after it whose input is there. Where none is, the element is
    /// lost, and the answer is no.
    pub(super) fn line_up(&mut self, number: u32, item: u32) -> bool {
        loop {
            let Some((slot, active)) = self.active(number) else {
                return false;
            };
            let Some(task) = active.task(number, item) else {
                return false;
            };
            let scope = self.inside(active, item);
            let Err(why) = slot.node.input(task.choice).check(&scope) else {
                self.queue(number, item);
                return true;
            };
            let fault = Fault::new("input", why);
            let choices = u32::try_from(slot.node.others.len()).unwrap_or(u32::MAX);
            if task.choice >= choices {
                self.write_off(task, fault);
                return false;
            }
            if let Some(active) = self.slot_mut(number).and_then(Slot::active_mut) {
                active.remember(of(task, fault));
                if let Some(progress) = active.items.get_mut(item as usize) {
                    (progress.choice, progress.attempt) = (task.choice + 1, 1);
                }
            }
        }
    }

    /// Puts an element into the queue as it is.
    pub(super) fn queue(&mut self, number: u32, item: u32) {
        let Some(slot) = self.slots.get_mut(number as usize) else {
            return;
        };
        let (priority, round) = (slot.node.step.priority, slot.round);
        if let Some(progress) = slot.progress_mut(item) {
            progress.phase = Phase::Ready;
            self.ready.push(Ready {
                priority,
                step: Reverse(number),
                item: Reverse(item),
                round,
            });
        }
    }

    /// Begins what is first in the queue; `None` where it is not there any more.
    pub(super) fn begin(&mut self, ready: Ready) -> Option<Command> {
        let (number, item) = (ready.step.0, ready.item.0);
        let (slot, active) = self.active(number)?;
        let progress = active.items.get(item as usize)?;
        if slot.round != ready.round || progress.phase != Phase::Ready {
            return None;
        }
        let task = active.task(number, item)?;
        let input = slot.node.input(task.choice);
        let input = match input.resolve(&self.inside(active, item)) {
            Ok(input) => input,
            Err(why) => {
                self.write_off(task, Fault::new("input", why));
                self.weigh(number);
                return None;
            }
        };
        let slot = self.slots.get_mut(number as usize)?;
        slot.attempts = slot.attempts.saturating_add(1);
        let timeout = slot.node.step.timeout;
        let round = slot.round;
        let active = slot.active_mut()?;
        if let Some(progress) = active.items.get_mut(item as usize) {
            progress.phase = Phase::Running;
        }
        if let Some(time) = timeout.filter(|_| !active.is_timed) {
            active.is_timed = true;
            let step = number;
            let timer = Timer::Step { step, round };
            self.commands.push_back(Command::Wait { timer, time });
        }
        self.running += 1;
        Some(Command::Start { task, input })
    }

    /// What to ask about a step, where a person is to be asked.
    pub(super) fn question_about(&self, number: u32) -> Option<Command> {
        let slot = self.slot(number)?;
        let State::Asking(unseen) = &slot.state else {
            return None;
        };
        let scope = Shown(Inside {
            machine: self,
            unseen,
            item: None,
        });
        let input = slot.node.input(0).resolve(&scope);
        let input = input.unwrap_or_else(|_| slot.node.step.input.clone());
        let input = match (&slot.node.step.map, &slot.node.over) {
            (Some(map), Some(over)) => {
                let over = over.resolve(&scope).unwrap_or_else(|_| map.over.clone());
                json!({"over": over, "input": input})
            }
            _ => input,
        };
        let (step, round) = (number, slot.round);
        Some(Command::Ask { step, round, input })
    }

    fn active(&self, number: u32) -> Option<(&Slot, &Active)> {
        let slot = self.slot(number)?;
        match &slot.state {
            State::Active(active) => Some((slot, active)),
            _ => None,
        }
    }

    /// What an element's references refer to.
    fn inside<'a>(&'a self, active: &'a Active, item: u32) -> Inside<'a> {
        let element = active.over.as_ref();
        let element = element.and_then(|over| over.get(item as usize));
        Inside {
            machine: self,
            unseen: &active.unseen,
            item: element.map(|element| (element, item as usize)),
        }
    }
}

/// What the references of a step refer to while a person is asked about it, who sees those to an element as they are written.
struct Shown<'a>(Inside<'a>);

impl Scope for Shown<'_> {
    fn step(&self, id: &str) -> Option<&Value> {
        self.0.step(id)
    }

    fn params(&self) -> &Params {
        self.0.params()
    }

    fn item(&self) -> Option<(&Value, usize)> {
        None
    }

    fn leaves_elements(&self) -> bool {
        true
    }
}
