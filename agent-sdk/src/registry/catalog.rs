//! What a plan's steps may name.

use std::sync::{Arc, OnceLock};

use serde_json::{Value, value::RawValue};

use super::{Entry, EntryKind, Registry};
use crate::plan::{Catalog, WorkKind};

/// An entry, and its schemas once somebody has asked for them.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) entry: Entry,
    input: OnceLock<Option<Arc<Value>>>,
    output: OnceLock<Option<Arc<Value>>>,
}

impl Held {
    pub(super) fn new(entry: Entry) -> Self {
        Self {
            entry,
            input: OnceLock::new(),
            output: OnceLock::new(),
        }
    }
}

/// Agents, tools and functions by their names, as they stand when they are asked for.
impl Catalog for Registry {
    fn names(&self, kind: WorkKind) -> Option<Vec<Arc<str>>> {
        Some(self.names(entry_kind(kind)?))
    }

    fn input_schema(&self, kind: WorkKind, name: &str) -> Option<Arc<Value>> {
        self.held(kind, name, |held| {
            let read = || parse(held.entry.input_schema());
            held.input.get_or_init(read).clone()
        })
    }

    fn output_schema(&self, kind: WorkKind, name: &str) -> Option<Arc<Value>> {
        self.held(kind, name, |held| {
            let read = || parse(held.entry.output_schema());
            held.output.get_or_init(read).clone()
        })
    }
}

impl Registry {
    fn held<T>(&self, kind: WorkKind, name: &str, of: impl Fn(&Held) -> Option<T>) -> Option<T> {
        let entries = self.read();
        of(entries.get(&entry_kind(kind)?)?.get(name)?)
    }
}

fn entry_kind(kind: WorkKind) -> Option<EntryKind> {
    Some(match kind {
        WorkKind::Agent => EntryKind::Agent,
        WorkKind::Tool => EntryKind::Tool,
        WorkKind::Function => EntryKind::Function,
        WorkKind::Plan => return None,
    })
}

fn parse(schema: Option<&RawValue>) -> Option<Arc<Value>> {
    // A schema that is no JSON says nothing.
    serde_json::from_str(schema?.get()).ok().map(Arc::new)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        agent::Agent,
        plan::Plan,
        testing::{CountingTool, ScriptedModel},
        tool::Tool,
    };

    fn registry() -> Registry {
        let writer = Agent::builder("writer", ScriptedModel::new(["ok"]));
        let registry = Registry::new();
        registry.agent(writer.build().unwrap()).unwrap();
        registry.tool(CountingTool::new("look")).unwrap();
        let add = async |numbers: Vec<i64>| Ok::<i64, String>(numbers.iter().sum());
        registry.function("add", add).unwrap();
        registry
    }

    #[test]
    fn a_plan_is_checked_against_what_is_registered() {
        let registry = registry();
        let plan = Plan::from_toml(
            r#"
name = "p"
[[steps]]
id = "a"
agent = "writer"
[[steps]]
id = "b"
function = "add"
input = "${steps.a}"
[[steps]]
id = "c"
tool = "add"
[[steps]]
id = "d"
function = "add"
input = [1, "two"]
[[steps]]
id = "e"
function = "add"
input = [1, 2]
"#,
        );
        let wrong = plan.unwrap().check(&registry).unwrap_err();
        let said: Vec<_> = wrong.problems().iter().map(ToString::to_string).collect();
        assert_eq!(
            said,
            [
                "steps[1].input: ${steps.a} is of type string, and type array is needed",
                "steps[2].tool: there is no tool `add`",
                "steps[3].input.1: \"two\" is not of type \"integer\"",
            ]
        );
    }

    #[test]
    fn a_schema_is_read_once_and_shared() {
        let registry = registry();
        let schema = |name| registry.input_schema(WorkKind::Function, name);
        let (once, again) = (schema("add").unwrap(), schema("add").unwrap());
        assert!(Arc::ptr_eq(&once, &again));
        let given = registry.output_schema(WorkKind::Agent, "writer");
        assert_eq!(*given.unwrap(), json!({"type": "string"}));
        assert!(schema("subtract").is_none());
        assert!(registry.input_schema(WorkKind::Agent, "writer").is_none());
        let look = CountingTool::new("look");
        let parameters = registry.input_schema(WorkKind::Tool, "look").unwrap();
        assert_eq!(
            parameters.to_string(),
            serde_json::from_str::<Value>(look.spec().parameters.get())
                .unwrap()
                .to_string()
        );
    }
}
