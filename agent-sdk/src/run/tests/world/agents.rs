//! An agent of several turns with everything in it: tools of each effect beside each other, agents in agents, an answer of a type
//! that is repaired, a call that asks first.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Act, Watched, World};
use crate::{
    agent::{Agent, AgentBuilder},
    message::Role,
    model::{ModelHandle, Usage},
    testing::{ScriptedModel, Turn},
    tool::Effect,
};

pub(in crate::run::tests) const TASK: &str = r#"{"task":"go"}"#;

#[derive(Debug, Deserialize, JsonSchema)]
pub(in crate::run::tests) struct Answer {
    #[expect(dead_code, reason = "what counts is that it is there")]
    n: u32,
}

/// A model that answers by how many times a model has spoken in what it is shown.
fn model(world: &World, script: impl Fn(usize) -> Turn + Send + Sync + 'static) -> ModelHandle {
    let script = ScriptedModel::from_fn(move |request, _| {
        let messages = request.conversation.messages().iter();
        let said = messages.filter(|message| message.role == Role::Assistant);
        script(said.count()).delay(Duration::from_millis(1))
    });
    ModelHandle::new(Watched {
        world: world.clone(),
        script: script.named("openai", "gpt-4o"),
    })
}

/// An agent with a tool of each effect.
pub(in crate::run::tests) fn acting(
    name: &str,
    world: &World,
    script: impl Fn(usize) -> Turn + Send + Sync + 'static,
) -> AgentBuilder {
    Agent::builder(name, model(world, script))
        .tool(Act::new(world, "read", Effect::ReadOnly))
        .tool(Act::new(world, "put", Effect::Idempotent))
        .tool(Act::new(world, "write", Effect::Write))
}

pub(in crate::run::tests) fn boss(world: &World) -> Agent {
    let inner = acting("inner", world, |said| match said {
        0 => Turn::new()
            .tool_call("i1", "write", "{}")
            .tool_call("i2", "put", "{}")
            .usage(Usage::new(5, 1)),
        _ => Turn::from("inner done").usage(Usage::new(6, 2)),
    });
    let middle = acting("middle", world, |said| match said {
        0 => Turn::new()
            .tool_call("m1", "read", "{}")
            .tool_call("m2", "inner", TASK)
            .usage(Usage::new(50, 10)),
        _ => Turn::from("middle done").usage(Usage::new(60, 20)),
    });
    let middle = middle.tool(inner.build().unwrap().as_tool());
    let boss = acting("boss", world, |said| match said {
        0 => Turn::new()
            .tool_call("b1", "read", "{}")
            .tool_call("b2", "put", "{}")
            .tool_call("b3", "write", "{}")
            .tool_call("b4", "middle", TASK)
            .usage(Usage::new(500, 100)),
        1 => Turn::new()
            .tool_call("b5", "write", "{}")
            .tool_call("b6", "write", "{}")
            .usage(Usage::new(600, 200)),
        2 => Turn::from("seven").usage(Usage::new(700, 300)),
        _ => Turn::from(r#"{"n": 7}"#).usage(Usage::new(800, 400)),
    });
    boss.tool(middle.build().unwrap().as_tool())
        .output_type::<Answer>()
        .build()
        .unwrap()
}
