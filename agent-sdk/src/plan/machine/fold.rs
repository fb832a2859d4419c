//! Going on in another life.

use super::{Command, Machine, State, Timer, slot::Phase};

impl Machine {
    /// Goes on after what happened in earlier lives was [applied](Self::apply): what was under way is begun again, waits and questions
    /// begin anew. To be called once, before the first command is asked for.
    pub fn go_on(&mut self) {
        self.commands.clear();
        if let Some(time) = self.frame.timeout {
            let timer = Timer::Plan;
            self.commands.push_back(Command::Wait { timer, time });
        }
        for (number, slot) in self.slots.iter_mut().enumerate() {
            let step = u32::try_from(number).unwrap_or(u32::MAX);
            slot.lingering.clear();
            match &mut slot.state {
                State::Waiting | State::Ended(_) => {}
                State::Asking => self.commands.push_back(Command::Ask { step }),
                State::Active(active) => {
                    if let Some(time) = slot.node.step.timeout {
                        let round = slot.round;
                        let timer = Timer::Step { step, round };
                        self.commands.push_back(Command::Wait { timer, time });
                    }
                    for item in 0..u32::try_from(active.items.len()).unwrap_or(u32::MAX) {
                        let Some(task) = active.task(step, item) else {
                            continue;
                        };
                        let progress = active.items.get(item as usize);
                        if progress.is_some_and(|progress| progress.phase == Phase::Resting) {
                            // The try before it is over, so that it is the same wait.
                            let tries = task.attempt.saturating_sub(1);
                            self.commands.push_back(Command::Wait {
                                timer: Timer::Retry(task),
                                time: slot.node.step.retry.wait(tries, 0.0),
                            });
                        }
                    }
                }
            }
        }
        self.running = 0;
    }
}
