mod answers;
mod endings;
mod listing;
mod plans;

use serde_json::{Value, json};

use super::Planner;
use crate::{
    agent::Agent,
    model::Usage,
    registry::{FunctionHandle, Registry},
    testing::{CountingTool, ScriptedModel, Turn},
};

/// Two agents, a tool and a function.
fn registry() -> Registry {
    let registry = Registry::new();
    let agents = [
        ("researcher", "Finds things out."),
        ("writer", "Writes\n\u{1b}[31mtexts."),
    ];
    for (name, description) in agents {
        let agent = Agent::builder(name, ScriptedModel::new(["Done."])).description(description);
        let agent = agent.capability("English").build().unwrap();
        registry.agent(agent).unwrap();
    }
    registry.tool(CountingTool::new("search")).unwrap();
    let count = async |words: Vec<String>| Ok::<u32, String>(u32::try_from(words.len()).unwrap());
    let count = FunctionHandle::new("count", count).with_description("Counts words.");
    registry.register(count).unwrap();
    registry
}

/// A model that answers with these, each for 1,000 tokens in and 50 out.
fn model<T: Into<Turn>>(turns: impl IntoIterator<Item = T>) -> ScriptedModel {
    let turn = |turn: T| turn.into().usage(Usage::new(1_000, 50));
    ScriptedModel::new(turns.into_iter().map(turn))
        .named("openai", "gpt-4o-mini")
        .recording()
}

/// A plan that is good.
fn report() -> Value {
    json!({
        "name": "report",
        "description": "A page about Rust.",
        "steps": [
            {"id": "news", "agent": "researcher", "action": "Find out what is new.", "tool": null, "when": ""},
            {"id": "past", "agent": "researcher", "action": "Find out how it began.", "depends_on": null},
            {"id": "write", "agent": "writer", "description": "Writes the page.", "action": "Write a page.",
                "input": {"news": "${steps.news}", "past": "${steps.past}"}},
            {"id": "done", "tool": "search", "depends_on": ["write"]},
        ],
    })
}
