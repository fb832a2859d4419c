//! What tasks do, how long it takes them, and what people answer: all of it from a seed.

use serde_json::{Value, json};

use super::draft::Draft;
use crate::plan::{Ended, Fault, Task};

/// A second, in nanoseconds.
pub(crate) const SECOND: u64 = 1_000_000_000;

#[derive(Clone, Copy, Debug)]
pub(crate) struct World {
    pub(crate) seed: u64,
    /// Of 100 tasks so many fail.
    pub(crate) failing: u64,
    /// What moments are multiples of, in nanoseconds.
    pub(crate) grain: u64,
}

impl World {
    /// A number for a thing, the same each time.
    fn number(self, what: &str, parts: &[u64]) -> u64 {
        let letters = what.bytes().map(u64::from);
        letters
            .chain(parts.iter().copied())
            .fold(self.seed, |sum, part| mix(sum ^ mix(part)))
    }

    fn of(self, what: &str, task: Task) -> u64 {
        let item = task.item.map_or(u64::MAX, u64::from);
        let parts = [task.step, task.round, task.choice, task.attempt].map(u64::from);
        self.number(what, &[&parts[..], &[item]].concat())
    }

    /// How long a task takes if it is left alone, and how it ends.
    pub(crate) fn does(self, task: Task) -> (u64, Ended) {
        let time = self.grained(1 + self.of("time", task) % SECOND);
        let kind = self.of("kind", task);
        let class = ["broken", "refused"][usize::from(kind & (1 << 40) > 0)];
        let fault = Fault::new(class, format!("{task:?}"));
        let ended = match kind % 100 {
            chance if chance >= self.failing => Ended::Ok {
                output: self.gives(task),
            },
            0 => Ended::Cancelled,
            chance if chance % 4 == 0 => Ended::Failed { fault },
            _ => Ended::Failed {
                fault: fault.passing(),
            },
        };
        (time, ended)
    }

    fn gives(self, task: Task) -> Value {
        let long = self.of("list", task) % 4;
        let list: Vec<_> = (0..long).map(|n| json!({ "n": n })).collect();
        json!({
            "n": self.of("n", task) % 100,
            "list": list,
            "by": [task.step, task.item.unwrap_or_default(), task.choice, task.attempt],
        })
    }

    /// After how long a task that is told to stop does so, if it does.
    pub(crate) fn obeys(self, task: Task) -> Option<u64> {
        let number = self.of("obeys", task);
        (number & 1 > 0).then_some(self.grained(1 + (number >> 8) % (SECOND / 4)))
    }

    /// After how long a person answers, and whether the step may begin.
    pub(crate) fn decides(self, step: u64) -> (u64, bool) {
        let number = self.number("decides", &[step]);
        let time = self.grained(1 + (number >> 8) % SECOND);
        (time, !number.is_multiple_of(5))
    }

    /// Of moments around `about`, one.
    pub(crate) fn moment(self, what: &str, about: u64) -> u64 {
        self.grained(about / 2 + 1 + self.number(what, &[]) % about)
    }

    /// The multiple of the grain that is next to a time, which never is none.
    pub(crate) fn grained(self, time: u64) -> u64 {
        (time / self.grain).max(1) * self.grain
    }

    /// The longest that a step may take, where it has such a time.
    pub(crate) fn time_of(self, step: usize, draft: &Draft) -> Option<u64> {
        let about = u64::from(draft.time?) * SECOND / 2 + SECOND / 2;
        let own = self.number("step", &[step as u64]) % (1_000 * self.grain);
        Some(self.grained(self.moment("step", about) + own))
    }
}

fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}
