mod differences;
mod endings;
mod same;

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::time::Instant;

use super::{DifferenceKind, Replayed};
use crate::{
    agent::{Agent, AgentBuilder},
    journal::{Question, Verdict},
    model::{ToolSpec, Usage},
    operation::{Clock, RunId},
    run::{RunError, RunReport},
    store::MemoryStore,
    testing::{ScriptedModel, Turn},
    tool::{Effect, FnTool, Tool, ToolContext, ToolError, ToolHandle, ToolOptions, ToolOutput},
};

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A wall clock that goes as Tokio's does, so that a store's times are as virtual as the run's.
#[derive(Debug)]
struct Ticking(Instant);

impl Clock for Ticking {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_hours(500_000) + self.0.elapsed()
    }
}

fn store() -> Arc<MemoryStore> {
    Arc::new(MemoryStore::with_clock(Ticking(Instant::now())))
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Takes {
    ms: u64,
}

/// A tool that takes as long as it is told, and does not like 13.
fn waiting(name: &str, options: ToolOptions) -> ToolHandle {
    let wait = |takes: Takes| async move {
        tokio::time::sleep(ms(takes.ms)).await;
        if takes.ms == 13 {
            return Err("unlucky");
        }
        Ok(format!("waited {}", takes.ms))
    };
    FnTool::new(name, "Waits.", wait).options(options).into()
}

/// A tool that asks a person by itself.
struct Asking;

impl Tool for Asking {
    fn spec(&self) -> ToolSpec {
        waiting("asking", ToolOptions::default()).spec().clone()
    }

    async fn call(&self, context: ToolContext, arguments: &str) -> Result<ToolOutput, ToolError> {
        let takes: Takes = crate::tool::parse(arguments)?;
        if !context.is_approved() {
            return Err(ToolError::needs_approval(format!("wait {}?", takes.ms)));
        }
        tokio::time::sleep(ms(takes.ms)).await;
        Ok("approved and waited".into())
    }
}

/// An agent inside a call: one answer after 30 ms.
fn inner() -> AgentBuilder {
    let model = ScriptedModel::from_fn(|_, _| {
        Turn::from("looked into it")
            .usage(Usage::new(7, 3))
            .delay(ms(30))
    });
    Agent::builder("inner", model.named("openai", "gpt-4o-mini"))
}

/// Tools of every kind, and an agent as one.
fn tools() -> Vec<ToolHandle> {
    let options = ToolOptions::default();
    vec![
        waiting("write", options),
        waiting("read", options.with_effect(Effect::ReadOnly)),
        waiting("approved", options.with_approval()),
        Asking.into(),
        inner().build().unwrap().as_tool().into(),
    ]
}

fn agent(turns: Vec<Turn>) -> AgentBuilder {
    let model = ScriptedModel::new(turns).named("openai", "gpt-4o-mini");
    Agent::builder("outer", model).tools(tools())
}

/// An agent that is never asked: where a replay goes well, its model is not either.
fn again() -> AgentBuilder {
    agent(Vec::new())
}

fn call(turn: Turn, id: &str, tool: &str, takes: u64) -> Turn {
    let arguments = match tool {
        "inner" => r#"{"task":"look into it"}"#.to_owned(),
        _ => format!(r#"{{"ms":{takes}}}"#),
    };
    turn.tool_call(id.to_owned(), tool, arguments)
}

fn calls(calls: &[(&str, u64)]) -> Turn {
    let turn = Turn::new().usage(Usage::new(100, 20)).delay(ms(20));
    let numbered = (1..).zip(calls);
    numbered.fold(turn, |turn, (n, (tool, takes))| {
        call(turn, &format!("c{n}"), tool, *takes)
    })
}

fn done() -> Turn {
    Turn::from("all done")
        .usage(Usage::new(150, 10))
        .delay(ms(10))
}

/// Somebody who decides after a while, against waits of 66 ms.
async fn decide(question: Question) -> Verdict {
    tokio::time::sleep(ms(15)).await;
    if question.arguments.contains("66") {
        Verdict::deny("too long").by("me")
    } else {
        Verdict::allow().by("me")
    }
}

fn id(result: &Result<RunReport, RunError>) -> RunId {
    match result {
        Ok(report) => report.run_id.clone(),
        Err(error) => error.report().run_id.clone(),
    }
}

async fn record(agent: AgentBuilder, store: &Arc<MemoryStore>) -> RunId {
    let run = agent.build().unwrap().run("hi").store(store.clone());
    id(&run.approver(decide).await)
}

async fn replay(agent: AgentBuilder, run: &RunId, store: &Arc<MemoryStore>) -> Replayed {
    let replay = agent.build().unwrap().replay(run.clone(), store.clone());
    replay.await.unwrap()
}

fn kinds(replayed: &Replayed) -> Vec<DifferenceKind> {
    replayed.differences.iter().map(|it| it.kind).collect()
}

fn texts(replayed: &Replayed) -> Vec<String> {
    replayed
        .differences
        .iter()
        .map(ToString::to_string)
        .collect()
}
