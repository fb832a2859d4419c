//! The process that runs the plan: this very test binary, started again.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use agent_sdk::{
    agent::Agent,
    journal::{Question, QuestionKind, Verdict},
    model::{ToolSpec, provider::OpenAi},
    operation::RunContext,
    orchestrator::Orchestrator,
    registry::Registry,
    store::SqliteStore,
    tool::{Effect, Tool, ToolContext, ToolError, ToolOptions, ToolOutput},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::work;
use crate::child::{FOLDER, ID, RESUMES, URL, append};

/// How many steps run at once, where it is not as many as the plan lets.
pub(crate) const NARROW: &str = "narrow";

/// What a process says of its plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Said {
    /// What became of the plan and its steps, without times.
    pub(crate) outcome: Value,
    /// What the run used and cost.
    pub(crate) spent: Value,
    pub(crate) lives: u32,
    /// The paths of what a person was asked about.
    pub(crate) asked: Vec<String>,
}

/// Notes that something was done: in a file, by whom and under which key; and tells the server, which may let it wait.
struct Deeds {
    folder: PathBuf,
    url: String,
}

impl Deeds {
    async fn done(&self, key: &str, is_told: bool) {
        let process = self.url.rsplit('/').next().unwrap();
        append(&self.folder.join("deeds"), &format!("{process} {key}"));
        if is_told {
            let url = format!("{}/effect", self.url);
            reqwest::Client::new().post(url).send().await.unwrap();
        }
    }
}

/// A tool that notes each of its calls.
struct Noting {
    name: &'static str,
    effect: Effect,
    deeds: Arc<Deeds>,
}

impl Tool for Noting {
    fn spec(&self) -> ToolSpec {
        let schema = serde_json::value::to_raw_value(&json!({"type": "object"}));
        ToolSpec::new(self.name, "Notes its call.", schema.unwrap())
    }

    fn options(&self) -> ToolOptions {
        ToolOptions::default().with_effect(self.effect)
    }

    async fn call(&self, context: ToolContext, arguments: &str) -> Result<ToolOutput, ToolError> {
        let key = context.idempotency_key();
        let is_told = self.effect == Effect::Write;
        self.deeds.done(&key, is_told).await;
        // Which try it is stands in its key, so that it is the same in each life.
        if self.name == "flaky" && !key.contains("@2") {
            return Err(ToolError::failed("the first try fails"));
        }
        Ok(format!("{} {arguments}", self.name).into())
    }
}

fn registry(folder: &Path, url: &str) -> Registry {
    let deeds = Arc::new(Deeds {
        folder: folder.to_owned(),
        url: url.to_owned(),
    });
    let tool = |name: &'static str, effect| Noting {
        name,
        effect,
        deeds: deeds.clone(),
    };
    let model = |url: &str| {
        let model = OpenAi::builder("gpt-4o").base_url(url).api_key("key");
        model.build().unwrap()
    };
    let agent = |name: &str| Agent::builder(name, model(url)).instructions(name);
    let note = || tool("note", Effect::Write);
    let look = || tool("look", Effect::ReadOnly);
    let registry = Registry::new();
    for agent in [
        agent("researcher").tool(note()).tool(look()),
        agent("reviewer"),
        agent("broken"),
        agent("writer").tool(note()),
    ] {
        registry.agent(agent.build().unwrap()).unwrap();
    }
    registry.tool(note()).unwrap();
    registry.tool(look()).unwrap();
    registry.tool(tool("flaky", Effect::Write)).unwrap();
    // A function has no key: its step's name is one, and that it is the first fallback.
    let function = |mark: &'static str, what: fn(Value) -> Value| {
        let deeds = deeds.clone();
        move |context: RunContext, input: Value| {
            let deeds = deeds.clone();
            async move {
                let step = context.operation().unwrap().info().name.to_string();
                deeds.done(&format!("{ID}/{step}{mark}"), true).await;
                Ok::<_, String>(what(input))
            }
        }
    };
    let brief = function("", |_| json!({"topics": ["cost", "noise", "law"]}));
    registry.function("brief", brief).unwrap();
    let count = function("", |input| json!(input.as_array().map(Vec::len)));
    registry.function("count", count).unwrap();
    let nothing = function("~1", |_| json!("none"));
    registry.function("none", nothing).unwrap();
    registry
}

/// Does nothing unless it is started as the process that runs the plan.
#[tokio::test]
async fn the_process_that_runs_the_plan() {
    let (Ok(folder), Ok(url)) = (std::env::var(FOLDER), std::env::var(URL)) else {
        return;
    };
    let folder = PathBuf::from(folder);
    let store = Arc::new(SqliteStore::open(folder.join("store.db")).unwrap());
    let orchestrator = Orchestrator::new(registry(&folder, &url));
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let run = if std::env::var(RESUMES).is_ok_and(|it| !it.is_empty()) {
        let asked = asked.clone();
        orchestrator
            .resume(ID, store)
            .approver(move |question: Question| {
                assert_eq!(question.kind, QuestionKind::InDoubt);
                asked.lock().unwrap().push(question.path.to_string());
                async { Verdict::allow() }
            })
    } else {
        let context = RunContext::builder().run_id(ID).build();
        let width = folder.join(NARROW).exists().then_some(1);
        orchestrator
            .run(&work::plan(width))
            .context(&context)
            .store(store)
    };
    let report = run.await.unwrap();
    let run = &report.run;
    let mut outcome = serde_json::to_value(&report.outcome).unwrap();
    work::timeless(&mut outcome);
    let mut asked = std::mem::take(&mut *asked.lock().unwrap());
    asked.sort();
    let said = Said {
        outcome,
        spent: json!({
            "usage": run.usage,
            "cost_nanos": run.cost.nanos(),
            "unpriced_calls": run.unpriced_calls,
            "model_calls": run.model_calls,
            "tool_calls": run.tool_calls,
            "outcome": run.outcome,
            "text": run.text.as_str(),
        }),
        lives: run.lives,
        asked,
    };
    // In one write, and on a line of its own.
    println!("\nSAID {}", serde_json::to_string(&said).unwrap());
}
