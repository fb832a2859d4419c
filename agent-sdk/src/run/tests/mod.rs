mod batches;
mod budgets;
mod crashes;
mod decisions;

mod driver;
mod endings;
mod forms;
mod inside;
mod leases;
mod lives;
mod machine;
mod names;
mod questions;
mod resume;
mod stores;
mod world;

use crate::{model::Usage, testing::Turn};

/// Two calls, then an answer.
fn two_calls(name: &str) -> [Turn; 2] {
    [
        Turn::new()
            .tool_call("c1", name, "{}")
            .tool_call("c2", name, "{}")
            .usage(Usage::new(100, 20)),
        Turn::from("all done").usage(Usage::new(150, 10)),
    ]
}
