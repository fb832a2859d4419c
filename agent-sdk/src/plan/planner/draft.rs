//! A plan as a model writes it: a simple part of the whole form.

use std::{num::NonZeroU32, sync::Arc};

use serde::Deserialize;
use serde_json::{
    Value, json,
    value::{RawValue, to_raw_value},
};

use crate::{
    agent::unfenced,
    model::OutputFormat,
    plan::{
        AgentConfig, FailurePolicy, Join, Map, Plan, PlanError, Problem, Retry, Step, VERSION,
        Work, check, file, graph::Graph,
    },
    registry::{EntryKind, Registry},
    text,
};

/// The longest answer that is read.
pub(super) const MAX_ANSWER_BYTES: usize = 256 * 1024;

/// The most problems that are told.
const MAX_PROBLEMS: usize = 64;

/// How much of a problem's place and of its words are told, in characters.
const PLACE_CHARS: usize = 120;
const MESSAGE_CHARS: usize = 400;

/// The most bytes that the names of a kind take in the schema; where they are more, any text may be there.
const NAMES_BYTES: usize = 4 * 1024;

/// What a model answers. Its steps are read one by one, so that each can say what is wrong with it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with `name` and `steps`")]
struct Draft {
    name: Arc<str>,
    #[serde(default)]
    description: Option<Arc<str>>,
    steps: Vec<Box<RawValue>>,
}

/// A step as a model writes it. What is `null`, or text without a word, is not there.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with `id`")]
struct DraftStep {
    id: Arc<str>,
    #[serde(default)]
    description: Option<Arc<str>>,
    #[serde(default)]
    agent: Option<Arc<str>>,
    #[serde(default)]
    tool: Option<Arc<str>>,
    #[serde(default)]
    function: Option<Arc<str>>,
    #[serde(default)]
    action: Option<Arc<str>>,
    #[serde(default)]
    input: Value,
    #[serde(default)]
    depends_on: Option<Vec<Arc<str>>>,
    #[serde(default)]
    when: Option<Arc<str>>,
    #[serde(default)]
    map: Value,
}

/// The form of the answer, with the names that are registered.
pub(super) fn form(registry: &Registry, max_steps: NonZeroU32) -> OutputFormat {
    let text = |words: &str| json!({"type": "string", "description": words});
    let mut step = json!({
        "id": text("A name of its own: letters, digits, `_` and `-`."),
        "description": text("What the step is for."),
        "action": text("What the agent is to do."),
        "input": {"description": "What it is given: text or JSON, with references such as \"${steps.ID}\"."},
        "depends_on": {
            "type": "array",
            "items": {"type": "string"},
            "description": "The ids of the steps that it waits for, beside those that its input refers to.",
        },
        "when": text("A CEL expression; where it is false, the step is skipped."),
        "map": {"description": "A list, or a reference to one: the step runs once for each element."},
    });
    for kind in EntryKind::ALL {
        let names = registry.names(kind);
        if names.is_empty() {
            continue;
        }
        let mut schema = text(match kind {
            EntryKind::Agent => "The agent that does it.",
            EntryKind::Tool => "The tool that does it.",
            EntryKind::Function => "The function that does it.",
        });
        let mut bytes = 0;
        let few = names.iter().all(|name| {
            // Each character is one escape of six at most, and a name has two quotes and a comma.
            bytes += 6 * name.len() + 3;
            bytes <= NAMES_BYTES
        });
        if few {
            set(&mut schema, "enum", json!(names));
        }
        set(&mut step, kind.as_str(), schema);
    }
    let schema = json!({
        "type": "object",
        "properties": {
            "name": text("A short name: letters, digits, `_`, `-`, `.` and spaces."),
            "description": text("What the plan achieves."),
            "steps": {
                "type": "array",
                "minItems": 1,
                "maxItems": max_steps,
                "items": {
                    "type": "object",
                    "properties": step,
                    "required": ["id"],
                    "additionalProperties": false,
                },
            },
        },
        "required": ["name", "steps"],
        "additionalProperties": false,
    });
    match to_raw_value(&schema) {
        Ok(schema) => OutputFormat::JsonSchema {
            name: "plan".into(),
            schema: schema.into(),
            // What an agent is given may be anything, which the strict forms cannot say.
            strict: false,
        },
        Err(_) => OutputFormat::JsonObject,
    }
}

fn set(object: &mut Value, key: &str, value: Value) {
    if let Some(object) = object.as_object_mut() {
        object.insert(key.to_owned(), value);
    }
}

/// Reads an answer and checks the plan in it.
pub(super) fn read(
    answer: &str,
    max_steps: NonZeroU32,
    registry: &Registry,
) -> Result<(Plan, Graph), PlanError> {
    let plan = parse(answer, max_steps);
    plan.and_then(|plan| {
        let graph = check::read(&plan, registry);
        graph
            .map(|graph| (plan, graph))
            .map_err(|wrong| wrong.problems().to_vec())
    })
    .map_err(bounded)
}

fn parse(answer: &str, max_steps: NonZeroU32) -> Result<Plan, Vec<Problem>> {
    let whole = |words: String| vec![Problem::new("", words)];
    if answer.len() > MAX_ANSWER_BYTES {
        let long = answer.len();
        return Err(whole(format!(
            "the answer is {long} bytes long, and the longest plan is {MAX_ANSWER_BYTES}"
        )));
    }
    let answer = unfenced(answer);
    if answer.is_empty() {
        return Err(whole("the answer has no text".to_owned()));
    }
    let draft: Draft = file::read(answer, "").map_err(|problem| {
        vec![Problem {
            message: format!(
                "the answer is not JSON of the form of a plan: {}",
                problem.message
            ),
            ..problem
        }]
    })?;
    let most = usize::try_from(max_steps.get()).unwrap_or(usize::MAX);
    if draft.steps.len() > most {
        let many = draft.steps.len();
        return Err(vec![Problem::new(
            "steps",
            format!("{many} steps are more than {most}: do with fewer"),
        )]);
    }
    let mut problems = Vec::new();
    let mut steps = Vec::with_capacity(draft.steps.len());
    for (number, step) in draft.steps.iter().enumerate() {
        let place = format!("steps[{number}]");
        let read = file::read::<DraftStep>(step.get(), &place).and_then(|step| {
            step.read()
                .map_err(|wrong| Problem::new(place.clone(), wrong))
        });
        match read {
            Ok(step) => steps.push(step),
            Err(problem) => problems.push(problem),
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok(Plan {
        version: VERSION,
        name: draft.name,
        description: said(draft.description),
        params: [].into(),
        output: Value::Null,
        timeout: None,
        parallel: true,
        concurrency: None,
        on_failure: FailurePolicy::default(),
        fallback: None,
        steps,
    })
}

impl DraftStep {
    fn read(self) -> Result<Step, &'static str> {
        let action = said(self.action);
        let work = match (said(self.agent), said(self.tool), said(self.function)) {
            (Some(name), None, None) => Work::Agent {
                name,
                action,
                config: AgentConfig::default(),
            },
            (None, Some(name), None) => Work::Tool { name, action },
            (None, None, Some(name)) => Work::Function { name, action },
            (None, None, None) => {
                return Err("it does nothing: give one of `agent`, `tool` and `function`");
            }
            _ => return Err("it has more than one of `agent`, `tool` and `function`"),
        };
        Ok(Step {
            id: self.id,
            description: said(self.description),
            work,
            input: self.input,
            depends_on: self.depends_on.unwrap_or_default(),
            join: Join::default(),
            when: said(self.when),
            approval: None,
            map: match self.map {
                Value::Null => None,
                Value::String(text) if text.trim().is_empty() => None,
                over => Some(Map::over(over)),
            },
            retry: Retry::default(),
            timeout: None,
            fallback: Vec::new(),
            priority: 0,
        })
    }
}

/// Models fill in what they mean to leave out.
fn said(text: Option<Arc<str>>) -> Option<Arc<str>> {
    text.filter(|text| !text.trim().is_empty())
}

/// Problems quote what the model wrote: they are told without what acts on a terminal, and never more of them than can be read.
fn bounded(problems: Vec<Problem>) -> PlanError {
    let more = problems.len().saturating_sub(MAX_PROBLEMS);
    // The last place says how many there are more.
    let told = if more > 0 {
        MAX_PROBLEMS - 1
    } else {
        MAX_PROBLEMS
    };
    let problem = |problem: Problem| {
        Problem::new(
            inert(&problem.place, PLACE_CHARS),
            inert(&problem.message, MESSAGE_CHARS),
        )
    };
    let mut short: Vec<_> = problems.into_iter().take(told).map(problem).collect();
    if more > 0 {
        short.push(Problem::new("", format!("{} more are wrong", more + 1)));
    }
    PlanError::new(short)
}

/// The beginning of a text, with escapes in place of what acts on whoever shows it.
fn inert(text: &str, chars: usize) -> String {
    let mut short = String::new();
    let mut written = 0;
    for c in text.chars() {
        if written >= chars {
            short.push('…');
            break;
        }
        if text::is_control(c) || text::is_invisible(c) {
            written += c.escape_default().len();
            short.extend(c.escape_default());
        } else {
            written += 1;
            short.push(c);
        }
    }
    short
}
