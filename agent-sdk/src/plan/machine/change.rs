//! Changes of a plan that runs.

use std::{cmp::Reverse, collections::BTreeSet, sync::Arc};

use super::{
    Catalog, Change, Command, Life, Machine, PlanError, SkipReason, Slot, State, StepEnd, Timer,
    check, slot::Phase,
};
use crate::plan::{Plan, Problem, Step, graph::Node};

impl Machine {
    /// Changes the plan. What the change lets begin is among the next commands.
    ///
    /// A plan that is over can be [retried](Change::Retry) and [restarted](Change::Restart), and then goes on; nothing else.
    ///
    /// # Errors
    ///
    /// Why the change cannot be made; then nothing was changed. A plan that would be wrong with it is refused with all mistakes, as
    /// [`Plan::check`] says them.
    pub fn change(&mut self, change: &Change, catalog: &dyn Catalog) -> Result<(), PlanError> {
        let begins_anew = matches!(change, Change::Retry { .. } | Change::Restart { .. });
        if self.life == Life::Over && !begins_anew {
            return refuse("the plan is over");
        }
        if self.stopped.is_some() && self.life != Life::Over {
            if !(begins_anew && self.life == Life::Earlier) {
                return refuse("the plan is about to stop");
            }
            // It was allowed then, so the plan was over.
            self.close_all();
        }
        match change {
            Change::Add { step } => self.add(step, catalog)?,
            Change::Remove { id } => self.remove(id, catalog)?,
            Change::Modify { step } => self.modify(step, catalog)?,
            Change::Pause => self.is_paused = true,
            Change::Resume => self.is_paused = false,
            Change::Skip { id } => {
                let number = self.known(id)?;
                self.give_up_step(number)?;
            }
            Change::Retry { id } => {
                let number = self.known(id)?;
                self.retry(number)?;
            }
            Change::Restart { id } => {
                let number = self.known(id)?;
                self.restart(number)?;
            }
        }
        self.settle();
        Ok(())
    }

    fn known(&self, id: &str) -> Result<u32, PlanError> {
        match self.number(id) {
            Some(number) => Ok(number),
            None => refuse(format!("there is no step `{id}`")),
        }
    }

    /// Checks the plan as it would be.
    fn try_out(
        &self,
        catalog: &dyn Catalog,
        edit: impl FnOnce(&mut Vec<Step>),
    ) -> Result<(), PlanError> {
        let mut plan: Plan = self.plan();
        edit(&mut plan.steps);
        check::read(&plan, catalog).map(drop)
    }

    fn add(&mut self, step: &Step, catalog: &dyn Catalog) -> Result<(), PlanError> {
        self.try_out(catalog, |steps| steps.push(step.clone()))?;
        let number = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        let node = Node::read(Arc::new(step.clone()), &mut Vec::new());
        self.slots.push(Slot::new(node, Vec::new()));
        self.count += 1;
        self.numbers.insert(step.id.clone(), number);
        self.connect();
        Ok(())
    }

    fn remove(&mut self, id: &Arc<str>, catalog: &dyn Catalog) -> Result<(), PlanError> {
        let number = self.untouched(id, "removed")?;
        self.try_out(catalog, |steps| steps.retain(|step| step.id != *id))?;
        if let Some(slot) = self.slot_mut(number) {
            slot.is_removed = true;
            // What was in the queue, asked or timed for it is of a round that is over.
            slot.state = State::Waiting;
            slot.round += 1;
        }
        self.count -= 1;
        self.numbers.remove(id);
        self.connect();
        Ok(())
    }

    fn modify(&mut self, step: &Step, catalog: &dyn Catalog) -> Result<(), PlanError> {
        let number = self.untouched(&step.id, "modified")?;
        self.try_out(catalog, |steps| {
            if let Some(slot) = steps.iter_mut().find(|other| other.id == step.id) {
                *slot = step.clone();
            }
        })?;
        if let Some(slot) = self.slot_mut(number) {
            slot.node = Node::read(Arc::new(step.clone()), &mut Vec::new());
            slot.state = State::Waiting;
            slot.round += 1;
        }
        self.connect();
        Ok(())
    }

    /// The number of a step of which nothing was begun.
    fn untouched(&self, id: &str, what: &str) -> Result<u32, PlanError> {
        let number = self.known(id)?;
        let slot = self.slot(number);
        match slot.map(|slot| (&slot.state, slot.attempts)) {
            Some((State::Ended(end), _)) => refuse(format!(
                "step `{id}` cannot be {what}: it has ended ({})",
                end.as_str()
            )),
            Some((State::Active(_), attempts)) if attempts > 0 => {
                refuse(format!("step `{id}` cannot be {what}: it has begun"))
            }
            _ => Ok(number),
        }
    }

    fn give_up_step(&mut self, number: u32) -> Result<(), PlanError> {
        let Some(slot) = self.slot(number) else {
            return Ok(());
        };
        if let State::Ended(end) = &slot.state {
            let id = &slot.node.step.id;
            return refuse(format!(
                "step `{id}` cannot be skipped: it has ended ({})",
                end.as_str()
            ));
        }
        let because = SkipReason::Person;
        let is_harmless = true;
        self.give_up(
            number,
            StepEnd::Skipped {
                because,
                is_harmless,
            },
        );
        Ok(())
    }

    fn retry(&mut self, number: u32) -> Result<(), PlanError> {
        let Some(slot) = self.slot(number) else {
            return Ok(());
        };
        let id = slot.node.step.id.clone();
        match &slot.state {
            State::Ended(StepEnd::Ok { .. }) => refuse(format!(
                "step `{id}` succeeded: to run it and what comes after it again, restart it"
            )),
            State::Ended(_) => {
                let mut again = BTreeSet::from([number]);
                let mut open = vec![number];
                while let Some(number) = open.pop() {
                    let slot = self.slot(number);
                    for other in slot.into_iter().flat_map(|slot| &slot.waited_for_by) {
                        let end = self.end(*other);
                        let was_skipped = matches!(
                            end,
                            Some(StepEnd::Skipped {
                                because: SkipReason::Step(_) | SkipReason::Stopped,
                                ..
                            })
                        );
                        if was_skipped && again.insert(*other) {
                            open.push(*other);
                        }
                    }
                }
                self.begin_anew(again);
                Ok(())
            }
            State::Active(active) => {
                let resting = active.items.iter().enumerate();
                let resting = resting.filter(|(_, item)| item.phase == Phase::Resting);
                let resting: Vec<usize> = resting.map(|(item, _)| item).collect();
                if resting.is_empty() {
                    return refuse(format!("step `{id}` is under way"));
                }
                for item in resting {
                    self.queue(number, u32::try_from(item).unwrap_or(u32::MAX));
                }
                Ok(())
            }
            State::Waiting | State::Asking => refuse(format!("step `{id}` has not begun")),
        }
    }

    fn restart(&mut self, number: u32) -> Result<(), PlanError> {
        if let Some(slot) = self.slot(number).filter(|slot| !slot.has_ended()) {
            let id = &slot.node.step.id;
            return refuse(format!("step `{id}` cannot be restarted: it has not ended"));
        }
        let mut again = BTreeSet::from([number]);
        let mut open = vec![number];
        while let Some(number) = open.pop() {
            let slot = self.slot(number);
            for other in slot.into_iter().flat_map(|slot| &slot.waited_for_by) {
                if again.insert(*other) {
                    open.push(*other);
                }
            }
        }
        for number in &again {
            if let Some(slot) = self.slot(*number)
                && matches!(slot.state, State::Active(_))
            {
                let id = &slot.node.step.id;
                return refuse(format!("step `{id}` is under way: skip it first"));
            }
        }
        self.begin_anew(again);
        Ok(())
    }

    /// Has steps wait as if they had never begun.
    fn begin_anew(&mut self, mut numbers: BTreeSet<u32>) {
        let was_stopped = self.stopped.take().is_some();
        if was_stopped {
            let all = 0..u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
            numbers.extend(all.filter(|number| self.end(*number).is_some_and(StepEnd::is_of_stop)));
        }
        if let Some(time) = self
            .frame
            .timeout
            .filter(|_| was_stopped || self.life == Life::Over)
        {
            let timer = Timer::Plan;
            self.commands.push_back(Command::Wait { timer, time });
        }
        for number in numbers {
            if let Some(slot) = self.slot_mut(number) {
                slot.state = State::Waiting;
                slot.round += 1;
                slot.attempts = 0;
            }
        }
        if self.life == Life::Over {
            self.life = Life::Now;
        }
        self.is_doomed = false;
        self.count();
    }

    /// Draws the edges anew.
    fn connect(&mut self) {
        let mut lost = Vec::new();
        for (number, slot) in self.slots.iter_mut().enumerate() {
            let was_in_vain = matches!(&slot.state, State::Ended(end) if !end.is_harmless());
            if was_in_vain && !slot.waited_for_by.is_empty() {
                lost.push(number);
            }
            slot.waited_for_by.clear();
        }
        for number in 0..self.slots.len() {
            let Some(slot) = self.slots.get(number).filter(|slot| !slot.is_removed) else {
                continue;
            };
            let names = slot.node.names();
            let waits_for = names.filter_map(|(_, id)| self.number(id));
            let waits_for: BTreeSet<u32> = waits_for.collect();
            for other in &waits_for {
                if let Some(other) = self.slots.get_mut(*other as usize) {
                    other
                        .waited_for_by
                        .push(u32::try_from(number).unwrap_or(u32::MAX));
                }
            }
            if let Some(slot) = self.slots.get_mut(number) {
                slot.node.waits_for = waits_for.into_iter().collect();
            }
        }
        // One that failed and that nothing waits for any more decides about the plan.
        let mut lost = lost.iter().filter_map(|number| self.slots.get(*number));
        self.is_doomed |= lost.any(|slot| slot.waited_for_by.is_empty());
        self.count();
    }

    /// Counts anew what each step waits for, and has every one looked at.
    fn count(&mut self) {
        let ended: Vec<Option<bool>> = self
            .slots
            .iter()
            .map(|slot| match &slot.state {
                State::Ended(end) => Some(end.is_ok()),
                _ => None,
            })
            .collect();
        self.open = 0;
        self.unsettled.clear();
        for (number, slot) in self.slots.iter_mut().enumerate() {
            if slot.is_removed {
                continue;
            }
            (slot.waiting, slot.ok) = (0, 0);
            for other in &slot.node.waits_for {
                match ended.get(*other as usize).copied().flatten() {
                    None => slot.waiting += 1,
                    Some(is_ok) => slot.ok += u32::from(is_ok),
                }
            }
            self.open += usize::from(!slot.has_ended());
            let number = u32::try_from(number).unwrap_or(u32::MAX);
            self.unsettled.push(Reverse(number));
        }
    }
}

fn refuse<T>(why: impl Into<String>) -> Result<T, PlanError> {
    Err(PlanError::of(Problem::new("", why)))
}
