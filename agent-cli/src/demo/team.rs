//! Who works in the demonstration: reviewers that read, and a writer that writes.

use std::time::Duration;

use agent_sdk::{
    agent::{Agent, BuildError},
    registry::Registry,
    testing::ScriptedModel,
    tool::ToolHandle,
    workspace::Workspace,
};

use super::{code, documentation, structure, summariser, writer};
use crate::exit::Failure;

/// The longest that a tool may work on a large folder.
const TOOL_TIME: Duration = Duration::from_secs(3);

/// The reviewers: their name, their model, what they are for, and whether they have the sub-agent.
type Reviewer = (&'static str, ScriptedModel, &'static str, bool);

/// The agents that the plan names, with the tools of a folder.
///
/// # Errors
///
/// None is: the names are all different.
pub(super) fn registry(workspace: &Workspace) -> Result<Registry, Failure> {
    let tools: Vec<ToolHandle> = workspace
        .tools()
        .into_iter()
        .map(|tool| {
            let options = tool.options().with_timeout(TOOL_TIME);
            tool.with_options(options)
        })
        .collect();
    let only = |names: &[&str]| -> Vec<ToolHandle> {
        let named = |tool: &&ToolHandle| names.contains(&&*tool.spec().name);
        tools.iter().filter(named).cloned().collect()
    };
    let inner = Agent::builder(summariser::NAME, summariser::model())
        .agent_type("summariser")
        .description("Reads one file and says what is in it.")
        .instructions("You summarise files.")
        .tools(only(&["read_file"]))
        .build()
        .map_err(|error| failed(&error))?;
    let registry = Registry::new();
    let reviewers: [Reviewer; 3] = [
        (
            "structure_reviewer",
            structure::model(),
            "Looks at what is in a folder.",
            false,
        ),
        (
            "documentation_reviewer",
            documentation::model(),
            "Looks at how well a folder explains itself.",
            true,
        ),
        (
            "code_reviewer",
            code::model(),
            "Looks at the code of a folder.",
            true,
        ),
    ];
    for (name, model, description, has_inner) in reviewers {
        let mut agent = Agent::builder(name, model)
            .agent_type("reviewer")
            .description(description)
            .instructions(
                "You review folders: look around, read what is worth it, and say what you found.",
            )
            .tools(only(&["list_files", "read_file", "search_files"]));
        if has_inner {
            agent = agent.tool(inner.as_tool());
        }
        add(&registry, agent.build().map_err(|error| failed(&error))?)?;
    }
    let writer = Agent::builder("writer", writer::model())
        .agent_type("writer")
        .description("Joins reviews in one report and saves it.")
        .instructions("You write reports.")
        .tools(only(&["write_file"]));
    add(&registry, writer.build().map_err(|error| failed(&error))?)?;
    Ok(registry)
}

fn add(registry: &Registry, agent: Agent) -> Result<(), Failure> {
    let added = registry.agent(agent);
    added
        .map(drop)
        .map_err(|error| Failure::usage(error.to_string()))
}

fn failed(error: &BuildError) -> Failure {
    Failure::usage(error.to_string())
}
