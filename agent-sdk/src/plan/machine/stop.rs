//! The end of a plan before its steps'.

use super::{Command, End, Machine, SkipReason, State, StepEnd};

impl Machine {
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
                State::Waiting if slot.is_removed => {}
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
