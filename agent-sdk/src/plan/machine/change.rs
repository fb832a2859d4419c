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
        if self.is_stopping() && begins_anew && self.life == Life::Earlier {
            // It was allowed then, so the plan was over.
            self.close_all();
            self.fits(change, catalog)?;
        } else {
            self.check(change, catalog)?;
        }
        match change {
            Change::Add { step } => self.add(step),
            Change::Remove { id } => self.remove(id),
            Change::Modify { step } => self.modify(step),
            Change::Pause => self.is_paused = true,
            Change::Resume => self.is_paused = false,
            Change::Skip { id } => self.skip_for_a_person(id),
            Change::Retry { id } => self.retry(id),
            Change::Restart { id } => self.restart(id),
        }
        self.settle();
        Ok(())
    }

    /// Whether a [change](Self::change) can be made now; nothing is changed.
    ///
    /// # Errors
    ///
    /// Why not.
    pub fn check(&self, change: &Change, catalog: &dyn Catalog) -> Result<(), PlanError> {
        let begins_anew = matches!(change, Change::Retry { .. } | Change::Restart { .. });
        if self.life == Life::Over && !begins_anew {
            return refuse("the plan is over");
        }
        if self.is_stopping() {
            return refuse("the plan is about to stop");
        }
        self.fits(change, catalog)
    }

    /// Whether a change fits the steps as they are.
    fn fits(&self, change: &Change, catalog: &dyn Catalog) -> Result<(), PlanError> {
        match change {
            Change::Add { step } => self.try_out(catalog, |steps| steps.push(Step::clone(step))),
            Change::Remove { id } => {
                self.check_untouched(id, "removed")?;
                self.try_out(catalog, |steps| steps.retain(|step| step.id != *id))
            }
            Change::Modify { step } => {
                self.check_untouched(&step.id, "modified")?;
                self.try_out(catalog, |steps| {
                    if let Some(other) = steps.iter_mut().find(|other| other.id == step.id) {
                        *other = Step::clone(step);
                    }
                })
            }
            Change::Pause | Change::Resume => Ok(()),
            Change::Skip { id } => self.check_skip(id),
            Change::Retry { id } => self.check_retry(id),
            Change::Restart { id } => self.check_restart(id),
        }
    }

    fn known(&self, id: &str) -> Result<(u32, &Slot), PlanError> {
        let number = self.number(id);
        match number.and_then(|number| Some((number, self.slot(number)?))) {
            Some(known) => Ok(known),
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

    fn add(&mut self, step: &Step) {
        let number = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        let node = Node::read(Arc::new(step.clone()), &mut Vec::new());
        self.slots.push(Slot::new(node, Vec::new()));
        self.count += 1;
        self.numbers.insert(step.id.clone(), number);
        self.connect();
    }

    fn remove(&mut self, id: &Arc<str>) {
        let number = self.numbers.remove(id);
        if let Some(slot) = number.and_then(|number| self.slot_mut(number)) {
            slot.is_removed = true;
            // What was in the queue, asked or timed for it is of a round that is over.
            slot.state = State::Waiting;
            slot.round += 1;
            self.count -= 1;
        }
        self.connect();
    }

    fn modify(&mut self, step: &Step) {
        let number = self.number(&step.id);
        if let Some(slot) = number.and_then(|number| self.slot_mut(number)) {
            slot.node = Node::read(Arc::new(step.clone()), &mut Vec::new());
            slot.state = State::Waiting;
            slot.round += 1;
        }
        self.connect();
    }

    /// Whether nothing was begun of a step.
    fn check_untouched(&self, id: &str, what: &str) -> Result<(), PlanError> {
        let (_, slot) = self.known(id)?;
        match &slot.state {
            State::Ended(end) => refuse(format!(
                "step `{id}` cannot be {what}: it has ended ({})",
                end.as_str()
            )),
            State::Active(_) if slot.attempts > 0 => {
                refuse(format!("step `{id}` cannot be {what}: it has begun"))
            }
            _ => Ok(()),
        }
    }

    fn check_skip(&self, id: &str) -> Result<(), PlanError> {
        let (_, slot) = self.known(id)?;
        match &slot.state {
            State::Ended(end) => refuse(format!(
                "step `{id}` cannot be skipped: it has ended ({})",
                end.as_str()
            )),
            _ => Ok(()),
        }
    }

    fn skip_for_a_person(&mut self, id: &str) {
        let Some(number) = self.number(id) else {
            return;
        };
        let because = SkipReason::Person;
        let is_harmless = true;
        self.give_up(
            number,
            StepEnd::Skipped {
                because,
                is_harmless,
            },
        );
    }

    fn check_retry(&self, id: &str) -> Result<(), PlanError> {
        let (_, slot) = self.known(id)?;
        match &slot.state {
            State::Ended(StepEnd::Ok { .. }) => refuse(format!(
                "step `{id}` succeeded: to run it and what comes after it again, restart it"
            )),
            State::Active(active) if !active.is_resting() => {
                refuse(format!("step `{id}` is under way"))
            }
            State::Ended(_) | State::Active(_) => Ok(()),
            State::Waiting | State::Asking(_) => refuse(format!("step `{id}` has not begun")),
        }
    }

    fn retry(&mut self, id: &str) {
        let Ok((number, slot)) = self.known(id) else {
            return;
        };
        if let State::Active(active) = &slot.state {
            let resting = active.items.iter().enumerate();
            let resting = resting.filter(|(_, item)| item.phase == Phase::Resting);
            let resting: Vec<usize> = resting.map(|(item, _)| item).collect();
            for item in resting {
                self.queue(number, u32::try_from(item).unwrap_or(u32::MAX));
            }
            return;
        }
        let again = self.from(number, |end| {
            matches!(
                end,
                Some(StepEnd::Skipped {
                    because: SkipReason::Step(_) | SkipReason::Stopped,
                    ..
                })
            )
        });
        self.begin_anew(again);
    }

    fn check_restart(&self, id: &str) -> Result<(), PlanError> {
        let (number, slot) = self.known(id)?;
        if !slot.has_ended() {
            return refuse(format!("step `{id}` cannot be restarted: it has not ended"));
        }
        let again = self.from(number, |_| true);
        let mut again = again.iter().filter_map(|number| self.slot(*number));
        match again.find(|slot| matches!(slot.state, State::Active(_))) {
            Some(slot) => {
                let id = &slot.node.step.id;
                refuse(format!("step `{id}` is under way: skip it first"))
            }
            None => Ok(()),
        }
    }

    fn restart(&mut self, id: &str) {
        if let Some(number) = self.number(id) {
            self.begin_anew(self.from(number, |_| true));
        }
    }

    /// A step and those that come after it, as far as their ends are meant.
    fn from(&self, number: u32, is_meant: impl Fn(Option<&StepEnd>) -> bool) -> BTreeSet<u32> {
        let mut all = BTreeSet::from([number]);
        let mut open = vec![number];
        while let Some(number) = open.pop() {
            let slot = self.slot(number);
            for other in slot.into_iter().flat_map(|slot| &slot.waited_for_by) {
                if is_meant(self.end(*other)) && all.insert(*other) {
                    open.push(*other);
                }
            }
        }
        all
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
