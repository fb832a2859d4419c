//! A driver that ends tasks by a script, and says what it was told.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};

use crate::plan::{
    Change, Command, Ended, Fault, Input, Machine, Open, Params, Plan, Step, StepBuilder, Task,
    Timer,
};

/// Drives a machine by hand.
pub(super) struct Hand {
    pub(super) machine: Machine,
    /// What was said, in order.
    log: Vec<String>,
    pub(super) running: Vec<(Task, Value)>,
    pub(super) timers: Vec<(Timer, Duration)>,
}

impl Hand {
    pub(super) fn of(plan: &Plan) -> Self {
        Self::with(plan, &[])
    }

    pub(super) fn with(plan: &Plan, params: &[(&str, Value)]) -> Self {
        let params: Params = params
            .iter()
            .map(|(name, value)| ((*name).into(), value.clone()))
            .collect();
        let machine = Machine::new(plan, &Open, &params, 7).unwrap();
        let mut hand = Self {
            machine,
            log: Vec::new(),
            running: Vec::new(),
            timers: Vec::new(),
        };
        hand.obey();
        hand
    }

    pub(super) fn name(&self, task: Task) -> String {
        let mut name = self.machine.step(task.step).unwrap().id.to_string();
        if let Some(item) = task.item {
            name = format!("{name}[{item}]");
        }
        if task.choice > 0 {
            name = format!("{name} fallback {}", task.choice);
        }
        if task.attempt > 1 {
            name = format!("{name} try {}", task.attempt);
        }
        name
    }

    /// Does as the machine says until it wants to be told something.
    fn obey(&mut self) {
        while let Some(command) = self.machine.command() {
            let said = match command {
                Command::Start { task, input } => {
                    self.running.push((task, input));
                    format!("start {}", self.name(task))
                }
                Command::Drop { task } => format!("drop {}", self.name(task)),
                Command::Interrupt { task } => format!("interrupt {}", self.name(task)),
                Command::Wait { timer, time } => {
                    self.timers.push((timer, time));
                    continue;
                }
                Command::Ask { step, .. } => format!("ask {}", self.machine.step(step).unwrap().id),
                Command::Passed { step } => {
                    format!("passed {}", self.machine.step(step).unwrap().id)
                }
                Command::Finish(end) => format!("finish {}", end.as_str()),
            };
            self.log.push(said);
        }
    }

    pub(super) fn say(&mut self, input: Input) -> bool {
        let fitted = self.machine.apply(input);
        self.obey();
        fitted
    }

    /// Ends the task of this name; the answer is what the machine was told.
    pub(super) fn end(&mut self, name: &str, ended: Ended) -> Input {
        let at = self
            .running
            .iter()
            .position(|(task, _)| self.name(*task) == name);
        let (task, _) = self
            .running
            .remove(at.unwrap_or_else(|| panic!("{name} does not run: {:?}", self.log)));
        let input = Input::Ended { task, ended };
        assert!(self.say(input.clone()));
        input
    }

    pub(super) fn ok(&mut self, name: &str) {
        let output = json!(format!("{name} is done"));
        self.end(name, Ended::Ok { output });
    }

    pub(super) fn fail(&mut self, name: &str) {
        let fault = Fault::new("broken", format!("{name} broke")).passing();
        self.end(name, Ended::Failed { fault });
    }

    pub(super) fn ring(&mut self) {
        let (timer, _) = self.timers.remove(0);
        assert!(self.say(Input::Timer(timer)));
    }

    pub(super) fn change(&mut self, change: &Change) -> Result<(), String> {
        let changed = self.machine.change(change, &Open);
        self.obey();
        changed.map_err(|error| error.to_string())
    }

    pub(super) fn said(&mut self) -> Vec<String> {
        std::mem::take(&mut self.log)
    }

    pub(super) fn ends(&self) -> BTreeMap<String, &'static str> {
        let steps = self.machine.steps();
        let ends = steps.map(|step| {
            (
                step.step.id.to_string(),
                step.end.map_or("open", |end| end.as_str()),
            )
        });
        ends.collect()
    }

    pub(super) fn input(&self, name: &str) -> &Value {
        let running = self
            .running
            .iter()
            .find(|(task, _)| self.name(*task) == name);
        &running.unwrap().1
    }
}

pub(super) fn plan(steps: impl IntoIterator<Item = StepBuilder>) -> Plan {
    Plan::builder("test").steps(steps).build().unwrap()
}

pub(super) fn step(id: &str) -> StepBuilder {
    Step::function(id, "work")
}
