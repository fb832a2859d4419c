//! What is begun, and what comes of it.

use std::cmp::Reverse;

use serde_json::Value;

use super::{
    Command, End, Ended, Fault, Input, Inside, Machine, SkipReason, State, StepEnd, Task, Timer,
    slot::{Phase, Ready},
};
use crate::plan::Join;

impl Machine {
    /// What to do next; `None` where something must happen first.
    pub fn next(&mut self) -> Option<Command> {
        loop {
            if let Some(command) = self.commands.pop_front() {
                return Some(command);
            }
            if self.is_finished {
                return None;
            }
            if self.open == 0 && self.running == 0 {
                self.is_finished = true;
                let end = self.over().unwrap_or(End::Failed);
                return Some(Command::Finish(end));
            }
            if self.is_paused || self.stopped.is_some() || self.running >= self.frame.width().get()
            {
                return None;
            }
            let ready = self.ready.pop()?;
            if let Some(command) = self.begin(ready) {
                return Some(command);
            }
            self.settle();
        }
    }

    /// Takes in what happened. What does not fit the moment, because it comes too late, changes nothing; whether it fitted is
    /// the answer.
    pub fn apply(&mut self, input: Input) -> bool {
        let fitted = match input {
            Input::Ended { task, ended } => self.ended(task, ended),
            Input::Timer(Timer::Retry(task)) => self.try_again(task),
            Input::Timer(Timer::Step { step, round }) => self.step_time_is_up(step, round),
            Input::Timer(Timer::Plan) => self.stop(End::TimedOut),
            Input::Decided {
                step,
                allowed,
                reason,
            } => self.decided(step, allowed, reason),
            Input::Stop => self.stop(End::Cancelled),
        };
        self.settle();
        fitted
    }

    /// Puts as many elements of a step into the queue as may be under way.
    pub(super) fn offer(&mut self, number: u32) {
        let Some(slot) = self.slots.get_mut(number as usize) else {
            return;
        };
        let step = &slot.node.step;
        let width = step.map.as_ref().and_then(|map| map.concurrency);
        let (priority, round) = (step.priority, slot.round);
        let State::Active(active) = &mut slot.state else {
            return;
        };
        let all = u32::try_from(active.items.len()).unwrap_or(u32::MAX);
        let width = width.map_or(all, std::num::NonZeroU32::get);
        while active.under_way < width && active.next < all {
            self.ready.push(Ready {
                priority,
                step: Reverse(number),
                item: Reverse(active.next),
                round,
            });
            active.next += 1;
            active.under_way += 1;
        }
    }

    /// Begins what is first in the queue; `None` where it is not there any more, or cannot be given what it should be.
    fn begin(&mut self, ready: Ready) -> Option<Command> {
        let (number, item) = (ready.step.0, ready.item.0);
        let slot = self.slot(number)?;
        let State::Active(active) = &slot.state else {
            return None;
        };
        let progress = active.items.get(item as usize)?;
        if slot.round != ready.round || progress.phase != Phase::Ready {
            return None;
        }
        let task = active.task(number, item)?;
        let scope = Inside {
            machine: self,
            must_be_there: slot.needed() as usize == slot.node.waits_for.len(),
            item: active
                .over
                .as_ref()
                .and_then(|over| Some((over.get(item as usize)?, item as usize))),
        };
        let own = usize::try_from(task.choice)
            .unwrap_or(usize::MAX)
            .checked_sub(1);
        let other = own.and_then(|own| slot.node.others.get(own)?.as_ref());
        let input = other.unwrap_or(&slot.node.input).resolve(&scope);
        let slot = self.slots.get_mut(number as usize)?;
        match input {
            Ok(input) => {
                slot.attempts = slot.attempts.saturating_add(1);
                if let Some(progress) = slot.progress_mut(item) {
                    progress.phase = Phase::Running;
                }
                self.running += 1;
                Some(Command::Start { task, input })
            }
            Err(why) => {
                let fault = Fault::new("input", why);
                self.failed(task, fault);
                if self
                    .slot(number)
                    .is_some_and(|slot| slot.attempts == 0 && slot.has_ended())
                {
                    self.commands.push_back(Command::Passed { step: number });
                }
                None
            }
        }
    }

    fn ended(&mut self, task: Task, ended: Ended) -> bool {
        let Some(slot) = self.slots.get_mut(task.step as usize) else {
            return false;
        };
        if let Some(at) = slot.lingering.iter().position(|other| *other == task) {
            slot.lingering.swap_remove(at);
            self.running = self.running.saturating_sub(1);
            return true;
        }
        if slot.round != task.round {
            return false;
        }
        let number = task.item.unwrap_or_default();
        let Some(progress) = slot.progress_mut(number) else {
            return false;
        };
        if (progress.choice, progress.attempt) != (task.choice, task.attempt) {
            return false;
        }
        match progress.phase {
            Phase::Running => self.running = self.running.saturating_sub(1),
            // In an earlier life it ran.
            Phase::Ready | Phase::Resting => slot.attempts = slot.attempts.saturating_add(1),
            Phase::Ok(_) | Phase::Lost => return false,
        }
        match ended {
            Ended::Ok { output } => self.gave(task, output),
            Ended::Failed { fault } => self.failed(task, fault),
            Ended::Cancelled => {
                let fault = Fault::new("cancelled", "it was told to stop, and did");
                self.lose(task, fault);
            }
        }
        true
    }

    fn gave(&mut self, task: Task, output: Value) {
        let number = task.item.unwrap_or_default();
        let Some(slot) = self.slots.get_mut(task.step as usize) else {
            return;
        };
        let Some(active) = slot.active_mut() else {
            return;
        };
        if let Some(progress) = active.items.get_mut(number as usize) {
            progress.phase = Phase::Ok(output);
        }
        active.ok += 1;
        active.under_way = active.under_way.saturating_sub(1);
        self.weigh(task.step);
    }

    /// A try failed: there is another one, another choice, or none.
    pub(super) fn failed(&mut self, task: Task, fault: Fault) {
        let is_stopping = self.stopped.is_some();
        let chance = chance(self.seed, task);
        let number = task.item.unwrap_or_default();
        let Some(slot) = self.slots.get_mut(task.step as usize) else {
            return;
        };
        let (step, round) = (slot.node.step.clone(), slot.round);
        let Some(active) = slot.active_mut() else {
            return;
        };
        let Some(progress) = active.items.get_mut(number as usize) else {
            return;
        };
        let retry = &step.retry;
        let is_meant = match retry.on.as_slice() {
            [] => fault.may_pass,
            classes => classes.contains(&fault.class),
        };
        let choices = u32::try_from(step.fallback.len()).unwrap_or(u32::MAX);
        if is_stopping {
            return self.lose(task, fault);
        }
        if is_meant && task.choice == 0 && task.attempt < retry.attempts.get() {
            progress.attempt += 1;
            progress.phase = Phase::Resting;
            let next = Task {
                attempt: task.attempt + 1,
                ..task
            };
            active.remember(of(task, fault));
            self.commands.push_back(Command::Wait {
                timer: Timer::Retry(next),
                time: retry.wait(task.attempt, chance),
            });
        } else if task.choice < choices {
            (progress.choice, progress.attempt) = (task.choice + 1, 1);
            progress.phase = Phase::Ready;
            active.remember(of(task, fault));
            self.ready.push(Ready {
                priority: step.priority,
                step: Reverse(task.step),
                item: Reverse(number),
                round,
            });
        } else {
            self.lose(task, fault);
        }
    }

    /// An element will not succeed.
    fn lose(&mut self, task: Task, fault: Fault) {
        let number = task.item.unwrap_or_default();
        let slot = self.slots.get_mut(task.step as usize);
        let Some(active) = slot.and_then(|slot| slot.active_mut()) else {
            return;
        };
        if let Some(progress) = active.items.get_mut(number as usize) {
            progress.phase = Phase::Lost;
        }
        active.lost += 1;
        active.under_way = active.under_way.saturating_sub(1);
        active.remember(of(task, fault));
        self.weigh(task.step);
    }

    /// Ends a step whose elements have ended, or as soon as too many of them are lost.
    fn weigh(&mut self, number: u32) {
        let is_stopping = self.stopped.is_some();
        let Some(slot) = self.slots.get_mut(number as usize) else {
            return;
        };
        let join = slot
            .node
            .step
            .map
            .as_ref()
            .map_or(Join::All, |map| map.join);
        let Some(active) = slot.active_mut() else {
            return;
        };
        let all = u32::try_from(active.items.len()).unwrap_or(u32::MAX);
        let needed = join.needed(all);
        let still = all - active.ok - active.lost;
        if still == 0 && active.ok >= needed {
            let (output, fallback) = active.output();
            let causes = std::mem::take(&mut active.causes);
            return self.end_step(
                number,
                StepEnd::Ok {
                    output,
                    fallback,
                    causes,
                },
            );
        }
        if active.ok + still < needed || still == 0 {
            let causes = std::mem::take(&mut active.causes);
            let was_told = causes
                .last()
                .is_some_and(|cause| &*cause.class == "cancelled");
            let end = if is_stopping && was_told {
                StepEnd::Cancelled { causes }
            } else {
                StepEnd::Failed { causes }
            };
            return self.give_up(number, end);
        }
        if is_stopping {
            if active.is_running() {
                return;
            }
            let causes = std::mem::take(&mut active.causes);
            return self.end_step(number, StepEnd::Cancelled { causes });
        }
        self.offer(number);
    }

    /// Ends a step of which something may still run.
    pub(super) fn give_up(&mut self, number: u32, end: StepEnd) {
        if let Some(slot) = self.slots.get_mut(number as usize)
            && let State::Active(active) = &slot.state
        {
            for task in active.running(number) {
                slot.lingering.push(task);
                self.commands.push_back(Command::Drop { task });
            }
        }
        self.end_step(number, end);
    }

    fn try_again(&mut self, task: Task) -> bool {
        let number = task.item.unwrap_or_default();
        let Some(slot) = self.slots.get_mut(task.step as usize) else {
            return false;
        };
        let (priority, round) = (slot.node.step.priority, slot.round);
        if round != task.round {
            return false;
        }
        let Some(progress) = slot.progress_mut(number) else {
            return false;
        };
        let is_meant = (progress.choice, progress.attempt) == (task.choice, task.attempt);
        if !is_meant || progress.phase != Phase::Resting {
            return false;
        }
        progress.phase = Phase::Ready;
        self.ready.push(Ready {
            priority,
            step: Reverse(task.step),
            item: Reverse(number),
            round,
        });
        true
    }

    fn step_time_is_up(&mut self, number: u32, round: u32) -> bool {
        let Some(slot) = self.slots.get_mut(number as usize) else {
            return false;
        };
        if slot.round != round {
            return false;
        }
        let Some(active) = slot.active_mut() else {
            return false;
        };
        let causes = std::mem::take(&mut active.causes);
        let was_begun = slot.attempts > 0;
        self.give_up(number, StepEnd::TimedOut { causes });
        if !was_begun {
            self.commands.push_back(Command::Passed { step: number });
        }
        true
    }

    fn decided(&mut self, number: u32, allowed: bool, reason: Option<String>) -> bool {
        match self.slot(number).map(|slot| &slot.state) {
            Some(State::Asking) if allowed => self.activate(number),
            Some(State::Asking) => {
                let reason = reason.filter(|reason| !reason.is_empty());
                let reason = reason.map_or_else(String::new, |reason| format!(": {reason}"));
                let why = format!("a person did not allow this step{reason}");
                self.refuse(number, Fault::new("rejected", why));
            }
            _ => return false,
        }
        true
    }

    /// Begins nothing more, and tells what runs to stop.
    pub(super) fn stop(&mut self, end: End) -> bool {
        if self.stopped.is_some() || self.is_finished {
            return false;
        }
        self.stopped = Some(end);
        for number in 0..u32::try_from(self.slots.len()).unwrap_or(u32::MAX) {
            let Some(slot) = self.slots.get_mut(number as usize) else {
                continue;
            };
            match &mut slot.state {
                State::Ended(_) => {}
                State::Waiting | State::Asking => self.skip(number, SkipReason::Stopped, false),
                State::Active(active) => {
                    let running = active.running(number);
                    if running.is_empty() {
                        let causes = std::mem::take(&mut active.causes);
                        if slot.attempts == 0 {
                            self.skip(number, SkipReason::Stopped, false);
                        } else {
                            self.end_step(number, StepEnd::Cancelled { causes });
                        }
                    }
                    for task in running {
                        self.commands.push_back(Command::Interrupt { task });
                    }
                }
            }
        }
        true
    }
}

/// A failure with the place where it happened.
fn of(task: Task, fault: Fault) -> Fault {
    Fault {
        item: task.item,
        choice: task.choice,
        attempt: task.attempt,
        ..fault
    }
}

/// 0 to 1, the same for the same seed and task: a finalizer of 64-bit hashes (`SplitMix64`) over both.
fn chance(seed: u64, task: Task) -> f64 {
    let parts = [
        task.step,
        task.item.map_or(u32::MAX, |item| item),
        task.choice,
        task.attempt,
    ];
    let mixed = parts
        .into_iter()
        .fold(seed, |sum, part| mix(sum ^ u64::from(part)));
    // 32 bits are exact in a double.
    f64::from(u32::try_from(mixed >> 32).unwrap_or_default()) / f64::from(u32::MAX)
}

fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}
