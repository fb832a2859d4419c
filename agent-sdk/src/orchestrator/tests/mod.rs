//! Plans that run, in paused time.

mod changes;
mod endings;
mod figures;
mod lives;
mod order;
mod people;
mod questions;
mod random;
mod retries;
mod runs;
mod streams;
mod told;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::{Value, json};

use super::Orchestrator;
use crate::{
    operation::RunContext,
    plan::{Plan, Step, StepBuilder},
    registry::Registry,
    tool::ToolError,
};

/// What the functions of a test did.
#[derive(Clone, Default)]
struct Deeds(Arc<Mutex<Vec<String>>>);

impl Deeds {
    fn note(&self, what: impl Into<String>) {
        self.0.lock().unwrap().push(what.into());
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

/// Functions that wait so many milliseconds, fail, panic or give back what they are given.
fn registry(deeds: &Deeds) -> Registry {
    let registry = Registry::new();
    let noted = deeds.clone();
    registry
        .function("wait", move |context: RunContext, ms: u64| {
            let deeds = noted.clone();
            async move {
                deeds.note(format!("begin {}", name(&context)));
                tokio::time::sleep(Duration::from_millis(ms)).await;
                deeds.note(format!("end {}", name(&context)));
                Ok::<_, String>(ms)
            }
        })
        .unwrap();
    let noted = deeds.clone();
    registry
        .function("fail", move |context: RunContext, _: Value| {
            let deeds = noted.clone();
            async move {
                deeds.note(format!("fail {}", name(&context)));
                Err::<Value, _>("it broke".to_owned())
            }
        })
        .unwrap();
    registry
        .function("panic", async |input: Value| -> Result<Value, String> {
            panic!("{input}")
        })
        .unwrap();
    let noted = deeds.clone();
    registry
        .function("echo", move |context: RunContext, input: Value| {
            let deeds = noted.clone();
            async move {
                deeds.note(format!("echo {}", name(&context)));
                Ok::<_, ToolError>(input)
            }
        })
        .unwrap();
    registry
}

/// The step that a function runs in.
fn name(context: &RunContext) -> String {
    context.operation().unwrap().info().name.to_string()
}

fn wait(id: &str, ms: u64) -> StepBuilder {
    Step::function(id, "wait").input(ms)
}

fn echo(id: &str, input: Value) -> StepBuilder {
    Step::function(id, "echo").input(input)
}

fn plan(steps: impl IntoIterator<Item = StepBuilder>) -> Plan {
    Plan::builder("test").steps(steps).build().unwrap()
}

fn orchestrator(deeds: &Deeds) -> Orchestrator {
    Orchestrator::new(registry(deeds))
}

fn ends(outcome: &super::PlanOutcome) -> Value {
    let steps = outcome.steps.iter();
    Value::Object(
        steps
            .map(|step| (step.id.to_string(), json!(step.end.as_str())))
            .collect(),
    )
}
