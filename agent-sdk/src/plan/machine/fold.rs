//! Going on in another life.

use super::{Command, Machine, State, Task, Timer, schedule::chance, slot::Phase};

impl Machine {
    /// Goes on after what happened in earlier lives was [applied](Self::apply): what was under way is begun again, waits and questions
    /// begin anew. To be called once, before the first command is asked for.
    ///
    /// What happened are the ends of tasks, the decisions, the times of steps that were up, the stop and the [changes](Self::change), in
    /// their order. A [retry](Timer::Retry)'s time need not be told: that the next try ended says it. Of a plan that was
    /// stopping, a task without an end did not end well.
    pub fn go_on(&mut self) {
        self.leave_earlier();
        self.commands.clear();
        if let Some(time) = self.frame.timeout {
            let timer = Timer::Plan;
            self.commands.push_back(Command::Wait { timer, time });
        }
        for number in 0..u32::try_from(self.slots.len()).unwrap_or(u32::MAX) {
            self.commands.extend(self.question_about(number));
        }
        for (number, slot) in self.slots.iter_mut().enumerate() {
            let step = u32::try_from(number).unwrap_or(u32::MAX);
            slot.lingering.clear();
            match &mut slot.state {
                State::Waiting | State::Asking(_) | State::Ended(_) => {}
                State::Active(active) => {
                    active.is_timed = slot.attempts > 0 && slot.node.step.timeout.is_some();
                    if let Some(time) = slot.node.step.timeout.filter(|_| active.is_timed) {
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
                            let before = Task {
                                attempt: task.attempt.saturating_sub(1),
                                ..task
                            };
                            let chance = chance(self.seed, before);
                            self.commands.push_back(Command::Wait {
                                timer: Timer::Retry(task),
                                time: slot.node.step.retry.wait(before.attempt, chance),
                            });
                        }
                    }
                }
            }
        }
        self.running = 0;
    }
}
