//! The end of a plan before its steps'.

use super::{Command, End, Life, Machine, SkipReason, State, StepEnd};

impl Machine {
    /// Begins nothing more, and tells what runs to stop. A plan of which every step has ended is not stopped any more.
    pub(super) fn stop(&mut self, end: End) -> bool {
        if self.stopped.is_some() || self.open == 0 {
            return false;
        }
        self.stopped = Some(end);
        for number in 0..u32::try_from(self.slots.len()).unwrap_or(u32::MAX) {
            let Some(slot) = self.slots.get(number as usize) else {
                continue;
            };
            match &slot.state {
                State::Waiting if slot.is_removed => {}
                State::Waiting | State::Asking(_) => self.skip(number, SkipReason::Stopped, false),
                State::Active(active) => {
                    let running = active.running(number);
                    if running.is_empty() && self.life != Life::Earlier {
                        self.close(number);
                    }
                    for task in running {
                        self.commands.push_back(Command::Interrupt { task });
                    }
                }
                State::Ended(_) => {}
            }
        }
        true
    }

    /// Ends a step of which nothing runs.
    fn close(&mut self, number: u32) {
        let Some(slot) = self.slots.get_mut(number as usize) else {
            return;
        };
        let was_begun = slot.attempts > 0;
        let Some(active) = slot.active_mut() else {
            return;
        };
        if was_begun {
            let causes = std::mem::take(&mut active.causes);
            self.end_step(number, StepEnd::Cancelled { causes });
        } else {
            self.skip(number, SkipReason::Stopped, false);
        }
    }

    /// What happened in earlier lives is complete: what no end was said of when the plan stopped did not end.
    pub(super) fn leave_earlier(&mut self) {
        self.life = Life::Now;
        if self.stopped.is_some() {
            self.close_all();
        }
    }

    /// Ends every step of a plan that stopped.
    pub(super) fn close_all(&mut self) {
        for number in 0..u32::try_from(self.slots.len()).unwrap_or(u32::MAX) {
            self.close(number);
        }
    }
}
