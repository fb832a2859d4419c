//! What is begun, and what comes of it.

use serde_json::Value;

use super::{
    Command, End, Ended, Fault, Input, Life, Machine, State, StepEnd, Task, Timer, slot::Phase,
};
use crate::plan::Join;

impl Machine {
    /// What to do next; `None` where something must happen first.
    pub fn command(&mut self) -> Option<Command> {
        if self.life == Life::Earlier {
            self.leave_earlier();
        }
        loop {
            if let Some(command) = self.commands.pop_front() {
                return Some(command);
            }
            if self.life == Life::Over {
                return None;
            }
            if self.open == 0 && self.running == 0 {
                self.life = Life::Over;
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
                round,
                allowed,
                reason,
            } => self.asks(step, round) && self.decided(step, allowed, reason),
            Input::Stop => self.stop(End::Cancelled),
        };
        self.settle();
        fitted
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
        match slot.phase_of(task) {
            Some(Phase::Running) => self.running = self.running.saturating_sub(1),
            // In an earlier life it ran.
            Some(Phase::Ready | Phase::Resting) => {
                slot.attempts = slot.attempts.saturating_add(1);
            }
            Some(Phase::Ok(_) | Phase::Lost) | None => return false,
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
        let step = slot.node.step.clone();
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
            active.remember(of(task, fault));
            if !self.line_up(task.step, number) {
                self.weigh(task.step);
            }
        } else {
            self.lose(task, fault);
        }
    }

    /// An element will not succeed.
    fn lose(&mut self, task: Task, fault: Fault) {
        self.write_off(task, fault);
        self.weigh(task.step);
    }

    /// Notes that an element is lost.
    pub(super) fn write_off(&mut self, task: Task, fault: Fault) {
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
    }

    /// Ends a step whose elements have ended, or as soon as too many of them are lost.
    pub(super) fn weigh(&mut self, number: u32) {
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
            if active.is_running() || self.life == Life::Earlier {
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
        let slot = self.slot(task.step);
        if slot.and_then(|slot| slot.phase_of(task)) != Some(&Phase::Resting) {
            return false;
        }
        self.queue(task.step, task.item.unwrap_or_default());
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
        self.give_up(number, StepEnd::TimedOut { causes });
        true
    }

    fn decided(&mut self, number: u32, allowed: bool, reason: Option<String>) -> bool {
        if allowed {
            let unseen = match self.slot_mut(number).map(|slot| &mut slot.state) {
                Some(State::Asking(unseen)) => std::mem::take(unseen),
                _ => return false,
            };
            self.activate(number, unseen);
        } else {
            let reason = reason.filter(|reason| !reason.is_empty());
            let reason = reason.map_or_else(String::new, |reason| format!(": {reason}"));
            let why = format!("a person did not allow this step{reason}");
            self.refuse(number, Fault::new("rejected", why));
        }
        true
    }
}

/// A failure with the place where it happened.
pub(super) fn of(task: Task, fault: Fault) -> Fault {
    Fault {
        item: task.item,
        choice: task.choice,
        attempt: task.attempt,
        ..fault
    }
}

/// 0 to 1, the same for the same seed and task: a finalizer of 64-bit hashes (`SplitMix64`) over both.
pub(super) fn chance(seed: u64, task: Task) -> f64 {
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
